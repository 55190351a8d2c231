//! One direction of a link: filter, queue, loss, duplication, delay, in this order.

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::link::delay::DelayLine;
use crate::link::loss::{LossState, happens};
use crate::link::queue::{Capacity, Queue, Sized};
use crate::link::settings::{Change, Conditions};
use crate::link::trace::{OPPORTUNITY_BYTES, TracePlayer};
use crate::packet::Packet;
use crate::stats::{DropReason, LogLine, PathStats};

/// A packet inside, and since when.
#[derive(Clone, Debug)]
struct Held {
    packet: Packet,
    entered: Duration,
}

impl Sized for Held {
    fn size(&self) -> usize {
        self.packet.size
    }
}

/// One direction of a link.
///
/// At every moment `entered + duplicated = delivered + dropped + held` (see [`PathStats`]).
#[derive(Debug)]
pub struct Pipe {
    conditions: Conditions,
    is_down: bool,
    queue: Queue<Held>,
    loss: LossState,
    /// Chances of duplicates; apart from those of loss, so that one setting doesn't shift another.
    duplicate_rng: ChaCha8Rng,
    wire: DelayLine<Held>,
    stats: PathStats,
    /// `None` unless the caller wants it.
    log: Option<Log>,
}

/// What is logged.
#[derive(Debug)]
struct Log {
    lines: Vec<LogLine>,
    /// The trace once more, for opportunities that nobody used are logged too.
    opportunities: Option<TracePlayer>,
}

impl Pipe {
    /// A direction like `conditions`; its chances are drawn from `seed`, a trace plays from `start`.
    #[must_use]
    pub fn new(conditions: Conditions, seed: u64, start: Duration) -> Self {
        // Streams of one seed are independent of each other.
        let rng = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            rng
        };
        let Conditions { delay, jitter, reorder, queue_bytes, loss, .. } = conditions;
        Self {
            is_down: false,
            queue: Queue::new(&conditions.capacity, queue_bytes, start),
            loss: LossState::new(loss, rng(1)),
            duplicate_rng: rng(2),
            wire: DelayLine::new(delay, jitter, reorder, rng(3)),
            stats: PathStats::default(),
            log: None,
            conditions,
        }
    }

    /// Takes a packet at `now`. Gives back one that is too big where the link tells of it.
    pub fn push(&mut self, packet: Packet, now: Duration) -> Option<Packet> {
        self.stats.on_entered(packet.size);
        let protocol = packet.flow.protocol;
        if self.is_down {
            self.drop_packet(DropReason::Down, packet.size, now);
        } else if self.conditions.blocked.iter().any(|what| what.covers(protocol)) {
            self.drop_packet(DropReason::Blocked, packet.size, now);
        } else if packet.size > self.conditions.mtu.size {
            self.drop_packet(DropReason::TooBig, packet.size, now);
            return (!self.conditions.mtu.is_silent).then_some(packet);
        } else {
            self.push_to_queue(packet, now);
        }
        None
    }

    /// When to poll next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.queue.poll_timeout(), self.wire.poll_timeout()].into_iter().flatten().min()
    }

    /// The next packet that has passed by `now`, and when it did.
    pub fn poll(&mut self, now: Duration) -> Option<(Duration, Packet)> {
        while let Some((at, held)) = self.queue.poll(now) {
            self.on_left_queue(held, at);
        }
        let (at, held) = self.wire.poll(now)?;
        self.stats.on_delivered(held.packet.size, at - held.entered);
        let (bytes, delay) = (held.packet.size, at - held.entered);
        self.note(|| LogLine::Departed { at, bytes, delay });
        self.sync_held();
        Some((at, held.packet))
    }

    /// Makes one change at `now`.
    pub fn change(&mut self, change: &Change, now: Duration) {
        self.conditions.apply(change);
        let Conditions { delay, jitter, reorder, .. } = self.conditions;
        match change {
            Change::Delay(_) | Change::Jitter(_) | Change::Reorder(_) => {
                self.wire.set(delay, jitter, reorder);
            }
            Change::Capacity(capacity) => {
                self.queue.set_capacity(capacity, now);
                let opportunities = self.opportunities(now);
                if let Some(log) = &mut self.log {
                    log.opportunities = opportunities;
                }
            }
            Change::Queue(bytes) => self.queue.set_limit(*bytes),
            Change::Loss(loss) => self.loss.set_model(*loss),
            Change::Duplicate(_) | Change::Mtu(_) | Change::Block(_) | Change::Unblock(_) => {}
        }
    }

    /// Lets nothing pass from `now` on: what waits or is on the wire is lost too.
    pub fn set_down(&mut self, now: Duration) {
        self.is_down = true;
        let lost: Vec<_> = self.queue.clear().chain(self.wire.clear()).collect();
        for held in lost {
            self.drop_packet(DropReason::Down, held.packet.size, now);
        }
        self.sync_held();
    }

    /// Lets packets pass again.
    pub fn set_up(&mut self) {
        self.is_down = false;
    }

    /// Whether nothing passes.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.is_down
    }

    /// What it is like now.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What has passed so far.
    #[must_use]
    pub fn stats(&self) -> &PathStats {
        &self.stats
    }

    /// Keeps a log from `now` on, to be taken with [`Self::poll_log`].
    pub fn start_log(&mut self, now: Duration) {
        let opportunities = self.opportunities(now);
        self.log = Some(Log { lines: Vec::new(), opportunities });
    }

    /// The lines logged since the last call, until `now`.
    pub fn poll_log(&mut self, now: Duration) -> Vec<LogLine> {
        let Some(Log { lines, opportunities }) = &mut self.log else { return Vec::new() };
        let mut lines = std::mem::take(lines);
        while let Some(player) = opportunities.as_mut().filter(|player| player.next_at() <= now) {
            lines.push(LogLine::Opportunity { at: player.take(), bytes: OPPORTUNITY_BYTES });
        }
        lines.sort_by_key(LogLine::at);
        lines
    }

    fn opportunities(&self, now: Duration) -> Option<TracePlayer> {
        match &self.conditions.capacity {
            Capacity::Trace(trace) => Some(TracePlayer::new(trace.clone(), now)),
            Capacity::Unlimited | Capacity::Rate(_) => None,
        }
    }

    fn push_to_queue(&mut self, packet: Packet, now: Duration) {
        let bytes = packet.size;
        self.note(|| LogLine::Arrived { at: now, bytes });
        if let Err(held) = self.queue.push(Held { packet, entered: now }, now) {
            self.drop_packet(DropReason::Queue, held.packet.size, now);
        }
        self.stats.on_queued(self.queue.bytes());
        self.sync_held();
    }

    fn on_left_queue(&mut self, held: Held, at: Duration) {
        if self.loss.is_lost() {
            self.drop_packet(DropReason::Loss, held.packet.size, at);
        } else {
            if happens(&mut self.duplicate_rng, self.conditions.duplicate) {
                self.stats.duplicated += 1;
                self.wire.push(held.clone(), at);
            }
            self.wire.push(held, at);
        }
        self.sync_held();
    }

    fn drop_packet(&mut self, reason: DropReason, bytes: usize, at: Duration) {
        self.stats.on_dropped(reason);
        self.note(|| LogLine::Dropped { at, packets: 1, bytes });
    }

    fn sync_held(&mut self) {
        self.stats.held = (self.queue.len() + self.wire.len()) as u64;
    }

    fn note(&mut self, line: impl FnOnce() -> LogLine) {
        if let Some(log) = &mut self.log {
            log.lines.push(line());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::link::delay::Reorder;
    use crate::link::loss::Loss;
    use crate::link::settings::{Blockable, Mtu};
    use crate::link::trace::{Trace, TraceSource};
    use crate::units::{Probability, Rate};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn queue_delay_and_wire_add_up() {
        let capacity = Capacity::Rate(Rate::mbit(12));
        let mut pipe = pipe(Conditions { delay: 20 * MS, capacity, ..Conditions::default() });
        for _ in 0..3 {
            assert_eq!(pipe.push(packet(1500), 10 * MS), None);
        }
        let arrivals: Vec<_> = arrivals(&mut pipe, Duration::MAX);
        assert_eq!(arrivals, [31 * MS, 32 * MS, 33 * MS]);
    }

    #[test]
    fn what_is_under_way_when_the_link_goes_down_is_lost() {
        let mut pipe = pipe(Conditions { delay: 20 * MS, ..Conditions::default() });
        pipe.push(packet(100), Duration::ZERO);
        pipe.set_down(5 * MS);
        pipe.push(packet(100), 6 * MS);
        pipe.set_up();
        pipe.push(packet(100), 7 * MS);
        assert_eq!(arrivals(&mut pipe, Duration::MAX), [27 * MS]);
        assert_eq!(pipe.stats().dropped(DropReason::Down), 2);
    }

    #[test]
    fn too_big_is_told_or_silent_and_blocking_is_by_protocol() {
        let mut pipe = pipe(Conditions::default());
        pipe.change(&Change::Mtu(Mtu { size: 1000, is_silent: false }), Duration::ZERO);
        assert_eq!(pipe.push(packet(1001), Duration::ZERO), Some(packet(1001)));
        pipe.change(&Change::Mtu(Mtu { size: 1000, is_silent: true }), Duration::ZERO);
        assert_eq!(pipe.push(packet(1001), Duration::ZERO), None);
        pipe.change(&Change::Block(Blockable::Tcp), Duration::ZERO);
        pipe.push(packet(1000), Duration::ZERO);
        pipe.change(&Change::Block(Blockable::Udp), Duration::ZERO);
        pipe.push(packet(1000), Duration::ZERO);
        assert_eq!(arrivals(&mut pipe, Duration::MAX).len(), 1);
        assert_eq!(pipe.stats().dropped(DropReason::TooBig), 2);
        assert_eq!(pipe.stats().dropped(DropReason::Blocked), 1);
    }

    #[test]
    fn the_log_is_mahimahis() {
        let trace = Trace::new(vec![5, 10], TraceSource::Given).expect("a trace");
        let capacity = Capacity::Trace(trace);
        let mut pipe = pipe(Conditions { capacity, queue_bytes: 2000, ..Conditions::default() });
        pipe.start_log(Duration::ZERO);
        for size in [1500, 500, 100] {
            pipe.push(packet(size), 7 * MS);
        }
        assert_eq!(arrivals(&mut pipe, 20 * MS), [10 * MS, 15 * MS]);
        let lines: Vec<_> = pipe.poll_log(16 * MS).iter().map(ToString::to_string).collect();
        let expected = [
            "5 # 1500",
            "7 + 1500",
            "7 + 500",
            "7 + 100",
            "7 d 1 100",
            "10 - 1500 3",
            "10 # 1500",
            "15 - 500 8",
            "15 # 1500",
        ];
        assert_eq!(lines, expected);
    }

    proptest! {
        #[test]
        fn packets_are_conserved_and_a_seed_replays(
            seed: u64,
            steps in proptest::collection::vec((0_u32..5000, 40_usize..1600, 0_u8..20), 1..200),
            loss in 0.0_f64..60.0, duplicate in 0.0_f64..60.0, kbit in 100_u64..20_000,
        ) {
            let run = || {
                let reorder = Reorder { chance: Probability::percent(10.0), by: 7 * MS };
                let mut pipe = Pipe::new(Conditions {
                    delay: 15 * MS, jitter: 10 * MS, reorder,
                    capacity: Capacity::Rate(Rate::kbit(kbit)), queue_bytes: 8000,
                    loss: Loss::bursts(Probability::percent(loss), 3.0),
                    duplicate: Probability::percent(duplicate), ..Conditions::default()
                }, seed, Duration::ZERO);
                let mut now = Duration::ZERO;
                let mut arrived = Vec::new();
                for (gap_us, size, action) in &steps {
                    now += Duration::from_micros(u64::from(*gap_us));
                    while let Some((at, packet)) = pipe.poll(now) {
                        arrived.push((at, packet.size));
                    }
                    pipe.push(packet(*size), now);
                    match action {
                        0 => pipe.set_down(now),
                        1..4 => pipe.set_up(),
                        _ => {}
                    }
                    assert!(pipe.stats().is_conserved());
                }
                while let Some((at, packet)) = pipe.poll(Duration::MAX) {
                    arrived.push((at, packet.size));
                }
                assert_eq!(pipe.stats().held, 0);
                assert!(pipe.stats().is_conserved());
                arrived
            };
            let first = run();
            prop_assert!(first.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            prop_assert_eq!(first, run());
        }
    }

    fn pipe(conditions: Conditions) -> Pipe {
        Pipe::new(conditions, 1, Duration::ZERO)
    }

    fn packet(size: usize) -> Packet {
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        Packet::datagram(address, address, vec![0; size - 28])
    }

    fn arrivals(pipe: &mut Pipe, now: Duration) -> Vec<Duration> {
        std::iter::from_fn(|| pipe.poll(now)).map(|(at, _)| at).collect()
    }
}
