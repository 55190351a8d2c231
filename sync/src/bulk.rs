//! What a sender knows of its diff that is too large for one datagram and still on its way.

use crate::pace::Pace;
use crate::rtt::FRAME_INTERVAL_MIN;
use std::time::Instant;

/// A bulk is given up for a diff of at most one part in this many of its size. Each time thus
/// halves what must get through at least, so a slow link cannot be kept busy with beginnings.
const SUPERSEDE_RATIO: usize = 2;

/// A large diff that isn't acknowledged.
#[derive(Debug)]
pub(crate) struct Bulk {
    /// The state that it makes.
    pub(crate) num: u64,
    size: usize,
    /// When it was last considered whether something smaller should replace it.
    considered_at: Instant,
    pub(crate) via: BulkVia,
}

/// How a bulk travels.
#[derive(Debug)]
pub(crate) enum BulkVia {
    /// On a stream, which repairs itself.
    Stream {
        /// For its reset.
        id: u64,
    },
    /// In shards of [`crate::shard`].
    Shards(Batches),
}

/// Shards are sent in batches: all data and perhaps parity, then parity until it suffices.
#[derive(Debug)]
pub(crate) struct Batches {
    /// When the last batch was sent; `None` while one is being sent.
    sent_at: Option<Instant>,
    /// Nothing is sent that relies on it before it is acknowledged: the path is lossy.
    is_held: bool,
    /// A state that relies on it came too early.
    is_missed: bool,
    /// Batches that followed the first.
    pub(crate) retries_count: u32,
}

impl Bulk {
    pub(crate) fn stream(num: u64, size: usize, id: u64, now: Instant) -> Self {
        Self { num, size, considered_at: now, via: BulkVia::Stream { id } }
    }

    pub(crate) fn shards(num: u64, size: usize, now: Instant, pace: &Pace) -> Self {
        let is_held = pace.loss.is_notable(now);
        let batches = Batches { sent_at: None, is_held, is_missed: false, retries_count: 0 };
        Self { num, size, considered_at: now, via: BulkVia::Shards(batches) }
    }

    pub(crate) fn batches(&mut self) -> Option<&mut Batches> {
        match &mut self.via {
            BulkVia::Stream { .. } => None,
            BulkVia::Shards(batches) => Some(batches),
        }
    }

    pub(crate) fn stream_id(&self) -> Option<u64> {
        match self.via {
            BulkVia::Stream { id } => Some(id),
            BulkVia::Shards(_) => None,
        }
    }

    /// Whether only something much smaller may be sent beside it.
    pub(crate) fn is_blocking(&self) -> bool {
        match &self.via {
            BulkVia::Stream { .. } => true,
            BulkVia::Shards(batches) => batches.sent_at.is_none() || batches.is_held,
        }
    }

    /// The next time to consider whether something smaller should replace it. Often, for that may be
    /// the answer to a Ctrl-C; but each time a diff is made in vain.
    pub(crate) fn consider_at(&self, pace: &Pace) -> Instant {
        self.considered_at + (pace.rtt.frame_interval() / 4).max(FRAME_INTERVAL_MIN)
    }

    /// Whether a diff of `size` bytes may be sent.
    pub(crate) fn yields_to(&mut self, size: usize, now: Instant) -> bool {
        self.considered_at = now;
        !self.is_blocking() || size <= self.size / SUPERSEDE_RATIO
    }

    /// When more shards are due: the last batch didn't suffice.
    pub(crate) fn more_at(&self, pace: &Pace) -> Option<Instant> {
        match &self.via {
            BulkVia::Stream { .. } => None,
            BulkVia::Shards(batches) => batches.sent_at.map(|at| at + pace.rtt.retry_delay()),
        }
    }
}

impl Batches {
    /// The last shard of a batch was sent.
    pub(crate) fn on_sent(&mut self, now: Instant) {
        self.sent_at = Some(now);
    }

    /// Another batch begins.
    pub(crate) fn on_more(&mut self) {
        self.sent_at = None;
        self.is_held = true;
        self.retries_count += 1;
    }

    /// The peer heard of a state that relies on this one.
    pub(crate) fn on_missed(&mut self) {
        self.is_missed = true;
        self.is_held = true;
    }

    /// Whether what was sent after it was sent in vain.
    pub(crate) fn is_missed(&self) -> bool {
        self.is_missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frame_waits_for_the_batch_before_it_unless_it_is_much_smaller() {
        let now = Instant::now();
        let mut bulk = Bulk::shards(5, 10_000, now, &Pace::default());
        assert!(bulk.is_blocking());
        assert!(!bulk.yields_to(9_000, now));
        assert!(bulk.yields_to(5_000, now));
        bulk.batches().expect("shards").on_sent(now);
        assert!(!bulk.is_blocking());
        assert!(bulk.yields_to(9_000, now));
    }

    #[test]
    fn more_is_due_when_a_batch_was_not_acknowledged_in_time() {
        let now = Instant::now();
        let pace = Pace::default();
        let mut bulk = Bulk::shards(5, 10_000, now, &pace);
        assert_eq!(bulk.more_at(&pace), None);
        let sent_at = now + Duration::from_millis(300);
        bulk.batches().expect("shards").on_sent(sent_at);
        assert_eq!(bulk.more_at(&pace), Some(sent_at + pace.rtt.retry_delay()));
        bulk.batches().expect("shards").on_more();
        assert_eq!(bulk.more_at(&pace), None);
        assert!(bulk.is_blocking());
    }
}
