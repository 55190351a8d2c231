//! When tmux is asked for what it doesn't tell: after each notification, once a second while
//! somebody watches, one round of questions at a time.

use std::time::{Duration, Instant};

/// How often the clients' sizes and the panes' titles, of which tmux tells no change, are asked
/// for while somebody watches.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest time between two rounds, however much tmux has to tell.
pub const REFRESH_INTERVAL_MIN: Duration = Duration::from_millis(20);

/// Where a round of questions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// What is known was true at `at`.
    Known {
        /// When the answers came.
        at: Instant,
    },
    /// What is known is old.
    Wanted {
        /// When the next round may begin.
        after: Instant,
    },
    /// tmux was asked.
    Asked {
        /// When.
        at: Instant,
        /// Something changed since.
        is_old: bool,
    },
}

impl Refresh {
    /// Something changed.
    pub fn want(&mut self, now: Instant) {
        match self {
            Self::Known { at } => {
                *self = Self::Wanted { after: (*at + REFRESH_INTERVAL_MIN).max(now) };
            }
            Self::Asked { is_old, .. } => *is_old = true,
            Self::Wanted { .. } => {}
        }
    }

    /// All answers of the round came.
    pub fn handle_answered(&mut self, now: Instant) {
        *self = match *self {
            Self::Asked { at, is_old: true } => Self::Wanted { after: at + REFRESH_INTERVAL_MIN },
            Self::Asked { .. } | Self::Wanted { .. } | Self::Known { .. } => {
                Self::Known { at: now }
            }
        };
    }

    /// When the next round begins; `None`: not by time.
    pub fn due(&self, is_watched: bool) -> Option<Instant> {
        match *self {
            Self::Known { at } => is_watched.then_some(at + POLL_INTERVAL),
            Self::Wanted { after } => Some(after),
            Self::Asked { .. } => None,
        }
    }

    /// Whether what is known is new enough to decide by.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwatched_session_is_asked_only_when_something_changed() {
        let now = Instant::now();
        let mut refresh = Refresh::Known { at: now };
        assert_eq!(refresh.due(false), None);
        assert_eq!(refresh.due(true), Some(now + POLL_INTERVAL));
        refresh.want(now);
        assert_eq!(refresh.due(false), Some(now + REFRESH_INTERVAL_MIN));
    }

    #[test]
    fn change_during_a_round_leads_to_another_one() {
        let now = Instant::now();
        let mut refresh = Refresh::Asked { at: now, is_old: false };
        refresh.want(now);
        refresh.want(now);
        assert_eq!(refresh.due(true), None);
        refresh.handle_answered(now);
        assert!(!refresh.is_known());
        assert_eq!(refresh.due(false), Some(now + REFRESH_INTERVAL_MIN));
    }
}
