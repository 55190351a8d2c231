//! Enter that was typed, and whether a picture shows its effect. That the host counts it as answered proves
//! nothing: a slow program, or one on another machine (ssh in the pane), has not read it yet, and may be
//! about to ask for a password.

use super::commands::Unseen;
use super::key::Key;
use super::line::{Line, left_edge};
use super::mode_line::is_border;
use tern_term::{Cursor, Frame};

/// Rows above that are looked at for an effect.
const ROWS_MAX: usize = 8;

/// What was known when Enter was typed.
#[derive(Debug)]
pub(super) struct Entered {
    frame: Frame,
    /// A text was typed, from the left edge on: the next line may go on with it.
    is_text: bool,
    /// The effect of another key was still to come, and may be taken for its own.
    is_one_of_several: bool,
    /// The text in the line had nothing but letters to come.
    was_growing: bool,
}

impl Entered {
    /// In this picture, with these keys to be answered; `is_text`: see there.
    pub(super) fn new<'a>(
        frame: &Frame,
        is_text: bool,
        pending: impl Iterator<Item = &'a Key> + Clone,
    ) -> Self {
        Self {
            frame: frame.clone(),
            is_text,
            is_one_of_several: pending.clone().any(Key::may_leave_line),
            was_growing: pending.clone().all(|key| key.text().is_some()),
        }
    }

    /// What came before it, and was counted as answered, may have an effect that is still to be seen.
    pub(super) fn behind(mut self, unseen: Option<&Unseen>, is_open: bool) -> Self {
        self.is_one_of_several |= is_open || unseen.is_some_and(|unseen| unseen.may_leave_line);
        self.was_growing &= unseen.is_none();
        self
    }

    /// Whether the picture shows no effect of it.
    pub(super) fn is_open(&self, frame: &Frame) -> bool {
        !self.has_effect(frame) && !self.has_taken_the_text(frame)
    }

    /// Whether it has led to this line and to no other, and nothing that was typed before is to come.
    pub(super) fn has_led_to(&self, line: &Line, is_bare_prompt: bool, frame: &Frame) -> bool {
        let goes_on = self.is_text && self.is_next(frame) && line.is_empty();
        let is_new = self.has_effect(frame) || is_bare_prompt && self.has_taken_the_text(frame);
        (is_bare_prompt || goes_on) && is_new && !self.is_one_of_several
    }

    /// Whether the cursor is in another row, or what is above it in its pane has moved. (Not the row
    /// directly above: it may be a prompt's first line, or a status line.)
    fn has_effect(&self, frame: &Frame) -> bool {
        if frame.size() != self.frame.size() {
            return false;
        }
        let Cursor { row, col, .. } = frame.cursor();
        let left = left_edge(frame, row, col);
        let has_moved = |row: u16| {
            Line::of_row(&self.frame, row, left).text() != Line::of_row(frame, row, left).text()
        };
        let above = (0..row.saturating_sub(1)).rev().take(ROWS_MAX);
        let is_border = |row: &u16| is_border(frame, *row, left);
        self.frame.cursor().row != row || above.take_while(|row| !is_border(row)).any(has_moved)
    }

    /// Whether the text is gone from the same row: a chat has one line to type in.
    fn has_taken_the_text(&self, frame: &Frame) -> bool {
        let width = |frame: &Frame| Line::of(frame, 0).text_before().trim_end().chars().count();
        let is_comparable = self.was_growing && frame.size() == self.frame.size();
        is_comparable && width(frame) < width(&self.frame)
    }

    /// Whether the cursor is in the next row, or in the last one, where all else went up.
    fn is_next(&self, frame: &Frame) -> bool {
        let (before, after) = (self.frame.cursor().row, frame.cursor().row);
        after == before + 1 || after == before && before + 2 >= frame.size().rows
    }
}
