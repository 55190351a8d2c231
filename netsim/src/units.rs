//! The quantities of a description, how they are written, and how they are read.

use std::fmt;
use std::time::Duration;

/// A bit rate. At least 1 bit/s: a link that passes nothing is a link that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// `bits` per second; 0 is taken as 1.
    #[must_use]
    pub fn bits_per_second(bits: u64) -> Self {
        Self(bits.max(1))
    }

    /// `kbit` thousand bits per second.
    #[must_use]
    pub fn kbit(kbit: u64) -> Self {
        Self::bits_per_second(kbit.saturating_mul(1_000))
    }

    /// `mbit` million bits per second.
    #[must_use]
    pub fn mbit(mbit: u64) -> Self {
        Self::bits_per_second(mbit.saturating_mul(1_000_000))
    }

    /// Bits per second.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// How long `bytes` occupy the line, rounded up to a nanosecond.
    #[must_use]
    pub fn time_of(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 8 * 1_000_000_000).div_ceil(u128::from(self.0));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1_000, "kbit/s")];
        for (factor, unit) in units {
            if self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}bit/s", self.0)
    }
}

/// A chance between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0.0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1.0);

    /// `None` unless `chance` is between 0 and 1.
    #[must_use]
    pub fn new(chance: f64) -> Option<Self> {
        (0.0..=1.0).contains(&chance).then_some(Self(chance))
    }

    /// `percent` of the time; clamped to 0..=100 (not a number: never).
    #[must_use]
    pub fn percent(percent: f64) -> Self {
        if percent.is_nan() { Self::NEVER } else { Self((percent / 100.0).clamp(0.0, 1.0)) }
    }

    /// As a number between 0 and 1.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `250us`, `20ms`, `1.5s`, `2m`, `1h`, or `0`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration; write 250us, 20ms, 1.5s, 2m or 1h");
    let nanos_of = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
    let nanos =
        if text == "0" { 0.0 } else { number_with_unit(text, &nanos_of).ok_or_else(wrong)? };
    // A century is longer than any simulation, and well inside what the arithmetic holds.
    if nanos > 3.2e18 { Err(wrong()) } else { Ok(Duration::from_nanos(nanos.round() as u64)) }
}

/// `800bit/s`, `64kbit/s`, `1.5Mbit/s`, `1Gbit/s`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let units = [("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9)];
    match number_with_unit(text, &units) {
        Some(bits) if (1.0..=1e15).contains(&bits) => Ok(Rate(bits.round() as u64)),
        _ => {
            Err(format!("\"{text}\" is not a rate; write 800bit/s, 64kbit/s, 1.5Mbit/s or 1Gbit/s"))
        }
    }
}

/// `1500B`, `64kB`, `1MB` (decimal) or `64KiB`, `1MiB` (binary).
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let units =
        [("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("KiB", 1024.0), ("MiB", 1048576.0)];
    match number_with_unit(text, &units) {
        Some(bytes) if bytes <= 1e12 => Ok(bytes.round() as usize),
        _ => Err(format!("\"{text}\" is not a size; write 1500B, 64kB, 1MB, 64KiB or 1MiB")),
    }
}

/// `29%` or `0.29`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_probability(text: &str) -> Result<Probability, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => plain_number(percent).map(|number| number / 100.0),
        None => plain_number(text),
    };
    value
        .and_then(Probability::new)
        .ok_or_else(|| format!("\"{text}\" is not a probability; write 29% or 0.29 (0% to 100%)"))
}

/// The shortest exact way to write a duration, in one unit.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units = [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s")];
    let small = [(1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    if nanos == 0 {
        return "0".to_owned();
    }
    let (factor, unit) = units
        .into_iter()
        .chain(small)
        .find(|(factor, _)| nanos.is_multiple_of(*factor))
        .expect("every number of nanoseconds is a multiple of one");
    format!("{}{unit}", nanos / factor)
}

fn number_with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(plain_number(number)? * factor)
}

/// Digits with at most one point: no sign, exponent, "inf" or "nan".
fn plain_number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read_as_documented() {
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_rate("1.5Mbit/s"), Ok(Rate::kbit(1500)));
        assert_eq!(parse_size("64kB"), Ok(64_000));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_probability("29%"), Ok(Probability(0.29)));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        for text in ["", "5", "ms", "-1ms", "1e9s", "infs", "1..2s", "99999999999h"] {
            assert!(parse_duration(text).is_err_and(|e| e.contains("20ms")), "{text}");
        }
        for text in ["0bit/s", "10", "10Mb", "NaNMbit/s"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
        for text in ["101%", "-1%", "2", "nan", "%"] {
            assert!(parse_probability(text).is_err(), "{text}");
        }
    }

    #[test]
    fn line_time_is_bits_over_rate() {
        assert_eq!(Rate::mbit(12).time_of(1500), Duration::from_millis(1));
        assert_eq!(Rate::bits_per_second(3).time_of(1), Duration::from_nanos(2_666_666_667));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0_u64..1_000_000_000_000, bits in 1_u64..1_000_000_000, chance in 0.0_f64..=1.0) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_rate(&Rate(bits).to_string()), Ok(Rate(bits)));
            let chance = Probability(chance);
            // A chance below 1e-4 or so may print in exponents; a description says at least that.
            prop_assert_eq!(parse_probability(&chance.to_string()), Ok(chance));
        }
    }
}
