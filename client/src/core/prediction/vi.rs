//! The modes of vi and its kin, followed by the keys that are typed, so that the first letter of a text
//! is foretold, too: after `A`, or after Enter in a text, no answer has to be waited for.
//!
//! That it is vi shows by its mode line. After whatever isn't understood here (visual mode, macros) or may
//! lead elsewhere (`:q`, `:X`, which asks for a key) nothing is known until the mode line is seen again:
//! what is typed then may be a password.

use super::line::Line;
use super::mode_line::inserting_row;
use super::motion::{Motion, Spot};
use tern_term::Frame;

/// Longest command that is read.
const COMMAND_SIZE_MAX: usize = 256;
/// New lines foretold wrong after which no more are. One that was indented suffices.
const WRONG_LINES_MAX: u32 = 3;

/// What the next key means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Unknown,
    Normal,
    /// `d` and the like want a motion.
    Operator(u8),
    /// One more key belongs to what was typed; then this is the mode.
    Argument(Box<Mode>),
    Insert,
    /// A command, as far as it was typed.
    Command(String),
}

/// The mode, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Vi {
    mode: Mode,
    /// The row of the mode line; `None`: it is no vi, as far as is known.
    bottom: Option<u16>,
    /// New lines that were foretold wrong.
    wrong_lines: u32,
}

impl Vi {
    /// The keys may go to another program now.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// What a motion led to was foretold wrong: `frame` shows the truth.
    pub(super) fn refute(&mut self, motion: &Motion, frame: &Frame) {
        (self.mode, self.bottom) = (Mode::Unknown, None);
        if matches!(motion, Motion::Open { .. } | Motion::Break { .. }) {
            let is_indented = Line::of(frame, 0).text_before().starts_with(' ');
            self.wrong_lines += if is_indented { WRONG_LINES_MAX } else { 1 };
        }
    }

    /// Whether a new line begins at the left, in the row below.
    fn may_open(&self) -> bool {
        self.wrong_lines < WRONG_LINES_MAX
    }

    /// A picture came in which all keys show that were typed, or all but a text.
    /// The mode line stands in this row of it, if it says that letters are inserted.
    pub(super) fn handle_settled(&mut self, inserting_row: Option<u16>) {
        match (inserting_row, &self.mode) {
            (Some(row), _) => (self.mode, self.bottom) = (Mode::Insert, Some(row)),
            (None, Mode::Insert) => (self.mode, self.bottom) = (Mode::Unknown, None),
            (None, _) => {}
        }
    }

    /// A key was typed while `frame` was shown; tells where it moves the cursor, if it begins a text by
    /// that.
    pub(super) fn handle_key(&mut self, bytes: &[u8], frame: &Frame) -> Option<Motion> {
        let bottom = self.bottom?;
        let (mode, motion) = match std::mem::take(&mut self.mode) {
            Mode::Unknown => (Mode::Unknown, None),
            Mode::Insert => {
                // Elsewhere Enter may run what asks for a password.
                let may_break = bytes == b"\r" && self.may_open();
                let breaks = may_break && inserting_row(frame).is_some();
                (after_insert(bytes), breaks.then_some(Motion::Break { bottom }))
            }
            Mode::Argument(then) => (*then, None),
            Mode::Operator(operator) => (after_operator(operator, bytes), None),
            Mode::Command(text) => (after_command(text, bytes), None),
            Mode::Normal => match bytes {
                b"i" => (Mode::Insert, Some(Motion::Here)),
                b"a" => (Mode::Insert, Some(Motion::Behind)),
                b"A" => (Mode::Insert, Some(Motion::ToEnd)),
                b"o" => (Mode::Insert, self.may_open().then_some(Motion::Open { bottom })),
                [text @ (b':' | b'/' | b'?')] => {
                    let label = String::from(char::from(*text));
                    let spot = Spot { row: bottom, label: label.clone(), is_empty: false };
                    (Mode::Command(label), Some(Motion::To(spot)))
                }
                _ => (after_normal(bytes), None),
            },
        };
        if mode == Mode::Unknown {
            self.bottom = None;
        }
        self.mode = mode;
        motion
    }
}

fn after_insert(bytes: &[u8]) -> Mode {
    match bytes {
        b"\x1b" | b"\x03" => Mode::Normal,
        // A single command; a completion; a register.
        [0x0f | 0x12 | 0x16 | 0x18] => Mode::Unknown,
        _ => Mode::Insert,
    }
}

fn after_normal(bytes: &[u8]) -> Mode {
    match bytes {
        [b'I' | b'O' | b's' | b'S' | b'C'] => Mode::Insert,
        [operator @ (b'd' | b'c' | b'y' | b'<' | b'>' | b'=')] => Mode::Operator(*operator),
        [b'r' | b'f' | b'F' | b't' | b'T' | b'm' | b'\'' | b'`' | b'z' | b'"'] => {
            Mode::Argument(Mode::Normal.into())
        }
        _ if is_simple(bytes) => Mode::Normal,
        _ => Mode::Unknown,
    }
}

/// Commands of one key that leave the mode as it is.
fn is_simple(bytes: &[u8]) -> bool {
    match bytes {
        [byte] => b"hjklwbeWBE0123456789^$xXuUpPJnNGHLM{}()~.D%*#;, +-_\x1b\x02\x04\x05\x06\x0c\x12\x15\x19"
            .contains(byte),
        _ => matches!(bytes, [0x1b, b'[' | b'O', b'A'..=b'D' | b'F' | b'H']),
    }
}

fn after_operator(operator: u8, bytes: &[u8]) -> Mode {
    let done = if operator == b'c' { Mode::Insert } else { Mode::Normal };
    match bytes {
        [b'1'..=b'9'] => Mode::Operator(operator),
        [b'i' | b'a' | b'f' | b'F' | b't' | b'T' | b'\'' | b'`' | b'g'] => {
            Mode::Argument(done.into())
        }
        b"\x1b" => Mode::Normal,
        [byte] if *byte == operator => done,
        _ if is_simple(bytes) => done,
        _ => Mode::Unknown,
    }
}

fn after_command(mut text: String, bytes: &[u8]) -> Mode {
    match bytes {
        b"\r" if !is_harmless(&text) => Mode::Unknown,
        b"\r" | b"\x1b" | b"\x03" => Mode::Normal,
        b"\x7f" | b"\x08" => {
            text.pop();
            if text.is_empty() { Mode::Normal } else { Mode::Command(text) }
        }
        // History, completion, and whatever else: what is in the line isn't known any more.
        [0..0x20] | [0x1b, ..] => Mode::Unknown,
        _ if text.len() > COMMAND_SIZE_MAX => Mode::Unknown,
        _ => {
            text.push_str(&String::from_utf8_lossy(bytes));
            Mode::Command(text)
        }
    }
}

/// Whether the command surely leaves vi as it is, and asks for nothing.
fn is_harmless(command: &str) -> bool {
    let Some(command) = command.strip_prefix(':') else { return true };
    let is_line = !command.is_empty() && command.bytes().all(|byte| byte.is_ascii_digit());
    let substitutes = command.starts_with("s/") || command.starts_with("%s/");
    is_line || substitutes || matches!(command, "w" | "wa" | "up" | "update" | "noh" | "nohlsearch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::Size;

    /// A vi that inserts, with its mode line in row 3.
    fn inserting() -> Vi {
        let mut vi = Vi::default();
        vi.handle_settled(inserting_row(&frame("-- INSERT --")));
        vi
    }

    fn frame(mode_line: &str) -> Frame {
        let size = Size { cols: 20, rows: 4 };
        Frame::from_lines(size, ["text", "", "~", mode_line]).with_cells((0, 1), [])
    }

    fn type_all(vi: &mut Vi, keys: &[&str]) -> Option<Motion> {
        let frame = frame("-- INSERT --");
        keys.iter().map(|key| vi.handle_key(key.as_bytes(), &frame)).last().flatten()
    }

    #[test]
    fn enter_breaks_a_line_only_while_the_mode_line_stands() {
        let mut vi = inserting();
        assert_eq!(vi.handle_key(b"\r", &frame("")), None);
        assert!(vi.handle_key(b"\r", &frame("-- INSERT --")).is_some());
    }

    #[test]
    fn text_begins_where_the_key_says() {
        let search = Spot { row: 3, label: "/".into(), is_empty: false };
        for (keys, motion) in [
            (&["\x1b", "A"][..], Some(Motion::ToEnd)),
            (&["\x1b", "j", "3", "k", "i"], Some(Motion::Here)),
            (&["\x1b", "d", "w", "a"], Some(Motion::Behind)),
            (&["\x1b", "o"], Some(Motion::Open { bottom: 3 })),
            (&["x", "\r"], Some(Motion::Break { bottom: 3 })),
            (&["\x1b", ":", "w", "\r", "A"], Some(Motion::ToEnd)),
            (&["\x1b", "/"], Some(Motion::To(search))),
            (&["\x1b", "c", "w", "new", "\x1b", "A"], Some(Motion::ToEnd)),
            // Here these are no commands.
            (&["A"], None),
            (&["\x1b", "A", "A"], None),
            (&["\x1b", "r", "A"], None),
            (&["\x1b", "d", "i"], None),
            (&["\x1b", "d", "i", "i"], None),
            (&["\x1b", "f", "i"], None),
            (&["\x1b", "v", "A"], None),
            (&["\x1b", ":", "A"], None),
            (&["\x1b", ":", "q", "\r", "A"], None),
            (&["\x1b", ":", "X", "\r", "a"], None),
            // vi's modes in a shell, after vi has ended: what follows may be a password.
            (&["\x1b", ":", "w", "q", "\r", "\x1b", "k", "\r", "a"], None),
            (&["\x1b", "Z", "Z", "\x1b", "k", "\r", "a"], None),
            (&["\x1b", "k", "\r", "a"], None),
            (&["\x1b", "Z", "Z", "A"], None),
            (&["\x1b", "\x1a", "A"], None),
        ] {
            assert_eq!(type_all(&mut inserting(), keys), motion, "{keys:?}");
        }
    }

    #[test]
    fn nothing_is_known_of_what_never_had_a_mode_line() {
        let mut vi = Vi::default();
        vi.handle_settled(inserting_row(&Frame::from_lines(Size { cols: 20, rows: 2 }, ["$", ""])));
        assert_eq!(type_all(&mut vi, &["\x1b", "A"]), None);
    }

    #[test]
    fn what_was_wrong_is_not_foretold_again() {
        let mut vi = inserting();
        for _ in 0..WRONG_LINES_MAX {
            let motion = type_all(&mut vi, &["\x1b", "o"]).expect("a motion");
            vi.refute(&motion, &frame(""));
            assert_eq!(type_all(&mut vi, &["\x1b", "A"]), None);
            vi.handle_settled(inserting_row(&frame("-- INSERT --")));
        }
        assert_eq!(type_all(&mut vi, &["\x1b", "o"]), None);
        assert_eq!(type_all(&mut vi, &["\x1b", "A"]), Some(Motion::ToEnd));
    }
}
