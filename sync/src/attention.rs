//! Whether the peer is at work, judged by its news.
//!
//! A clock in a status line changes every minute; that alone is no work, or an idle hour would have
//! sixty spells of it.

use std::time::{Duration, Instant};

/// Time between heartbeats while the peer is at work, as seen by the one of both that may move.
pub(crate) const ATTENTIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long after its last news a peer is taken to be at work: whoever types stops to think. Twelve
/// more exchanges after each spell.
const ATTENTIVE_TIME: Duration = Duration::from_secs(15);
/// News that come within less than this are one thing that happened: a redraw in several gulps.
const SPELL_TIME_MIN: Duration = Duration::from_millis(500);

/// The peer's latest spell of news.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attention {
    /// Its first and its last, with no pause of [`ATTENTIVE_TIME`] between.
    spell: Option<(Instant, Instant)>,
}

impl Attention {
    /// Something new came.
    pub(crate) fn on_news(&mut self, now: Instant) {
        let goes_on = |last: Instant| now.saturating_duration_since(last) < ATTENTIVE_TIME;
        let first = self.spell.filter(|(_, last)| goes_on(*last)).map_or(now, |(first, _)| first);
        self.spell = Some((first, now));
    }

    /// Whether the peer is at work.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.spell.is_some_and(|(first, last)| {
            last.saturating_duration_since(first) >= SPELL_TIME_MIN
                && now.saturating_duration_since(last) < ATTENTIVE_TIME
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_types_has_attention_until_some_time_after_the_last_key() {
        let start = Instant::now();
        let mut attention = Attention::default();
        attention.on_news(start);
        assert!(!attention.is_due(start), "one key is no work");
        attention.on_news(start + 600 * MS);
        assert!(attention.is_due(start + 600 * MS));
        assert!(attention.is_due(start + 600 * MS + ATTENTIVE_TIME - MS));
        assert!(!attention.is_due(start + 600 * MS + ATTENTIVE_TIME));
    }

    #[test]
    fn clock_that_changes_every_minute_in_two_gulps_is_no_work() {
        let start = Instant::now();
        let mut attention = Attention::default();
        for minute in 0..60 {
            let now = start + minute * Duration::from_secs(60);
            attention.on_news(now);
            attention.on_news(now + 20 * MS);
            assert!(!attention.is_due(now + 20 * MS));
        }
    }
}
