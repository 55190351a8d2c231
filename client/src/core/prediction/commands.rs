//! Commands of a pager, which aren't echoed, before the key that begins a search.

use super::habits::Origin;
use super::line::Line;
use super::{Pending, Predictor};
use tern_term::Frame;

/// Commands by which a pager stays where it is: what is typed next is read by it, too.
pub(super) const COMMANDS: &str = "nNjkdufbgG 0123456789";

/// Where a key was typed by which a pager may have been left (`q`, `ZZ`, `v`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    row: u16,
    col: u16,
    text: String,
}

impl Left {
    /// In the line that the picture shows.
    pub(super) fn of(frame: &Frame) -> Self {
        let cursor = frame.cursor();
        Self { row: cursor.row, col: cursor.col, text: Line::of(frame, 0).text() }
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
