//! Whether the peer is at work, judged by its news.
//!
//! An event is somebody's doing. A picture may change by itself: a clock in a status line does every
//! minute, and that alone is no work, or an idle hour would have sixty spells of it.

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
    /// The last event.
    event_at: Option<Instant>,
}

impl Attention {
    /// Something new came: an event, or a picture.
    pub(crate) fn on_news(&mut self, is_event: bool, now: Instant) {
        if is_event {
            self.event_at = Some(now);
        }
        let goes_on = |last: Instant| now.saturating_duration_since(last) < ATTENTIVE_TIME;
        let first = self.spell.filter(|(_, last)| goes_on(*last)).map_or(now, |(first, _)| first);
        self.spell = Some((first, now));
    }

    /// Whether the peer is at work.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < ATTENTIVE_TIME;
        self.event_at.is_some_and(is_recent)
            || self.spell.is_some_and(|(first, last)| {
                last.saturating_duration_since(first) >= SPELL_TIME_MIN && is_recent(last)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn whose_screen_changes_has_attention_until_some_time_after_the_last_change() {
        let start = Instant::now();
        let mut attention = Attention::default();
        attention.on_news(false, start);
        assert!(!attention.is_due(start), "one change is no work");
        attention.on_news(false, start + 600 * MS);
        assert!(attention.is_due(start + 600 * MS));
        assert!(attention.is_due(start + 600 * MS + ATTENTIVE_TIME - MS));
        assert!(!attention.is_due(start + 600 * MS + ATTENTIVE_TIME));
    }

    #[test]
    fn one_key_is_work() {
        let start = Instant::now();
        let mut attention = Attention::default();
        attention.on_news(true, start);
        assert!(attention.is_due(start + ATTENTIVE_TIME - MS));
        assert!(!attention.is_due(start + ATTENTIVE_TIME));
    }

    #[test]
    fn clock_that_changes_every_minute_in_two_gulps_is_no_work() {
        let start = Instant::now();
        let mut attention = Attention::default();
        for minute in 0..60 {
            let now = start + minute * Duration::from_secs(60);
            attention.on_news(false, now);
            attention.on_news(false, now + 20 * MS);
            assert!(!attention.is_due(now + 20 * MS));
        }
    }
}
