//! What a viewer types for its own program, as in ssh: `~` at the beginning of a line, and a key.
//!
//! The `~` is kept back until the next key, so that nothing of an escape reaches the session. Within
//! a bracketed paste nothing is an escape.

use crate::core::matcher::Matcher;
use tern_relay::core::keys::{PASTE_END, PASTE_START};

const CTRL_Z: u8 = 0x1a;

/// What is told by `Enter ~ ?`.
pub const HELP: &str =
    "Enter ~ . leaves, ~ Ctrl-Z suspends, ~ ~ types ~; wheel, Shift-PageUp scroll";

/// A part of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// For the session.
    Keys(Vec<u8>),
    /// `~.`
    Leave,
    /// `~` and Ctrl-Z.
    Suspend,
    /// `~?`
    Help,
}

/// The machine.
#[derive(Debug)]
pub struct Escapes {
    /// The last key was Enter, or there was none.
    is_at_start: bool,
    /// A `~` is kept back.
    is_pending: bool,
    is_pasting: bool,
    /// Looks for the sequence that begins or ends a paste.
    paste: Matcher,
}

impl Default for Escapes {
    fn default() -> Self {
        let paste = Matcher::default();
        Self { is_at_start: true, is_pending: false, is_pasting: false, paste }
    }
}

impl Escapes {
    /// These bytes were typed.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut keys = Vec::new();
        for &byte in bytes {
            let own = self.handle_byte(byte, &mut keys);
            if let Some(piece) = own {
                flush(&mut keys, &mut pieces);
                pieces.push(piece);
            }
        }
        flush(&mut keys, &mut pieces);
        pieces
    }

    fn handle_byte(&mut self, byte: u8, keys: &mut Vec<u8>) -> Option<Piece> {
        if std::mem::take(&mut self.is_pending) {
            self.is_at_start = matches!(byte, b'\r' | b'\n');
            match byte {
                b'.' => return Some(Piece::Leave),
                CTRL_Z => {
                    self.is_at_start = true;
                    return Some(Piece::Suspend);
                }
                b'?' => {
                    self.is_at_start = true;
                    return Some(Piece::Help);
                }
                b'~' => {}
                _ => keys.push(b'~'),
            }
        } else if self.is_at_start && byte == b'~' && !self.is_pasting {
            self.is_pending = true;
            return None;
        } else {
            self.is_at_start = matches!(byte, b'\r' | b'\n');
        }
        self.watch_paste(byte);
        keys.push(byte);
        None
    }

    fn watch_paste(&mut self, byte: u8) {
        let wanted = if self.is_pasting { PASTE_END } else { PASTE_START };
        if self.paste.find(wanted, &[byte]).is_some() {
            self.is_pasting = !self.is_pasting;
            self.is_at_start = false;
        }
    }
}

fn flush(keys: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !keys.is_empty() {
        pieces.push(Piece::Keys(std::mem::take(keys)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(typed: &[&[u8]]) -> Vec<Piece> {
        let mut escapes = Escapes::default();
        typed.iter().flat_map(|bytes| escapes.handle_bytes(bytes)).collect()
    }

    fn keys(bytes: &[u8]) -> Piece {
        Piece::Keys(bytes.to_vec())
    }

    #[test]
    fn escapes_count_at_the_beginning_of_a_line_only() {
        assert_eq!(pieces(&[b"~."]), [Piece::Leave]);
        assert_eq!(pieces(&[b"ls\r~."]), [keys(b"ls\r"), Piece::Leave]);
        assert_eq!(pieces(&[b"ls\r", b"~", b"."]), [keys(b"ls\r"), Piece::Leave]);
        assert_eq!(pieces(&[b"ls ~."]), [keys(b"ls ~.")]);
        assert_eq!(pieces(&[b"~?\x7e."]), [Piece::Help, Piece::Leave]);
        assert_eq!(pieces(&[b"~\x1ax"]), [Piece::Suspend, keys(b"x")]);
    }

    #[test]
    fn two_tildes_are_one_and_other_keys_follow_theirs() {
        assert_eq!(pieces(&[b"~~/x"]), [keys(b"~/x")]);
        assert_eq!(pieces(&[b"~/x"]), [keys(b"~/x")]);
        assert_eq!(pieces(&[b"~\r~."]), [keys(b"~\r"), Piece::Leave]);
    }

    #[test]
    fn nothing_that_is_pasted_is_an_escape() {
        let paste = b"\x1b[200~rm x\r~.\r\x1b[201~";
        assert_eq!(pieces(&[paste]), [keys(paste)]);
        assert_eq!(pieces(&[paste, b"\r~."]), [keys(paste), keys(b"\r"), Piece::Leave]);
    }

    proptest! {
        #[test]
        fn what_holds_no_tilde_passes_however_it_is_cut(
            typed in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20),
        ) {
            let typed: Vec<Vec<u8>> = typed
                .into_iter()
                .map(|piece| piece.into_iter().filter(|byte| *byte != b'~').collect())
                .collect();
            let mut escapes = Escapes::default();
            let mut passed = Vec::new();
            for piece in typed.iter().flat_map(|piece| escapes.handle_bytes(piece)) {
                match piece {
                    Piece::Keys(bytes) => passed.extend(bytes),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(passed, typed.concat());
        }
    }
}
