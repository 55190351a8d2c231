//! A text with a cursor in it: what both small programs edit.

/// The text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    chars: Vec<char>,
    cursor: usize,
}

impl Entry {
    /// A key that edits; `false` if it is none.
    pub(crate) fn handle_key(&mut self, key: &[u8]) -> bool {
        match key {
            [0x7f | 0x08] if self.cursor == 0 => {}
            [0x7f | 0x08] => {
                self.cursor -= 1;
                self.chars.remove(self.cursor);
            }
            b"\x1b[D" | b"\x1bOD" => self.cursor = self.cursor.saturating_sub(1),
            b"\x1b[C" | b"\x1bOC" => self.cursor = (self.cursor + 1).min(self.chars.len()),
            [0x01] => self.cursor = 0,
            [0x05] => self.cursor = self.chars.len(),
            [0x15] => drop(self.chars.drain(..std::mem::take(&mut self.cursor))),
            // Some other key of the keyboard.
            [0x1b, ..] => return false,
            _ => {
                let text = std::str::from_utf8(key).unwrap_or_default();
                let mut chars = text.chars().filter(|c| !c.is_control());
                let Some(c) = chars.next() else { return false };
                self.insert(c);
            }
        }
        true
    }

    /// A character at the cursor.
    pub(crate) fn insert(&mut self, c: char) {
        self.chars.insert(self.cursor, c);
        self.cursor += 1;
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Characters left of the cursor.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_text() {
        let mut entry = Entry::default();
        for key in ["a", "b", "ü", "\x1b[D", "c", "\x7f", "\x05", "d", "\x01", "e", "\x1b[C"] {
            assert!(entry.handle_key(key.as_bytes()), "{key:?}");
        }
        assert_eq!((entry.text().as_str(), entry.cursor()), ("eabüd", 2));
        assert!(!entry.handle_key(b"\x1b[5~"));
        assert!(entry.handle_key(b"\x15"));
        assert_eq!((entry.text().as_str(), entry.cursor()), ("büd", 0));
        assert!(entry.handle_key(b"\x7f"), "nothing is there to delete");
    }
}
