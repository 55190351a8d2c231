//! Sees a tmux client leave its terminal (detached, suspended, gone): what comes after that is
//! `[detached (from session 0)]` on the main screen, which is no picture of the session.

/// A client enters the alternate screen when it attaches and leaves it when it goes (`rmcup`).
const LEAVE: &[u8] = b"\x1b[?1049l";

/// Looks for the sequence, also where it is cut in two.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeavingWatch {
    matched: usize,
}

impl LeavingWatch {
    /// The client wrote `bytes`; `Some(n)` if it leaves after the first `n` of them.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            // ESC stands only at the start, so a mismatch begins anew without looking back.
            if byte == LEAVE[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(byte == LEAVE[0]);
            }
            if self.matched == LEAVE.len() {
                self.matched = 0;
                return Some((at + 1).saturating_sub(LEAVE.len()));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_is_seen_whole_and_in_pieces() {
        let mut watch = LeavingWatch::default();
        assert_eq!(watch.handle_bytes(b"text\x1b[?1049h\x1b[1m"), None);
        assert_eq!(watch.handle_bytes(b"more\x1b[?1049l[detached]"), Some(4));
        assert_eq!(watch.handle_bytes(b"x\x1b\x1b[?10"), None);
        assert_eq!(watch.handle_bytes(b"49l"), Some(0));
    }
}
