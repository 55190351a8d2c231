//! How often to speak to a peer that may not answer.
//!
//! While the peer answers, what it lacks is sent again after [`Rtt::retry_delay`]. When it has not
//! answered for [`ACTIVE_RETRY`], only small probes go out at a steady pace, so that a path that
//! comes back is noticed soon but finds no queue of stale datagrams. No delay doubles.

use crate::loss::Loss;
use crate::rtt::Rtt;
use std::time::{Duration, Instant};

/// How long to go on at full pace without an answer: a few round trips of the worst usable path.
const ACTIVE_RETRY: Duration = Duration::from_secs(2);
/// Silence, and the time between probes up to then. Ten seconds, 32 probes; a minute, 132; an hour,
/// 3700, of about 80 bytes with all headers: 300 kB. QUIC keeps about 250 bytes for each that is not
/// acknowledged, thus 1 MB per hour, and its own probes are few beside these.
const PROBES: [(Duration, Duration); 3] = [
    (Duration::from_secs(10), Duration::from_millis(250)),
    (Duration::from_secs(60), Duration::from_millis(500)),
    (Duration::from_secs(3600), Duration::from_secs(1)),
];
/// Time between probes after the last of [`PROBES`].
const PROBE_INTERVAL_MAX: Duration = Duration::from_secs(3);
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
}

impl Pace {
    /// The connection was replaced.
    pub(crate) fn on_new_path(&mut self) {
        self.rtt = Rtt::default();
        self.loss.on_new_path();
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
            None => self.asking = Some(Asking { since: now, last: now, turn: None }),
        }
    }

    /// The peer answered: a round trip was made.
    pub(crate) fn on_answered(&mut self) {
        self.asking = None;
    }

    /// The silent peer was heard, but not what it heard of us: it may be that only its direction is
    /// back. Whatever waits may be sent once, now; then only probes, until it answers.
    pub(crate) fn on_contact(&mut self, now: Instant) {
        if let Some(asking) = &mut self.asking {
            asking.turn = Some(now);
        }
    }

    /// Time passed.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if let Some(asking) = &mut self.asking {
            asking.turn = asking.turn.filter(|turn| *turn >= now);
        }
    }

    /// The next time to ask again, `None` if nothing waits for an answer.
    pub(crate) fn ask_again_at(&self) -> Option<Instant> {
        let asking = self.asking?;
        if let Some(turn) = asking.turn.filter(|turn| *turn > asking.last) {
            return Some(turn);
        }
        let silence = asking.last - asking.since;
        let delay = if silence < ACTIVE_RETRY {
            self.rtt.retry_delay()
        } else {
            PROBES
                .iter()
                .find(|(until, _)| silence < *until)
                .map_or(PROBE_INTERVAL_MAX, |(_, interval)| *interval)
                .max(self.rtt.retry_delay())
        };
        Some(asking.last + delay)
    }

    /// The next probe, if the peer is silent: nothing else may be sent before. `None` while it
    /// answers.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        let asking = self.asking?;
        if asking.turn.is_some() || asking.last - asking.since < ACTIVE_RETRY {
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
        pace.on_asked(start);
        pace.on_asked(start + ACTIVE_RETRY);
        assert!(pace.probe_at().is_some());
        let now = start + 2 * ACTIVE_RETRY;
        pace.on_contact(now);
        assert_eq!(pace.probe_at(), None);
        assert_eq!(pace.ask_again_at(), Some(now));
        pace.on_asked(now);
        assert_eq!(pace.probe_at(), None);
        assert!(pace.ask_again_at() > Some(now));
        pace.on_time(now + Duration::from_millis(1));
        assert!(pace.probe_at().is_some());
    }

    #[test]
    fn silence_slows_to_a_steady_pace() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.on_asked(start);
        assert_eq!(pace.probe_at(), None);
        let mut count = 0;
        let mut now = start;
        while now < start + Duration::from_secs(3600) {
            now = pace.ask_again_at().expect("asking");
            pace.on_asked(now);
            count += 1;
        }
        assert!(pace.probe_at().is_some());
        assert!(count < 3800, "{count} probes in an hour");
        assert_eq!(pace.ask_again_at(), Some(now + PROBE_INTERVAL_MAX));
    }
}
