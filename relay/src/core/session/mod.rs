//! One session: its host's link, its replica of the screen, its viewers. A machine without I/O.
//!
//! ```text
//!          handle_host, handle_datagram, ...            handle_join, handle_input, ...
//!  host ───────────────────────────────────► Session ◄─────────────────────────────── viewers
//!       ◄───────────────────────────────────    │    ───────────────────────────────►
//!          Output::Link, CloseLink              │       Output::Show, Release, Taken
//!                                               ├──► Output::Ended, Retire, Over (registry)
//!                                               └──► Output::Happened (webhook)
//! ```

mod asking;
mod events;
mod host;
mod scrollback;
mod viewers;
mod webhook;
mod work;

#[cfg(test)]
mod tests;

use crate::core::doors::Doors;
use crate::core::limits::Limits;
use crate::core::painter::View;
use crate::core::text;
use host::Host;
use scrollback::KeptScrollback;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::session::{
    HOST_EVENTS, HostEvent, HostStanding, SCROLLBACK, SETTINGS, ViewerId, WEBHOOK, WebhookReport,
};
use tern_sync::{Endpoint, Event};
use tern_term::SCREEN;
use tern_web::core::herald::Happening;
use viewers::{PasteHold, Viewer};
use work::Work;

pub use asking::ASKING_TIME_MAX;
pub use host::CloseCode;

/// How long the host's link is kept after the session's end, so that the host learns that its
/// word arrived: 3 round trips of a satellite path.
pub const ENDING_TIME_MAX: Duration = Duration::from_secs(3);
/// Exit status of a viewer whose session came to its end, or who left.
pub const EXIT_ENDED: u32 = 0;
/// Exit status of a viewer who lost a session that may go on.
pub const EXIT_LOST: u32 = 1;

/// What a session wants done.
#[derive(Debug)]
pub enum Output {
    /// Goes to the host.
    Link(tern_sync::Output),
    /// The link is over.
    CloseLink {
        /// Why, for programs.
        code: CloseCode,
        /// Why, for people.
        reason: String,
    },
    /// All viewers see this from now on.
    Show(Arc<View>),
    /// Who may join from now on.
    Doors(Arc<Doors>),
    /// A viewer that was held at the door has joined.
    Admit(ViewerId),
    /// A viewer goes. Nothing about it follows.
    Release {
        /// Which.
        viewer: ViewerId,
        /// Stays on its terminal.
        text: String,
        /// Of its ssh.
        exit_status: u32,
    },
    /// So many bytes of a viewer's input wait no more.
    Taken {
        /// Whose.
        viewer: ViewerId,
        /// Bytes, as they were given to [`Session::handle_input`].
        byte_count: usize,
    },
    /// For whom a webhook tells of it.
    Happened(Box<Happening>),
    /// The host ended the session: no ticket brings it back.
    Ended,
    /// The tokens are dead.
    Retire,
    /// The session is gone.
    Over,
}

/// Where the session stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// All viewers are gone; the link lives on until then, for acknowledgements.
    Ending {
        until: Instant,
    },
    Over,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    host: Host,
    endpoint: Endpoint,
    /// What the host's messages made the relay do.
    work: Work,
    viewers: BTreeMap<ViewerId, Viewer>,
    viewers_count: u32,
    /// Whose turn it is to have its keys taken: the first after this one.
    served: ViewerId,
    paste: Option<PasteHold>,
    scrollback: KeptScrollback,
    /// What the host said last; `None` before it did.
    doors: Option<Arc<Doors>>,
    /// How it goes with the host's webhook.
    webhook_report: WebhookReport,
    shown: Arc<View>,
    is_frame_changed: bool,
    notice_at: Option<Instant>,
    phase: Phase,
    outputs: VecDeque<Output>,
    /// Whether the link took output when it was last asked.
    has_room: bool,
}

impl Session {
    /// A session that was granted `now`. `seed` drives what is random.
    pub fn new(limits: Limits, seed: u64, now: Instant) -> Self {
        let notice = text::standing(HostStanding::Awaited).map(Into::into);
        let mut session = Self {
            limits,
            host: Host::awaited(now),
            endpoint: host::new_endpoint(seed, now),
            work: Work::default(),
            viewers: BTreeMap::new(),
            viewers_count: 0,
            served: ViewerId(0),
            paste: None,
            scrollback: KeptScrollback::default(),
            doors: None,
            webhook_report: WebhookReport::default(),
            shown: Arc::new(View { notice, ..View::default() }),
            is_frame_changed: false,
            notice_at: None,
            phase: Phase::Live,
            outputs: VecDeque::new(),
            has_room: true,
        };
        session.update(now);
        session
    }

    /// What a viewer sees that joins now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.shown)
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        for viewer in self.viewers.values_mut() {
            viewer.input.handle_timeout(now);
        }
        match self.phase {
            Phase::Ending { until } if until <= now => self.finish(now),
            Phase::Ending { .. } | Phase::Over => {}
            Phase::Live => self.check_host(now),
        }
        self.check_asking(now);
        self.update(now);
    }

    /// The relay is stopping: everybody goes.
    pub fn handle_stop(&mut self, now: Instant) {
        self.dismiss(CloseCode::Stopping, text::STOPPING, text::STOPPING, now);
    }

    /// A newer session of the same owner has its names: everybody goes.
    pub fn handle_superseded(&mut self, now: Instant) {
        let (for_host, for_viewers) = (text::SUPERSEDED, text::SUPERSEDED_FOR_VIEWERS);
        self.dismiss(CloseCode::Superseded, for_host, for_viewers, now);
    }

    /// Whose its names were, that user is gone: everybody goes, and no ticket brings it back.
    pub fn handle_disowned(&mut self, now: Instant) {
        if self.phase == Phase::Live {
            self.outputs.push_back(Output::Ended);
        }
        self.dismiss(CloseCode::Ended, text::OWNER_GONE, text::JUST_ENDED_FOR_VIEWERS, now);
    }

    fn dismiss(&mut self, code: CloseCode, for_host: &str, for_viewers: &str, now: Instant) {
        match self.phase {
            Phase::Live => {}
            // Its host's last words need not be waited for.
            Phase::Ending { .. } => {
                self.close_link(CloseCode::Ended, "the session has ended".into(), now);
                return self.finish(now);
            }
            Phase::Over => return,
        }
        if code == CloseCode::Stopping {
            self.outputs.push_back(Output::Happened(Happening::Stopping.into()));
        }
        self.end(for_viewers, EXIT_LOST, now);
        self.close_link(code, for_host.into(), now);
        self.finish(now);
    }

    /// When [`Session::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Over {
            return None;
        }
        let ending = match self.phase {
            Phase::Ending { until } => Some(until),
            Phase::Live => self.host_deadline(),
            Phase::Over => None,
        };
        let is_sending = self.host.is_connected() && self.has_room;
        let link = is_sending.then(|| self.endpoint.poll_timeout()).flatten();
        let partial = self.viewers.values().filter_map(|viewer| viewer.input.poll_timeout()).min();
        let paste = self.paste.as_ref().map(|paste| paste.until);
        let asking = self.asking_deadline();
        [ending, link, partial, paste, asking, self.notice_at].into_iter().flatten().min()
    }

    /// The next thing to do. `datagram_size_max` is that of the present link, if there is one with
    /// room; without, [`Session::poll_timeout`] leaves out what waits for it.
    pub fn poll_output(
        &mut self,
        now: Instant,
        datagram_size_max: Option<usize>,
    ) -> Option<Output> {
        self.has_room = datagram_size_max.is_some();
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let size = datagram_size_max.filter(|_| self.host.is_connected())?;
        self.endpoint.poll_output(now, size).map(Output::Link)
    }

    /// After anything happened: events of the endpoint, keys that can go, what viewers see.
    fn update(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Received(id) if id == SCREEN.id => self.on_screen(now),
                Event::Received(id) if id == HOST_EVENTS.id => self.on_host_events(now),
                Event::Received(id) if id == SCROLLBACK.id => {
                    let entries = self.endpoint.take(SCROLLBACK);
                    self.scrollback.handle_entries(entries);
                }
                Event::Received(id) if id == SETTINGS.id => self.on_settings(now),
                Event::Received(id) if id == WEBHOOK.id => self.on_webhook(now),
                Event::Received(_) | Event::Acknowledged(_) => {}
            }
        }
        if self.phase == Phase::Live {
            self.check_load(now);
            self.tell_scrollback_wish(now);
            self.pump(now);
        }
        self.update_view(now);
    }

    fn on_screen(&mut self, now: Instant) {
        let size = self.endpoint.received(SCREEN).frame.size();
        if self.limits.is_too_large(size) {
            let reason = format!(
                "the screen has {} x {} cells, this relay allows {}",
                size.cols, size.rows, self.limits.screen_cells
            );
            self.abandon(CloseCode::Limit, reason, now);
        } else {
            self.is_frame_changed = true;
        }
    }

    fn on_host_events(&mut self, now: Instant) {
        for event in self.endpoint.take(HOST_EVENTS) {
            match event {
                HostEvent::Detach { viewer, text } => {
                    self.release_announced(viewer, &text::from_host(&text), now);
                }
                HostEvent::Admit { viewer } => self.on_admitted(viewer, now),
                HostEvent::Dismiss { viewer, text } => {
                    self.dismiss_announced(viewer, &text::from_host(&text), now);
                }
                HostEvent::Ended { text } => {
                    if self.phase == Phase::Live {
                        self.outputs.push_back(Output::Ended);
                    }
                    self.end(&text::from_host(&text), EXIT_ENDED, now);
                }
            }
        }
    }

    /// Everybody goes; the tokens are dead.
    fn end(&mut self, text: &str, exit_status: u32, now: Instant) {
        if self.phase != Phase::Live {
            return;
        }
        self.phase = Phase::Ending { until: now + ENDING_TIME_MAX };
        self.outputs.push_back(Output::Retire);
        self.outputs.push_back(Output::Happened(Happening::Over.into()));
        for viewer in std::mem::take(&mut self.viewers).into_keys() {
            self.outputs.push_back(Output::Release { viewer, text: text.into(), exit_status });
        }
        if !self.host.is_connected() {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Instant) {
        if self.phase != Phase::Over {
            self.close_link(CloseCode::Ended, "the session ended".into(), now);
            self.phase = Phase::Over;
            self.outputs.push_back(Output::Over);
        }
    }

    fn update_view(&mut self, now: Instant) {
        let (standing, next) = self.standing(now);
        self.notice_at = next.filter(|_| self.phase == Phase::Live);
        self.tell_standing(standing);
        let is_changed = self.is_frame_changed
            || standing != self.shown.standing
            || self.scrollback.is_changed();
        if !is_changed || self.phase != Phase::Live {
            return;
        }
        let (frame, keys) = if self.is_frame_changed {
            (self.endpoint.received(SCREEN).frame.clone(), self.report_for_viewers())
        } else {
            (self.shown.frame.clone(), Arc::clone(&self.shown.keys))
        };
        self.is_frame_changed = false;
        let notice = text::standing(standing).map(Into::into);
        let scrollback = self.scrollback.show();
        self.shown = Arc::new(View { frame, keys, scrollback, standing, notice });
        self.outputs.push_back(Output::Show(self.view()));
    }
}
