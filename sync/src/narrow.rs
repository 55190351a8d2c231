//! Finds out that a path passes only small packets: large ones vanish, again and again, while the
//! peer goes on answering small ones (a black hole of the path MTU; RFC 8899, section 3, detects it
//! the same way). QUIC needs 1200 bytes to begin with and doesn't go below them, but a path may
//! shrink after that, when a tunnel is put into it.

use std::time::{Duration, Instant};

/// Datagrams at their largest on such a path: about 700 bytes with the heads of QUIC, UDP and IP. Not
/// less, for QUIC would put two of them into one of its packets of 1200 bytes, which is what doesn't
/// pass: see [`Narrow::padding`].
pub(crate) const NARROW_SIZE: usize = 640;
/// How often what is large must have been overdue. On a lossy path each attempt has twice the parity
/// of the one before, so that the fourth doesn't fail by chance.
const OVERDUE_MAX: u32 = 4;

/// What is known of the path's size.
#[derive(Debug, Default)]
pub(crate) struct Narrow {
    is_narrow: bool,
    pending: Option<Pending>,
}

/// Large datagrams of one channel, of which the peer confirmed nothing.
#[derive(Debug)]
struct Pending {
    channel: u16,
    overdue_count: u32,
    counted_at: Instant,
}

impl Narrow {
    /// The largest datagram to be sent.
    pub(crate) fn limit(&self, size_max: usize) -> usize {
        if self.is_narrow { size_max.min(NARROW_SIZE) } else { size_max }
    }

    /// Bytes to be added to a datagram of `size` bytes, so that QUIC puts no other of its size beside it.
    /// None beyond `size_max`.
    pub(crate) fn padding(&self, size: usize, size_max: usize) -> usize {
        let is_lonely = self.is_narrow && size > NARROW_SIZE / 2;
        if is_lonely { self.limit(size_max).saturating_sub(size) } else { 0 }
    }

    /// Datagrams of `size` bytes carry a diff on this channel, from now on or again.
    pub(crate) fn on_sent(
        &mut self,
        channel: u16,
        size: usize,
        now: Instant,
        retry_delay: Duration,
    ) {
        if size <= NARROW_SIZE || self.is_narrow {
            return;
        }
        let new = Pending { channel, overdue_count: 0, counted_at: now };
        let pending = self.pending.get_or_insert(new);
        if pending.channel == channel && now >= pending.counted_at + retry_delay {
            pending.overdue_count += 1;
            pending.counted_at = now;
        }
    }

    /// The peer confirmed something of this channel.
    pub(crate) fn on_news(&mut self, channel: u16) {
        if self.pending.as_ref().is_some_and(|pending| pending.channel == channel) {
            self.pending = None;
        }
    }

    /// The peer answered something: the path lives.
    pub(crate) fn on_answered(&mut self) {
        if self.pending.as_ref().is_some_and(|pending| pending.overdue_count >= OVERDUE_MAX) {
            tracing::info!("only small packets pass");
            *self = Self { is_narrow: true, pending: None };
        }
    }

    /// The path is another one.
    pub(crate) fn on_new_path(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(100);

    fn sent(narrow: &mut Narrow, size: usize, times: u32) {
        let now = Instant::now();
        for time in 0..times {
            narrow.on_sent(1, size, now + time * DELAY, DELAY);
        }
    }

    #[test]
    fn path_is_narrow_when_only_small_packets_are_answered() {
        let mut narrow = Narrow::default();
        sent(&mut narrow, 1200, OVERDUE_MAX + 1);
        assert_eq!(narrow.limit(1200), 1200, "it may be silent altogether");
        narrow.on_answered();
        assert_eq!(narrow.limit(1200), NARROW_SIZE);
        narrow.on_new_path();
        assert_eq!(narrow.limit(1200), 1200);
    }

    #[test]
    fn path_is_not_narrow_by_what_is_small_or_arrives_or_is_not_overdue() {
        let mut narrow = Narrow::default();
        sent(&mut narrow, NARROW_SIZE, 20);
        narrow.on_answered();
        for _ in 0..20 {
            sent(&mut narrow, 1200, OVERDUE_MAX);
            narrow.on_answered();
            narrow.on_news(1);
        }
        let now = Instant::now();
        for _ in 0..20 {
            narrow.on_sent(1, 1200, now, DELAY);
        }
        narrow.on_answered();
        assert_eq!(narrow.limit(1200), 1200);
    }
}
