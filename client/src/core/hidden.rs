//! The hidden client's life: attached only while somebody watches, attached again when it was
//! thrown out, and input held for it meanwhile.

use crate::core::sizes::Decision;
use std::time::{Duration, Instant};
use tern_relay::core::keys::{PASTE_END, is_paste_open};
use tern_term::Size;

/// How long the hidden client stays when the last viewer has left: a viewer that comes back at
/// once finds the picture there.
pub const LINGER: Duration = Duration::from_secs(3);
/// A client that lasted less than this was not thrown out by a person: see [`RETRY_DELAY`].
const SHORT_LIFE: Duration = Duration::from_secs(2);
/// How long the next client waits after a short-lived one.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Most input that is held while no client takes it.
const HELD_SIZE_MAX: usize = 64 * 1024;

/// The hidden client as the machine knows it.
#[derive(Debug)]
pub struct Hidden {
    state: State,
    watched: Watched,
    /// What it is, or was last.
    decision: Decision,
    held: Vec<u8>,
    /// Something was dropped, so what follows is, too: the middle of a line must not be missing.
    is_overfull: bool,
}

#[derive(Debug)]
enum State {
    /// There is none.
    Detached,
    /// It was started, on `tty` once that is known, and shows nothing yet.
    Attaching { tty: Option<String>, at: Instant },
    /// It shows the session.
    Attached { tty: String, at: Instant },
    /// It has gone by itself; why is being found out.
    Exited { is_short_lived: bool },
    /// The next one may not come before this.
    Waiting { until: Instant },
}

#[derive(Debug)]
enum Watched {
    ByViewers,
    ByNobody { since: Option<Instant> },
}

impl Hidden {
    /// None yet, nobody watches; `size` is what it will be if nobody says anything.
    pub fn new(size: Size) -> Self {
        Self {
            state: State::Detached,
            watched: Watched::ByNobody { since: None },
            decision: Decision { size, counts: false },
            held: Vec::new(),
            is_overfull: false,
        }
    }

    /// The terminal by which tmux knows it.
    pub fn tty(&self) -> Option<&str> {
        match &self.state {
            State::Attaching { tty, .. } => tty.as_deref(),
            State::Attached { tty, .. } => Some(tty),
            State::Detached | State::Exited { .. } | State::Waiting { .. } => None,
        }
    }

    /// Its size, or the last one's.
    pub fn size(&self) -> Size {
        self.decision.size
    }

    /// Whether it has gone and nobody knows why yet.
    pub fn is_unexplained(&self) -> bool {
        matches!(self.state, State::Exited { .. })
    }

    /// Whether one should be started now.
    pub fn wants_attach(&self, now: Instant) -> bool {
        let may_attach = match self.state {
            State::Detached => true,
            State::Waiting { until } => until <= now,
            State::Attaching { .. } | State::Attached { .. } | State::Exited { .. } => false,
        };
        may_attach && matches!(self.watched, Watched::ByViewers)
    }

    /// Whether anybody watches.
    pub fn handle_watched(&mut self, is_watched: bool, now: Instant) {
        match (is_watched, &self.watched) {
            (true, _) => self.watched = Watched::ByViewers,
            (false, Watched::ByViewers) => {
                self.watched = Watched::ByNobody { since: Some(now) };
                self.held.clear();
            }
            (false, Watched::ByNobody { .. }) => {}
        }
    }

    /// It is being started like this.
    pub fn handle_attaching(&mut self, decision: Decision, now: Instant) {
        self.decision = decision;
        self.state = State::Attaching { tty: None, at: now };
    }

    /// It runs on this terminal.
    pub fn handle_attached(&mut self, name: String) {
        if let State::Attaching { tty, .. } = &mut self.state {
            *tty = Some(name);
        }
    }

    /// It shows the session; gives what it is to be fed first, if anything.
    pub fn handle_ready(&mut self) -> Option<Vec<u8>> {
        if let State::Attaching { tty: Some(tty), at } = &mut self.state {
            self.state = State::Attached { tty: std::mem::take(tty), at: *at };
            let mut held = std::mem::take(&mut self.held);
            // A paste whose end was dropped is closed, else all keys that follow would belong to it.
            if std::mem::take(&mut self.is_overfull) && is_paste_open(&held, false) {
                held.extend_from_slice(PASTE_END);
            }
            return (!held.is_empty()).then_some(held);
        }
        None
    }

    /// It has another size and standing from now on; gives what it had.
    pub fn decide(&mut self, decision: Decision) -> Decision {
        std::mem::replace(&mut self.decision, decision)
    }

    /// Input for it; comes back if it takes it now.
    pub fn handle_input(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        if let State::Attached { .. } = self.state {
            return Some(bytes);
        }
        if !self.is_overfull && self.held.len() + bytes.len() <= HELD_SIZE_MAX {
            self.held.extend_from_slice(&bytes);
        } else {
            self.is_overfull = true;
        }
        None
    }

    /// Whether input is held for it.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// It has gone by itself.
    pub fn handle_exited(&mut self, now: Instant) {
        if let State::Attaching { at, .. } | State::Attached { at, .. } = self.state {
            let is_short_lived = now.saturating_duration_since(at) < SHORT_LIFE;
            self.state = State::Exited { is_short_lived };
        }
    }

    /// Why it has gone is known: a viewer detached it, or it was thrown out.
    pub fn handle_explained(&mut self, was_detached_by_viewer: bool, now: Instant) {
        if let State::Exited { is_short_lived } = self.state {
            self.state = if is_short_lived && !was_detached_by_viewer {
                State::Waiting { until: now + RETRY_DELAY }
            } else {
                State::Detached
            };
        }
    }

    /// It has to go, whoever watches. Whether there was one.
    #[must_use]
    pub fn handle_dropped(&mut self, now: Instant) -> bool {
        let was_there = matches!(self.state, State::Attaching { .. } | State::Attached { .. });
        self.state = State::Waiting { until: now + RETRY_DELAY };
        was_there
    }

    /// Time passed. Whether the client has to go, since nobody watches any more.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if let State::Waiting { until } = self.state
            && until <= now
        {
            self.state = State::Detached;
        }
        let is_due = self.linger_end().is_some_and(|due| due <= now);
        if is_due {
            self.state = State::Detached;
        }
        is_due
    }

    /// When [`Self::handle_timeout`] or [`Self::wants_attach`] has something new to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (&self.state, &self.watched) {
            (State::Waiting { until }, Watched::ByViewers) => Some(*until),
            _ => self.linger_end(),
        }
    }

    fn linger_end(&self) -> Option<Instant> {
        match (&self.state, &self.watched) {
            (
                State::Attaching { .. } | State::Attached { .. },
                Watched::ByNobody { since: Some(since) },
            ) => Some(*since + LINGER),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { cols: 80, rows: 24 };

    fn attached(now: Instant) -> Hidden {
        let mut hidden = Hidden::new(SIZE);
        hidden.handle_watched(true, now);
        assert!(hidden.wants_attach(now));
        hidden.handle_attaching(Decision { size: SIZE, counts: false }, now);
        hidden.handle_attached("/dev/pts/9".into());
        hidden
    }

    #[test]
    fn input_is_held_until_the_client_shows_the_session() {
        let mut hidden = attached(Instant::now());
        assert_eq!(hidden.handle_input(b"early".to_vec()), None);
        assert_eq!(hidden.handle_ready(), Some(b"early".to_vec()));
        assert_eq!(hidden.handle_input(b"later".to_vec()), Some(b"later".to_vec()));
        assert_eq!(hidden.handle_ready(), None);
    }

    #[test]
    fn held_input_is_bounded() {
        let mut hidden = attached(Instant::now());
        for _ in 0..100 {
            hidden.handle_input(vec![b'x'; 4096]);
        }
        assert!(hidden.handle_ready().expect("something").len() <= HELD_SIZE_MAX);
    }

    #[test]
    fn held_input_is_cut_once_and_a_paste_in_it_is_closed() {
        let mut hidden = attached(Instant::now());
        hidden.handle_input(b"\x1b[200~".to_vec());
        hidden.handle_input(vec![b'x'; HELD_SIZE_MAX - 10]);
        hidden.handle_input(b"too much".to_vec());
        hidden.handle_input(b"y".to_vec());
        let held = hidden.handle_ready().expect("something");
        assert!(held.ends_with(b"xx\x1b[201~"));
    }

    #[test]
    fn client_goes_a_while_after_the_last_viewer() {
        let now = Instant::now();
        let mut hidden = attached(now);
        let _ = hidden.handle_ready();
        hidden.handle_watched(false, now);
        assert!(!hidden.handle_timeout(now));
        assert_eq!(hidden.poll_timeout(), Some(now + LINGER));
        assert!(hidden.handle_timeout(now + LINGER));
        assert_eq!((hidden.tty(), hidden.poll_timeout()), (None, None));
        assert!(!hidden.wants_attach(now + LINGER));
    }

    #[test]
    fn viewer_that_comes_back_in_time_keeps_the_client() {
        let now = Instant::now();
        let mut hidden = attached(now);
        hidden.handle_watched(false, now);
        hidden.handle_watched(true, now);
        assert!(!hidden.handle_timeout(now + LINGER));
    }

    #[test]
    fn client_that_can_not_stay_is_started_again_with_a_delay() {
        let now = Instant::now();
        let mut hidden = attached(now);
        hidden.handle_exited(now);
        assert!(!hidden.wants_attach(now));
        hidden.handle_explained(false, now);
        assert!(!hidden.wants_attach(now));
        let due = hidden.poll_timeout().expect("it is tried again");
        assert!(hidden.wants_attach(due));
    }

    #[test]
    fn client_that_was_thrown_out_by_a_person_is_started_again_at_once() {
        let start = Instant::now();
        let mut hidden = attached(start);
        let now = start + SHORT_LIFE;
        hidden.handle_exited(now);
        hidden.handle_explained(false, now);
        assert!(hidden.wants_attach(now));
    }
}
