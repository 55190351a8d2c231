//! A distribution of times, small enough to be kept always.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Buckets per power of two: values are kept to within 1/32 (3 %).
const BUCKETS_PER_OCTAVE: u64 = 32;

/// A distribution of times, in buckets of 3 % width.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: BTreeMap<u32, u64>,
    count: u64,
    sum_ns: u128,
    min: Option<Duration>,
    max: Duration,
}

impl Histogram {
    /// Adds a time.
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        *self.buckets.entry(bucket_of(nanos)).or_default() += 1;
        self.count += 1;
        self.sum_ns += u128::from(nanos);
        self.min = Some(self.min.map_or(time, |min| min.min(time)));
        self.max = self.max.max(time);
    }

    /// How many times were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest; zero where there is none.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min.unwrap_or_default()
    }

    /// The longest; zero where there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The mean; zero where there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum_ns.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The time that a share of `quantile` (0 to 1) doesn't exceed, to within 3 %.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let wanted = (quantile.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(bucket_end(*bucket)).clamp(self.min(), self.max);
            }
        }
        self.max
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (min, p50, p99) = (self.min(), self.quantile(0.5), self.quantile(0.99));
        let (min, p50, p99, max) = (ms(min), ms(p50), ms(p99), ms(self.max));
        write!(f, "min {min:.3} ms, p50 {p50:.3} ms, p99 {p99:.3} ms, max {max:.3} ms")
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Summary {
            count: u64,
            min_ns: u64,
            mean_ns: u64,
            p50_ns: u64,
            p95_ns: u64,
            p99_ns: u64,
            max_ns: u64,
        }
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Summary {
            count: self.count,
            min_ns: nanos(self.min()),
            mean_ns: nanos(self.mean()),
            p50_ns: nanos(self.quantile(0.5)),
            p95_ns: nanos(self.quantile(0.95)),
            p99_ns: nanos(self.quantile(0.99)),
            max_ns: nanos(self.max),
        }
        .serialize(serializer)
    }
}

fn bucket_of(value: u64) -> u32 {
    let octave = value.checked_ilog2().unwrap_or(0).saturating_sub(BUCKETS_PER_OCTAVE.ilog2());
    octave * BUCKETS_PER_OCTAVE as u32 + (value >> octave) as u32
}

fn bucket_end(bucket: u32) -> u64 {
    let per_octave = BUCKETS_PER_OCTAVE as u32;
    let octave = (bucket / per_octave).saturating_sub(1);
    let mantissa = u64::from(bucket - octave * per_octave) + 1;
    (u128::from(mantissa) << octave).min(u128::from(u64::MAX)) as u64 - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_within_three_percent(value in 0_u64..u64::MAX / 2) {
            let end = bucket_end(bucket_of(value));
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / BUCKETS_PER_OCTAVE);
            prop_assert!(bucket_of(end) == bucket_of(value) && bucket_of(end + 1) > bucket_of(value));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_times() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let median = histogram.quantile(0.5).as_millis();
        assert!((500..516).contains(&median), "{median}");
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(1));
        assert_eq!(histogram.mean(), Duration::from_micros(500_500));
    }
}
