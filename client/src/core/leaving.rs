//! Sees a tmux client leave its terminal (detached, suspended, gone): what comes after that is
//! `[detached (from session 0)]` on the main screen, which is no picture of the session but tells
//! why it left.

use crate::core::matcher::Matcher;

/// A client enters the alternate screen when it attaches and leaves it when it goes (`rmcup`).
const LEAVE: &[u8] = b"\x1b[?1049l";

/// What a client says that was detached, and did not end by a signal, a lock or the server's end.
const DETACHED: &[u8] = b"[detached";

/// How the hidden client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// By the detach key, or a `detach-client` that named it.
    Detached,
    /// Another way: killed, locked, never really started.
    Lost,
}

/// Looks for the sequences, also where they are cut in two.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeavingWatch {
    leave: Matcher,
    detached: Matcher,
    was_detached: bool,
}

impl LeavingWatch {
    /// The client wrote `bytes`; `Some(n)` if it leaves after the first `n` of them.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        let at = self.leave.find(LEAVE, bytes)?;
        self.handle_farewell(&bytes[at..]);
        Some(at.saturating_sub(LEAVE.len()))
    }

    /// The client that has left wrote `bytes`.
    pub fn handle_farewell(&mut self, bytes: &[u8]) {
        self.was_detached |= self.detached.find(DETACHED, bytes).is_some();
    }

    /// The client is gone: how.
    pub fn departure(&self) -> Departure {
        if self.was_detached { Departure::Detached } else { Departure::Lost }
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

    #[test]
    fn only_a_client_that_says_so_was_detached() {
        let departure = |pieces: &[&[u8]]| {
            let mut watch = LeavingWatch::default();
            assert!(watch.handle_bytes(b"[detached is on the screen\x1b[?1049l\r\n").is_some());
            pieces.iter().for_each(|piece| watch.handle_farewell(piece));
            watch.departure()
        };
        assert_eq!(
            departure(&[b"\x1b[?25h[det", b"ached (from session 0)]\r\n"]),
            Departure::Detached
        );
        assert_eq!(departure(&[b"[lost server]\r\n"]), Departure::Lost);
        assert_eq!(departure(&[]), Departure::Lost);
    }
}
