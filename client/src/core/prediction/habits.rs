//! Keys that were seen to lead to one and the same place: Tab from field to field in a form, `/` to the
//! bottom of a pager.
//!
//! What was seen, and echoed what was typed there, is foretold, if the field has a name: a field for a
//! password has another one, and that one never echoes. One without a name (a mail's text) has to be behind
//! one with a name.

use super::line::Line;
use super::motion::{Motion, Spot};
use std::collections::VecDeque;
use tern_term::Frame;
use unicode_width::UnicodeWidthStr;

/// Habits that are remembered: those of the programs of one session.
const HABITS_MAX: usize = 32;
/// Letters in a name, at least.
const LETTERS_MIN: usize = 2;

/// Where a key was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    key: Vec<u8>,
    row: u16,
    /// What stands left of where the typing began.
    label: String,
}

#[derive(Debug)]
struct Habit {
    origin: Origin,
    spot: Spot,
    /// What was typed there was echoed.
    is_echoing: bool,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Habits {
    known: VecDeque<Habit>,
    /// By what the line that is typed in was come to.
    led_here: Option<Origin>,
}

impl Origin {
    /// Whether the key may have a habit. Enter has none: what is run by it may ask for a password at any
    /// time.
    pub(super) fn may_be(key: &[u8]) -> bool {
        matches!(key, b"\t" | b"\x1b[Z" | b"/" | b"?" | b":")
    }

    /// Of a key that may have one, typed in this line.
    pub(super) fn of(key: &[u8], line: &Line, frame: &Frame) -> Self {
        Self { key: key.to_vec(), row: line.row_in(frame), label: line.prompt() }
    }

    /// Whether the same key typed in this line has this origin.
    pub(super) fn is_of(&self, line: &Line, frame: &Frame) -> bool {
        *self == Self::of(&self.key, line, frame)
    }

    fn is_tab(&self) -> bool {
        matches!(self.key.as_slice(), b"\t" | b"\x1b[Z")
    }

    /// Whether it leads to a field. (What completes a name is no form's key.)
    fn leads_to_a_field(&self, spot: &Spot) -> bool {
        spot.row != self.row && (is_name(&spot.label) || self.leads_to_a_text(spot))
    }

    /// Whether it leads from a field with a name to one without.
    pub(super) fn leads_to_a_text(&self, spot: &Spot) -> bool {
        let is_nameless = spot.label.trim().is_empty();
        self.is_tab() && spot.row > self.row && is_nameless && is_name(&self.label)
    }

    /// Whether the field in which the key was typed stands above the line.
    pub(super) fn stands_above(&self, line: &Line, frame: &Frame) -> bool {
        let here = Line::of_row(frame, self.row.min(frame.size().rows - 1), line.left_edge());
        let text = here.text();
        let behind = text.strip_prefix(&self.label).filter(|_| self.row < line.row_in(frame));
        behind.is_some_and(|behind| !behind.starts_with(char::is_alphanumeric))
    }
}

/// Whether what stands left of a field is its name.
fn is_name(label: &str) -> bool {
    label.chars().filter(|c| c.is_alphabetic()).count() >= LETTERS_MIN
}

impl Habits {
    /// Another program reads the keys.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Where the key leads, if that is known.
    pub(super) fn find(&self, origin: &Origin) -> Option<Spot> {
        let habit = self.known.iter().find(|habit| habit.origin == *origin)?;
        habit.is_echoing.then(|| habit.spot.clone())
    }

    /// Another line is typed in.
    pub(super) fn leave(&mut self) {
        self.led_here = None;
    }

    /// The key led to this line.
    pub(super) fn learn(&mut self, origin: Origin, line: &Line, frame: &Frame) {
        let row = frame.cursor().row;
        self.led_here = Some(origin.clone());
        let spot = Spot { row, label: line.label(), is_empty: row != origin.row };
        let is_plain = spot.label.width() == spot.label.chars().count();
        if origin.is_tab() && !origin.leads_to_a_field(&spot) || !is_plain {
            return;
        }
        if let Some(habit) = self.known.iter_mut().find(|habit| habit.origin == origin) {
            if habit.spot != spot {
                (habit.spot, habit.is_echoing) = (spot, false);
            }
            return;
        }
        if self.known.len() >= HABITS_MAX {
            self.known.pop_front();
        }
        self.known.push_back(Habit { origin, spot, is_echoing: false });
    }

    /// What was typed in this line was echoed, or was not. If the line is a text that Tab has just led to, gives
    /// from where.
    pub(super) fn note_echo(
        &mut self,
        line: &Line,
        frame: &Frame,
        is_echoing: bool,
    ) -> Option<Origin> {
        let (row, label) = (line.row_in(frame), line.label());
        let led_here = self.led_here.as_ref();
        let here = self.known.iter_mut().filter(|habit| habit.spot.row == row);
        let mut text_of = None;
        here.filter(|habit| habit.spot.label == label)
            // Another way to the same place may have led to another program.
            .filter(|habit| !is_echoing || Some(&habit.origin) == led_here)
            .for_each(|habit| {
                habit.is_echoing = is_echoing;
                if is_echoing && habit.origin.leads_to_a_text(&habit.spot) {
                    text_of = Some(habit.origin.clone());
                }
            });
        text_of
    }

    /// It led elsewhere this time.
    pub(super) fn refute(&mut self, motion: &Motion) {
        self.known.retain(|habit| !matches!(motion, Motion::To(spot) if habit.spot == *spot));
    }
}
