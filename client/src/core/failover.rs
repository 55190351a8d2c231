//! When a relay that has fallen silent is given up for another one.

use std::time::{Duration, Instant};

/// A relay that is started again is back by then, with the same join lines; another relay has
/// others.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Between two times that the others are asked. It costs each a handshake.
pub const INTERVAL: Duration = Duration::from_secs(15);

/// The machine. It matters only to who has other relays.
#[derive(Debug, Default)]
pub struct Failover {
    asked_at: Option<Instant>,
}

impl Failover {
    /// When the others are to be asked, if the relay is silent since then. It is not asked while an
    /// answer is awaited.
    pub fn due(&self, silent_since: Option<Instant>) -> Option<Instant> {
        let since = silent_since? + SILENCE_MAX;
        Some(self.asked_at.map_or(since, |asked_at| since.max(asked_at + INTERVAL)))
    }

    /// They are being asked.
    pub fn handle_asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_asked_once_in_a_while_and_only_after_long_silence() {
        let now = Instant::now();
        let mut failover = Failover::default();
        assert_eq!(failover.due(None), None);
        assert_eq!(failover.due(Some(now)), Some(now + SILENCE_MAX));
        failover.handle_asked(now + SILENCE_MAX);
        assert_eq!(failover.due(Some(now)), Some(now + SILENCE_MAX + INTERVAL));
        // Another outage, much later.
        let later = now + SILENCE_MAX * 100;
        assert_eq!(failover.due(Some(later)), Some(later + SILENCE_MAX));
    }
}
