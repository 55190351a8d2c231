//! Where a program wraps what is typed: most of mosh's wrong predictions were a word that went to the
//! next line before the terminal's margin.
//!
//! Programs that wrap words do it somewhere from column 72 on, or shortly before the margin. There
//! nothing is foretold until it was seen once what this program does; but for a line behind a shell's prompt,
//! which goes on to the margin. A wrap at a single key tells the column exactly.

use super::key::Key;
use super::line::{Line, Slot};
use super::mode_line::inserting_row;
use tern_term::{Frame, KeyTarget};
use unicode_width::UnicodeWidthStr;

/// Columns of a line in which the usual widths end: 72 (mails, commit messages) to 80.
const USUAL: std::ops::RangeInclusive<usize> = 71..=80;
/// Columns before the margin in which programs wrap words, with what they keep free.
const BEFORE_MARGIN: usize = 9;
/// A line that is shorter has not been wrapped because it was full.
const WRAP_COLUMN_MIN: usize = 30;

/// How often a line has to have wrapped beyond a column until it is foretold that one does.
const COUNT_MIN: u32 = 2;

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Margin {
    /// Nothing.
    #[default]
    Unknown,
    /// Lines go on to the terminal's margin.
    Free,
    /// Lines were seen to wrap beyond this column, or a later one.
    At { column: usize, count: u32 },
}

impl Margin {
    /// Whether a character may be foretold at the line's cursor, which is behind a prompt for sure, or isn't.
    pub(super) fn has_room(self, line: &Line, is_prompted: bool, target: KeyTarget) -> bool {
        let (at, left) = (line.column(), line.columns_left());
        match self {
            // The kernel wraps nothing but at the margin.
            _ if target == KeyTarget::Echoed || at < WRAP_COLUMN_MIN => true,
            Self::Unknown if is_prompted => left > 1,
            Self::Unknown => !USUAL.contains(&at) && left > BEFORE_MARGIN,
            Self::Free => true,
            Self::At { column, .. } => at < column,
        }
    }

    /// A character in the last column: what is typed next goes to the row below.
    pub(super) fn at_the_edge(self, line: &Line, text: &str, frame: &Frame) -> Option<Line> {
        let is_last = line.columns_left() == 1 && line.cursor >= line.end && text.width() == 1;
        if !is_last || !line.ends_blank() || !matches!(self, Self::Free) {
            return None;
        }
        let mut full = line.clone();
        full.slots[line.cursor] = Slot { text: text.into(), ..Slot::blank() };
        let below = line.below(bottom(line, frame)?, frame)?;
        Some(below.after_line(full))
    }

    /// A character for which the line has no room: its word goes to the row below. A blank stays.
    pub(super) fn with_wrapped_word(self, line: &Line, text: &str, frame: &Frame) -> Option<Line> {
        let word = line.last_word();
        let is_known = matches!(self, Self::At { count: COUNT_MIN.., .. });
        let width = word.chars().count();
        let is_movable = width < line.column() && line.cursor >= line.end && line.ends_blank();
        if !is_known || !is_movable || word.width() != width {
            return None;
        }
        if text == " " {
            let is_first_blank = !word.is_empty() && line.columns_left() > 1;
            return is_first_blank.then(|| line.after(&Key::of(b" "))).flatten();
        }
        let mut left = line.clone();
        left.slots[line.cursor - width..line.cursor].fill(Slot::blank());
        let below = line.below(bottom(line, frame)?, frame)?.after_line(left);
        let text = word.chars().chain(text.chars()).map(|c| Key::of(c.to_string().as_bytes()));
        text.into_iter().try_fold(below, |line, key| line.after(&key))
    }

    /// A word, or a new one, went to the next row when so many characters were typed at the end of `old`.
    fn note_wrap(&mut self, old: &Line, has_word: bool, typed: usize) {
        let column = old.column();
        *self = match *self {
            _ if has_word && typed == 1 => Self::At { column, count: COUNT_MIN },
            Self::At { column: known, count } if has_word => {
                Self::At { column: known.max(column), count: count + 1 }
            }
            // A blank may stand beyond the column.
            Self::At { column: known, count } if typed == 1 && known.abs_diff(column) <= 1 => {
                Self::At { column: known.min(column), count: count + 1 }
            }
            Self::Unknown | Self::Free if has_word || typed == 1 => Self::At { column, count: 1 },
            known => known,
        };
    }

    /// A text, and nothing but a text, was typed here between two pictures.
    pub(super) fn learn(&mut self, before: &Frame, after: &Frame) {
        let (old, new) = (Line::of(before, 0), Line::of(after, 0));
        let (row, next) = (before.cursor().row, after.cursor().row);
        let is_next = next == row + 1 || next == row && new.column() < old.column();
        if is_next && old.column() >= WRAP_COLUMN_MIN {
            let above = Line::of_row(after, next.saturating_sub(1), new.left_edge());
            let word = old.last_word();
            if above.is_full() {
                *self = Self::Free;
            } else if let Some(typed) = new.text_before().trim_start().strip_prefix(&word) {
                self.note_wrap(&old, !word.is_empty(), typed.chars().count());
            }
        } else if next == row && new.column() == old.column() + 1 {
            let is_beyond = new.column() > *USUAL.end() || new.columns_left() <= 1;
            match self {
                Self::Unknown if is_beyond => *self = Self::Free,
                // The word before had begun earlier, or several keys came at once.
                Self::At { column, count }
                    if *column < new.column() && !new.text_before().ends_with(' ') =>
                {
                    (*column, *count) = (new.column(), 1);
                }
                Self::Unknown | Self::Free | Self::At { .. } => {}
            }
        }
    }
}

/// The row below those that the line's text may be in; `None` if its next row is somebody else's.
pub(super) fn bottom(line: &Line, frame: &Frame) -> Option<u16> {
    let (next, rows) = (line.row_in(frame) + 1, frame.size().rows);
    if next >= rows {
        return Some(rows);
    }
    let below = Line::of_row(frame, next, line.left_edge());
    // An editor moves the text that is below, but not its status line.
    let mode_line = inserting_row(frame).filter(|row| next <= *row);
    if mode_line.is_some_and(|row| next == row || below.is_plain()) {
        return mode_line;
    }
    // vi marks what is behind the end of its text so.
    if below.is_empty() || below.text() == "~" {
        return Some(rows);
    }
    // The last row is the multiplexer's.
    (next + 1 == rows).then_some(next)
}
