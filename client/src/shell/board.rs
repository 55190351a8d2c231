//! What the agent has to tell: its status and its messages. One task writes, those that answer
//! `tern status` and the start view read.

use crate::core::decisions::Bans;
use crate::core::messages::Messages;
use crate::core::notice;
use crate::core::viewers::{Viewer, Viewers};
use crate::shell::protocol::{Connection, Since, Status};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};

/// What is on the board.
#[derive(Debug, Clone)]
pub struct Content {
    /// Everything at once.
    pub status: Status,
    /// The log.
    pub messages: Messages,
}

/// The board. Clones show the same.
#[derive(Debug, Clone)]
pub struct Board {
    content: watch::Sender<Content>,
    /// Whether somebody who follows the messages was shown the newest join lines.
    are_lines_shown: Arc<AtomicBool>,
    /// In microseconds; 0: not known.
    round_trip: Arc<AtomicU64>,
    options_changed: Arc<Notify>,
    pane_died: Arc<Notify>,
    alerts: Arc<Alerts>,
}

/// Most alerts that wait to be shown; the log has them all.
const ALERTS_MAX: usize = 20;

/// What people should see besides its being in the log.
#[derive(Debug, Default)]
struct Alerts {
    /// Held only to push and to take.
    waiting: Mutex<Vec<String>>,
    came: Notify,
}

impl Board {
    /// For sharing `shared` over `relay`.
    pub fn new(
        shared: String,
        tmux_socket: Option<String>,
        attach: Option<String>,
        relay: String,
    ) -> Self {
        let status = Status {
            software: software(),
            pid: std::process::id(),
            shared,
            tmux_socket,
            attach,
            relay,
            connection: Connection::Connecting,
            over: None,
            round_trip_ms: None,
            trouble: None,
            lines: None,
            is_ready: false,
            viewers: Vec::new(),
            away: Vec::new(),
            waiting: Vec::new(),
            banned: Vec::new(),
            is_asking: false,
            hidden_tty: None,
        };
        let content = Content { status, messages: Messages::default() };
        Self {
            content: watch::Sender::new(content),
            are_lines_shown: Arc::default(),
            round_trip: Arc::default(),
            options_changed: Arc::default(),
            pane_died: Arc::default(),
            alerts: Arc::default(),
        }
    }

    /// Notified when a program has ended whose pane is still there.
    pub fn pane_died(&self) -> &Notify {
        &self.pane_died
    }

    /// Notified when somebody knows that tmux's options changed.
    pub fn options_changed(&self) -> &Notify {
        &self.options_changed
    }

    /// Adds a line to the log.
    pub fn log(&self, text: &str) {
        let text = notice::printable(text);
        self.content.send_modify(|content| content.messages.push(text, unix_time()));
    }

    /// Adds a line to the log that people should see at once.
    pub fn alert(&self, text: &str) {
        self.log(text);
        let mut waiting = self.alerts.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < ALERTS_MAX {
            waiting.push(text.to_owned());
            self.alerts.came.notify_one();
        }
    }

    /// What [`Self::alert`] was told, for whoever shows it; waits until there is something.
    /// Cancel-safe.
    pub async fn alerts(&self) -> Vec<String> {
        loop {
            self.alerts.came.notified().await;
            let mut waiting = self.alerts.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.is_empty() {
                return std::mem::take(&mut waiting);
            }
        }
    }

    /// Changes the status.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.content.send_modify(|content| change(&mut content.status));
    }

    /// Who watches now, who is away, who waits, who is kept out, and on which terminal the hidden client is.
    pub fn update_viewers(&self, viewers: &Viewers, bans: &Bans, hidden_tty: Option<String>) {
        let (now, unix_now) = (Instant::now(), unix_time());
        let since = |at| unix_now.saturating_sub(now.saturating_duration_since(at).as_secs());
        let viewer = |(who, at): (&Viewer, _)| Since { who: who.clone(), since: since(at) };
        let present: Vec<_> = viewers.since().map(viewer).collect();
        let away: Vec<_> = viewers.away().map(viewer).collect();
        let waiting: Vec<_> = viewers
            .waiting()
            .map(|(who, at)| Since { who: who.clone(), since: since(at) })
            .collect();
        let banned: Vec<_> = bans.iter().map(|ban| ban.person.clone()).collect();
        self.update(|status| {
            (status.viewers, status.away) = (present, away);
            (status.waiting, status.banned) = (waiting, banned);
            status.hidden_tty = hidden_tty;
        });
    }

    /// What is on it, and what will be.
    pub fn subscribe(&self) -> watch::Receiver<Content> {
        self.content.subscribe()
    }

    /// How long the relay takes to answer.
    pub fn set_round_trip(&self, time: Option<Duration>) {
        let micros = time.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.round_trip.store(micros, Ordering::Relaxed);
    }

    /// In milliseconds, if it is known.
    pub fn round_trip_ms(&self) -> Option<u64> {
        let micros = self.round_trip.load(Ordering::Relaxed);
        (micros > 0).then(|| micros.div_ceil(1000))
    }

    /// Whether anybody saw the newest join lines.
    pub fn are_lines_shown(&self) -> bool {
        self.are_lines_shown.load(Ordering::Relaxed)
    }

    /// See [`Self::are_lines_shown`].
    pub fn set_lines_shown(&self, are_shown: bool) {
        self.are_lines_shown.store(are_shown, Ordering::Relaxed);
    }
}

/// e.g. `tern 0.1.0`.
pub fn software() -> String {
    concat!("tern ", env!("CARGO_PKG_VERSION")).into()
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
