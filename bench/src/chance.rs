//! Chances that are the same in every run: SplitMix64, and what is drawn from it.

/// Numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of them.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Whether something happens that does so with a chance of `share`.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Evenly between 0 and 1, neither of them.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Log-normal: half of all are below `median`; the logarithm's standard deviation is `sigma`.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box and Muller.
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_log_normal_numbers_are_below_the_median() {
        let mut chance = Chance::new(1);
        let below = (0..10_000).filter(|_| chance.log_normal(150.0, 0.5) < 150.0).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }

    #[test]
    fn shares_come_true_in_the_long_run() {
        let mut chance = Chance::new(2);
        let count = (0..10_000).filter(|_| chance.happens(0.03)).count();
        assert!((200..400).contains(&count), "{count}");
        assert!((0..100).all(|_| ["a", "b"].contains(&chance.pick(&["a", "b"]))));
    }
}
