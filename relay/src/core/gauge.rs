//! Whether a viewer has room for another frame. A frame that can't be shown yet isn't drawn at
//! all: the viewer gets a newer one when there is room, so that what was superseded never stands
//! between a key and its echo.

use std::time::{Duration, Instant};

/// Bytes on their way to a viewer (ours, and unacknowledged in the kernel) above which no frame is
/// begun. At 1 Mbit/s they take 65 ms; over 100 ms of round trip they allow 80 kB/s of frames
/// besides the one on its way.
pub const BACKLOG_MAX: usize = 8 * 1024;
/// The same for what an OpenSSH client has not taken out of its window. It tells so when 3 of its
/// packets (3 x 16 KiB with a terminal, 3 x 32 KiB without) are taken, so less would stall it.
/// This is what remains between a jump host and the viewer, where TCP's figures say nothing.
pub const WINDOW_MAX: u64 = 128 * 1024;
/// How often a frame is begun nevertheless while the window's figure alone forbids it: the figure
/// is an estimate, and must not stall a client for ever.
pub const STALLED_INTERVAL: Duration = Duration::from_secs(1);

/// What a client has taken, as far as its window tells.
#[derive(Debug)]
pub struct WindowGauge {
    is_telling: bool,
    sent: u64,
    base: Option<Base>,
    credited: u64,
}

/// At the first adjustment: bytes sent, and what the client had granted in all.
#[derive(Debug, Clone, Copy)]
struct Base {
    sent: u64,
    granted: u64,
}

impl WindowGauge {
    /// `client` is the SSH identification string. Only OpenSSH is known to adjust its window
    /// early; others may wait until half of it is used up, or (PuTTY) practically for ever.
    pub fn new(client: &[u8]) -> Self {
        let is_telling = client.starts_with(b"SSH-2.0-OpenSSH");
        Self { is_telling, sent: 0, base: None, credited: 0 }
    }

    /// So many bytes were sent.
    pub fn on_sent(&mut self, byte_count: usize) {
        self.sent += byte_count as u64;
    }

    /// The client adjusted its window, which now has `size` bytes.
    pub fn on_adjusted(&mut self, size: u32) {
        let granted = self.sent + u64::from(size);
        // How large the window was at first isn't known, so at the first adjustment everything
        // counts as taken; from then on the sums tell.
        let base = *self.base.get_or_insert(Base { sent: self.sent, granted });
        self.credited = (base.sent + granted.saturating_sub(base.granted)).min(self.sent);
    }

    /// Bytes that the client has not taken.
    pub fn outstanding(&self) -> u64 {
        if self.is_telling { self.sent - self.credited } else { 0 }
    }
}

/// Whether a frame may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Open,
    /// Only if none was for [`STALLED_INTERVAL`].
    Stalled,
    /// No.
    Full,
}

/// From the bytes that wait in the relay and in the kernel, and from the window.
pub fn room(backlog: usize, window: u64) -> Room {
    match (backlog, window) {
        (backlog, _) if backlog > BACKLOG_MAX => Room::Full,
        (_, window) if window > WINDOW_MAX => Room::Stalled,
        (_, _) => Room::Open,
    }
}

impl Room {
    /// Whether a frame may be begun `now`, the last one having been begun at `last`.
    pub fn allows(self, last: Option<Instant>, now: Instant) -> bool {
        match self {
            Self::Open => true,
            Self::Stalled => last.is_none_or(|last| now >= last + STALLED_INTERVAL),
            Self::Full => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENSSH: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2";
    const WINDOW: u64 = 1024 * 1024;

    #[test]
    fn client_that_takes_everything_always_has_room() {
        let mut gauge = WindowGauge::new(OPENSSH);
        let (mut sent, mut taken) = (0u64, 0u64);
        for _ in 0..1000 {
            gauge.on_sent(5000);
            sent += 5000;
            if sent - taken > 48 * 1024 {
                taken = sent;
                gauge.on_adjusted(WINDOW as u32);
            }
            assert_eq!(room(0, gauge.outstanding()), Room::Open);
        }
    }

    #[test]
    fn client_behind_a_slow_jump_host_is_noticed() {
        let mut gauge = WindowGauge::new(OPENSSH);
        gauge.on_sent(50_000);
        gauge.on_adjusted(WINDOW as u32);
        // It takes 50 kB for every 100 kB that are sent.
        let (mut sent, mut taken) = (50_000u64, 50_000u64);
        let mut rounds = 0;
        while room(0, gauge.outstanding()) == Room::Open {
            gauge.on_sent(100_000);
            sent += 100_000;
            taken += 50_000;
            gauge.on_adjusted((WINDOW - (sent - taken)) as u32);
            assert_eq!(gauge.outstanding(), sent - taken);
            rounds += 1;
            assert!(rounds < 10, "never noticed");
        }
    }

    #[test]
    fn client_that_never_adjusts_is_not_stalled() {
        let mut gauge = WindowGauge::new(b"SSH-2.0-PuTTY_Release_0.78");
        gauge.on_sent(100_000_000);
        assert_eq!(room(0, gauge.outstanding()), Room::Open);
    }

    #[test]
    fn stalled_client_still_gets_a_frame_a_second() {
        let now = Instant::now();
        let stalled = room(0, WINDOW_MAX + 1);
        assert!(!stalled.allows(Some(now), now));
        assert!(stalled.allows(Some(now), now + STALLED_INTERVAL));
        assert!(!room(BACKLOG_MAX + 1, 0).allows(None, now));
    }
}
