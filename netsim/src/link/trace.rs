//! Packet-delivery traces: when a link may pass 1500 bytes, in Mahimahi's format.
//!
//! A trace is text with one number per line: the millisecond at which 1500 bytes may pass,
//! non-decreasing; a number that stands twice is two opportunities. After the last line the trace
//! begins anew, that many milliseconds later. What an opportunity isn't used for is lost with it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::link::cellular::Cellular;

/// Bytes (of IP packets) that one line of a trace lets pass.
pub const OPPORTUNITY_BYTES: usize = 1500;

/// Lines that a trace may have: an hour at 100 Mbit/s.
pub const OPPORTUNITIES_MAX: usize = 32_000_000;

/// A packet-delivery trace.
#[derive(Clone, PartialEq)]
pub struct Trace {
    source: TraceSource,
    /// Milliseconds, non-decreasing; the last is over 0 and is the trace's length.
    opportunities_ms: Arc<[u64]>,
}

/// Where a trace is from: how a description names it.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceSource {
    /// A file.
    File(PathBuf),
    /// The generator.
    Generated(Cellular),
    /// Numbers given by the caller; it cannot be written in a description's text.
    Given,
}

/// Why a text is no trace.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TraceError {
    /// A line is no number.
    #[error("line {0}: not a number of milliseconds")]
    NotANumber(usize),
    /// Time goes backwards.
    #[error("line {0}: earlier than the line before it")]
    Backwards(usize),
    /// Nothing would ever pass.
    #[error("the trace is empty, or its last line is 0")]
    Empty,
    /// More than [`OPPORTUNITIES_MAX`] lines.
    #[error("the trace has more than {OPPORTUNITIES_MAX} lines")]
    TooLong,
}

impl Trace {
    /// A trace of the milliseconds given.
    ///
    /// # Errors
    /// Where they aren't a trace; "line" is then the place in `opportunities_ms`, from 1.
    pub fn new(opportunities_ms: Vec<u64>, source: TraceSource) -> Result<Self, TraceError> {
        if let Some(at) = opportunities_ms.windows(2).position(|pair| pair[1] < pair[0]) {
            return Err(TraceError::Backwards(at + 2));
        }
        if opportunities_ms.len() > OPPORTUNITIES_MAX {
            return Err(TraceError::TooLong);
        }
        match opportunities_ms.last() {
            None | Some(0) => Err(TraceError::Empty),
            Some(_) => Ok(Self { source, opportunities_ms: opportunities_ms.into() }),
        }
    }

    /// Reads a trace's text.
    ///
    /// # Errors
    /// Which line is wrong, and how.
    pub fn parse(text: &str, source: TraceSource) -> Result<Self, TraceError> {
        let number = |(at, line): (usize, &str)| {
            line.trim().parse::<u64>().map_err(|_| TraceError::NotANumber(at + 1))
        };
        Self::new(text.lines().enumerate().map(number).collect::<Result<_, _>>()?, source)
    }

    /// Where it is from.
    #[must_use]
    pub fn source(&self) -> &TraceSource {
        &self.source
    }

    /// The milliseconds at which 1500 bytes may pass.
    #[must_use]
    pub fn opportunities_ms(&self) -> &[u64] {
        &self.opportunities_ms
    }

    /// After this time it begins anew.
    #[must_use]
    pub fn length(&self) -> Duration {
        let last = self.opportunities_ms.last().expect("a trace has at least one line");
        Duration::from_millis(*last)
    }

    /// The longest time in which nothing passes, within one round of the trace.
    #[must_use]
    pub fn gap_max(&self) -> Duration {
        let first = self.opportunities_ms[0];
        let gaps = self.opportunities_ms.windows(2).map(|pair| pair[1] - pair[0]);
        Duration::from_millis(gaps.fold(first, u64::max))
    }

    /// The mean rate in bit/s.
    #[must_use]
    pub fn mean_bits_per_second(&self) -> f64 {
        let bits = self.opportunities_ms.len() * OPPORTUNITY_BYTES * 8;
        bits as f64 / self.length().as_secs_f64()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({:?}, {} lines)", self.source, self.opportunities_ms.len())
    }
}

/// A place in a trace that is played over and over.
#[derive(Debug)]
pub(crate) struct TracePlayer {
    trace: Trace,
    /// When this round began.
    round_start: Duration,
    /// The next opportunity in this round.
    index: usize,
}

impl TracePlayer {
    /// Plays from `start` on.
    pub(crate) fn new(trace: Trace, start: Duration) -> Self {
        Self { trace, round_start: start, index: 0 }
    }

    /// When the next opportunity is.
    pub(crate) fn next_at(&self) -> Duration {
        self.round_start + Duration::from_millis(self.trace.opportunities_ms[self.index])
    }

    /// Takes the next opportunity.
    pub(crate) fn take(&mut self) -> Duration {
        let at = self.next_at();
        self.index += 1;
        if self.index == self.trace.opportunities_ms.len() {
            self.index = 0;
            self.round_start += self.trace.length();
        }
        at
    }

    /// Lets all opportunities before `now` pass unused; gives how many they were.
    pub(crate) fn skip_until(&mut self, now: Duration) -> u64 {
        let mut skipped = 0;
        let behind = now.saturating_sub(self.next_at()).as_nanos();
        // Whole rounds at once: a link may have been idle for a night.
        let rounds = (behind / self.trace.length().as_nanos()).saturating_sub(1);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.round_start += self.trace.length() * rounds;
        skipped += u64::from(rounds) * self.trace.opportunities_ms.len() as u64;
        while self.next_at() < now {
            self.take();
            skipped += 1;
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn text_is_read_and_errors_name_the_line() {
        assert_eq!(given("1\n1\n20\n").map(|t| t.length()), Ok(20 * MS));
        assert_eq!(given("1\nx\n"), Err(TraceError::NotANumber(2)));
        assert_eq!(given("1\n5\n4\n"), Err(TraceError::Backwards(3)));
        assert_eq!(given(""), Err(TraceError::Empty));
        assert_eq!(given("0\n0\n"), Err(TraceError::Empty));
    }

    #[test]
    fn the_trace_begins_anew_after_its_last_line() {
        let trace = given("0\n3\n10\n").expect("a trace");
        assert_eq!((trace.gap_max(), trace.mean_bits_per_second()), (7 * MS, 3.6e6));
        let mut player = TracePlayer::new(trace, 100 * MS);
        let taken: Vec<_> = (0..6).map(|_| player.take()).collect();
        assert_eq!(taken, [100, 103, 110, 110, 113, 120].map(Duration::from_millis));
    }

    proptest! {
        #[test]
        fn skipping_equals_taking_one_by_one(lines in proptest::collection::vec(0_u64..50, 1..20), from in 0_u64..100, nows in proptest::collection::vec(0_u64..100_000, 1..5)) {
            let mut lines = lines;
            lines.sort_unstable();
            lines.push(51);
            let trace = Trace::new(lines, TraceSource::Given).expect("sorted and not empty");
            let mut fast = TracePlayer::new(trace.clone(), from as u32 * MS);
            let mut slow = TracePlayer::new(trace, from as u32 * MS);
            for now in nows {
                let now = Duration::from_millis(now);
                let mut taken = 0;
                while slow.next_at() < now {
                    slow.take();
                    taken += 1;
                }
                prop_assert_eq!(fast.skip_until(now), taken);
                prop_assert_eq!(fast.next_at(), slow.next_at());
            }
        }
    }

    fn given(text: &str) -> Result<Trace, TraceError> {
        Trace::parse(text, TraceSource::Given)
    }
}
