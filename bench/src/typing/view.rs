//! What a terminal shows where somebody types: the cursor, and the text of its row. All outputs are
//! read by the same emulator (`vt100`), which is neither Tern's nor mosh's.

use super::programs::SIZE;
use std::num::NonZeroU16;

/// The cursor and its row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// From 0.
    pub row: u16,
    /// From 0.
    pub col: u16,
    /// Without blanks at its end.
    pub text: String,
}

impl View {
    /// Of a terminal's screen.
    fn of(screen: &vt100::Screen) -> Self {
        let (row, col) = screen.cursor_position();
        let text = screen.rows(0, SIZE.0).nth(usize::from(row)).unwrap_or_default();
        Self { row, col, text: text.trim_end().to_owned() }
    }

    /// The same of Tern's own picture.
    pub(crate) fn of_frame(frame: &tern_term::Frame) -> Self {
        let cursor = frame.cursor();
        let mut text = String::new();
        for col in 0..frame.size().cols {
            frame.cell(col, cursor.row).push_text(&mut text);
        }
        Self { row: cursor.row, col: cursor.col, text: text.trim_end().to_owned() }
    }

    /// Whether `key`, typed at `before`, has put its own character here: what a person expects who
    /// types a letter.
    pub(crate) fn echoes(&self, key: &[u8], before: &Self) -> bool {
        let mut chars = std::str::from_utf8(key).unwrap_or_default().chars();
        let (Some(c), None) = (chars.next(), chars.next()) else { return false };
        let is_next = self.row == before.row && self.col == before.col + 1;
        // All that is typed in the corpus takes one column.
        let found = self.text.chars().nth(usize::from(before.col)).unwrap_or(' ');
        !c.is_control() && is_next && found == c
    }
}

/// Reads output.
pub(crate) struct Eye(vt100::Parser);

impl Eye {
    /// On an empty terminal with so many rows.
    pub(crate) fn new(rows: u16) -> Self {
        let size = |count| NonZeroU16::new(count).expect("a terminal has rows and columns");
        Self(vt100::Parser::new(size(rows), size(SIZE.0), 0))
    }

    /// Output came.
    pub(crate) fn handle_output(&mut self, bytes: &[u8]) -> View {
        self.0.process(bytes);
        self.view()
    }

    /// What it shows now.
    pub(crate) fn view(&self) -> View {
        View::of(self.0.screen())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_is_the_typed_character_left_of_the_cursor() {
        let mut eye = Eye::new(SIZE.1);
        let before = eye.handle_output("$ ü".as_bytes());
        assert_eq!(before, View { row: 0, col: 3, text: "$ ü".into() });
        let after = eye.handle_output(b"x");
        assert!(after.echoes(b"x", &before));
        assert!(!after.echoes(b"y", &before) && !after.echoes(b"\x7f", &before));
        let masked = eye.handle_output(b"*");
        assert!(!masked.echoes(b"p", &after));
        assert!(!eye.handle_output(b"\r\n").echoes(b"\r", &masked));
    }
}
