//! What many keys came to, as figures.

use super::score::Fate;
use crate::report::quantile;
use serde::Serialize;

/// Figures of some keys.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// All that were typed.
    pub keys: usize,
    /// Those that a person expects to see at once.
    pub echoed: usize,
    /// Share of these that were shown within 5 ms, in percent.
    pub at_once_percent: f64,
    /// The same of all keys.
    pub at_once_of_all_percent: f64,
    /// Share of all keys at which something wrong was shown, in percent.
    pub wrong_percent: f64,
    /// Keys at which something wrong was shown.
    pub wrong: usize,
    /// From an echoed key to its effect, in milliseconds; what never came isn't in it.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// Echoed keys whose effect never showed by itself.
    pub unseen: usize,
}

impl Figures {
    /// Of all of `fates`.
    pub(crate) fn of<'a>(fates: impl Iterator<Item = &'a Fate> + Clone) -> Self {
        let keys = fates.clone().count();
        let echoed = || fates.clone().filter(|fate| fate.is_echoed);
        let is_at_once = |fate: &&Fate| fate.is_at_once();
        let wrong = fates.clone().filter(|fate| fate.is_wrong).count();
        let delays = delays(fates.clone());
        Self {
            keys,
            echoed: echoed().count(),
            at_once_percent: percent(echoed().filter(is_at_once).count(), echoed().count()),
            at_once_of_all_percent: percent(fates.clone().filter(is_at_once).count(), keys),
            wrong_percent: percent(wrong, keys),
            wrong,
            p50_ms: quantile(&delays, 0.5),
            p99_ms: quantile(&delays, 0.99),
            unseen: echoed().filter(|fate| fate.delay.is_none()).count(),
        }
    }

    /// For a table.
    pub(crate) fn cells(&self) -> String {
        format!(
            "{:6} {:6} {:9.1} {:9.1} {:9.2} {:9.1} {:9.0} {:7}",
            self.keys,
            self.echoed,
            self.at_once_percent,
            self.at_once_of_all_percent,
            self.wrong_percent,
            self.p50_ms,
            self.p99_ms,
            self.unseen
        )
    }
}

/// Heads over [`Figures::cells`].
pub(crate) const HEADS: &str =
    "  keys echoed  <5 ms, % of all, %  wrong, %   p50, ms   p99, ms  unseen";

/// From echoed keys to their effects, in milliseconds.
pub(crate) fn delays<'a>(fates: impl Iterator<Item = &'a Fate>) -> Vec<f64> {
    let echoed = fates.filter(|fate| fate.is_echoed);
    echoed.filter_map(|fate| fate.delay).map(|delay| delay.as_secs_f64() * 1000.0).collect()
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn shares_are_of_the_keys_that_are_echoed() {
        let fate = |is_echoed, ms: Option<u64>, is_wrong| Fate {
            is_echoed,
            delay: ms.map(Duration::from_millis),
            is_wrong,
        };
        let fates = [
            fate(true, Some(1), false),
            fate(true, Some(100), true),
            fate(true, None, false),
            fate(false, Some(100), false),
        ];
        let figures = Figures::of(fates.iter());
        assert_eq!((figures.keys, figures.echoed, figures.wrong, figures.unseen), (4, 3, 1, 1));
        assert!((figures.at_once_percent - 100.0 / 3.0).abs() < 1e-9);
        assert!((figures.wrong_percent - 25.0).abs() < 1e-9);
        assert!((figures.p99_ms - 100.0).abs() < 1e-9);
    }
}
