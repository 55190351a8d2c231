//! How often something may be done: a bucket that fills up again steadily, kept as the time at which
//! it is full (the generic cell rate algorithm).

use std::time::{Duration, Instant};

/// A bucket.
#[derive(Debug, Clone)]
pub struct Rate {
    interval: Duration,
    burst: u32,
    full_at: Option<Instant>,
}

impl Rate {
    /// Once per `interval`, and after a rest `burst` times at once.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, full_at: None }
    }

    /// When it may be done next; `None`: now.
    pub fn ready_at(&self, now: Instant) -> Option<Instant> {
        let ready_at = self.full_at?.checked_sub(self.interval * self.burst.saturating_sub(1))?;
        (ready_at > now).then_some(ready_at)
    }

    /// It is done.
    pub fn spend(&mut self, now: Instant) {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(full_at + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_free_and_then_the_interval_holds() {
        let (mut rate, start) = (Rate::new(Duration::from_secs(1), 3), Instant::now());
        let (mut now, mut times) = (start, 0);
        while now <= start + Duration::from_secs(10) {
            match rate.ready_at(now) {
                Some(ready_at) => now = ready_at,
                None => {
                    rate.spend(now);
                    times += 1;
                }
            }
        }
        assert_eq!(times, 13);
    }
}
