//! The text of a form (a mail's): what is typed in the field without a name that Tab led to from one with a
//! name. Enter begins a new line there, once it was seen to, as long as that other field stands in the
//! picture. Elsewhere Enter may run what asks for a password.

use super::Pending;
use super::habits::Origin;
use super::key::Key;
use super::line::Line;
use super::margin::bottom;
use super::motion::Motion;
use tern_term::Frame;

/// New lines foretold wrong after which no more are.
const WRONG_MAX: u32 = 3;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct FormText {
    /// The field with a name that Tab came from, while the keys go to the text.
    field: Option<Origin>,
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
        self.field = Some(field);
    }

    /// The keys may go elsewhere.
    pub(super) fn leave(&mut self) {
        self.field = None;
        if self.breaks == Breaks::Seen {
            self.breaks = Breaks::Unknown;
        }
    }

    /// Where Enter leads that is typed in this line, if it is in such a text.
    pub(super) fn enter(&self, line: &Line, frame: &Frame) -> Option<Motion> {
        let stands = |field: &&Origin| field.stands_above(line, frame);
        self.field.as_ref().filter(stands).filter(|_| self.wrong < WRONG_MAX)?;
        Some(Motion::NewLine { bottom: bottom(line, frame)? })
    }

    /// Whether what Enter does has been seen.
    pub(super) fn is_known(&self) -> bool {
        self.breaks == Breaks::Echoed
    }

    /// A key was right: Enter, or a letter that was echoed.
    pub(super) fn confirm(&mut self, pending: &Pending, is_masked: bool) {
        let is_letter = pending.key.text().is_some() && pending.motion.is_none() && !is_masked;
        match self.breaks {
            Breaks::Unknown if pending.is_new_line() => self.breaks = Breaks::Seen,
            Breaks::Seen if is_letter => self.breaks = Breaks::Echoed,
            Breaks::Unknown | Breaks::Seen | Breaks::Echoed => {}
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

/// Whether what is typed after the key goes to the same text.
pub(super) fn stays(key: &Key) -> bool {
    !matches!(key, Key::Other { is_enter: false, .. })
}
