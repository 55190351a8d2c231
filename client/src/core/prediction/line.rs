//! The line that somebody types in, and what a key makes of it if the program does as most do.

use crate::core::prediction::key::Key;
use tern_term::{Attrs, Cell, Color, Content, Frame, Style, Underline};

/// What stands in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    /// Empty for the right half of a wide character.
    text: String,
    style: Style,
    is_wide: bool,
}

impl Slot {
    fn blank() -> Self {
        Self { text: " ".into(), style: Style::PLAIN, is_wide: false }
    }

    fn is_blank(&self) -> bool {
        self.text == " "
    }

    /// The border between two panes, or of a box.
    fn is_border(&self) -> bool {
        matches!(self.text.as_str(), "│" | "┃" | "║" | "|")
    }
}

/// A row, the cursor in it, and the part of it that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    slots: Vec<Slot>,
    cursor: usize,
    /// Where what is typed begins: nothing is deleted before it.
    start: usize,
    /// Where what is typed ends.
    end: usize,
}

impl Line {
    /// The line with the cursor. What `typed` columns left of it hold was typed.
    pub(super) fn of(frame: &Frame, typed: usize) -> Self {
        let (cursor, cols) = (frame.cursor(), frame.size().cols);
        let slots = (0..cols).map(|col| {
            let cell = frame.cell(col, cursor.row);
            let mut text = String::new();
            cell.push_text(&mut text);
            Slot { text, style: cell.style.clone(), is_wide: cell.width() == 2 }
        });
        let at = usize::from(cursor.col);
        Self { slots: slots.collect(), cursor: at, start: at.saturating_sub(typed), end: at }
    }

    /// The same line as it is now, of which this was typed in.
    pub(super) fn refreshed(&self, frame: &Frame) -> Self {
        let now = Self::of(frame, 0);
        Self { slots: now.slots, ..self.clone() }
    }

    /// Whether the picture shows this line, as far as it was typed, with the cursor there.
    pub(super) fn is_shown_by(&self, frame: &Frame) -> bool {
        let cursor = frame.cursor();
        if usize::from(cursor.col) != self.cursor
            || usize::from(frame.size().cols) != self.slots.len()
        {
            return false;
        }
        let mut text = String::new();
        (self.start..self.end).all(|col| {
            text.clear();
            frame.cell(col as u16, cursor.row).push_text(&mut text);
            text == self.slots[col].text
        })
    }

    /// What stands left of where the typing began, without blanks at its end.
    pub(super) fn prompt(&self) -> String {
        let text: String = self.slots[..self.start].iter().map(|slot| slot.text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// Whether nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(Slot::is_blank)
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
    pub(super) fn cursor(&self) -> u16 {
        self.cursor as u16
    }

    /// What the key makes of it; `None` if that can't be known.
    pub(super) fn after(&self, key: &Key) -> Option<Self> {
        match key {
            Key::Char { text, is_wide } => self.after_char(text, *is_wide),
            Key::Backspace => self.after_backspace(),
            Key::Left if self.cursor > self.start => {
                let cursor = self.left_of(self.cursor);
                Some(Self { cursor, ..self.clone() })
            }
            Key::Right if self.cursor < self.end => {
                let width = 1 + usize::from(self.slots[self.cursor].is_wide);
                Some(Self { cursor: self.cursor + width, ..self.clone() })
            }
            Key::Left | Key::Right | Key::Other { .. } => None,
        }
    }

    fn after_char(&self, text: &str, is_wide: bool) -> Option<Self> {
        let width = 1 + usize::from(is_wide);
        // At the margin programs do as they please.
        if self.cursor + width >= self.slots.len() {
            return None;
        }
        let mut line = self.clone();
        if self.is_inserting() {
            let border = self.border();
            let room = &self.slots[border.checked_sub(width)?..border];
            if border < self.cursor + width || !room.iter().all(Slot::is_blank) {
                return None;
            }
            line.slots[self.cursor..border].rotate_right(width);
        } else if width == 2 && !self.slots[self.cursor + 1].is_blank() && self.cursor < self.end {
            return None;
        }
        let left = self.cursor.checked_sub(1).map(|left| &self.slots[left]);
        let style = left.filter(|_| self.cursor > self.start).map(|slot| slot.style.clone());
        let style = style.unwrap_or_else(|| self.slots[self.cursor].style.clone());
        let style = if is_suggestion(&style) { Style::PLAIN } else { style };
        line.slots[self.cursor] = Slot { text: text.into(), style: style.clone(), is_wide };
        if is_wide {
            line.slots[self.cursor + 1] = Slot { text: String::new(), style, is_wide: false };
        }
        line.end = if self.cursor < self.end { self.end + width } else { self.cursor + width };
        line.cursor += width;
        Some(line)
    }

    /// Whether there is text at the cursor that gives way. What a shell suggests doesn't.
    fn is_inserting(&self) -> bool {
        let slot = &self.slots[self.cursor];
        if self.cursor < self.end {
            return true;
        }
        !slot.is_blank() && !slot.is_border() && !is_suggestion(&slot.style)
    }

    fn after_backspace(&self) -> Option<Self> {
        if self.cursor <= self.start {
            return None;
        }
        let at = self.left_of(self.cursor);
        let width = self.cursor - at;
        let mut line = self.clone();
        let border = if self.is_inserting() { self.border() } else { self.cursor };
        line.slots[at..border].rotate_left(width);
        for slot in &mut line.slots[border - width..border] {
            *slot = Slot::blank();
        }
        (line.cursor, line.end) = (at, self.end.max(self.cursor) - width);
        Some(line)
    }

    fn left_of(&self, col: usize) -> usize {
        let at = col.saturating_sub(1);
        if self.slots[at].text.is_empty() { at.saturating_sub(1) } else { at }
    }

    /// Where the text at the cursor ends: behind its first blank of two, before a border, at the
    /// margin.
    fn border(&self) -> usize {
        let from = self.cursor.max(self.end.min(self.slots.len()));
        for at in from..self.slots.len() {
            if self.slots[at].is_border() {
                return at;
            }
            if self.slots[at].is_blank() && self.slots.get(at + 1).is_none_or(Slot::is_blank) {
                return (at + 2).min(self.slots.len());
            }
        }
        self.slots.len()
    }

    /// The picture with this line in it. Columns that it changes are underlined if `is_flagged`.
    pub(super) fn laid_over(&self, frame: &Frame, is_flagged: bool) -> Frame {
        let row = frame.cursor().row;
        let mut text = String::new();
        let styles: Vec<Style> = (0..self.slots.len())
            .map(|col| {
                let slot = &self.slots[col];
                let cell = frame.cell(col as u16, row);
                text.clear();
                cell.push_text(&mut text);
                match (text == slot.text, is_flagged) {
                    // It looks as it does.
                    (true, _) => cell.style.clone(),
                    (false, false) => slot.style.clone(),
                    (false, true) => {
                        let attrs = slot.style.attrs.with_underline(Underline::Single);
                        Style { attrs, ..slot.style.clone() }
                    }
                }
            })
            .collect();
        let cells = self.slots.iter().zip(&styles).filter(|(slot, _)| !slot.text.is_empty());
        let cells = cells.map(|(slot, style)| Cell { content: content(slot), style });
        frame.with_cells((self.cursor(), row), cells)
    }
}

fn content(slot: &Slot) -> Content<'_> {
    let mut chars = slot.text.chars();
    match (chars.next(), chars.next(), slot.is_wide) {
        (Some(c), None, false) => Content::Narrow(c),
        (Some(c), None, true) => Content::Wide(c),
        (_, _, is_wide) => Content::Cluster { text: &slot.text, is_wide },
    }
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
