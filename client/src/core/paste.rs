//! Bracketed pastes in what is typed.

/// Begins a paste.
pub const PASTE_BEGIN: &[u8] = b"\x1b[200~";
/// Ends a paste.
pub const PASTE_END: &[u8] = b"\x1b[201~";

/// Whether a paste is open behind `bytes`, if one `was_open` before them. Brackets are looked for
/// within `bytes` only: the relay gives whole sequences.
pub fn is_paste_open(bytes: &[u8], was_open: bool) -> bool {
    let brackets = bytes.windows(PASTE_BEGIN.len());
    brackets.fold(was_open, |is_open, window| match window {
        PASTE_BEGIN => true,
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
