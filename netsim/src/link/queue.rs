//! The queue before a link and the rate at which it empties: droptail in bytes, served at once, at a
//! fixed rate, or by a trace.

use std::collections::VecDeque;
use std::time::Duration;

use crate::link::trace::{OPPORTUNITY_BYTES, Trace, TracePlayer};
use crate::units::Rate;

/// Bytes that wait before a link where a description says nothing: 21 ms at 100 Mbit/s, 2 s at
/// 1 Mbit/s, as in routers of the cheaper kind.
pub const QUEUE_BYTES_DEFAULT: usize = 256 * 1024;

/// How fast a link takes packets.
#[derive(Clone, Debug, PartialEq)]
pub enum Capacity {
    /// At once.
    Unlimited,
    /// One after the other at this rate.
    Rate(Rate),
    /// 1500 bytes at each opportunity of a trace.
    Trace(Trace),
}

/// Something that has a size in bytes.
pub(crate) trait Sized {
    fn size(&self) -> usize;
}

/// A droptail queue and its server.
///
/// The limit counts all that hasn't left wholly, the packet that is being sent among them. A packet
/// larger than the limit passes when the queue is empty.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    limit: usize,
    waiting: VecDeque<T>,
    bytes: usize,
    server: Server,
}

#[derive(Debug)]
enum Server {
    /// Since when the head may leave.
    Unlimited { since: Duration },
    /// When the head has wholly left.
    Rate { rate: Rate, head_done: Duration },
    /// `head_sent` bytes of the head have left; `left` bytes of the opportunity at `at` remain.
    Trace { player: TracePlayer, at: Duration, left: usize, head_sent: usize },
}

impl<T: Sized> Queue<T> {
    pub(crate) fn new(capacity: &Capacity, limit: usize, start: Duration) -> Self {
        let server = Server::new(capacity, start);
        Self { limit, waiting: VecDeque::new(), bytes: 0, server }
    }

    /// Changes the limit; what waits already isn't dropped.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Changes how the queue is served; the head, if it has begun to leave, begins anew.
    pub(crate) fn set_capacity(&mut self, capacity: &Capacity, now: Duration) {
        self.server = Server::new(capacity, now);
        if let Some(head) = self.waiting.front() {
            self.server.begin(head.size(), now);
        }
    }

    /// Takes a packet at `now`, or gives it back where there is no room.
    pub(crate) fn push(&mut self, item: T, now: Duration) -> Result<(), T> {
        let size = item.size();
        if self.waiting.is_empty() {
            self.server.idle_until(now);
            self.server.begin(size, now);
        } else if self.bytes + size > self.limit {
            return Err(item);
        }
        self.bytes += size;
        self.waiting.push_back(item);
        Ok(())
    }

    /// When to poll next.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let head = self.waiting.front()?;
        Some(match &self.server {
            Server::Unlimited { since } => *since,
            Server::Rate { head_done, .. } => *head_done,
            Server::Trace { player, at, left, head_sent } => {
                if head.size() - head_sent <= *left {
                    *at
                } else {
                    player.next_at()
                }
            }
        })
    }

    /// The next packet that has wholly left by `now`, and when it did.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<(Duration, T)> {
        let size = self.waiting.front()?.size();
        let left_at = self.server.serve(size, now)?;
        let item = self.waiting.pop_front().expect("the head was looked at above");
        self.bytes -= size;
        match self.waiting.front() {
            Some(next) => self.server.begin(next.size(), left_at),
            None => self.server.waste(),
        }
        Some((left_at, item))
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.bytes = 0;
        self.server.waste();
        std::mem::take(&mut self.waiting).into_iter()
    }
}

impl Server {
    fn new(capacity: &Capacity, now: Duration) -> Self {
        match capacity {
            Capacity::Unlimited => Self::Unlimited { since: now },
            Capacity::Rate(rate) => Self::Rate { rate: *rate, head_done: now },
            Capacity::Trace(trace) => {
                let player = TracePlayer::new(trace.clone(), now);
                Self::Trace { player, at: now, left: 0, head_sent: 0 }
            }
        }
    }

    /// Nothing waited until `now`: opportunities before it are lost.
    fn idle_until(&mut self, now: Duration) {
        if let Self::Trace { player, .. } = self {
            player.skip_until(now);
        }
    }

    /// A packet of `size` bytes became the head at `now`.
    fn begin(&mut self, size: usize, now: Duration) {
        match self {
            Self::Unlimited { since } => *since = now,
            Self::Rate { rate, head_done } => *head_done = now + rate.time_of(size),
            Self::Trace { head_sent, .. } => *head_sent = 0,
        }
    }

    /// When the head of `size` bytes left, if it did by `now`.
    fn serve(&mut self, size: usize, now: Duration) -> Option<Duration> {
        match self {
            Self::Unlimited { since: done } | Self::Rate { head_done: done, .. } => {
                (*done <= now).then_some(*done)
            }
            Self::Trace { player, at, left, head_sent } => loop {
                let wanted = size - *head_sent;
                if wanted <= *left {
                    *left -= wanted;
                    return Some(*at);
                }
                *head_sent += *left;
                *left = 0;
                if player.next_at() > now {
                    return None;
                }
                (*at, *left) = (player.take(), OPPORTUNITY_BYTES);
            },
        }
    }

    /// The queue became empty: the rest of the opportunity is lost.
    fn waste(&mut self) {
        if let Self::Trace { left, head_sent, .. } = self {
            (*left, *head_sent) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::trace::TraceSource;

    const MS: Duration = Duration::from_millis(1);

    impl Sized for usize {
        fn size(&self) -> usize {
            *self
        }
    }

    #[test]
    fn rate_spaces_packets_by_their_length() {
        let mut queue = queue(Capacity::Rate(Rate::mbit(12)), 10_000);
        for size in [1500, 750, 1500] {
            assert_eq!(queue.push(size, 5 * MS), Ok(()));
        }
        let left: Vec<_> = drain(&mut queue).into_iter().map(|(at, _)| at).collect();
        assert_eq!(left, [6000, 6500, 7500].map(Duration::from_micros));
    }

    #[test]
    fn droptail_counts_bytes_and_the_packet_in_service() {
        let mut queue = queue(Capacity::Rate(Rate::mbit(12)), 3000);
        assert_eq!(queue.push(1500, Duration::ZERO), Ok(()));
        assert_eq!(queue.push(1500, Duration::ZERO), Ok(()));
        assert_eq!(queue.push(1, Duration::ZERO), Err(1));
        assert_eq!(queue.poll(MS), Some((MS, 1500)));
        assert_eq!(queue.push(1500, MS), Ok(()));
        assert_eq!(queue.bytes(), 3000);
    }

    #[test]
    fn what_is_larger_than_the_queue_passes_when_it_is_empty() {
        let mut queue = queue(Capacity::Rate(Rate::mbit(12)), 1000);
        assert_eq!(queue.push(1500, Duration::ZERO), Ok(()));
        assert_eq!(queue.push(100, Duration::ZERO), Err(100));
    }

    #[test]
    fn opportunities_are_shared_spanned_and_wasted() {
        let mut queue = queue(traced(&[5, 10, 15, 20]), 100_000);
        // At 3 ms: two small ones share the opportunity at 5 ms with half of a large one, whose
        // rest goes at 10 ms; what remains of that opportunity is lost, for nothing waits.
        for size in [500, 500, 1000] {
            assert_eq!(queue.push(size, 3 * MS), Ok(()));
        }
        let left: Vec<_> = drain_until(&mut queue, 12 * MS);
        assert_eq!(left, [(5 * MS, 500), (5 * MS, 500), (10 * MS, 1000)]);
        assert_eq!(queue.push(100, 12 * MS), Ok(()));
        assert_eq!(queue.poll_timeout(), Some(15 * MS));
        assert_eq!(queue.poll(15 * MS), Some((15 * MS, 100)));
    }

    #[test]
    fn opportunities_of_an_idle_time_are_lost() {
        let mut queue = queue(traced(&[1, 2, 3, 4, 100]), 100_000);
        assert_eq!(queue.push(1500, 50 * MS), Ok(()));
        assert_eq!(queue.poll(99 * MS), None);
        assert_eq!(queue.poll(100 * MS), Some((100 * MS, 1500)));
    }

    #[test]
    fn a_new_rate_holds_for_what_waits() {
        let mut queue = queue(Capacity::Rate(Rate::kbit(12)), 10_000);
        assert_eq!(queue.push(1500, Duration::ZERO), Ok(()));
        queue.set_capacity(&Capacity::Rate(Rate::mbit(12)), 100 * MS);
        assert_eq!(queue.poll_timeout(), Some(101 * MS));
    }

    proptest! {
        #[test]
        fn a_trace_passes_1500_bytes_per_opportunity(sizes in proptest::collection::vec(40_usize..=4000, 1..60), gap in 1_u64..20) {
            let mut queue = queue(traced(&[gap]), usize::MAX);
            for size in &sizes {
                prop_assert_eq!(queue.push(*size, Duration::ZERO), Ok(()));
            }
            let mut bytes = 0;
            for ((at, left), size) in drain(&mut queue).into_iter().zip(&sizes) {
                prop_assert_eq!(left, *size);
                bytes += size;
                let opportunity = bytes.div_ceil(OPPORTUNITY_BYTES) as u64;
                prop_assert_eq!(at, Duration::from_millis(opportunity * gap));
            }
        }

        #[test]
        fn the_delay_behind_a_rate_is_the_bytes_before_it(sizes in proptest::collection::vec(40_usize..=1500, 1..60), limit in 1500_usize..20_000) {
            let rate = Rate::mbit(8);
            let mut queue = queue(Capacity::Rate(rate), limit);
            let mut expected = Duration::ZERO;
            let mut taken = Vec::new();
            for size in sizes {
                let has_room = queue.bytes() == 0 || queue.bytes() + size <= limit;
                prop_assert_eq!(queue.push(size, Duration::ZERO).is_ok(), has_room);
                if has_room {
                    expected += rate.time_of(size);
                    taken.push((expected, size));
                }
            }
            prop_assert_eq!(drain(&mut queue), taken);
            prop_assert_eq!((queue.bytes(), queue.len()), (0, 0));
        }
    }

    fn queue(capacity: Capacity, limit: usize) -> Queue<usize> {
        Queue::new(&capacity, limit, Duration::ZERO)
    }

    fn traced(lines: &[u64]) -> Capacity {
        Capacity::Trace(Trace::new(lines.to_vec(), TraceSource::Given).expect("a valid trace"))
    }

    fn drain(queue: &mut Queue<usize>) -> Vec<(Duration, usize)> {
        drain_until(queue, Duration::from_secs(1_000_000))
    }

    fn drain_until(queue: &mut Queue<usize>, now: Duration) -> Vec<(Duration, usize)> {
        std::iter::from_fn(|| queue.poll(now)).collect()
    }
}
