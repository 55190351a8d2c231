//! Keys that move the cursor to where the next text is typed, and write nothing themselves.

use super::line::{Line, Slot};
use tern_term::Frame;

/// Lines that were left since the true one, and are drawn: what is above them has scrolled away.
const LINES_MAX: usize = 64;
/// Rows of one text that are looked at for its first.
const TEXT_ROWS_MAX: usize = 8;

/// Where such a key moves the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Motion {
    /// Nowhere.
    Here,
    /// Behind the character that it is on.
    Behind,
    /// Behind the line's last character.
    ToEnd,
    /// To a new line below, which is above this row.
    Open { bottom: u16 },
    /// The same, with what stands behind the cursor.
    Break { bottom: u16 },
    /// The same in a form.
    NewLine { bottom: u16 },
    /// To another place.
    To(Spot),
}

impl Motion {
    /// Whether it leads to a place in this row, and thus hides what was typed there.
    pub(super) fn stays_in(&self, row: u16) -> bool {
        matches!(self, Self::To(spot) if spot.row == row)
    }
}

/// A place in which text is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) row: u16,
    /// What stands left of the text, in its pane.
    pub(super) label: String,
    /// Nothing but that stands in the row; else what does gives way.
    pub(super) is_empty: bool,
}

impl Line {
    /// The line in which the next text is typed after the motion; `None` if that can't be known.
    pub(super) fn moved_by(&self, motion: &Motion, frame: &Frame) -> Option<Self> {
        let at = |cursor: usize| {
            let line = Self { cursor, start: cursor, end: cursor, ..self.clone() };
            Some(Self { is_at_prompt: false, moved: 0, ..line })
        };
        match motion {
            Motion::Here => at(self.cursor),
            Motion::Behind => {
                let slot = self.slots.get(self.cursor)?;
                let width = if slot.is_blank() { 0 } else { 1 + usize::from(slot.is_wide) };
                if self.cursor + width < self.right_edge() { at(self.cursor + width) } else { None }
            }
            // The text may go on in the row below.
            Motion::ToEnd if self.is_full() => None,
            Motion::ToEnd => at(self.text_end()),
            Motion::Break { .. } | Motion::NewLine { .. } if self.text_end() > self.cursor => None,
            // What is opened is below all rows of the text.
            Motion::Open { .. } if self.is_full() => None,
            Motion::Open { bottom } | Motion::Break { bottom } | Motion::NewLine { bottom } => {
                let line = self.below(*bottom, frame).filter(|_| {
                    self.first_row(frame).is_some_and(|first| first.begins_at_the_left())
                })?;
                // A picture in which what stood there hasn't gone yet is another one.
                let moved = line.right_edge();
                Some(Self { moved, ..line.after_line(self.clone()) })
            }
            Motion::To(spot) => {
                let line = self.in_row(spot.row, &spot.label, spot.is_empty, frame)?;
                let is_same_row = spot.row == self.row_in(frame);
                Some(if is_same_row {
                    Self { before: self.before.clone(), ..line }
                } else {
                    line.after_line(self.clone())
                })
            }
        }
    }

    /// A new line below; at the bottom, all above goes up by a row.
    pub(super) fn below(&self, bottom: u16, frame: &Frame) -> Option<Self> {
        let row = self.row_in(frame);
        let has_scrolled = row + 1 >= bottom;
        let line = self.in_row(if has_scrolled { row } else { row + 1 }, "", false, frame)?;
        Some(Self { has_scrolled, ..line })
    }

    /// This line, typed in after `before` was left so.
    pub(super) fn after_line(self, mut before: Self) -> Self {
        if before.lines_before() >= LINES_MAX {
            before.before = None;
        }
        Self { before: Some(before.into()), ..self }
    }

    fn lines_before(&self) -> usize {
        std::iter::successors(self.before.as_deref(), |line| line.before.as_deref()).count()
    }

    /// The row that it stands in.
    pub(super) fn row_in(&self, frame: &Frame) -> u16 {
        self.row.unwrap_or(frame.cursor().row)
    }

    /// The row in the same pane with nothing but a label in it, or, if it has to be so already, only
    /// then.
    fn in_row(&self, row: u16, label: &str, is_empty: bool, frame: &Frame) -> Option<Self> {
        let left = self.left_edge();
        if row >= frame.size().rows {
            return None;
        }
        let mut line = Self { row: Some(row), ..Self::of_row(frame, row, left) };
        let right = line.right_edge();
        let cursor = left + label.chars().count();
        if line.left_edge() != left || cursor >= right {
            return None;
        }
        if is_empty && line.text() != label.trim_end() {
            return None;
        }
        if !is_empty {
            let labels = label.chars().map(|c| Slot { text: c.into(), ..Slot::blank() });
            let blanks = std::iter::repeat_with(Slot::blank);
            line.slots.splice(left..right, labels.chain(blanks).take(right - left));
        }
        Some(Self { cursor, start: cursor, end: cursor, ..line })
    }

    /// Where its last character ends.
    fn text_end(&self) -> usize {
        let (left, right) = (self.left_edge(), self.right_edge());
        let last = self.slots[left..right].iter().rposition(|slot| !slot.is_blank());
        last.map_or(left, |last| left + last + 1)
    }

    /// The first row of the text that goes on in this one over the margin; `None` if it is far above.
    fn first_row(&self, frame: &Frame) -> Option<Self> {
        let mut line = self.clone();
        for _ in 0..TEXT_ROWS_MAX {
            let before = line.before.as_deref().cloned();
            let above = || {
                let row = line.row_in(frame).checked_sub(1)?;
                Some(Self { row: Some(row), ..Self::of_row(frame, row, line.left_edge()) })
            };
            match before.or_else(above).filter(Self::is_full) {
                Some(above) => line = above,
                None => return Some(line),
            }
        }
        None
    }

    /// Whether an editor has no reason to begin the next line elsewhere than at the left: this one has
    /// no indentation, is no item of a list and no comment.
    fn begins_at_the_left(&self) -> bool {
        let first = self.slots.get(self.left_edge()).and_then(|slot| slot.text.chars().next());
        let opens = |slot: &Slot| matches!(slot.text.as_str(), "{" | "(" | "[" | ":");
        let last = self.text_end().checked_sub(1).filter(|last| *last >= self.left_edge());
        let is_word = first.is_some_and(char::is_alphanumeric);
        is_word && !last.is_some_and(|last| opens(&self.slots[last])) || self.is_empty()
    }
}
