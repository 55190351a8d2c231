//! How often to speak to a peer that may not answer.
//!
//! While the peer answers, what it lacks is sent again after [`Rtt::retry_delay`]. When it has not
//! answered for some round trips ([`Rtt::active_time`]), only small probes go out at a steady pace, so
//! that a path that comes back is noticed soon but finds no queue of stale datagrams. No delay
//! doubles.

use crate::loss::Loss;
use crate::rtt::Rtt;
use std::time::{Duration, Instant};

/// How long an [`Endpoint`](crate::Endpoint) probes a silent path every third of a round trip (25 to
/// 500 ms). The news that waits at the peer is then here within 1.4 round trips of the path's return,
/// and a key's echo there within 1.9.
///
/// A probe is about 80 bytes with all headers if nothing waits, and QUIC keeps about 250 bytes for
/// each that isn't acknowledged. On a path of 100 ms that is 30 per second: 2.4 kB/s into a path that
/// mostly isn't there, and 27 MB of memory after an hour, which the first acknowledgement frees. (At
/// one per second: 1 MB.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patience {
    /// For 65 minutes, then every second: an end that has one peer, whose return it lives for.
    #[default]
    Eager,
    /// For a minute, then every second: an end with thousands of peers, whose own probes bring it to
    /// send at once all that waits.
    Sparing,
}

impl Patience {
    /// How long to probe at full pace.
    fn full_time(self) -> Duration {
        match self {
            // The hour that a relay keeps a silent connection, and some.
            Self::Eager => Duration::from_secs(65 * 60),
            Self::Sparing => Duration::from_secs(60),
        }
    }
}

/// Time between probes after [`Patience::full_time`].
const PROBE_INTERVAL_LATE: Duration = Duration::from_secs(1);
/// A silent peer that is heard, but doesn't answer, is sent all that waits this often: that may be a
/// whole screen, and only its direction may be back.
const TURN_INTERVAL: Duration = Duration::from_millis(500);
/// A peer that said nothing for this long, since it asked, is asked for an answer. Whoever answered
/// asks next, so both measure the path.
///
/// An idle hour has 720 exchanges. With IP, UDP and QUIC (20 + 8 + 29 bytes: header with an 8-byte
/// connection id, tag, datagram frame) a ping is 62 bytes, its answer 63 and QUIC's acknowledgement
/// of the answer 61. One side sends at most 124 bytes per exchange, thus 90 kB per hour.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// The side whose turn it isn't waits a random part of this longer. It needn't be longer than a round
/// trip: when both happen to ask at once, one soon draws a part that lets the other go first, and
/// then it stays so. A peer that lives is heard at least every [`HEARTBEAT_INTERVAL`], this and a
/// round trip.
pub(crate) const HEARTBEAT_TURN: Duration = Duration::from_secs(1);
/// A stream's message is waited for by asking no more often than this: 500 bytes/s with all headers.
const STREAM_PING_INTERVAL_MIN: Duration = Duration::from_millis(200);

/// When the peer last answered, and when to send again what it has not answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    pub(crate) rtt: Rtt,
    pub(crate) loss: Loss,
    pub(crate) patience: Patience,
    asking: Option<Asking>,
}

/// Something that requires an answer is on its way.
#[derive(Debug, Clone, Copy)]
struct Asking {
    /// The first thing without an answer.
    since: Instant,
    /// The last.
    last: Instant,
    /// When the silent peer was heard. All that waits may be sent at this time.
    turn: Option<Instant>,
    /// The last `turn`, gone or not.
    turned_at: Option<Instant>,
}

impl Pace {
    /// The connection was replaced.
    pub(crate) fn on_new_path(&mut self) {
        self.rtt = Rtt::default();
        self.loss.on_new_path();
        self.asking = None;
    }

    /// The connection stays, but its path is another one.
    pub(crate) fn on_path_change(&mut self) {
        self.rtt = Rtt::default();
        self.loss.on_path_change();
        self.asking = None;
    }

    /// How often to send a diff of `size` bytes, with [`Rtt::copy_interval`] between: once to a
    /// peer that is silent, for then the probes are what is repeated.
    pub(crate) fn copies(&self, size: usize, now: Instant) -> u32 {
        if self.probe_at().is_some() { 1 } else { self.loss.copies(size, now) }
    }

    /// Something that the peer must answer was sent.
    pub(crate) fn on_asked(&mut self, now: Instant) {
        match &mut self.asking {
            Some(asking) => asking.last = now,
            None => {
                self.asking = Some(Asking { since: now, last: now, turn: None, turned_at: None })
            }
        }
    }

    /// The peer answered: a round trip was made.
    pub(crate) fn on_answered(&mut self) {
        self.asking = None;
    }

    /// The peer was silent, and what it answers now was sent at `sent_at`. Whether all that was sent
    /// when it was last heard is lost, because it was sent before.
    pub(crate) fn is_written_off(&self, sent_at: Instant) -> bool {
        let is_older = |asking: Asking| asking.turned_at.is_none_or(|at| at < sent_at);
        self.probe_at().is_some() && self.asking.is_some_and(is_older)
    }

    /// The silent peer was heard, but not what it heard of us: it may be that only its direction is
    /// back. Whatever waits may be sent once, now; then only probes, until it answers, or for
    /// [`TURN_INTERVAL`].
    /// Gives whether it is so.
    pub(crate) fn on_contact(&mut self, now: Instant) -> bool {
        let Some(asking) = &mut self.asking else {
            return true;
        };
        let is_early = asking.turned_at.is_some_and(|at| now < at + TURN_INTERVAL);
        if !is_early {
            asking.turn = Some(now);
            asking.turned_at = Some(now);
        }
        !is_early
    }

    /// Time passed.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if let Some(asking) = &mut self.asking {
            asking.turn = asking.turn.filter(|turn| *turn >= now);
        }
    }

    /// When the first thing was sent that has no answer.
    pub(crate) fn unanswered_since(&self) -> Option<Instant> {
        self.asking.map(|asking| asking.since)
    }

    /// The next time to ask again, `None` if nothing waits for an answer.
    pub(crate) fn ask_again_at(&self) -> Option<Instant> {
        let asking = self.asking?;
        if let Some(turn) = asking.turn.filter(|turn| *turn > asking.last) {
            return Some(turn);
        }
        let silence = asking.last - asking.since;
        let delay = if silence < self.rtt.active_time() {
            self.rtt.retry_delay()
        } else if silence < self.patience.full_time() {
            self.rtt.probe_interval()
        } else {
            PROBE_INTERVAL_LATE
        };
        Some(asking.last + delay)
    }

    /// The next probe, if the peer is silent: nothing else may be sent before. `None` while it
    /// answers.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        let asking = self.asking?;
        if asking.turn.is_some() || asking.last - asking.since < self.rtt.active_time() {
            return None;
        }
        self.ask_again_at()
    }

    /// When to ask whether a stream's message arrived.
    pub(crate) fn stream_ping_at(&self, last_sent: Instant) -> Instant {
        last_sent + self.rtt.retry_delay().max(STREAM_PING_INTERVAL_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_again_once_answered() {
        let mut pace = Pace::default();
        pace.on_asked(Instant::now());
        assert!(pace.ask_again_at().is_some());
        pace.on_answered();
        assert_eq!(pace.ask_again_at(), None);
    }

    #[test]
    fn contact_without_an_answer_gives_one_turn() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        let silence = pace.rtt.active_time();
        pace.on_asked(start);
        pace.on_asked(start + silence);
        assert!(pace.probe_at().is_some());
        let now = start + 2 * silence;
        assert!(pace.on_contact(now));
        assert_eq!(pace.probe_at(), None);
        assert_eq!(pace.ask_again_at(), Some(now));
        pace.on_asked(now);
        assert_eq!(pace.probe_at(), None);
        assert!(pace.ask_again_at() > Some(now));
        pace.on_time(now + Duration::from_millis(1));
        assert!(pace.probe_at().is_some());
        assert!(!pace.on_contact(now + TURN_INTERVAL / 2));
        assert!(pace.probe_at().is_some());
        assert!(pace.on_contact(now + TURN_INTERVAL));
    }

    #[test]
    fn silence_is_probed_every_third_of_a_round_trip_for_as_long_as_patience_lasts() {
        for (patience, full_time) in [(Patience::Eager, 3900), (Patience::Sparing, 60)] {
            let start = Instant::now();
            let mut pace = Pace { patience, ..Pace::default() };
            pace.rtt.on_sample(Duration::from_millis(90));
            pace.on_asked(start);
            assert_eq!(pace.probe_at(), None);
            let mut now = start;
            let mut count = 0;
            while now < start + Duration::from_secs(full_time) {
                now = pace.ask_again_at().expect("asking");
                pace.on_asked(now);
                count += 1;
            }
            assert!(count / full_time >= 31 && count / full_time <= 34, "{count} probes");
            assert_eq!(pace.ask_again_at(), Some(now + PROBE_INTERVAL_LATE));
        }
    }
}
