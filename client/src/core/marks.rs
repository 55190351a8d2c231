//! Which of the viewers' keys the screen shows the effect of, as mosh's "echo ack": what was typed
//! [`ECHO_TIME`] ago, programs have answered, or never will.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tern_sync::session::ViewerId;

/// How long a program may take to answer a key (mosh: `ECHO_TIMEOUT`,
/// `statesync/completeterminal.h`).
pub const ECHO_TIME: Duration = Duration::from_millis(50);
/// Most viewers whose marks are kept; what a report may hold.
const VIEWERS_MAX: usize = tern_term::MARKS_MAX;

/// The machine.
#[derive(Debug, Default)]
pub struct Marks {
    /// Given, and not typed yet.
    pending: BTreeMap<ViewerId, u32>,
    /// Typed, and when.
    typed: BTreeMap<ViewerId, (u32, Instant)>,
    /// Typed long enough ago.
    answered: BTreeMap<ViewerId, u32>,
}

impl Marks {
    /// A viewer's input with this mark is on its way to the terminal; 0 is none.
    pub fn handle_input(&mut self, viewer: ViewerId, mark: u32) {
        let is_known = self.answered.contains_key(&viewer) || self.pending.contains_key(&viewer);
        if mark != 0 && (is_known || self.answered.len() + self.pending.len() < VIEWERS_MAX) {
            self.pending.insert(viewer, mark);
        }
    }

    /// All that was on its way to the terminal was typed there.
    pub fn handle_typed(&mut self, now: Instant) {
        for (viewer, mark) in std::mem::take(&mut self.pending) {
            // Keys follow each other faster than programs have time: the first counts until then.
            let (last, at) = self.typed.remove(&viewer).unwrap_or((mark, now));
            if now.saturating_duration_since(at) >= ECHO_TIME {
                self.answered.insert(viewer, last);
            }
            self.typed.insert(viewer, (mark, now));
        }
    }

    /// A viewer is gone.
    pub fn handle_left(&mut self, viewer: ViewerId) {
        self.pending.remove(&viewer);
        self.typed.remove(&viewer);
        self.answered.remove(&viewer);
    }

    /// Nobody is known any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Time passed. Whether [`Self::answered`] has changed.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = |(_, at): &(u32, Instant)| now.saturating_duration_since(*at) >= ECHO_TIME;
        let due: Vec<_> =
            self.typed.iter().filter(|(_, typed)| is_due(typed)).map(|(id, _)| *id).collect();
        for viewer in &due {
            if let Some((mark, _)) = self.typed.remove(viewer) {
                self.answered.insert(*viewer, mark);
            }
        }
        !due.is_empty()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.typed.values().map(|(_, at)| *at + ECHO_TIME).min()
    }

    /// The newest mark of each viewer whose effect shows, in the order of their numbers.
    pub fn answered(&self) -> Vec<(ViewerId, u32)> {
        self.answered.iter().map(|(viewer, mark)| (*viewer, *mark)).collect()
    }

    /// Whether anybody wants to know.
    pub fn is_wanted(&self) -> bool {
        !(self.pending.is_empty() && self.typed.is_empty() && self.answered.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ViewerId = ViewerId(1);
    const B: ViewerId = ViewerId(2);

    #[test]
    fn mark_counts_a_while_after_it_was_typed() {
        let now = Instant::now();
        let mut marks = Marks::default();
        assert!(!marks.is_wanted());
        marks.handle_input(A, 5);
        marks.handle_input(B, 0);
        assert_eq!((marks.poll_timeout(), marks.is_wanted()), (None, true));
        marks.handle_typed(now);
        let due = marks.poll_timeout().expect("it was typed");
        assert_eq!(due, now + ECHO_TIME);
        assert!(!marks.handle_timeout(now));
        assert_eq!(marks.answered(), []);
        assert!(marks.handle_timeout(due));
        assert_eq!((marks.answered(), marks.poll_timeout()), (vec![(A, 5)], None));
        marks.handle_left(A);
        assert!(marks.answered().is_empty() && !marks.is_wanted());
    }

    #[test]
    fn who_types_without_a_pause_is_answered_in_the_end() {
        let mut now = Instant::now();
        let mut marks = Marks::default();
        for mark in 1..100 {
            marks.handle_timeout(now);
            marks.handle_input(A, mark);
            marks.handle_typed(now);
            now += Duration::from_millis(20);
        }
        assert!(marks.handle_timeout(now + ECHO_TIME));
        assert_eq!(marks.answered(), [(A, 99)]);
    }
}
