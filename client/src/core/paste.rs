//! Bracketed pastes in what is typed.

use tern_relay::core::keys::{PASTE_END, PASTE_START};

/// Whether a paste is open behind `bytes`, if one `was_open` before them. Brackets are looked for
/// within `bytes` only: the relay gives whole sequences.
pub fn is_paste_open(bytes: &[u8], was_open: bool) -> bool {
    let brackets = bytes.windows(PASTE_START.len());
    brackets.fold(was_open, |is_open, window| match window {
        PASTE_START => true,
        PASTE_END => false,
        _ => is_open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_bracket_decides() {
        assert!(!is_paste_open(b"keys", false));
        assert!(is_paste_open(b"keys", true));
        assert!(is_paste_open(b"a\x1b[200~b", false));
        assert!(!is_paste_open(b"\x1b[200~b\x1b[201~", true));
        assert!(is_paste_open(b"\x1b[201~\x1b[200~", false));
    }
}
