//! The time on the wire: a fixed delay, jitter that keeps the order, and reordering that doesn't.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::link::loss::happens;
use crate::units::Probability;

/// Some packets take longer, and others overtake them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reorder {
    /// Chance for each packet to be held back.
    pub chance: Probability,
    /// By how long, on top of the delay.
    pub by: Duration,
}

impl Reorder {
    /// Nothing is reordered.
    pub const NONE: Self = Self { chance: Probability::NEVER, by: Duration::ZERO };
}

/// What is on the wire, by when it arrives.
#[derive(Debug)]
pub(crate) struct DelayLine<T> {
    delay: Duration,
    jitter: Duration,
    reorder: Reorder,
    rng: ChaCha8Rng,
    /// Keyed by arrival, then by the order of sending.
    on_wire: BTreeMap<(Duration, u64), T>,
    sent: u64,
    /// No packet in order arrives before this.
    in_order_from: Duration,
}

impl<T> DelayLine<T> {
    pub(crate) fn new(
        delay: Duration,
        jitter: Duration,
        reorder: Reorder,
        rng: ChaCha8Rng,
    ) -> Self {
        let (on_wire, in_order_from) = (BTreeMap::new(), Duration::ZERO);
        Self { delay, jitter, reorder, rng, on_wire, sent: 0, in_order_from }
    }

    /// Changes the delay of what is sent from now on.
    pub(crate) fn set(&mut self, delay: Duration, jitter: Duration, reorder: Reorder) {
        (self.delay, self.jitter, self.reorder) = (delay, jitter, reorder);
    }

    /// Takes `item` at `now`.
    pub(crate) fn push(&mut self, item: T, now: Duration) {
        let jitter = self.jitter.mul_f64(self.rng.random::<f64>());
        let is_held_back = happens(&mut self.rng, self.reorder.chance);
        let mut arrival = (now + self.delay + jitter).max(self.in_order_from);
        if is_held_back {
            arrival += self.reorder.by;
        } else {
            self.in_order_from = arrival;
        }
        self.sent += 1;
        self.on_wire.insert((arrival, self.sent), item);
    }

    /// When the next item arrives.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.on_wire.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// The next item that has arrived by `now`, and when it did.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<(Duration, T)> {
        let first = self.on_wire.first_entry()?;
        let (arrival, _) = *first.key();
        (arrival <= now).then(|| (arrival, first.remove()))
    }

    pub(crate) fn len(&self) -> usize {
        self.on_wire.len()
    }

    /// Takes everything off the wire.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.in_order_from = Duration::ZERO;
        std::mem::take(&mut self.on_wire).into_values()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn fixed_delay_is_exact() {
        let mut line = line(50 * MS, Duration::ZERO, Reorder::NONE);
        line.push('a', 3 * MS);
        assert_eq!(line.poll_timeout(), Some(53 * MS));
        assert_eq!(line.poll(53 * MS - Duration::from_nanos(1)), None);
        assert_eq!(line.poll(60 * MS), Some((53 * MS, 'a')));
    }

    #[test]
    fn held_back_packets_are_overtaken_as_often_as_told() {
        let chance = Probability::percent(10.0);
        let mut line = line(10 * MS, Duration::ZERO, Reorder { chance, by: 5 * MS });
        (0..10_000_u32).for_each(|n| line.push(n, n * MS));
        let order = drain(&mut line);
        let held = order.iter().filter(|(at, n)| *at == (n + 15) * MS).count();
        assert!((850..1150).contains(&held), "{held}");
        assert!(order.windows(2).any(|pair| pair[0].1 > pair[1].1));
    }

    proptest! {
        #[test]
        fn jitter_keeps_the_order_and_its_bounds(jitter_ms in 0_u32..30, gaps in proptest::collection::vec(0_u32..20, 1..100)) {
            let mut line = line(20 * MS, jitter_ms * MS, Reorder::NONE);
            let mut now = Duration::ZERO;
            let mut sent = Vec::new();
            for gap in gaps {
                now += gap * MS;
                line.push(sent.len(), now);
                sent.push(now);
            }
            let arrived = drain(&mut line);
            prop_assert!(arrived.iter().map(|(_, n)| *n).eq(0..sent.len()));
            for (at, n) in arrived {
                prop_assert!(at >= sent[n] + 20 * MS && at <= sent[n] + (20 + jitter_ms) * MS);
            }
        }
    }

    fn line<T>(delay: Duration, jitter: Duration, reorder: Reorder) -> DelayLine<T> {
        DelayLine::new(delay, jitter, reorder, ChaCha8Rng::seed_from_u64(1))
    }

    fn drain<T>(line: &mut DelayLine<T>) -> Vec<(Duration, T)> {
        std::iter::from_fn(|| line.poll(Duration::MAX)).collect()
    }
}
