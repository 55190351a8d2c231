//! Keys that a network delivers together are typed one after the other.
//!
//! tmux takes keys that follow each other within a millisecond (`assume-paste-time`) for pasted
//! text, in which the prefix key is no prefix. A person's prefix and key never do at a keyboard,
//! but they do when a lost packet holds the first back until the second has come.

use std::time::{Duration, Instant};
use tern_relay::core::keys::{Cut, PASTE_END, PASTE_START, cut};

/// Time between two keys: several times tmux's millisecond, since it counts from when tmux comes to
/// read them, and drawing a page for the first may take a few; less than anybody feels.
const KEY_INTERVAL: Duration = Duration::from_millis(5);
/// More keys than this at once are no person's: they go as they are (an unbracketed paste), or
/// they would take long.
const KEYS_MAX: usize = 16;
/// If more than this waits, keys go at once up to the next paste: whoever sends so much minds no
/// prefix.
const PENDING_SIZE_MAX: usize = 64 * 1024;

/// Spaces keys out.
#[derive(Debug)]
pub struct Typing {
    pending: Vec<u8>,
    /// A bracketed paste is open: its bytes are no keys.
    is_pasting: bool,
    /// When the next key may be typed; in the past if none was typed just now.
    free_at: Instant,
    /// Always in the past.
    made_at: Instant,
}

impl Typing {
    /// Nothing was typed yet.
    pub fn new(now: Instant) -> Self {
        Self { pending: Vec::new(), is_pasting: false, free_at: now, made_at: now }
    }

    /// Whole keys come.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// What is typed now; empty if nothing.
    pub fn take_output(&mut self, now: Instant) -> Vec<u8> {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let size = self.portion();
        let rest = self.pending.split_off(size);
        self.free_at = now + KEY_INTERVAL;
        std::mem::replace(&mut self.pending, rest)
    }

    /// When [`Self::take_output`] has something; possibly in the past.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // For tmux a mouse is never part of a paste, and a paste says itself that it is one.
        let is_key = !self.is_pasting
            && !self.pending.starts_with(PASTE_START)
            && mouse_size(&self.pending) == 0;
        let due = if is_key { self.free_at } else { self.made_at };
        (!self.pending.is_empty()).then_some(due)
    }

    /// Whether all of it was typed.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Forgets what was not typed yet.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.is_pasting = false;
    }

    /// Bytes that go at once: a key, pastes with both their ends, or everything.
    fn portion(&mut self) -> usize {
        let pastes = self.pastes_portion();
        if pastes > 0 {
            return pastes;
        }
        let mouse = mouse_size(&self.pending);
        if mouse > 0 {
            return mouse;
        }
        let first = key_size(&self.pending);
        let (mut at, mut count) = (0, 0);
        while at < self.pending.len() && !self.pending[at..].starts_with(PASTE_START) {
            at += key_size(&self.pending[at..]);
            count += 1;
        }
        if count > KEYS_MAX || self.pending.len() > PENDING_SIZE_MAX { at } else { first }
    }

    fn pastes_portion(&mut self) -> usize {
        let mut at = 0;
        while self.is_pasting || self.pending[at..].starts_with(PASTE_START) {
            let rest = &self.pending[at..];
            let end = rest.windows(PASTE_END.len()).position(|part| part == PASTE_END);
            self.is_pasting = end.is_none();
            match end {
                Some(end) => at += end + PASTE_END.len(),
                None => return self.pending.len(),
            }
        }
        at
    }
}

/// Bytes of the mouse reports at the front.
fn mouse_size(bytes: &[u8]) -> usize {
    let mut at = 0;
    while bytes[at..].starts_with(b"\x1b[<") || bytes[at..].starts_with(b"\x1b[M") {
        at += key_size(&bytes[at..]);
    }
    at
}

fn key_size(bytes: &[u8]) -> usize {
    match cut(bytes) {
        Cut::Whole(size) => size.clamp(1, bytes.len()),
        // The relay sends whole keys; whatever this is, nothing will complete it.
        Cut::Partial => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8_lossy(&bytes).replace('\x1b', "^")
    }

    #[test]
    fn single_key_never_waits() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        typing.handle_input(b"\x1b[A");
        assert_eq!(text(typing.take_output(now)), "^[A");
        assert_eq!(typing.poll_timeout(), None);
    }

    #[test]
    fn keys_that_come_together_are_spaced() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        typing.handle_input("\x02é\x1bOPd".as_bytes());
        let mut keys = Vec::new();
        while let Some(due) = typing.poll_timeout() {
            keys.push((due.max(now), text(typing.take_output(due.max(now)))));
        }
        let typed: Vec<_> = keys.iter().map(|(_, key)| key.as_str()).collect();
        assert_eq!(typed, ["\x02", "é", "^OP", "d"]);
        assert!(keys.windows(2).all(|pair| pair[1].0 - pair[0].0 >= KEY_INTERVAL));
    }

    #[test]
    fn paste_goes_whole_also_in_pieces() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        typing.handle_input(b"\x1b[200~one two");
        assert_eq!(text(typing.take_output(now)), "^[200~one two");
        typing.handle_input(b" three\x1b[201~ab");
        let later = now + KEY_INTERVAL;
        assert_eq!(text(typing.take_output(later)), " three^[201~");
        assert_eq!(text(typing.take_output(later + KEY_INTERVAL)), "a");
    }

    #[test]
    fn pastes_wait_for_nothing() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        let empty = b"\x1b[200~\x1b[201~";
        typing.handle_input(b"a");
        assert_eq!(text(typing.take_output(now)), "a");
        typing.handle_input(&empty.repeat(10_000));
        typing.handle_input(b"bc");
        assert_eq!(typing.take_output(now).len(), 10_000 * empty.len());
        assert_eq!(text(typing.take_output(now)), "");
        assert_eq!(text(typing.take_output(now + KEY_INTERVAL)), "b");
    }

    #[test]
    fn many_keys_at_once_go_at_once() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        typing.handle_input(&[b'x'; 100]);
        assert_eq!(typing.take_output(now).len(), 100);
    }

    #[test]
    fn mouse_waits_for_nothing_and_the_key_behind_it_is_a_key() {
        let now = Instant::now();
        let mut typing = Typing::new(now);
        typing.handle_input(b"a\x1b[<0;5;5M\x1b[<32;6;5M\x1b[M !!\x02");
        assert_eq!(text(typing.take_output(now)), "a");
        assert_eq!(text(typing.take_output(now)), "^[<0;5;5M^[<32;6;5M^[M !!");
        assert_eq!(text(typing.take_output(now)), "");
        assert_eq!(typing.poll_timeout(), Some(now + KEY_INTERVAL));
        assert_eq!(text(typing.take_output(now + KEY_INTERVAL)), "\x02");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_waits_for_ever(
            chunks in prop::collection::vec(
                prop_oneof![
                    Just(PASTE_START.to_vec()),
                    Just(PASTE_END.to_vec()),
                    prop::collection::vec(any::<u8>(), 0..40),
                ],
                0..30,
            ),
        ) {
            let mut now = Instant::now();
            let mut typing = Typing::new(now);
            let mut typed = Vec::new();
            for chunk in &chunks {
                typing.handle_input(chunk);
                typed.extend(typing.take_output(now));
            }
            while let Some(due) = typing.poll_timeout() {
                now = now.max(due);
                let output = typing.take_output(now);
                prop_assert!(!output.is_empty());
                typed.extend(output);
            }
            prop_assert_eq!(typed, chunks.concat());
        }
    }
}
