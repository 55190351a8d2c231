//! Enter that was typed, and whether a picture shows its effect. That the host counts it as answered proves
//! nothing: a slow program, or one on another machine (ssh in the pane), has not read it yet, and may be
//! about to ask for a password.

use super::key::Key;
use super::line::Line;
use tern_term::Frame;

/// What was known when Enter was typed.
#[derive(Debug)]
pub(super) struct Entered {
    frame: Frame,
    /// A text was typed, from the left edge on: the next line may go on with it.
    is_text: bool,
    /// The effect of another one was still to come.
    is_one_of_several: bool,
    /// The text in the line had nothing but letters to come.
    was_growing: bool,
}

impl Entered {
    /// In this picture, in this line, as far as it is known, with these keys to be answered; `is_echoed`:
    /// what is typed there shows.
    pub(super) fn new<'a>(
        frame: &Frame,
        line: Option<&Line>,
        is_echoed: bool,
        pending: impl Iterator<Item = &'a Key> + Clone,
    ) -> Self {
        let is_enter = |key: &Key| matches!(key, Key::Other { is_enter: true, .. });
        Self {
            frame: frame.clone(),
            is_text: is_echoed && line.is_some_and(|line| line.prompt_width() == 0),
            is_one_of_several: pending.clone().any(is_enter),
            was_growing: pending.clone().all(|key| key.text().is_some()),
        }
    }

    /// Another one before it has shown no effect so far.
    pub(super) fn after(mut self, before: Option<&Self>, frame: &Frame) -> Self {
        self.is_one_of_several |= before.is_some_and(|before| !before.has_effect(frame));
        self
    }

    /// Whether the picture shows that it was read: the cursor is in another row, or what is above it is
    /// new.
    fn has_effect(&self, frame: &Frame) -> bool {
        let (before, after) = (self.frame.cursor(), frame.cursor());
        let left = Line::of(frame, 0).left_edge();
        let above = |frame: &Frame| {
            let row = after.row.checked_sub(1).filter(|_| frame.size() == self.frame.size())?;
            Some(Line::of_row(frame, row, left).text())
        };
        before.row != after.row || above(&self.frame) != above(frame)
    }

    /// Whether it has led to this line and to no other, and nothing that was typed before is to come.
    pub(super) fn has_led_to(&self, line: &Line, is_bare_prompt: bool, frame: &Frame) -> bool {
        let goes_on = self.is_text && self.is_next(frame) && line.is_empty();
        let is_new = self.has_effect(frame) || is_bare_prompt && self.has_taken_the_text(frame);
        (is_bare_prompt || goes_on) && is_new && !self.is_one_of_several
    }

    /// Whether the text is gone from the same row: a chat has one line to type in.
    fn has_taken_the_text(&self, frame: &Frame) -> bool {
        self.was_growing && Line::of(&self.frame, 0).text() != Line::of(frame, 0).text()
    }

    /// Whether the cursor is in the next row, or in the last one, where all else went up.
    fn is_next(&self, frame: &Frame) -> bool {
        let (before, after) = (self.frame.cursor().row, frame.cursor().row);
        after == before + 1 || after == before && before + 2 >= frame.size().rows
    }
}
