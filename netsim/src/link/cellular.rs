//! A generator of traces like those of a mobile network: a rate that wanders, and outages.
//!
//! The model, after the one that Sprout (Winstein et al., NSDI 2013) infers from real traces:
//!
//! - The logarithm of the rate is an Ornstein-Uhlenbeck process: it wanders with the standard
//!   deviation `spread` around its mean and forgets where it was within about `memory`. It is stepped
//!   once per millisecond: `x' = x·a + spread·√(1 - a²)·N(0,1)` with `a = e^(-1 ms / memory)`, and
//!   the rate is `mean · e^(x - spread²/2)`, whose mean is `mean`.
//! - In each millisecond as many opportunities arise as a Poisson variable of that rate tells.
//! - Outages begin at random (exponential times, `outage_every` on average) and last for an
//!   exponential time (`outage` on average). In an outage nothing passes; the rate wanders on.
//!
//! So `mean` is the rate outside of outages. All is drawn from `seed`.

use std::f64::consts::TAU;
use std::fmt;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::link::trace::{OPPORTUNITY_BYTES, Trace, TraceSource};
use crate::units::{Rate, format_duration};

/// The longest trace that is generated: the generator steps through it by the millisecond.
pub const LENGTH_MAX: Duration = Duration::from_secs(3600);
/// The highest mean rate: 10 Gbit/s is 833 opportunities per millisecond.
const MEAN_MAX_BITS: u64 = 10_000_000_000;
/// The most opportunities in one millisecond, whatever the rate wanders to.
const BURST_MAX: u32 = 10_000;

/// The generator's parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cellular {
    /// Mean rate outside of outages.
    pub mean: Rate,
    /// Standard deviation of the rate's natural logarithm; 0 is a constant mean rate.
    pub spread: f64,
    /// Time in which the rate forgets where it was.
    pub memory: Duration,
    /// Mean time from the end of an outage to the next; `None`: no outages.
    pub outage_every: Option<Duration>,
    /// Mean length of an outage.
    pub outage: Duration,
    /// Length of the trace, after which it begins anew.
    pub length: Duration,
    /// Where the chances are drawn from.
    pub seed: u64,
}

impl Cellular {
    /// A link of this mean rate with a middling spread, a memory of two seconds and no outages: two
    /// minutes of it.
    #[must_use]
    pub fn new(mean: Rate) -> Self {
        Self {
            mean,
            spread: 0.5,
            memory: Duration::from_secs(2),
            outage_every: None,
            outage: Duration::from_secs(2),
            length: Duration::from_secs(120),
            seed: 1,
        }
    }

    /// Makes the trace. Bounded whatever the parameters: out of range, they are clamped.
    #[must_use]
    pub fn trace(&self) -> Trace {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let length_ms = self.length.min(LENGTH_MAX).as_millis().max(1) as u64;
        let mean_bits = self.mean.bits().min(MEAN_MAX_BITS) as f64;
        let mean_per_ms = mean_bits / 8.0 / OPPORTUNITY_BYTES as f64 / 1000.0;
        let spread = self.spread.clamp(0.0, 3.0);
        let keep = (-0.001 / self.memory.as_secs_f64().max(0.001)).exp();
        let mut wander = spread * normal(&mut rng);
        let mut next_outage = self.after_outage(0.0, &mut rng);
        let mut outage_end = 0.0;
        let mut opportunities = Vec::new();
        for ms in 1..=length_ms {
            wander = wander * keep + spread * (1.0 - keep * keep).sqrt() * normal(&mut rng);
            let rate = mean_per_ms * (wander - spread * spread / 2.0).exp();
            let count = poisson(&mut rng, rate);
            let now = ms as f64 / 1000.0;
            if now >= next_outage {
                outage_end = now + exponential(&mut rng, self.outage.as_secs_f64());
                next_outage = self.after_outage(outage_end, &mut rng);
            }
            if now >= outage_end {
                opportunities.extend((0..count).map(|_| ms));
            }
        }
        // The last line is the trace's length: one opportunity stands there whatever was drawn.
        if opportunities.last() != Some(&length_ms) {
            opportunities.push(length_ms);
        }
        opportunities.truncate(crate::link::trace::OPPORTUNITIES_MAX);
        Trace::new(opportunities, TraceSource::Generated(*self))
            .expect("milliseconds are generated in order, and end over 0")
    }

    fn after_outage(&self, end: f64, rng: &mut ChaCha8Rng) -> f64 {
        self.outage_every.map_or(f64::INFINITY, |every| end + exponential(rng, every.as_secs_f64()))
    }
}

impl fmt::Display for Cellular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} spread {} memory {}", self.mean, self.spread, format_duration(self.memory))?;
        if let Some(every) = self.outage_every {
            let (every, outage) = (format_duration(every), format_duration(self.outage));
            write!(f, " outage-every {every} outage {outage}")?;
        }
        write!(f, " length {} seed {}", format_duration(self.length), self.seed)
    }
}

/// Box and Muller's method.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

fn exponential(rng: &mut ChaCha8Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.random::<f64>()).ln()
}

/// Knuth's method, in steps small enough for `e^-mean`.
fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> u32 {
    let mut left = mean.min(f64::from(BURST_MAX));
    let mut count = 0;
    while left > 0.0 {
        let step = left.min(30.0);
        left -= step;
        let limit = (-step).exp();
        let mut product = rng.random::<f64>();
        while product > limit {
            count += 1;
            product *= rng.random::<f64>();
        }
    }
    count.min(BURST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_trace_and_another_seed_another() {
        let model = Cellular::new(Rate::mbit(5));
        assert_eq!(model.trace().opportunities_ms(), model.trace().opportunities_ms());
        let other = Cellular { seed: 2, ..model };
        assert_ne!(model.trace().opportunities_ms(), other.trace().opportunities_ms());
    }

    #[test]
    fn mean_and_spread_are_those_asked_for() {
        let memory = Duration::from_millis(500);
        let length = Duration::from_secs(1200);
        let model = Cellular { memory, length, ..Cellular::new(Rate::mbit(6)) };
        let trace = model.trace();
        let mean = trace.mean_bits_per_second() / 6e6;
        assert!((0.9..1.1).contains(&mean), "{mean}");
        // The rate over 100 ms (50 opportunities on average) varies by the model and by Poisson.
        let logs = log_rates(&trace, 100);
        let centre = logs.iter().sum::<f64>() / logs.len() as f64;
        let variance = logs.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / logs.len() as f64;
        assert!((0.4..0.6).contains(&variance.sqrt()), "{}", variance.sqrt());
    }

    #[test]
    fn outages_take_their_share() {
        let outage_every = Some(Duration::from_secs(8));
        let length = Duration::from_secs(3600);
        let model = Cellular { outage_every, length, ..Cellular::new(Rate::mbit(2)) };
        let trace = model.trace();
        // 2 s in 10 s are dark.
        let share = trace.mean_bits_per_second() / 2e6;
        assert!((0.74..0.86).contains(&share), "{share}");
        assert!(trace.gap_max() > Duration::from_secs(5));
    }

    #[test]
    fn absurd_parameters_still_end() {
        let spread = 1e9;
        let model = Cellular { spread, memory: Duration::ZERO, ..Cellular::new(Rate::mbit(1)) };
        let length = Duration::ZERO;
        assert_eq!(Cellular { length, ..model }.trace().length(), Duration::from_millis(1));
    }

    fn log_rates(trace: &Trace, window_ms: u64) -> Vec<f64> {
        let windows = trace.length().as_millis() as u64 / window_ms;
        let mut counts = vec![0_u32; windows as usize + 1];
        for ms in trace.opportunities_ms() {
            counts[(ms / window_ms) as usize] += 1;
        }
        counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count).ln()).collect()
    }
}
