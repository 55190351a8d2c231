//! A viewer that keeps a replica of the screen (`tern join`): the relay's end of its link, which
//! may break and come back. A machine without I/O.
//!
//! ```text
//!            handle_link, handle_datagram, ...              handle_view, handle_release
//!  viewer ───────────────────────────────────► Replica ◄────────────────────────────── session
//!         ◄───────────────────────────────────    │     ──────────────────────────────►
//!              Output::Link, CloseLink            │      Output::Join, Resize, Silence, Leave,
//!                                                 └──►   poll_typed
//! ```

mod content;

pub use content::Typed;

use crate::core::painter::View;
use crate::core::session::CloseCode;
use content::Passed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::log::{Log, Whole};
use tern_sync::scrollback::Trickle;
use tern_sync::session::{
    FAREWELL, Farewell, HOST_STANDING, HostStanding, SCROLLBACK, TAKEN, VIEWER_ACTIONS, ViewerId,
};
use tern_sync::{Endpoint, Patience, PeerError};
use tern_term::{SCREEN, Shown, Size};

/// Silence after which the viewer doesn't count for the size. One that lives is heard every 6 s and
/// a round trip.
const SILENT_AFTER: Duration = Duration::from_millis(7500);
/// How long a viewer may take to say its size, from its link's being there.
const SIZE_TIME_MAX: Duration = Duration::from_secs(20);
/// How long last words may take to arrive: 3 round trips of a satellite path.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(3);

/// What a replica wants done.
#[derive(Debug)]
pub enum Output {
    /// Goes to the viewer.
    Link(tern_sync::Output),
    /// The link is over.
    CloseLink {
        /// Why, for programs.
        code: CloseCode,
        /// Why, for people.
        reason: String,
    },
    /// The viewer has said its size: it joins the session.
    Join(Size),
    /// Its terminal has another size.
    Resize(Size),
    /// Nothing is heard from it; or it is heard again.
    Silence(bool),
    /// It goes.
    Leave,
    /// Nothing follows.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its size is awaited until then.
    Arriving {
        until: Instant,
    },
    Joined,
    /// Its last words are on their way until then.
    Leaving {
        until: Instant,
    },
    Over,
}

/// The machine.
#[derive(Debug)]
pub struct Replica {
    /// The viewer's number in its session, once it has joined.
    id: Option<ViewerId>,
    endpoint: Endpoint,
    /// Names the endpoint that ours fits; `None`: it fits none.
    epoch: Option<u64>,
    is_linked: bool,
    heard_at: Instant,
    is_silent: bool,
    phase: Phase,
    view: Arc<View>,
    told: HostStanding,
    /// Brings what scrolled off.
    trickle: Trickle,
    /// Whether the session's host is asked whether to let it in.
    is_asked: bool,
    typed: VecDeque<Typed>,
    typed_size: usize,
    passed: Passed,
    away_max: Duration,
    outputs: VecDeque<Output>,
    has_room: bool,
}

impl Replica {
    /// A viewer that is about to come, of a session that shows `view`. It may stay away for
    /// `away_max`.
    pub fn new(view: Arc<View>, away_max: Duration, now: Instant) -> Self {
        Self {
            id: None,
            endpoint: new_endpoint(0, now),
            epoch: None,
            is_linked: false,
            heard_at: now,
            is_silent: false,
            phase: Phase::Arriving { until: now + SIZE_TIME_MAX },
            view,
            told: HostStanding::default(),
            trickle: Trickle::default(),
            is_asked: false,
            typed: VecDeque::new(),
            typed_size: 0,
            passed: Passed::default(),
            away_max,
            outputs: VecDeque::new(),
            has_room: true,
        }
    }

    /// The viewer came, over a new link that replaces the former one, and proved itself. Gives whether
    /// the endpoint of its `epoch` is still here; else both begin with state 0, and `seed` is for
    /// ours. `None`: it is too late.
    pub fn handle_link(&mut self, epoch: u64, seed: u64, now: Instant) -> Option<bool> {
        if self.phase == Phase::Over {
            return None;
        }
        let is_known = self.epoch == Some(epoch);
        // As with hosts: one that wasn't heard since may have missed its welcome, and begins anew.
        let is_resumed = is_known && self.endpoint.last_heard().is_some();
        if is_known {
            self.endpoint.handle_new_path(now);
        } else {
            self.begin_anew(seed, now);
        }
        (self.epoch, self.is_linked) = (Some(epoch), true);
        self.on_alive(now);
        self.update(now);
        Some(is_resumed)
    }

    fn begin_anew(&mut self, seed: u64, now: Instant) {
        self.endpoint = new_endpoint(seed, now);
        (self.told, self.trickle) = (HostStanding::default(), Trickle::default());
        self.begin_typing_anew();
        self.show(now);
    }

    /// The session's host is asked whether to let it in; [`Self::handle_joined`] or
    /// [`Self::handle_release`] follows.
    pub fn handle_asked(&mut self, now: Instant) {
        self.is_asked = true;
        self.show(now);
    }

    /// The session has given it this number.
    pub fn handle_joined(&mut self, id: ViewerId, now: Instant) {
        self.id = Some(id);
        if std::mem::take(&mut self.is_asked) {
            self.forget_typed(now);
        }
        self.show(now);
    }

    /// The link broke, or the viewer closed it.
    pub fn handle_link_lost(&mut self, now: Instant) {
        self.is_linked = false;
        match self.phase {
            Phase::Joined => {}
            // Without a size it was nobody yet; and whoever has gone needs no last words.
            Phase::Arriving { .. } | Phase::Leaving { .. } => self.finish(),
            Phase::Over => {}
        }
        self.update(now);
    }

    /// The present link goes over another path: what was not confirmed is sent again at once.
    pub fn handle_path_changed(&mut self, now: Instant) {
        self.endpoint.handle_path_change(now);
    }

    /// The present link has sent so many packets, and lost so many, since it began.
    pub fn handle_path_stats(&mut self, sent: u64, lost: u64, now: Instant) {
        self.endpoint.handle_path_stats(sent, lost, now);
    }

    /// Bytes that are held for the viewer, beside what others hold as well. (Looks at every row that
    /// is kept: for now and then.)
    pub fn memory(&self) -> usize {
        self.endpoint.memory_share() + self.typed_size
    }

    /// The relay has no memory for what is held for the viewer: both begin anew.
    pub fn handle_no_memory(&mut self, reason: String, now: Instant) {
        self.abandon(CloseCode::Limit, reason, now);
    }

    /// Something came over the present link.
    pub fn handle_incoming(&mut self, incoming: tern_sync::link::Incoming, now: Instant) {
        match incoming.feed(&mut self.endpoint, now) {
            Ok(()) => {
                self.on_alive(now);
                self.update(now);
            }
            Err(PeerError(reason)) => self.abandon(CloseCode::Protocol, reason, now),
        }
    }

    /// The session looks different now.
    pub fn handle_view(&mut self, view: Arc<View>, now: Instant) {
        self.view = view;
        self.show(now);
    }

    /// The session lets the viewer go.
    pub fn handle_release(&mut self, text: &str, exit_status: u8, now: Instant) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Over) {
            return;
        }
        self.typed.clear();
        self.typed_size = 0;
        self.phase = Phase::Leaving { until: now + FAREWELL_TIME_MAX };
        let farewell = Farewell { text: text.to_owned(), exit_status };
        self.endpoint.update(FAREWELL, now, |log| {
            assert!(log.push(farewell), "an empty log has room for a text of bounded length");
        });
        if !self.is_linked {
            self.finish();
        }
    }

    /// The relay is stopping: the viewer comes back by itself when it is there again.
    pub fn handle_stop(&mut self, reason: &str) {
        self.close_link(CloseCode::Stopping, reason.into());
        self.finish();
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        match self.phase {
            Phase::Arriving { until } if until <= now => {
                self.close_link(CloseCode::Silent, "the viewer did not say its size".into());
                self.finish();
            }
            Phase::Leaving { until } if until <= now => self.finish_leaving(),
            Phase::Arriving { .. } | Phase::Leaving { .. } | Phase::Over => {}
            Phase::Joined => self.check_silence(now),
        }
        self.update(now);
    }

    /// When [`Replica::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Arriving { until } | Phase::Leaving { until } => Some(until),
            Phase::Joined if !self.is_silent => Some(self.heard_at + SILENT_AFTER),
            Phase::Joined => self.heard_at.checked_add(self.away_max),
            Phase::Over => return None,
        };
        let is_sending = self.is_linked && self.has_room;
        let link = is_sending.then(|| self.endpoint.poll_timeout()).flatten();
        let trickle = is_sending.then(|| self.trickle.poll_timeout()).flatten();
        [own, link, trickle].into_iter().flatten().min()
    }

    /// The next thing to do. `datagram_size_max` is that of the present link, if there is one with
    /// room.
    pub fn poll_output(
        &mut self,
        now: Instant,
        datagram_size_max: Option<usize>,
    ) -> Option<Output> {
        self.has_room = datagram_size_max.is_some();
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let size = datagram_size_max.filter(|_| self.is_linked)?;
        // Whoever waits at the door is given nothing of the session.
        if self.phase == Phase::Joined && self.id.is_some() {
            self.trickle.pump(&mut self.endpoint, &self.view.scrollback, now);
        }
        self.endpoint.poll_output(now, size).map(Output::Link)
    }

    fn on_alive(&mut self, now: Instant) {
        self.heard_at = now;
        if std::mem::take(&mut self.is_silent) {
            self.outputs.push_back(Output::Silence(false));
        }
    }

    fn check_silence(&mut self, now: Instant) {
        let silence = now.saturating_duration_since(self.heard_at);
        if silence >= SILENT_AFTER && !self.is_silent {
            self.is_silent = true;
            self.outputs.push_back(Output::Silence(true));
        }
        if silence >= self.away_max {
            self.close_link(CloseCode::Silent, "the viewer was away for too long".into());
            self.finish();
        }
    }

    /// Closes the link and forgets the endpoint, which fits nothing any more: the viewer may come
    /// back, and both begin anew.
    fn abandon(&mut self, code: CloseCode, reason: String, now: Instant) {
        self.close_link(code, reason);
        self.epoch = None;
        self.typed.clear();
        self.typed_size = 0;
        self.begin_anew(0, now);
        if self.phase != Phase::Joined {
            self.finish();
        }
    }

    fn close_link(&mut self, code: CloseCode, reason: String) {
        if std::mem::take(&mut self.is_linked) {
            self.outputs.push_back(Output::CloseLink { code, reason });
        }
    }

    fn finish_leaving(&mut self) {
        self.close_link(CloseCode::Ended, "the session let the viewer go".into());
        self.finish();
    }

    fn finish(&mut self) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.outputs.push_back(Output::Over);
        }
    }
}

/// Both ends' state 0.
fn new_endpoint(seed: u64, now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(seed, now).with_patience(Patience::Sparing);
    endpoint.open_sender(SCREEN, Shown::default());
    endpoint.open_sender(HOST_STANDING, Whole(HostStanding::default()));
    endpoint.open_sender(FAREWELL, Log::new());
    endpoint.open_sender(TAKEN, Whole(0));
    endpoint.open_sender(SCROLLBACK, Log::new());
    endpoint.open_receiver(VIEWER_ACTIONS, Log::new());
    endpoint
}

#[cfg(test)]
mod tests;
