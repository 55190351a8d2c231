//! How much of what we send is lost, and how often a small diff must be sent to be sure of it.
//!
//! QUIC counts best ([`crate::Endpoint::handle_path_stats`]): it has an acknowledgement for every
//! packet. Where nothing counts, every diff that had to be sent again is taken for a loss.

use std::time::{Duration, Instant};

/// The estimate is that of the latest packets, about this many: a path that turns bad is noticed
/// within 10 to 20 of them, and at 29 % loss the estimate mostly stays between 20 and 40 %.
const PACKETS_MAX: f64 = 32.0;
/// Packets without loss that are presumed to have come before: one loss among the first few isn't
/// a bad path.
const PACKETS_PRESUMED: f64 = 4.0;
/// What was counted weighs 63 % less after this time: a path changes while nobody looks.
const FADE_TIME: Duration = Duration::from_secs(30);
/// Below this loss nothing is sent twice: a resend of one in fifty, a round trip later, is cheaper.
const LOSS_MIN: f64 = 0.02;
/// Copies are sent until all of them are lost at most this often: one key in 333, so that both ways
/// together are beyond the 99th percentile.
const FAILURE_MAX: f64 = 0.003;
/// Loss of a copy whose forerunner was lost, at least: losses come in bursts.
const BURST_LOSS: f64 = 0.25;
/// Most copies, the first included: enough for 38 % loss.
const COPIES_MAX: u32 = 6;
/// Bytes that all copies of a diff but the first may take: about two full datagrams, so that at 20
/// frames per second on a path of 100 ms redundancy costs at most 400 kbit/s.
const COPIES_SIZE_MAX: usize = 2400;
/// A batch of shards is complete on arrival unless it loses this many standard deviations more than
/// expected: 2.3 % of them do.
const DEVIATIONS: f64 = 2.0;

/// Loss in our sending direction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loss {
    sent: f64,
    lost: f64,
    /// When `sent` and `lost` were right.
    at: Option<Instant>,
    /// QUIC's counters as last told.
    counted: Option<(u64, u64)>,
}

impl Loss {
    /// QUIC's counters since its connection began.
    pub(crate) fn on_stats(&mut self, sent: u64, lost: u64, now: Instant) {
        let (sent_before, lost_before) = self.counted.unwrap_or_default();
        self.counted = Some((sent, lost));
        let sent = sent.saturating_sub(sent_before);
        let lost = lost.saturating_sub(lost_before);
        if sent > 0 || lost > 0 {
            let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            self.count(small(sent), small(lost), now);
        }
    }

    /// A diff arrived at the first attempt.
    pub(crate) fn on_arrival(&mut self, now: Instant) {
        // A diff that was sent several times proves nothing.
        if self.counted.is_none() && !self.is_notable(now) {
            self.count(1.0, 0.0, now);
        }
    }

    /// A diff had to be sent again after `count` copies.
    pub(crate) fn on_retry(&mut self, count: u32, now: Instant) {
        if self.counted.is_none() {
            self.count(count.into(), count.into(), now);
        }
    }

    /// The connection was replaced. The network may be the same or another: what was learnt counts
    /// half.
    pub(crate) fn on_new_path(&mut self) {
        self.counted = None;
        self.on_path_change();
    }

    /// The same connection goes on over another path.
    pub(crate) fn on_path_change(&mut self) {
        self.sent /= 2.0;
        self.lost /= 2.0;
    }

    /// The part of packets that is lost, 0 to 1.
    pub(crate) fn estimate(&self, now: Instant) -> f64 {
        let fade = self.fade(now);
        (self.lost * fade / (self.sent * fade + PACKETS_PRESUMED)).min(0.9)
    }

    /// Whether loss is worth spending bytes on.
    pub(crate) fn is_notable(&self, now: Instant) -> bool {
        self.estimate(now) > LOSS_MIN
    }

    /// How often to send a diff of `size` bytes: 1 on a good path.
    pub(crate) fn copies(&self, size: usize, now: Instant) -> u32 {
        let loss = self.estimate(now);
        if loss <= LOSS_MIN {
            return 1;
        }
        let paid = u32::try_from(COPIES_SIZE_MAX / size.max(1)).unwrap_or(u32::MAX);
        let (mut count, mut failure) = (1, loss);
        while failure > FAILURE_MAX && count < COPIES_MAX && count <= paid {
            count += 1;
            failure *= loss.max(BURST_LOSS);
        }
        count
    }

    /// How many parity shards make a batch with `count` data shards complete on arrival: 0 on a
    /// good path.
    pub(crate) fn parity(&self, count: usize, now: Instant) -> usize {
        let loss = self.estimate(now);
        if loss <= LOSS_MIN {
            return 0;
        }
        let needed = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let arrives = |all: f64| {
            all * (1.0 - loss) - DEVIATIONS * (all * loss * (1.0 - loss)).sqrt() >= needed
        };
        let mut parity = 1;
        while parity < 3 * count && !arrives(needed + f64::from(u32::try_from(parity).unwrap_or(0)))
        {
            parity += 1;
        }
        parity
    }

    /// How many shards to send when a batch with `count` data shards didn't suffice, the
    /// `retries_count`-th time: what the estimate says is lost, at least an eighth, and twice as
    /// many each time.
    pub(crate) fn more_parity(&self, count: usize, retries_count: u32, now: Instant) -> usize {
        let counted = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let lost = (counted * self.estimate(now)).ceil() as usize;
        let least = (2 + count / 8).max(lost + self.parity(lost, now));
        (least << retries_count.min(4)).min(2 * count + 2)
    }

    fn count(&mut self, sent: f64, lost: f64, now: Instant) {
        let fade = self.fade(now) * (1.0 - sent / PACKETS_MAX).max(0.0);
        self.sent = self.sent * fade + sent;
        self.lost = (self.lost * fade + lost).min(self.sent.max(lost));
        if self.sent > PACKETS_MAX {
            self.lost *= PACKETS_MAX / self.sent;
            self.sent = PACKETS_MAX;
        }
        self.at = Some(now);
    }

    fn fade(&self, now: Instant) -> f64 {
        let age = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        (-age.as_secs_f64() / FADE_TIME.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_without_loss_gets_one_copy() {
        let start = Instant::now();
        let mut loss = Loss::default();
        assert_eq!(loss.copies(30, start), 1);
        loss.on_stats(1000, 0, start);
        assert_eq!(loss.copies(30, start), 1);
        assert_eq!(loss.parity(40, start), 0);
    }

    #[test]
    fn bad_path_is_noticed_within_twenty_packets() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_stats(1000, 0, start);
        loss.on_stats(1020, 6, start);
        assert!(loss.copies(30, start) >= 3, "{}", loss.estimate(start));
        loss.on_stats(1060, 18, start);
        assert!(loss.copies(30, start) >= 5, "{}", loss.estimate(start));
    }

    #[test]
    fn estimate_fades_when_the_loss_is_gone_and_when_nothing_is_sent() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_stats(100, 29, start);
        let mut idle = loss.clone();
        loss.on_stats(250, 29, start);
        assert_eq!(loss.copies(30, start), 1, "{}", loss.estimate(start));
        assert!(idle.copies(30, start + FADE_TIME) > 1);
        idle.on_stats(100, 29, start + 6 * FADE_TIME);
        assert_eq!(idle.copies(30, start + 6 * FADE_TIME), 1);
    }

    #[test]
    fn retries_are_evidence_where_nothing_counts() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_arrival(start);
        assert_eq!(loss.copies(30, start), 1);
        loss.on_retry(1, start);
        assert!(loss.copies(30, start) > 1);
        loss.on_stats(10, 0, start);
        let before = loss.estimate(start);
        loss.on_retry(1, start);
        assert!(loss.estimate(start) <= before);
    }

    #[test]
    fn copies_are_limited_in_number_and_bytes() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_stats(100, 95, start);
        assert_eq!(loss.copies(30, start), COPIES_MAX);
        assert_eq!(loss.copies(1100, start), 3);
        assert_eq!(loss.copies(100_000, start), 1);
    }

    #[test]
    fn counters_that_begin_anew_do_no_harm() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_stats(100, 29, start);
        loss.on_stats(0, 0, start);
        loss.on_stats(u64::MAX, u64::MAX, start);
        assert!(loss.estimate(start) <= 1.0);
    }

    #[test]
    fn parity_makes_a_batch_complete_at_the_estimated_loss() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.on_stats(100, 36, start);
        let parity = loss.parity(36, start);
        assert!((20..36).contains(&parity), "{parity}");
        assert!(loss.parity(2, start) >= 3);
    }
}
