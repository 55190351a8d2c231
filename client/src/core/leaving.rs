//! Sees a tmux client leave its terminal (detached, suspended, gone): what comes after that is
//! `[detached (from session 0)]` on the main screen, which is no picture of the session but tells
//! why it left.

use crate::core::matcher::Matcher;

/// A client enters the alternate screen when it attaches and leaves it when it goes (`rmcup`).
const LEAVE: &[u8] = b"\x1b[?1049l";

/// What a client says that was detached, and did not end by a signal, a lock or the server's end.
const DETACHED: &[u8] = b"[detached";

/// What it says, whole, and then is gone.
const FAREWELL: &[u8] = b"[detached (from session ";
const FAREWELL_END: &[u8] = b")]\r\n";
/// Bytes of a farewell with a long name of a session.
const FAREWELL_SIZE_MAX: usize = 512;

/// How the hidden client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// By the detach key, or a `detach-client` that named it.
    Detached,
    /// Another way: killed, locked, never really started.
    Lost,
}

/// Looks for the sequences, also where they are cut in two.
#[derive(Debug, Clone, Default)]
pub struct LeavingWatch {
    leave: Matcher,
    detached: Matcher,
    was_detached: bool,
    /// The latest bytes, since its terminal was stopped.
    tail: Option<Vec<u8>>,
}

impl LeavingWatch {
    /// Its terminal was stopped for a while: if it leaves meanwhile, tmux can't write that it does
    /// (`tty_raw` tries for half a millisecond), and only what it says at last will come.
    pub fn handle_stopped(&mut self) {
        self.tail.get_or_insert_default();
    }

    /// The client wrote `bytes`; `Some(n)` if it leaves after the first `n` of them.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(bytes);
            tail.drain(..tail.len().saturating_sub(FAREWELL_SIZE_MAX));
        }
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
        let is_detached = self.was_detached || self.tail.as_deref().is_some_and(ends_in_farewell);
        if is_detached { Departure::Detached } else { Departure::Lost }
    }
}

/// Whether the last line is a detached client's.
fn ends_in_farewell(bytes: &[u8]) -> bool {
    let Some(line) = bytes.strip_suffix(FAREWELL_END) else { return false };
    let at = line.windows(FAREWELL.len()).rposition(|window| window == FAREWELL);
    at.is_some_and(|at| !line[at..].contains(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detached_while_its_terminal_was_stopped() {
        let departure = |is_stopped: bool, last: &[u8]| {
            let mut watch = LeavingWatch::default();
            if is_stopped {
                watch.handle_stopped();
            }
            assert_eq!(watch.handle_bytes(b"\x1b[1mtext [deta"), None);
            assert_eq!(watch.handle_bytes(last), None);
            watch.departure()
        };
        assert_eq!(departure(true, b"ched (from session 0)]\r\n"), Departure::Detached);
        assert_eq!(departure(true, b"ched (from session 0)]\r\n$ "), Departure::Lost);
        assert_eq!(departure(true, b""), Departure::Lost);
        assert_eq!(departure(false, b"ched (from session 0)]\r\n"), Departure::Lost);
    }

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
