//! Where a program wraps what is typed: most of mosh's wrong predictions were a word that went to the
//! next line before the terminal's margin.
//!
//! Programs that wrap words do it somewhere from column 72 on, or shortly before the margin. There
//! nothing is foretold until it was seen once what this program does.

use super::line::Line;
use tern_term::{Frame, KeyTarget};

/// Columns of a line in which the usual widths end: 72 (mails, commit messages) to 80.
const USUAL: std::ops::RangeInclusive<usize> = 71..=80;
/// Columns before the margin in which programs wrap words, with what they keep free.
const BEFORE_MARGIN: usize = 9;
/// A line that is shorter has not been wrapped because it was full.
const WRAP_COLUMN_MIN: usize = 30;

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Margin {
    /// Nothing.
    #[default]
    Unknown,
    /// Lines go on to the terminal's margin.
    Free,
    /// Lines were seen to wrap beyond this column.
    At(usize),
}

impl Margin {
    /// Whether a character may be foretold at the line's cursor.
    pub(super) fn has_room(self, line: &Line, target: KeyTarget) -> bool {
        let (at, left) = (line.column(), line.columns_left());
        match self {
            // The kernel wraps nothing but at the margin.
            _ if target == KeyTarget::Echoed || at < WRAP_COLUMN_MIN => true,
            Self::Unknown => !USUAL.contains(&at) && left > BEFORE_MARGIN,
            Self::Free => true,
            Self::At(column) => at < column,
        }
    }

    /// A text, and nothing but a text, was typed between two pictures.
    pub(super) fn learn(&mut self, before: &Frame, after: &Frame) {
        let (old, new) = (Line::of(before, 0), Line::of(after, 0));
        let (row, next) = (before.cursor().row, after.cursor().row);
        let is_next = next == row + 1 || next == row && new.column() < old.column();
        if is_next && old.column() >= WRAP_COLUMN_MIN {
            let above = Line::of_row(after, next.saturating_sub(1), new.left_edge());
            let word = old.last_word();
            if above.is_full() {
                *self = Self::Free;
            } else if !word.is_empty() && new.text_before().trim_start().starts_with(&word) {
                *self = Self::At(old.column());
            }
        } else if next == row && new.column() == old.column() + 1 {
            let is_beyond = new.column() > *USUAL.end() || new.columns_left() <= 1;
            match self {
                Self::Unknown if is_beyond => *self = Self::Free,
                // The word before had begun earlier, or several keys came at once.
                Self::At(column) if *column < new.column() => *self = Self::At(new.column()),
                Self::Unknown | Self::Free | Self::At(_) => {}
            }
        }
    }
}
