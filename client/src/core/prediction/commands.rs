//! Commands of a pager, which aren't echoed, before the key that begins a search.

use super::habits::Origin;
use super::key::Key;
use super::line::Line;
use super::{Pending, Predictor};
use tern_term::Frame;

/// Commands by which a pager stays where it is: what is typed next is read by it, too.
pub(super) const COMMANDS: &str = "nNjkdufbgG 0123456789";

/// Where a key was typed whose effect can't be known. Until a picture shows another place it has to be
/// reckoned with: it may have left a pager (`q`, `ZZ`, `v`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct At {
    row: u16,
    col: u16,
    text: String,
}

impl At {
    /// In the line that the picture shows.
    pub(super) fn of(frame: &Frame) -> Self {
        let cursor = frame.cursor();
        Self { row: cursor.row, col: cursor.col, text: Line::of(frame, 0).text() }
    }
}

/// A key that is no letter, and whose effect no picture has shown so far, even if it was counted as answered.
#[derive(Debug)]
pub(super) struct Unseen {
    at: At,
    /// See [`Key::may_leave_line`].
    pub(super) may_leave_line: bool,
}

impl Unseen {
    /// The key, typed while `frame` was shown, perhaps behind another such.
    pub(super) fn new(key: &Key, frame: &Frame, before: Option<&Self>) -> Self {
        let may_leave_line = key.may_leave_line() || before.is_some_and(|b| b.may_leave_line);
        Self { at: At::of(frame), may_leave_line }
    }

    /// Whether nothing is changed.
    pub(super) fn is_at(&self, at: &At) -> bool {
        self.at == *at
    }
}

/// Whether it is such a command.
pub(super) fn is_command(pending: &Pending) -> bool {
    let text = pending.key.text().filter(|_| pending.motion.is_none());
    text.is_some_and(|text| COMMANDS.contains(text))
}

impl Predictor {
    /// Whether what is pending are commands, up to a key that is known to begin a text from here, in the
    /// same row.
    pub(super) fn have_commands_led_to_text(&self) -> bool {
        let frame = &self.shown.frame;
        let Some(first) = self.pending.iter().find(|pending| !is_command(pending)) else {
            return false;
        };
        let is_from_here =
            |origin: &Origin| self.left.is_none() && origin.is_of(&Line::of(frame, 0), frame);
        first.motion.as_ref().is_some_and(|motion| motion.stays_in(frame.cursor().row))
            && first.origin.as_ref().is_some_and(is_from_here)
    }
}
