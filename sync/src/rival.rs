//! Beside a flow that fills the queue: congestion control by delay yields to such a flow for ever, so
//! while there is one, the window goes by loss, as TCP's does (RFC 5681), and takes a share.
//!
//! Copa's section 2.2 ("TCP competitive mode") has the idea; how a rival is told from a queue of our
//! own is ours. A rival is there if the delay stays though our window is down at its least. That alone
//! may be a very slow link, whose queue is ours after all; so the window grows, and whether the rate
//! grows with it tells: from a rival's queue a larger window takes a larger share, of our own queue
//! nothing but more delay.

use std::time::{Duration, Instant};

/// Round trips at the least window, with delay nevertheless, until a rival is supposed.
const PRESSED_TURNS: u32 = 4;
/// How much the window grows until the rate is looked at, and how much the rate must have grown: when
/// half of the line is ours, twice the window still gets a third more.
const GROWTH: f64 = 2.0;
const GAIN_MIN: f64 = 1.25;
/// How long no rival is supposed after one turned out to be our own queue.
const BAR_TIME: Duration = Duration::from_secs(30);
/// A contest that leaves us at the least window, or unused, for so long is none: the path has become a
/// longer one, which takes its delay with it, or loses by itself.
const VAIN_TIME: Duration = Duration::from_secs(10);
/// The rival is gone when the delay has fallen to this share of what it was at most. (Reno, at its
/// lowest, leaves two fifths of a queue that holds as much as the path.)
const GONE_SHARE: f64 = 0.3;

/// A window is at its least up to this: fractions of a byte add up.
const AT_MOST: f64 = 1.01;

/// What was seen within a round trip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub now: Instant,
    /// How long it took.
    pub time: Duration,
    /// The standing queue's.
    pub delay: Duration,
    /// Delay up to this is no rival's.
    pub delay_ignored: Duration,
    /// In bytes, as all here.
    pub window: f64,
    pub window_min: f64,
    pub packet: f64,
    pub acked: u64,
    pub lost: u64,
    /// Whether more would have been sent, had the window allowed it.
    pub is_limited: bool,
}

/// Whether there is a rival, and what we know of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rival {
    pressed_turns: u32,
    barred_until: Option<Instant>,
    contest: Option<Contest>,
}

#[derive(Debug, Clone, Default)]
struct Contest {
    delay_max: Duration,
    /// Rate of the turn before, in bytes per second.
    rate: Option<f64>,
    /// Window and rate from which growth is judged.
    base: Option<(f64, f64)>,
    /// Since when the window is at its least, or not used up.
    vain_since: Option<Instant>,
}

impl Rival {
    /// Whether the window goes by loss now.
    pub(crate) fn is_there(&self) -> bool {
        self.contest.is_some()
    }

    /// Forgets it.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// After each round trip; gives the next one's window while there is a rival.
    pub(crate) fn on_turn(&mut self, turn: &Turn) -> Option<f64> {
        if turn.delay <= turn.delay_ignored {
            self.pressed_turns = 0;
            self.contest = None;
            return None;
        }
        let Some(contest) = &mut self.contest else {
            self.suppose(turn);
            return None;
        };
        contest.delay_max = contest.delay_max.max(turn.delay);
        if turn.delay < contest.delay_max.mul_f64(GONE_SHARE) {
            self.leave(None);
            return None;
        }
        let is_vain = !turn.is_limited || turn.window <= turn.window_min * AT_MOST;
        contest.vain_since = contest.vain_since.or(Some(turn.now)).filter(|_| is_vain);
        if contest.vain_since.is_some_and(|since| since + VAIN_TIME <= turn.now) {
            self.leave(Some(turn.now + BAR_TIME));
            return None;
        }
        if turn.lost > 0 {
            return Some(contest.yield_half(turn));
        }
        if !turn.is_limited {
            contest.rate = None;
            return Some(turn.window);
        }
        match contest.judge(turn) {
            Verdict::Grow => Some(turn.window + turn.packet),
            // The rival may have taken back its own, or be gone: then the delay goes, too.
            Verdict::NoGain { since } if since > GROWTH * turn.window_min => {
                Some(contest.yield_half(turn))
            }
            Verdict::NoGain { .. } => {
                self.leave(Some(turn.now + BAR_TIME));
                Some(turn.window_min)
            }
        }
    }

    fn suppose(&mut self, turn: &Turn) {
        let is_least = turn.window <= turn.window_min * AT_MOST;
        let is_barred = self.barred_until.is_some_and(|until| turn.now < until);
        if !is_least || is_barred {
            self.pressed_turns = 0;
        } else if turn.is_limited {
            self.pressed_turns += 1;
        }
        if self.pressed_turns >= PRESSED_TURNS {
            self.contest = Some(Contest { delay_max: turn.delay, ..Contest::default() });
        }
    }

    fn leave(&mut self, barred_until: Option<Instant>) {
        *self = Self { barred_until, ..Self::default() };
    }
}

/// What became of a larger window.
enum Verdict {
    /// More, as far as can be told: it may grow on.
    Grow,
    /// Nothing, since it was `since`, in bytes.
    NoGain { since: f64 },
}

impl Contest {
    fn judge(&mut self, turn: &Turn) -> Verdict {
        let rate = turn.acked as f64 / turn.time.as_secs_f64().max(1e-3);
        // Two turns, since few packets make a rough rate.
        let Some(before) = self.rate.replace(rate) else { return Verdict::Grow };
        let rate = f64::midpoint(before, rate);
        match self.base {
            Some((since, _)) if turn.window < GROWTH * since => return Verdict::Grow,
            Some((since, base)) if rate < GAIN_MIN * base => return Verdict::NoGain { since },
            _ => {}
        }
        self.base = Some((turn.window, rate));
        Verdict::Grow
    }

    fn yield_half(&mut self, turn: &Turn) -> f64 {
        (self.base, self.rate) = (None, None);
        (turn.window / 2.0).max(turn.window_min)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rival, Turn};
    use crate::copa::Copa;
    use std::collections::BTreeMap;
    use std::ops::Range;
    use std::time::{Duration, Instant};

    const PACKET: u64 = 1200;
    const RTT: Duration = Duration::from_millis(100);
    const QUEUE_BYTES: f64 = 64_000.0;

    #[test]
    fn transfer_that_fills_the_queue_leaves_us_a_share() {
        let outcome = Line::new(125_000.0).play(60, 5..60);
        assert!(outcome.share(20..60) > 0.22, "{outcome:?}");
        assert!(outcome.rivals_share(20..60) > 0.4, "{outcome:?}");
    }

    #[test]
    fn queue_is_short_again_when_the_transfer_has_ended() {
        let outcome = Line::new(125_000.0).play(60, 5..30);
        assert!(outcome.share(35..60) > 0.9, "{outcome:?}");
        assert!(outcome.queue(0.95, 40..60) < Duration::from_millis(60), "{outcome:?}");
    }

    #[test]
    fn longer_path_that_loses_is_no_rival_for_long() {
        let mut rival = Rival::default();
        let start = Instant::now();
        let turn = |number: u32| Turn {
            now: start + number * RTT,
            time: RTT,
            delay: RTT,
            delay_ignored: RTT / 5,
            window: 4800.0,
            window_min: 4800.0,
            packet: 1200.0,
            acked: 4800,
            lost: 1200,
            is_limited: true,
        };
        let is_there: Vec<bool> = (0..300)
            .map(|number| {
                rival.on_turn(&turn(number));
                rival.is_there()
            })
            .collect();
        assert!(is_there[10], "so it seems at first");
        assert!(!is_there[200..].contains(&true), "the least round trip expires meanwhile");
    }

    #[test]
    fn own_queue_of_a_slow_line_is_no_rival() {
        for rate in [8_000.0, 25_000.0, 125_000.0] {
            let line = Line::new(rate);
            let packets = |count: u32| Duration::from_secs_f64(PACKET as f64 / rate) * count;
            let outcome = line.play(120, 0..0);
            assert!(outcome.share(10..120) > 0.85, "{rate}: {outcome:?}");
            assert!(outcome.queue(0.75, 10..120) <= packets(7), "{rate}: {outcome:?}");
            assert!(outcome.queue(1.0, 10..120) <= packets(10), "{rate}: {outcome:?}");
        }
    }

    /// A bottleneck of so many bytes a second, [`RTT`] long.
    struct Line {
        rate: f64,
        free_at: Instant,
        start: Instant,
    }

    #[derive(Default)]
    struct Outcome {
        rate: f64,
        /// Bytes of each flow by the second of their arrival.
        arrived: [BTreeMap<u64, u64>; 2],
        /// Queueing delay of our packets, by the second.
        queues: Vec<(u64, Duration)>,
    }

    impl std::fmt::Debug for Outcome {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            for from in (0..120).step_by(5) {
                let time = from..from + 5;
                if self.queues.iter().any(|(at, _)| time.contains(at)) {
                    let (own, other) = (self.share(time.clone()), self.rivals_share(time.clone()));
                    let queue = self.queue(0.95, time).as_millis();
                    write!(f, "\n{from} s: {own:.2} and {other:.2}, queue {queue} ms")?;
                }
            }
            Ok(())
        }
    }

    impl Outcome {
        fn share(&self, time: Range<u64>) -> f64 {
            self.share_of(0, time)
        }

        fn rivals_share(&self, time: Range<u64>) -> f64 {
            self.share_of(1, time)
        }

        fn share_of(&self, flow: usize, time: Range<u64>) -> f64 {
            let seconds = (time.end - time.start) as f64;
            let bytes: u64 = self.arrived[flow].range(time).map(|(_, bytes)| bytes).sum();
            bytes as f64 / seconds / self.rate
        }

        fn queue(&self, share: f64, time: Range<u64>) -> Duration {
            let queues = self.queues.iter().filter(|(at, _)| time.contains(at));
            let mut queues: Vec<Duration> = queues.map(|(_, queue)| *queue).collect();
            queues.sort_unstable();
            queues[((queues.len() - 1) as f64 * share) as usize]
        }
    }

    /// Who sends: ourselves, or Reno.
    struct Flow {
        copa: Option<Copa>,
        srtt: Duration,
        /// Reno's, in packets, and when it was last cut.
        window: f64,
        threshold: f64,
        cut_at: Option<Instant>,
        in_flight: u64,
    }

    impl Flow {
        fn new(copa: Option<Copa>) -> Self {
            let (window, threshold) = (10.0, f64::INFINITY);
            Self { copa, srtt: RTT, window, threshold, cut_at: None, in_flight: 0 }
        }

        fn has_room(&self) -> bool {
            let window = self.copa.as_ref().map_or(self.window as u64 * PACKET, Copa::window);
            self.in_flight + PACKET <= window
        }

        fn on_answer(&mut self, now: Instant, sent: Instant, is_lost: bool) {
            self.in_flight -= PACKET;
            match &mut self.copa {
                Some(copa) if is_lost => copa.on_lost(PACKET),
                Some(copa) => {
                    self.srtt = self.srtt * 7 / 8 + (now - sent) / 8;
                    copa.on_ack(now, sent, PACKET, self.srtt, false);
                }
                None if !is_lost && self.window < self.threshold => self.window += 1.0,
                None if !is_lost => self.window += 1.0 / self.window,
                None if self.cut_at.is_none_or(|at| at < sent) => {
                    self.window = (self.window / 2.0).max(2.0);
                    (self.threshold, self.cut_at) = (self.window, Some(now));
                }
                None => {}
            }
        }
    }

    impl Line {
        fn new(rate: f64) -> Self {
            let start = Instant::now();
            Self { rate, free_at: start, start }
        }

        /// We send for so many seconds all that we may, the rival within its time.
        fn play(mut self, seconds: u64, rival: Range<u64>) -> Outcome {
            let mut outcome = Outcome { rate: self.rate, ..Outcome::default() };
            let mut flows = [Flow::new(Some(Copa::new(PACKET as u16))), Flow::new(None)];
            // By time and number: flow, sent at, whether it was lost.
            let mut answers = BTreeMap::new();
            let (mut now, mut number) = (self.start, 0u64);
            let second = |at: Instant| (at - self.start).as_secs();
            while second(now) < seconds {
                for (index, flow) in flows.iter_mut().enumerate() {
                    let sends = index == 0 || rival.contains(&second(now));
                    while sends && flow.has_room() {
                        let queue = self.free_at.saturating_duration_since(now);
                        let is_lost = queue.as_secs_f64() * self.rate >= QUEUE_BYTES;
                        if !is_lost {
                            let time = Duration::from_secs_f64(PACKET as f64 / self.rate);
                            self.free_at = self.free_at.max(now) + time;
                        }
                        let at = self.free_at.max(now) + RTT;
                        answers.insert((at, number), (index, now, is_lost));
                        (number, flow.in_flight) = (number + 1, flow.in_flight + PACKET);
                        if index == 0 {
                            outcome.queues.push((second(now), queue));
                        }
                    }
                }
                let Some(((at, _), (index, sent, is_lost))) = answers.pop_first() else { break };
                // The rival begins by itself.
                now = at.min(now + RTT).max(now);
                if at > now {
                    answers.insert((at, number), (index, sent, is_lost));
                    number += 1;
                    continue;
                }
                flows[index].on_answer(now, sent, is_lost);
                if !is_lost {
                    *outcome.arrived[index].entry(second(now)).or_default() += PACKET;
                }
            }
            outcome
        }
    }
}
