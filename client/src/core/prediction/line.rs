//! The line that somebody types in, and what a key makes of it if the program does as most do.

use crate::core::prediction::key::{Edit, Key};
use std::sync::Arc;
use tern_term::{Attrs, Color, Frame, Style};

/// Blanks between two texts in a row that don't move together.
const GAP_MIN: usize = 8;

/// What stands in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// Empty for the right half of a wide character.
    pub(super) text: String,
    pub(super) style: Style,
    pub(super) is_wide: bool,
    /// The border between two panes, or of a box.
    pub(super) is_border: bool,
}

impl Slot {
    pub(super) fn blank() -> Self {
        Self { text: " ".into(), style: Style::PLAIN, is_wide: false, is_border: false }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text == " "
    }
}

/// Whether there is a border in this column. A bar is one only if it goes on above and below.
fn is_border(frame: &Frame, col: u16, row: u16, text: &str) -> bool {
    let has_bar = |row: u16| {
        let mut text = String::new();
        frame.cell(col, row).push_text(&mut text);
        text == "|"
    };
    match text {
        "│" | "┃" | "║" => true,
        "|" => {
            let (above, below) = (row.checked_sub(1), row + 1);
            above.is_none_or(has_bar) && (below >= frame.size().rows || has_bar(below))
        }
        _ => false,
    }
}

/// Where the pane begins that this place is in.
pub(super) fn left_edge(frame: &Frame, row: u16, at: u16) -> usize {
    let mut text = String::new();
    let border = (0..at.min(frame.size().cols)).rev().find(|col| {
        text.clear();
        frame.cell(*col, row).push_text(&mut text);
        is_border(frame, *col, row, &text)
    });
    border.map_or(0, |border| usize::from(border) + 1)
}

/// A row, the cursor in it, and the part of it that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) slots: Vec<Slot>,
    /// Its row, if it isn't the one with the true cursor.
    pub(super) row: Option<u16>,
    /// The line that was typed in before, as it was left.
    pub(super) before: Option<Arc<Self>>,
    /// All above it went up by a row.
    pub(super) has_scrolled: bool,
    pub(super) cursor: usize,
    /// Where what is typed begins: nothing is deleted before it.
    pub(super) start: usize,
    /// A prompt that is known ends at `start`.
    pub(super) is_at_prompt: bool,
    /// Where what is typed ends.
    pub(super) end: usize,
    /// Up to here keys have moved what stood there.
    pub(super) moved: usize,
}

impl Line {
    /// The line with the cursor. What `typed` columns left of it hold was typed.
    pub(super) fn of(frame: &Frame, typed: usize) -> Self {
        let cursor = frame.cursor();
        let mut line = Self::of_row(frame, cursor.row, usize::from(cursor.col));
        // vi's sign of a row behind the text stays there until something is typed.
        if line.cursor == line.left_edge() && line.text() == "~" {
            line.slots[line.cursor] = Slot::blank();
        }
        Self { start: line.cursor.saturating_sub(typed), ..line }
    }

    /// Any row, as if the cursor were in column `at`.
    pub(super) fn of_row(frame: &Frame, row: u16, at: usize) -> Self {
        let slots = (0..frame.size().cols).map(|col| {
            let cell = frame.cell(col, row);
            let mut text = String::new();
            cell.push_text(&mut text);
            let is_border = is_border(frame, col, row, &text);
            Slot { text, style: cell.style.clone(), is_wide: cell.width() == 2, is_border }
        });
        Self {
            slots: slots.collect(),
            row: None,
            before: None,
            has_scrolled: false,
            cursor: at,
            start: at,
            is_at_prompt: false,
            end: at,
            moved: 0,
        }
    }

    /// Whether something stands in the pane's last column.
    pub(super) fn is_full(&self) -> bool {
        let last = self.right_edge().checked_sub(1);
        last.is_some_and(|last| !self.slots[last].is_blank())
    }

    /// The same line, in which what is typed begins behind a known prompt of so many columns.
    pub(super) fn at_prompt(self, width: usize) -> Self {
        let start = (self.left_edge() + width).min(self.cursor);
        let is_typed = |slot: &Slot| !slot.is_blank() && !is_suggestion(&slot.style);
        let room = &self.slots[self.cursor..self.right_edge()];
        let rest = room.iter().rposition(is_typed).map_or(0, |last| last + 1);
        // What a shell has at the right edge isn't what is typed.
        let rest = if has_gap(&room[..rest]) { 0 } else { rest };
        Self { start, is_at_prompt: true, end: self.end.max(self.cursor + rest), ..self }
    }

    /// The same line as it is now, of which this was typed in.
    pub(super) fn refreshed(&self, frame: &Frame) -> Self {
        let Self { cursor, start, is_at_prompt, end, .. } = *self;
        Self { cursor, start, is_at_prompt, end, ..Self::of(frame, 0) }
    }

    /// Whether the picture shows this line, as far as it was typed, with the cursor there.
    pub(super) fn is_shown_by(&self, frame: &Frame) -> bool {
        let cursor = frame.cursor();
        if usize::from(cursor.col) != self.cursor
            || usize::from(frame.size().cols) != self.slots.len()
            || self.row.is_some_and(|row| row != cursor.row)
        {
            return false;
        }
        let mut text = String::new();
        // What stood at the cursor has to have made room: a cursor that moves over a letter looks like
        // one behind the same letter, typed.
        (self.left_edge()..self.end.max(self.moved)).all(|col| {
            text.clear();
            frame.cell(col as u16, cursor.row).push_text(&mut text);
            text == self.slots[col].text
        })
    }

    /// Where the pane begins that the line is in.
    pub(super) fn left_edge(&self) -> usize {
        let border = self.slots[..self.start].iter().rposition(|slot| slot.is_border);
        border.map_or(0, |border| border + 1)
    }

    /// Where it ends.
    pub(super) fn right_edge(&self) -> usize {
        let right = self.slots[self.cursor..].iter();
        self.cursor + right.take_while(|slot| !slot.is_border).count()
    }

    /// The cursor's column in its pane.
    pub(super) fn column(&self) -> usize {
        self.cursor - self.left_edge()
    }

    /// Columns from the cursor to the pane's margin.
    pub(super) fn columns_left(&self) -> usize {
        self.right_edge() - self.cursor
    }

    /// Columns left of where the typing began.
    pub(super) fn prompt_width(&self) -> usize {
        self.start - self.left_edge()
    }

    /// What stands left of the cursor.
    pub(super) fn text_before(&self) -> String {
        let left = &self.slots[self.left_edge()..self.cursor];
        left.iter().map(|slot| slot.text.as_str()).collect()
    }

    /// The part of it behind the last blank.
    pub(super) fn last_word(&self) -> String {
        let text = self.text_before();
        text.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    /// Whether nothing stands at the cursor or right of it.
    pub(super) fn ends_blank(&self) -> bool {
        self.slots[self.cursor..self.right_edge()].iter().all(Slot::is_blank)
    }

    /// Whether it looks like a text: no part of it is coloured or reversed.
    pub(super) fn is_plain(&self) -> bool {
        let slots = &self.slots[self.left_edge()..self.right_edge()];
        slots.iter().all(|slot| slot.style == Style::PLAIN)
    }

    /// Whether letters and digits end at the cursor, behind a blank or where the typing began.
    pub(super) fn ends_with_plain_word(&self) -> bool {
        let typed = self.slots[self.start.min(self.cursor)..self.cursor].iter().rev();
        let mut word = typed.take_while(|slot| !slot.is_blank()).peekable();
        let is_plain = |slot: &Slot| slot.text.chars().all(char::is_alphanumeric);
        word.peek().is_some() && word.all(is_plain)
    }

    /// What stands left of where the typing began.
    pub(super) fn label(&self) -> String {
        let left = &self.slots[self.left_edge()..self.start];
        left.iter().map(|slot| slot.text.as_str()).collect()
    }

    /// The same without blanks at its end.
    pub(super) fn prompt(&self) -> String {
        self.label().trim_end().to_owned()
    }

    /// Whether something was typed in it.
    pub(super) fn has_text(&self) -> bool {
        self.end > self.start
    }

    /// Whether something was typed in it behind a known prompt.
    pub(super) fn has_text_at_prompt(&self) -> bool {
        self.is_at_prompt && self.has_text()
    }

    /// All that stands in it, in its pane, without blanks at its end.
    pub(super) fn text(&self) -> String {
        let slots = &self.slots[self.left_edge()..self.right_edge()];
        let text: String = slots.iter().map(|slot| slot.text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// Whether the row above goes on to the margin, and what stands here may either continue it, and give
    /// way, or be the next line, which goes down.
    pub(super) fn may_be_the_next(&self, frame: &Frame) -> bool {
        let is_first = self.row.is_none() && self.cursor == self.left_edge();
        is_first && self.is_inserting() && self.is_below_a_full_one(frame)
    }

    /// Whether the row above goes on to the margin.
    pub(super) fn is_below_a_full_one(&self, frame: &Frame) -> bool {
        let above = self.row_in(frame).checked_sub(1);
        above.is_some_and(|above| Self::of_row(frame, above, self.left_edge()).is_full())
    }

    /// Whether nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.slots[self.left_edge()..self.right_edge()].iter().all(Slot::is_blank)
    }

    /// How many columns left of the cursor hold exactly this text; `None` if they hold another.
    pub(super) fn columns_of(&self, text: &str) -> Option<usize> {
        let (mut rest, mut at) = (text, self.cursor);
        while !rest.is_empty() {
            at = at.checked_sub(1)?;
            rest = rest.strip_suffix(self.slots[at].text.as_str())?;
        }
        Some(self.cursor - at)
    }

    /// The column of the cursor.
    pub(super) fn cursor_col(&self) -> u16 {
        self.cursor as u16
    }

    /// What the key makes of it; `None` if that can't be known.
    pub(super) fn after(&self, key: &Key) -> Option<Self> {
        match key {
            Key::Char { text, is_wide } => self.after_char(text, *is_wide),
            Key::Backspace => self.after_backspace(),
            Key::Left => {
                let cursor = self.left_of_typed()?;
                Some(Self { cursor, ..self.clone() })
            }
            Key::Right if self.cursor < self.end => {
                let cursor = self.cursor + 1 + usize::from(self.slots[self.cursor].is_wide);
                // Beyond the margin it goes on elsewhere.
                (cursor < self.right_edge()).then(|| Self { cursor, ..self.clone() })
            }
            Key::Edit(edit) => self.after_edit(*edit),
            Key::Right | Key::Other { .. } => None,
        }
    }

    fn after_char(&self, text: &str, is_wide: bool) -> Option<Self> {
        let width = 1 + usize::from(is_wide);
        // At the margin programs do as they please.
        if self.cursor + width >= self.right_edge() {
            return None;
        }
        let mut line = self.clone();
        if self.is_inserting() {
            let border = self.border()?;
            let room = &self.slots[border.checked_sub(width)?..border];
            // What has no room any more goes to the next row, or out of sight.
            let is_full = border == self.right_edge() && self.is_full();
            let has_room = room.iter().all(Slot::is_blank) || is_full && width == 1;
            if border < self.cursor + width || !has_room {
                return None;
            }
            line.slots[self.cursor..border].rotate_right(width);
            line.moved = self.moved.max(border);
        } else if width == 2 && !self.slots[self.cursor + 1].is_blank() && self.cursor < self.end {
            return None;
        }
        let left = self.cursor.checked_sub(1).map(|left| &self.slots[left]);
        let style = left.filter(|_| self.cursor > self.start).map(|slot| slot.style.clone());
        let style = style.unwrap_or_else(|| self.slots[self.cursor].style.clone());
        let style = if is_suggestion(&style) { Style::PLAIN } else { style };
        line.slots[self.cursor] =
            Slot { text: text.into(), style: style.clone(), is_wide, ..Slot::blank() };
        if is_wide {
            line.slots[self.cursor + 1] = Slot { text: String::new(), style, ..Slot::blank() };
        }
        let end = if self.cursor < self.end { self.end } else { self.cursor };
        line.end = (end + width).min(self.right_edge());
        line.cursor += width;
        Some(line)
    }

    /// Whether there is text at the cursor that gives way. What a shell suggests doesn't.
    fn is_inserting(&self) -> bool {
        if self.cursor < self.end {
            return true;
        }
        let Some(slot) = self.slots.get(self.cursor) else { return false };
        !slot.is_blank() && !slot.is_border && !is_suggestion(&slot.style)
    }

    fn after_backspace(&self) -> Option<Self> {
        self.without(self.left_of_typed()?)
    }

    /// What stands from `at` to the cursor is deleted.
    fn without(&self, at: usize) -> Option<Self> {
        let width = self.cursor - at;
        let mut line = self.clone();
        let border = if self.is_inserting() { self.border()? } else { self.cursor };
        line.slots[at..border].rotate_left(width);
        if border > self.cursor {
            line.moved = self.moved.max(border);
        }
        for slot in &mut line.slots[border - width..border] {
            *slot = Slot::blank();
        }
        (line.cursor, line.end) = (at, self.end.max(self.cursor) - width);
        Some(line)
    }

    fn after_edit(&self, edit: Edit) -> Option<Self> {
        let is_blank = |at: &usize| self.slots[*at].is_blank();
        match edit {
            Edit::ToBegin if self.is_at_prompt => Some(Self { cursor: self.start, ..self.clone() }),
            Edit::ToEnd if self.end < self.right_edge() && is_blank(&self.end) => {
                Some(Self { cursor: self.end, ..self.clone() })
            }
            Edit::DeleteToBegin if self.is_at_prompt => self.without(self.start),
            Edit::DeleteWord => {
                let left = (self.start..self.cursor).rev();
                let blanks = left.clone().take_while(is_blank).count();
                let word = left.skip(blanks).take_while(|at| !is_blank(at)).count();
                let at = self.cursor - blanks - word;
                // The word may begin before what is known.
                if at > self.start || self.is_at_prompt { self.without(at) } else { None }
            }
            Edit::ToBegin | Edit::ToEnd | Edit::DeleteToBegin => None,
        }
    }

    /// Where the character left of the cursor begins, if it was typed. (A wide one may stand half in the
    /// prompt, if that has changed.)
    fn left_of_typed(&self) -> Option<usize> {
        let at = self.left_of(self.cursor);
        (self.start..self.cursor).contains(&at).then_some(at)
    }

    fn left_of(&self, col: usize) -> usize {
        let at = col.saturating_sub(1);
        if self.slots[at].text.is_empty() { at.saturating_sub(1) } else { at }
    }

    /// Where the text at the cursor ends: behind its first blank of two, before a border, at the
    /// margin. `None`: what follows the blanks may belong to it.
    fn border(&self) -> Option<usize> {
        let margin = self.right_edge();
        let from = self.cursor.max(self.end.min(margin));
        let blanks =
            |from: usize| self.slots[from..margin].iter().take_while(|s| s.is_blank()).count();
        let Some(at) = (from..margin).find(|at| self.slots[*at].is_blank() && blanks(*at) != 1)
        else {
            return Some(margin);
        };
        let gap = blanks(at);
        (gap >= GAP_MIN || at + gap == margin).then_some((at + 2).min(margin))
    }
}

/// Whether a text has a part that belongs to something else.
fn has_gap(slots: &[Slot]) -> bool {
    slots.windows(GAP_MIN).any(|gap| gap.iter().all(Slot::is_blank))
}

/// What shells (fish, zsh) suggest is grey.
fn is_suggestion(style: &Style) -> bool {
    let is_grey = match style.fg {
        Color::Ansi(number) => number == 8,
        Color::Indexed(number) => number == 8 || (232..=250).contains(&number),
        Color::Rgb(red, green, blue) => red == green && green == blue && (40..200).contains(&red),
        Color::Default => false,
    };
    is_grey || style.attrs.contains(Attrs::DIM)
}
