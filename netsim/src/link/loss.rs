//! Which packets are lost: each by itself, or in bursts.

use std::fmt;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::units::Probability;

/// A loss model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each packet is lost with this chance, whatever befell those before it.
    Independent(Probability),
    /// The Gilbert-Elliott model: a link is in a good or a bad state, and changes it (before each
    /// packet) with the chances `enter` and `leave`; it loses packets with the chance of the state.
    Bursts {
        /// Chance to go from good to bad.
        enter: Probability,
        /// Chance to go from bad to good.
        leave: Probability,
        /// Chance of loss in the good state.
        good: Probability,
        /// Chance of loss in the bad state.
        bad: Probability,
    },
}

impl Loss {
    /// No loss.
    pub const NONE: Self = Self::Independent(Probability::NEVER);

    /// Bursts with nothing lost between them and everything in them (the simple Gilbert model):
    /// `mean` of all packets are lost, in runs of `length` packets on average (at least 1).
    #[must_use]
    pub fn bursts(mean: Probability, length: f64) -> Self {
        let leave = Probability::new(1.0 / length.max(1.0)).unwrap_or(Probability::ALWAYS);
        // The share of packets in the bad state is enter / (enter + leave); solved for enter.
        let enter = leave.value() * mean.value() / (1.0 - mean.value());
        let enter = Probability::new(enter).unwrap_or(Probability::ALWAYS);
        Self::Bursts { enter, leave, good: Probability::NEVER, bad: Probability::ALWAYS }
    }

    /// The share of packets lost in the long run.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Independent(chance) => chance.value(),
            Self::Bursts { enter, leave, good, bad } => {
                let sum = enter.value() + leave.value();
                let bad_share = if sum == 0.0 { 0.0 } else { enter.value() / sum };
                good.value() * (1.0 - bad_share) + bad.value() * bad_share
            }
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent(chance) => write!(f, "{chance}"),
            Self::Bursts { enter, leave, good, bad } => {
                write!(f, "gilbert {enter} {leave} {good} {bad}")
            }
        }
    }
}

/// A loss model and the state that it is in.
#[derive(Debug)]
pub(crate) struct LossState {
    model: Loss,
    is_bad: bool,
    rng: ChaCha8Rng,
}

impl LossState {
    pub(crate) fn new(model: Loss, rng: ChaCha8Rng) -> Self {
        Self { model, is_bad: false, rng }
    }

    /// Changes the model; a link in a bad state stays in it.
    pub(crate) fn set_model(&mut self, model: Loss) {
        self.model = model;
    }

    /// Whether the next packet is lost.
    pub(crate) fn is_lost(&mut self) -> bool {
        match self.model {
            Loss::Independent(chance) => happens(&mut self.rng, chance),
            Loss::Bursts { enter, leave, good, bad } => {
                let change = if self.is_bad { leave } else { enter };
                self.is_bad ^= happens(&mut self.rng, change);
                happens(&mut self.rng, if self.is_bad { bad } else { good })
            }
        }
    }
}

/// Draws once, also where the answer is certain: what one setting is must not shift the chances of
/// everything after it.
pub(crate) fn happens(rng: &mut ChaCha8Rng, chance: Probability) -> bool {
    rng.random::<f64>() < chance.value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn independent_loss_has_its_mean_and_no_memory() {
        let lost = play(Loss::Independent(Probability::percent(29.0)), 7, 100_000);
        // Five standard deviations: 5 * sqrt(0.29 * 0.71 / 100000) = 0.0072.
        assert!((mean(&lost) - 0.29).abs() < 0.0072, "{}", mean(&lost));
        // After a loss, the next is lost as often as any: runs have length 1 / (1 - p).
        assert!((run_length(&lost) - 1.0 / 0.71).abs() < 0.05, "{}", run_length(&lost));
    }

    #[test]
    fn bursts_have_their_mean_and_their_length() {
        let model = Loss::bursts(Probability::percent(5.0), 8.0);
        assert!((model.mean() - 0.05).abs() < 1e-12);
        let lost = play(model, 7, 400_000);
        assert!((mean(&lost) - 0.05).abs() < 0.008, "{}", mean(&lost));
        assert!((run_length(&lost) - 8.0).abs() < 0.8, "{}", run_length(&lost));
    }

    #[test]
    fn gilbert_elliott_loses_in_both_states_as_told() {
        let chance = |value| Probability::percent(value);
        let (enter, leave, good, bad) = (chance(2.0), chance(10.0), chance(1.0), chance(50.0));
        let model = Loss::Bursts { enter, leave, good, bad };
        assert!((mean(&play(model, 3, 400_000)) - model.mean()).abs() < 0.006);
    }

    proptest! {
        #[test]
        fn mean_of_any_model_is_the_theorys(enter in 0.05_f64..1.0, leave in 0.05_f64..1.0, good in 0.0_f64..1.0, bad in 0.0_f64..1.0, seed: u64) {
            let p = |value| Probability::new(value).expect("drawn within 0..1");
            let model = Loss::Bursts { enter: p(enter), leave: p(leave), good: p(good), bad: p(bad) };
            // Correlation over about 1/0.1 packets: sigma < sqrt(20 * 0.25 / 40000) = 0.011.
            prop_assert!((mean(&play(model, seed, 40_000)) - model.mean()).abs() < 0.06);
        }
    }

    fn play(model: Loss, seed: u64, packets: usize) -> Vec<bool> {
        let mut state = LossState::new(model, ChaCha8Rng::seed_from_u64(seed));
        (0..packets).map(|_| state.is_lost()).collect()
    }

    fn mean(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    fn run_length(lost: &[bool]) -> f64 {
        let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        lost.iter().filter(|lost| **lost).count() as f64 / runs as f64
    }
}
