//! How often a datagram is sent again though nothing says that it is lost (see [`crate::loss`]).

use crate::pace::Pace;
use crate::sending::{Cause, Prepared, Via};
use std::time::Instant;

/// The copies of the last state sent.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    left: u32,
    /// When the next is due, if any is left.
    at: Option<Instant>,
    /// How often it was sent since it was first sent or seemed lost.
    sent_count: u32,
}

impl Copies {
    /// When the next is due.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.at.filter(|_| self.left > 0)
    }

    /// How many were sent, the first included.
    pub(crate) fn sent_count(&self) -> u32 {
        self.sent_count
    }

    /// No more are needed.
    pub(crate) fn stop(&mut self) {
        self.left = 0;
    }

    /// One more was sent, or the first of what is to have copies.
    pub(crate) fn on_sent(&mut self, sent: &Prepared, via: Via, now: Instant, pace: &Pace) {
        if sent.cause == Cause::Copy {
            self.sent_count += 1;
            self.left = self.left.saturating_sub(1);
        } else {
            self.sent_count = 1;
            self.left = pace.copies(sent.packed.len(), now) - 1;
        }
        if via != Via::Datagram {
            self.left = 0;
        }
        self.at = Some(now + pace.rtt.copy_interval());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Packed;
    use crate::wire::Head;

    #[test]
    fn copies_follow_on_a_lossy_path_until_enough_were_sent() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut copies = Copies::default();
        copies.on_sent(&prepared(Cause::New), Via::Datagram, now, &pace);
        assert_eq!(copies.due_at(), None);
        pace.loss.on_stats(100, 29, now);
        copies.on_sent(&prepared(Cause::New), Via::Datagram, now, &pace);
        let mut count = 1;
        while let Some(at) = copies.due_at() {
            copies.on_sent(&prepared(Cause::Copy), Via::Datagram, at, &pace);
            count += 1;
        }
        assert!((4..=6).contains(&count), "{count}");
        assert_eq!(copies.sent_count(), count);
    }

    #[test]
    fn acknowledged_state_has_no_more_copies() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.loss.on_stats(100, 29, now);
        let mut copies = Copies::default();
        copies.on_sent(&prepared(Cause::New), Via::Datagram, now, &pace);
        assert!(copies.due_at().is_some());
        copies.stop();
        assert_eq!(copies.due_at(), None);
    }

    fn prepared(cause: Cause) -> Prepared {
        let head = Head { channel: 1, num: 1, front: 0, base: 0 };
        Prepared { head, packed: Packed::new(vec![1]), cause }
    }
}
