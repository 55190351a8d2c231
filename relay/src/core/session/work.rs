//! How much work a host may make a relay do.
//!
//! A diff of 30 bytes may draw a whole screen, so bytes bound nothing. What counts is what was made:
//! cells of screens, bytes of all else ([`State::work`](tern_sync::State::work)).

use std::time::{Duration, Instant};

/// Work per second. 400 pictures of 200 x 50 cells; 8 to 50 ns each (measured), thus at most a
/// fifth of a core.
const WORK_PER_SECOND: u64 = 4_000_000;
/// Work that may be done at once, after a rest: a reconnection's whole screen, and a second of a
/// flood at 60 pictures of 200 x 50 cells.
const WORK_BURST: u64 = 1_000_000;
/// Debt above which nothing is added: what a message of the largest size makes (a full log, or the
/// largest screen), so that no sum grows without end.
const DEBT_MAX: Duration = Duration::from_secs(2);

const _: () = assert!(WORK_BURST <= WORK_PER_SECOND);

/// A bucket of work that fills up again steadily, kept as the time at which it is full (the generic
/// cell rate algorithm).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    full_at: Option<Instant>,
}

impl Work {
    /// So much was done.
    pub(super) fn spend(&mut self, work: usize, now: Instant) {
        if work == 0 {
            return;
        }
        let work = u64::try_from(work).unwrap_or(u64::MAX);
        let cost = Duration::from_micros(work.saturating_mul(1_000_000) / WORK_PER_SECOND);
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(full_at + cost.min(DEBT_MAX));
    }

    /// When more may be done, `None` if now.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let burst = Duration::from_micros(WORK_BURST * 1_000_000 / WORK_PER_SECOND);
        let full_at = self.full_at?;
        (full_at > now + burst).then(|| full_at - burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_flood_is_never_held_up() {
        let (mut work, mut now) = (Work::default(), Instant::now());
        for _ in 0..600 {
            work.spend(200 * 50, now);
            now += Duration::from_millis(16);
            assert_eq!(work.ready_at(now), None);
        }
    }

    #[test]
    fn screens_without_end_are_made_at_a_bounded_rate() {
        const CELLS: usize = 200_000;
        let start = Instant::now();
        let (mut work, mut now, mut made) = (Work::default(), start, 0u64);
        while now < start + Duration::from_secs(10) {
            match work.ready_at(now) {
                Some(ready_at) => now = ready_at,
                None => {
                    work.spend(CELLS, now);
                    made += CELLS as u64;
                }
            }
        }
        assert!(made <= 10 * WORK_PER_SECOND + WORK_BURST + 2 * CELLS as u64, "{made}");
        assert!(made >= 10 * WORK_PER_SECOND, "{made}");
    }

    #[test]
    fn one_monstrous_message_is_forgiven_in_time() {
        let (mut work, now) = (Work::default(), Instant::now());
        work.spend(usize::MAX, now);
        assert_eq!(work.ready_at(now + DEBT_MAX), None);
    }
}
