//! The text of a form (a mail's): what is typed in the field without a name that Tab led to from one with a
//! name. Enter begins a new line there, once it was seen to, as long as that other field stands in the
//! picture. Elsewhere Enter may run what asks for a password.

use super::habits::Origin;
use super::key::Key;
use super::line::Line;
use super::margin::bottom;
use super::motion::Motion;
use super::{Pending, Place};
use tern_term::Frame;

/// New lines foretold wrong after which no more are.
const WRONG_MAX: u32 = 3;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct FormText {
    /// The field with a name that Tab came from.
    field: Option<Origin>,
    /// The keys go to the text.
    is_here: bool,
    breaks: Breaks,
    /// New lines that were foretold wrong.
    wrong: u32,
}

/// What Enter does there.
#[derive(Debug, Default, PartialEq, Eq)]
enum Breaks {
    #[default]
    Unknown,
    /// It led to a new line.
    Seen,
    /// What was typed next was echoed.
    Echoed,
}

impl FormText {
    /// Tab has led from this field to a text, and what is typed there is echoed.
    pub(super) fn begin(&mut self, field: Origin) {
        if self.field.as_ref() != Some(&field) {
            *self = Self { field: Some(field), wrong: self.wrong, ..Self::default() };
        }
        self.is_here = true;
    }

    /// The keys may go elsewhere.
    pub(super) fn leave(&mut self) {
        self.is_here = false;
    }

    /// Where Enter leads that is typed in this line, if it is in such a text.
    pub(super) fn enter(&self, line: &Line, frame: &Frame) -> Option<Motion> {
        if !self.is_here || self.wrong >= WRONG_MAX || !self.stands_above(line, frame) {
            return None;
        }
        Some(Motion::NewLine { bottom: bottom(line, frame)? })
    }

    /// Whether the form stands above the line.
    pub(super) fn stands_above(&self, line: &Line, frame: &Frame) -> bool {
        self.field.as_ref().is_some_and(|field| field.stands_above(line, frame))
    }

    /// Whether what Enter does has been seen.
    pub(super) fn is_known(&self) -> bool {
        self.breaks == Breaks::Echoed
    }

    /// A key was right: Enter, or a letter that was echoed.
    pub(super) fn confirm(&mut self, pending: &Pending, is_masked: bool) {
        let is_letter = pending.key.text().is_some() && pending.motion.is_none() && !is_masked;
        match self.breaks {
            Breaks::Unknown | Breaks::Seen if pending.is_new_line() => self.breaks = Breaks::Seen,
            Breaks::Seen if is_letter => self.breaks = Breaks::Echoed,
            Breaks::Seen => self.breaks = Breaks::Unknown,
            Breaks::Unknown | Breaks::Echoed => {}
        }
    }

    /// Enter was foretold wrong.
    pub(super) fn refute(&mut self) {
        *self = Self { wrong: self.wrong + 1, ..Self::default() };
    }

    /// Another program reads the keys.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether what is typed after the key goes to the same text. (What edits a line here may be a prefix in another
/// program: Control-A in screen.)
pub(super) fn stays(key: &Key, place: &Place) -> bool {
    match key {
        Key::Char { .. } | Key::Backspace | Key::Left | Key::Right => true,
        Key::Edit(_) => matches!(place, Place::After(_)),
        Key::Other { is_enter, .. } => *is_enter,
    }
}
