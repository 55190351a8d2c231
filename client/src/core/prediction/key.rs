//! Keys as far as their effect on a line can be foretold.

use unicode_width::UnicodeWidthChar;

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A character of its own.
    Char {
        /// It alone.
        text: String,
        /// Whether it takes two columns.
        is_wide: bool,
    },
    /// Deletes to the left.
    Backspace,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// Edits the line as readline does, if the program does.
    Edit(Edit),
    /// Whatever else.
    Other {
        /// The program may read keys otherwise from here on (Escape in vi).
        changes_mode: bool,
        /// Enter.
        is_enter: bool,
        /// The line may be another one after it. (Completion and history change it where it is.)
        may_leave_line: bool,
    },
}

/// How readline edits a line, and many others do (emacs, forms, chats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edit {
    /// Control-A, Home.
    ToBegin,
    /// Control-E, End.
    ToEnd,
    /// Control-U.
    DeleteToBegin,
    /// Control-W: up to the blank before.
    DeleteWord,
}

impl Key {
    /// A whole key as a terminal sends it.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x7f | 0x08] => return Self::Backspace,
            b"\x1b[D" | b"\x1bOD" => return Self::Left,
            b"\x1b[C" | b"\x1bOC" => return Self::Right,
            [b'\r' | b'\n'] => {
                return Self::Other { changes_mode: false, is_enter: true, may_leave_line: true };
            }
            [0x01] | b"\x1b[H" | b"\x1bOH" => return Self::Edit(Edit::ToBegin),
            [0x05] | b"\x1b[F" | b"\x1bOF" => return Self::Edit(Edit::ToEnd),
            [0x15] => return Self::Edit(Edit::DeleteToBegin),
            [0x17] => return Self::Edit(Edit::DeleteWord),
            // Tab, history, and what shells edit lines by. The line is the same one after it, or a
            // new one.
            [b'\t' | 0x0e | 0x10] => return Self::other(false, false),
            b"\x1b[A" | b"\x1b[B" | b"\x1bOA" | b"\x1bOB" | b"\x1b[3~" => {
                return Self::other(false, false);
            }
            [0x03 | 0x04 | 0x0b | 0x0c] => return Self::other(false, true),
            _ => {}
        }
        let mut chars = std::str::from_utf8(bytes).unwrap_or_default().chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => match c.width() {
                Some(width @ (1 | 2)) => Self::Char { text: c.into(), is_wide: width == 2 },
                // It joins what stands left of it, or is none.
                _ => Self::other(true, true),
            },
            _ => Self::other(true, true),
        }
    }

    fn other(changes_mode: bool, may_leave_line: bool) -> Self {
        Self::Other { changes_mode, is_enter: false, may_leave_line }
    }

    /// Whether what stands at the cursor after it may be another line.
    pub(super) fn may_leave_line(&self) -> bool {
        matches!(self, Self::Other { may_leave_line: true, .. })
    }

    /// Its text, if it is a character.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Char { text, .. } => Some(text),
            Self::Backspace | Self::Left | Self::Right | Self::Edit(_) | Self::Other { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let char = |text: &str, is_wide| Key::Char { text: text.into(), is_wide };
        assert_eq!(Key::of(b"a"), char("a", false));
        assert_eq!(Key::of("漢".as_bytes()), char("漢", true));
        assert_eq!(Key::of(b"\x7f"), Key::Backspace);
        assert_eq!(Key::of(b"\x1b[D"), Key::Left);
        assert_eq!(Key::of(b"\x1bOC"), Key::Right);
        assert_eq!(Key::of(b"\x15"), Key::Edit(Edit::DeleteToBegin));
        assert_eq!(Key::of(b"\x1bOF"), Key::of(b"\x05"));
        let other = |changes_mode, is_enter, may_leave_line| Key::Other {
            changes_mode,
            is_enter,
            may_leave_line,
        };
        assert_eq!(Key::of(b"\r"), other(false, true, true));
        assert_eq!(Key::of(b"\n"), Key::of(b"\r"));
        assert_eq!(Key::of(b"\t"), other(false, false, false));
        assert_eq!(Key::of(b"\x03"), other(false, false, true));
        for other in [b"\x1b".as_slice(), b"\x1b[200~", b"\xff", "\u{301}".as_bytes(), b"\x02"] {
            assert_eq!(
                Key::of(other),
                Key::Other { changes_mode: true, is_enter: false, may_leave_line: true }
            );
        }
    }
}
