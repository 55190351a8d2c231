//! Slow programs: keys that the host counts as answered, since [`ECHO_TIME`](crate::core::marks::ECHO_TIME)
//! has passed, and whose effect no picture shows yet. The machine is busy, or the program is on another
//! one (ssh in the pane). Where letters were echoed before, they are waited for.

use super::key::Key;
use super::line::Line;
use super::{Predictor, is_barrier};
use std::time::{Duration, Instant};

/// How long a program that echoed what was typed in a line before may take for the next keys, after the
/// host has counted them as answered: it, or the machine beyond it (ssh in the pane), is slow.
pub(super) const LAG_TIME_MAX: Duration = Duration::from_millis(500);

impl Predictor {
    /// Of `answered` keys at the front those that the program has read, as far as that can be told: while
    /// the picture shows a line as it was after fewer of them, it is only slow.
    pub(super) fn without_lag(&mut self, answered: usize, now: Instant) -> usize {
        let read = if self.is_proven { self.read_count(answered) } else { None };
        let Some(read) = read else {
            self.lag_since = None;
            return answered;
        };
        if read > 0 {
            self.lag_since = Some(now);
            return read;
        }
        let since = *self.lag_since.get_or_insert(now);
        if since + LAG_TIME_MAX <= now {
            self.lag_since = None;
            // What reads the keys may be another program already: nothing is believed until it is seen.
            (self.is_mode_open, self.is_echo_known) = (true, false);
            return answered;
        }
        0
    }

    /// How many keys the picture shows, if it shows the line after fewer than `answered`.
    fn read_count(&self, answered: usize) -> Option<usize> {
        let chain = self.chain_len();
        let counted = answered.min(chain);
        if (0..counted).any(|at| self.is_tentative(at)) {
            return None;
        }
        let read = (0..=chain).rev().find(|count| self.shows_line_after(*count))?;
        if read < counted {
            return Some(read);
        }
        // Enter leaves a line in which something stands.
        let next = self.pending.get(chain).filter(|_| answered > chain)?;
        let is_enter = matches!(next.key, Key::Other { is_enter: true, .. });
        let has_text = self.line_after(chain).is_some_and(Line::has_text);
        (is_enter && has_text && read == chain).then_some(read)
    }

    /// How many of the last of `answered` keys are waited for.
    pub(super) fn unread(&mut self, answered: usize, now: Instant) -> usize {
        let count = self.unread_count(answered);
        let since = (count > 0).then(|| self.unread_since.unwrap_or(now));
        self.unread_since = since.filter(|since| *since + LAG_TIME_MAX > now);
        if self.unread_since.is_some() { count } else { 0 }
    }

    /// How many of the last of `answered` keys, letters of a text, an editor that says that it inserts has
    /// still to show.
    fn unread_count(&self, answered: usize) -> usize {
        if !self.is_inserting() {
            return 0;
        }
        let keys = self.pending.iter().take(answered);
        let last_barrier = keys.clone().rposition(|p| is_barrier(&p.key, p.motion.as_ref()));
        let behind = keys.skip(last_barrier.map_or(0, |last| last + 1));
        let letters = behind.map(|p| p.key.text().filter(|_| p.is_inserted));
        let Some(texts) = letters.collect::<Option<Vec<_>>>() else { return 0 };
        let line = Line::of(&self.shown.frame, 0);
        let is_read = |count: &usize| line.columns_of(&texts[..*count].concat()).is_some();
        let read = (0..=texts.len()).rev().find(is_read).unwrap_or(0);
        // Else they are where nobody looks for them: over the margin, or replaced.
        if read == 0 && (!line.is_empty() || line.is_below_a_full_one(&self.shown.frame)) {
            return 0;
        }
        texts.len() - read
    }

    /// When what is waited for is given up.
    pub(super) fn lag_end(&self) -> Option<Instant> {
        let since = self.lag_since.into_iter().chain(self.unread_since);
        since.min().map(|since| since + LAG_TIME_MAX)
    }
}
