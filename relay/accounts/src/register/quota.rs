//! How often somebody may do something: a bucket for each, which fills up again steadily.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Buckets by key, as many as `keys_max`. (Each is kept as one time: that at which it is full again,
/// as in the generic cell rate algorithm.)
#[derive(Debug)]
pub struct Quota<K> {
    per_period: u32,
    period: Duration,
    keys_max: usize,
    full_at: BTreeMap<K, Instant>,
}

impl<K: Ord> Quota<K> {
    /// `per_period` times at once, and as often again in each `period`. Beyond `keys_max` different
    /// keys at once, strangers are refused.
    pub fn new(per_period: u32, period: Duration, keys_max: usize) -> Self {
        Self { per_period, period, keys_max, full_at: BTreeMap::new() }
    }

    /// Takes one out of the bucket of `key`, if there is one.
    pub fn take(&mut self, key: K, now: Instant) -> bool {
        if self.full_at.len() >= self.keys_max {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= self.keys_max && !self.full_at.contains_key(&key) {
            return false;
        }
        let cost = self.period / self.per_period.max(1);
        let full_at = self.full_at.entry(key).or_insert(now);
        let next = (*full_at).max(now) + cost;
        let is_left = next <= now + self.period;
        if is_left {
            *full_at = next;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn bucket_is_emptied_and_fills_up_again_steadily_for_each_on_its_own() {
        let now = Instant::now();
        let mut quota = Quota::new(3, HOUR, 10);
        let mut taken = |key, now| (0..10).filter(|_| quota.take(key, now)).count();
        assert_eq!(taken("a", now), 3);
        assert_eq!(taken("b", now), 3);
        assert_eq!(taken("a", now + HOUR / 3), 1);
        assert_eq!(taken("a", now + 9 * HOUR), 3);
    }

    #[test]
    fn strangers_are_refused_while_there_is_no_room_and_let_in_when_others_are_forgotten() {
        let now = Instant::now();
        let mut quota = Quota::new(2, HOUR, 2);
        assert!(quota.take(1, now) && quota.take(2, now));
        assert!(!quota.take(3, now), "no room");
        assert!(quota.take(1, now), "who is known may");
        assert!(quota.take(3, now + HOUR));
        assert!(quota.full_at.len() <= 2);
    }
}
