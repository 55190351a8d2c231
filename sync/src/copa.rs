//! Congestion control by delay: Copa in its default mode (Arun and Balakrishnan, "Copa: Practical
//! Delay-Based Congestion Control for the Internet", NSDI 2018, section 2).
//!
//! The queue's delay is what the round trip takes now above what it takes at best. The window moves
//! towards the rate `1 / (DELTA * delay)`, so one flow keeps about two packets in the bottleneck's
//! queue however long that is, and flows that do the same share it evenly. Loss says nothing, since
//! on radio it is no sign of a queue (Cubic, at 29 % of random loss, goes down to two packets), unless
//! more is lost than arrives.
//!
//! Beside a flow that fills the queue this share shrinks to [`WINDOW_MIN`] packets per round trip, on
//! 1 Mbit/s with a full queue of 64 kB a tenth of the line. [`Rival`] sees to it that it grows again.

use crate::rival::{self, Rival};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets of delay that a flow is content with, inverted (the paper's default).
const DELTA: f64 = 0.5;
/// Packets in the first window. A coloured screen of 30 kB fits, so that it needs one round trip; on
/// 1 Mbit/s at 100 ms it queues for 0.2 s once. (RFC 6928 has 10, common servers send 32 to 64.)
const WINDOW_INITIAL: u64 = 32;
/// Least packets in a window: below two, acknowledgements that wait for a second packet would set the
/// pace; and with less a full queue of somebody else's would leave us too little.
const WINDOW_MIN: u64 = 4;
/// Largest window in bytes: 20 Mbit/s at 100 ms, far above what a terminal sends.
const WINDOW_MAX: u64 = 256 * 1024;
/// How long a least round trip is believed. The paper's ten seconds suppose that all flows drain the
/// queue meanwhile; more is needed where others don't.
const RTT_MIN_TIME: Duration = Duration::from_secs(30);
/// Parts of [`RTT_MIN_TIME`] that expire one by one.
const RTT_MIN_PARTS: u32 = 10;
/// Samples of the latest half round trip that are kept: their minima matter, so few are.
const STANDING_MAX: usize = 32;
/// Delay that is no queue: timers, and acknowledgements that waited for another packet.
const DELAY_IGNORED: Duration = Duration::from_millis(2);
/// Queueing at which the window shrinks though we didn't fill it: acknowledgements of single packets
/// are late by up to QUIC's own delay of 10 ms, so less proves nothing.
const DELAY_IDLE: Duration = Duration::from_millis(20);
/// After this time without a full window we are as good as a new connection, and begin as one: what
/// typing showed of the path, with all the jitter of single packets, says little about a screen.
const RESTART_TIME: Duration = Duration::from_secs(1);
/// Bytes lost in a round trip before it is asked whether more is lost than arrives.
const LOST_MIN: u64 = 8 * 1200;

/// A window in bytes, fed with acknowledgements and losses.
#[derive(Debug, Clone)]
pub(crate) struct Copa {
    packet: f64,
    window: f64,
    is_starting: bool,
    /// Least samples by the time at which their part began.
    least: VecDeque<(Instant, Duration)>,
    /// Ascending samples of the latest half round trip.
    standing: VecDeque<(Instant, Duration)>,
    velocity: f64,
    /// Since when the window isn't full.
    idle_since: Option<Instant>,
    turn: Turn,
    rival: Rival,
}

/// What happens within a round trip.
#[derive(Debug, Clone, Copy)]
struct Turn {
    since: Option<Instant>,
    window: f64,
    /// Whether the window grew in the turn before, and for how many turns.
    grew: bool,
    same_count: u32,
    acked: u64,
    lost: u64,
    /// Whether more would have been sent, had the window allowed it.
    is_limited: bool,
}

impl Turn {
    fn begin(since: Option<Instant>, window: f64, grew: bool, same_count: u32) -> Self {
        Self { since, window, grew, same_count, acked: 0, lost: 0, is_limited: false }
    }
}

impl Copa {
    pub(crate) fn new(packet: u16) -> Self {
        let window = (WINDOW_INITIAL * u64::from(packet)) as f64;
        let turn = Turn::begin(None, window, true, 0);
        Self {
            packet: f64::from(packet),
            window,
            is_starting: true,
            least: VecDeque::new(),
            standing: VecDeque::new(),
            velocity: 1.0,
            idle_since: None,
            turn,
            rival: Rival::default(),
        }
    }

    /// Bytes that may be in flight.
    pub(crate) fn window(&self) -> u64 {
        self.window as u64
    }

    pub(crate) fn initial_window(&self) -> u64 {
        WINDOW_INITIAL * self.packet as u64
    }

    pub(crate) fn on_mtu(&mut self, packet: u16) {
        self.packet = f64::from(packet);
    }

    /// `bytes` that were sent at `sent` arrived. `srtt`: QUIC's smoothed round trip. `is_idle`: there
    /// was less to send than the window allows.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        srtt: Duration,
        is_idle: bool,
    ) {
        let sample = now.saturating_duration_since(sent);
        self.note(now, sample, srtt);
        self.turn.acked += bytes;
        self.turn.is_limited |= !is_idle;
        let standing = self.standing.front().map_or(sample, |(_, rtt)| *rtt);
        let least = self.least.iter().map(|(_, rtt)| *rtt).min().unwrap_or(sample);
        let delay = standing.saturating_sub(least);
        let target = if delay <= DELAY_IGNORED {
            f64::INFINITY
        } else {
            self.packet / (DELTA * delay.as_secs_f64())
        };
        let rate = self.window / standing.as_secs_f64().max(1e-6);
        self.restart(now, delay, is_idle);
        let bytes = bytes as f64;
        let step = self.velocity * self.packet * bytes / (DELTA * self.window);
        if self.rival.is_there() {
            // Its turns say what the window is.
        } else if rate <= target {
            if !is_idle {
                self.window += if self.is_starting { bytes } else { step };
            }
        } else if self.is_starting {
            // What the path holds without a queue: the rate that it delivers for its least delay.
            self.is_starting = false;
            self.window *= least.as_secs_f64() / standing.as_secs_f64().max(1e-6);
            self.window += 2.0 * self.packet;
        } else if !is_idle || delay > DELAY_IDLE {
            self.window -= step;
        }
        self.clamp();
        self.end_turn(now, srtt, delay);
    }

    /// `bytes` were lost.
    pub(crate) fn on_lost(&mut self, bytes: u64) {
        self.turn.lost += bytes;
    }

    /// Begins anew after a pause, unless there is a queue nevertheless.
    fn restart(&mut self, now: Instant, delay: Duration, is_idle: bool) {
        let since = *self.idle_since.get_or_insert(now);
        if !is_idle || delay > DELAY_IDLE {
            self.idle_since = None;
        } else if now >= since + RESTART_TIME {
            self.window = self.window.max(WINDOW_INITIAL as f64 * self.packet);
            self.is_starting = true;
            self.velocity = 1.0;
            self.rival.reset();
        }
    }

    fn note(&mut self, now: Instant, sample: Duration, srtt: Duration) {
        let part = RTT_MIN_TIME / RTT_MIN_PARTS;
        match self.least.back_mut() {
            Some((at, least)) if now < *at + part => *least = sample.min(*least),
            Some((_, least)) if self.rival.is_there() => *least = sample.min(*least),
            _ => self.least.push_back((now, sample)),
        }
        // A rival that stays would be taken for the path.
        let expires = !self.rival.is_there();
        while expires && self.least.front().is_some_and(|(at, _)| *at + RTT_MIN_TIME < now) {
            self.least.pop_front();
        }
        while self.standing.back().is_some_and(|(_, rtt)| *rtt >= sample) {
            self.standing.pop_back();
        }
        self.standing.push_back((now, sample));
        while self.standing.len() > STANDING_MAX
            || self.standing.front().is_some_and(|(at, _)| *at + srtt / 2 < now)
        {
            self.standing.pop_front();
        }
    }

    /// Once per round trip: velocity doubles while the window keeps its direction, and a path that
    /// loses more than it delivers is given half.
    fn end_turn(&mut self, now: Instant, srtt: Duration, delay: Duration) {
        let since = *self.turn.since.get_or_insert(now);
        if now < since + srtt {
            return;
        }
        if self.turn.lost >= LOST_MIN && self.turn.lost > self.turn.acked {
            self.window /= 2.0;
            self.is_starting = false;
            self.velocity = 1.0;
            self.clamp();
        }
        let grew = self.window > self.turn.window;
        let same_count = if grew == self.turn.grew { self.turn.same_count + 1 } else { 0 };
        // The paper waits for three turns, so that the usual swing around the target stays small.
        self.velocity = match same_count {
            0..3 => 1.0,
            _ => (self.velocity * 2.0).min(DELTA * self.window / self.packet).max(1.0),
        };
        let window = self.rival.on_turn(&rival::Turn {
            now,
            time: now - since,
            delay,
            delay_ignored: DELAY_IDLE,
            window: self.window,
            window_min: self.window_min(),
            packet: self.packet,
            acked: self.turn.acked,
            lost: self.turn.lost,
            is_limited: self.turn.is_limited,
        });
        if let Some(window) = window {
            (self.window, self.velocity) = (window, 1.0);
            self.clamp();
        }
        self.turn = Turn::begin(Some(now), self.window, grew, same_count);
    }

    fn window_min(&self) -> f64 {
        WINDOW_MIN as f64 * self.packet
    }

    fn clamp(&mut self) {
        let min = self.window_min();
        self.window = self.window.clamp(min, (WINDOW_MAX as f64).max(min));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_link_is_filled_without_a_long_queue() {
        let run = Run { rate: 125_000.0, ..Run::default() }.go();
        assert!(run.goodput > 0.85, "{run:?}");
        assert!(run.queue_p95 < Duration::from_millis(60), "{run:?}");
    }

    #[test]
    fn random_loss_is_not_taken_for_congestion() {
        for loss in [0.1, 0.29] {
            let run = Run { rate: 1_250_000.0, loss, ..Run::default() }.go();
            assert!(run.goodput > 0.75 * (1.0 - loss), "{loss}: {run:?}");
            assert!(run.queue_p95 < Duration::from_millis(30), "{loss}: {run:?}");
        }
    }

    #[test]
    fn extreme_loss_shrinks_the_window() {
        let run = Run { rate: 1_250_000.0, loss: 0.6, ..Run::default() }.go();
        assert!(run.window <= 12_000, "{run:?}");
    }

    #[test]
    fn window_does_not_grow_unused() {
        let now = Instant::now();
        let mut copa = Copa::new(1200);
        let srtt = Duration::from_millis(100);
        for n in 1..100 {
            let at = now + n * srtt;
            copa.on_ack(at, at - srtt, 1200, srtt, true);
        }
        assert_eq!(copa.window(), copa.initial_window());
    }

    #[test]
    fn jitter_while_typing_does_not_delay_the_next_screen() {
        let now = Instant::now();
        let mut copa = Copa::new(1200);
        let srtt = Duration::from_millis(100);
        for n in 1..1000u32 {
            let at = now + n * 2 * srtt;
            let jitter = Duration::from_millis(if n % 10 < 8 { 5 } else { 60 });
            copa.on_ack(at, at - srtt - jitter, 100, srtt, true);
        }
        for n in 0..20 {
            let at = now + Duration::from_secs(200) + n * 2 * srtt;
            copa.on_ack(at, at - srtt, 100, srtt, true);
        }
        assert_eq!(copa.window(), copa.initial_window());
    }

    #[test]
    fn window_is_capped() {
        let run = Run { rate: 125_000_000.0, ..Run::default() }.go();
        assert!(run.window <= WINDOW_MAX, "{run:?}");
        assert!(run.window > WINDOW_MAX / 2, "{run:?}");
    }

    /// A bottleneck of `rate` bytes per second, 100 ms and 64 kB of queue, with a greedy sender.
    struct Run {
        rate: f64,
        loss: f64,
        time: Duration,
    }

    impl Default for Run {
        fn default() -> Self {
            Self { rate: 125_000.0, loss: 0.0, time: Duration::from_secs(20) }
        }
    }

    #[derive(Debug)]
    struct Outcome {
        /// Of the rate, after two seconds.
        goodput: f64,
        queue_p95: Duration,
        window: u64,
    }

    impl Run {
        fn go(&self) -> Outcome {
            const RTT: Duration = Duration::from_millis(100);
            const QUEUE: f64 = 64_000.0;
            let start = Instant::now();
            let (mut now, mut free_at) = (start, start);
            let mut copa = Copa::new(1200);
            let mut srtt = RTT;
            // Known at, sent at, whether it arrived.
            let mut flight: VecDeque<(Instant, Instant, bool)> = VecDeque::new();
            let (mut in_flight, mut delivered, mut queues) = (0, 0.0, Vec::new());
            let mut x = 1u64;
            while now < start + self.time {
                while in_flight + 1200 <= copa.window() {
                    let queue = free_at.saturating_duration_since(now);
                    let fits = queue.as_secs_f64() * self.rate < QUEUE;
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let is_lost = !fits || ((x >> 33) as f64 / f64::from(1u32 << 31)) < self.loss;
                    if fits {
                        free_at = free_at.max(now) + Duration::from_secs_f64(1200.0 / self.rate);
                    }
                    queues.push(queue);
                    flight.push_back((free_at.max(now) + RTT, now, !is_lost));
                    in_flight += 1200;
                }
                let Some((at, sent, arrived)) = flight.pop_front() else {
                    break;
                };
                now = now.max(at);
                in_flight -= 1200;
                if arrived {
                    srtt = srtt * 7 / 8 + (now - sent) / 8;
                    copa.on_ack(now, sent, 1200, srtt, false);
                    if now > start + Duration::from_secs(2) {
                        delivered += 1200.0;
                    }
                } else {
                    copa.on_lost(1200);
                }
            }
            let tail = queues.len() / 4;
            let mut late = queues.split_off(tail);
            late.sort_unstable();
            Outcome {
                goodput: delivered / (self.time.as_secs_f64() - 2.0) / self.rate,
                queue_p95: late[late.len() * 95 / 100],
                window: copa.window(),
            }
        }
    }
}
