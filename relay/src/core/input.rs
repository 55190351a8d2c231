//! One viewer's keys on their way to the host: cut into whole keys, mouse reports mapped, kept
//! until the host's link takes them.

use crate::core::keys::{self, Cut, PASTE_END, PASTE_START};
use crate::core::mouse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tern_sync::session::INPUT_SIZE_MAX;
use tern_term::Size;

/// How long the beginning of a sequence waits for its rest, before it's passed on as it is.
/// Packets of one sequence that was cut by TCP follow each other within a round trip at worst, but
/// an Alt-[ that somebody pressed must not be felt to hang.
pub const PARTIAL_TIME_MAX: Duration = Duration::from_millis(50);
/// Bytes of one viewer that wait in the relay. Above it the viewer isn't read any more, and its
/// SSH window fills: 16 KiB are a page of pasted text, and 256 of such viewers 4 MiB.
pub const VIEWER_BACKLOG_MAX: usize = 16 * 1024;
/// Longest paste that no other viewer's keys may interrupt.
pub const PASTE_UNIT_MAX: usize = 64 * 1024;

const _: () = assert!(keys::KEY_SIZE_MAX <= INPUT_SIZE_MAX);

/// Keys of one read-write viewer.
#[derive(Debug, Default)]
pub struct ViewerInput {
    /// The beginning of a key, and since when it waits.
    partial: Vec<u8>,
    partial_since: Option<Instant>,
    /// The mark of what the partial key came with, and of keys that were dropped.
    mark: u32,
    /// Whole keys, in order, each with the mark of the newest input that it completes (0: none).
    keys: VecDeque<(Vec<u8>, u32)>,
    key_bytes: usize,
    paste: Paste,
}

/// Where the keys that were taken so far stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Paste {
    #[default]
    Outside,
    /// Inside a bracketed paste of which so many bytes were taken.
    Inside(usize),
}

impl Paste {
    fn after(self, key: &[u8]) -> Self {
        match self {
            _ if key == PASTE_START => Self::Inside(0),
            _ if key == PASTE_END => Self::Outside,
            Self::Outside => Self::Outside,
            Self::Inside(count) => Self::Inside(count + key.len()),
        }
    }
}

impl ViewerInput {
    /// Bytes that wait here.
    pub fn byte_count(&self) -> usize {
        self.partial.len() + self.key_bytes
    }

    /// Whether whole keys wait.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The viewer's terminal sent `bytes` while it showed the part at `offset` of a `screen`. `mark`
    /// comes out with the last of them; 0 if there is none.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        mark: u32,
        offset: (u16, u16),
        screen: Size,
        now: Instant,
    ) {
        self.partial.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.partial);
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let Cut::Whole(len) = keys::cut(rest) else { break };
            let (key, behind) = rest.split_at(len);
            self.push(key, offset, screen);
            rest = behind;
        }
        self.partial = rest.to_vec();
        self.partial_since = match (self.partial.is_empty(), self.partial_since) {
            (true, _) => None,
            // What was there first is gone with the keys that were whole.
            (false, since) if rest.len() == buffer.len() => since.or(Some(now)),
            (false, _) => Some(now),
        };
        if mark != 0 {
            self.mark = mark;
        }
        if self.partial.is_empty()
            && let Some((_, last)) = self.keys.back_mut()
        {
            match std::mem::take(&mut self.mark) {
                0 => {}
                mark => *last = mark,
            }
        }
    }

    fn push(&mut self, key: &[u8], offset: (u16, u16), screen: Size) {
        let Some(key) = mouse::map(key, offset, screen) else { return };
        self.key_bytes += key.len();
        match self.keys.back_mut() {
            // Characters are kept together, so that a paste isn't a million allocations.
            Some((last, _))
                if last.len() + key.len() <= keys::KEY_SIZE_MAX
                    && !last.starts_with(b"\x1b")
                    && !key.starts_with(b"\x1b") =>
            {
                last.extend(key);
            }
            Some(_) | None => self.keys.push_back((key, 0)),
        }
    }

    /// When [`ViewerInput::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.partial_since.map(|since| since + PARTIAL_TIME_MAX)
    }

    /// The rest of a key didn't come: its beginning is passed on as it is.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            let key = std::mem::take(&mut self.partial);
            self.key_bytes += key.len();
            self.keys.push_back((key, std::mem::take(&mut self.mark)));
            self.partial_since = None;
        }
    }

    /// Whole keys of at most [`INPUT_SIZE_MAX`] bytes together, with the mark of the newest input
    /// that they complete (0: of none).
    pub fn take(&mut self) -> Option<(Vec<u8>, u32)> {
        let (mut taken, mut newest) = (Vec::new(), 0);
        while let Some((key, mark)) = self.keys.front() {
            if taken.len() + key.len() > INPUT_SIZE_MAX {
                break;
            }
            self.paste = self.paste.after(key);
            taken.extend_from_slice(key);
            if *mark != 0 {
                newest = *mark;
            }
            self.keys.pop_front();
        }
        self.key_bytes -= taken.len();
        (!taken.is_empty()).then_some((taken, newest))
    }

    /// Whether what was taken so far ends within a paste that should not be interrupted.
    pub fn is_pasting(&self) -> bool {
        matches!(self.paste, Paste::Inside(count) if count < PASTE_UNIT_MAX)
    }

    /// What closes a paste whose end will never come, as its viewer is gone.
    pub fn closing(&self) -> Option<Vec<u8>> {
        match self.paste {
            Paste::Outside => None,
            Paste::Inside(_) => Some(PASTE_END.to_vec()),
        }
    }
}

/// Whether a read-only viewer, who can do nothing else, asked to leave: q, Ctrl-C, Ctrl-D, once or
/// in a hurry.
pub fn is_leave_wish(bytes: &[u8]) -> bool {
    // Nothing else beside: within a sequence or a text these bytes mean something else.
    !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, b'q' | b'Q' | 0x03 | 0x04))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCREEN: Size = Size { cols: 80, rows: 24 };

    fn feed(input: &mut ViewerInput, bytes: &[u8], now: Instant) {
        input.handle_bytes(bytes, 0, (0, 0), SCREEN, now);
    }

    fn taken(input: &mut ViewerInput) -> Option<Vec<u8>> {
        input.take().map(|(bytes, _)| bytes)
    }

    #[test]
    fn mark_comes_out_with_the_last_key_of_its_input_and_not_before() {
        let now = Instant::now();
        let mut input = ViewerInput::default();
        input.handle_bytes(b"a", 1, (0, 0), SCREEN, now);
        input.handle_bytes(b"b\x1b[1;", 2, (0, 0), SCREEN, now);
        assert_eq!(input.take(), Some((b"ab".to_vec(), 1)));
        input.handle_bytes(b"5Ac", 3, (0, 0), SCREEN, now);
        assert_eq!(input.take(), Some((b"\x1b[1;5Ac".to_vec(), 3)));
        // Outside of the shared screen: nobody is clicked on.
        input.handle_bytes(b"\x1b[<0;200;5M", 4, (0, 0), SCREEN, now);
        assert_eq!(input.take(), None);
        input.handle_bytes(b"d", 5, (0, 0), SCREEN, now);
        assert_eq!(input.take(), Some((b"d".to_vec(), 5)));
    }

    #[test]
    fn lone_escape_passes_at_once_and_a_split_arrow_stays_whole() {
        let now = Instant::now();
        let mut input = ViewerInput::default();
        feed(&mut input, b"\x1b", now);
        assert_eq!(taken(&mut input).as_deref(), Some(b"\x1b".as_slice()));
        feed(&mut input, b"\x1b[1;", now);
        assert_eq!(input.take(), None);
        feed(&mut input, b"5A", now);
        assert_eq!(taken(&mut input).as_deref(), Some(b"\x1b[1;5A".as_slice()));
    }

    #[test]
    fn beginning_without_a_rest_is_passed_on_in_time() {
        let now = Instant::now();
        let mut input = ViewerInput::default();
        feed(&mut input, b"\x1b[", now);
        let due = input.poll_timeout().expect("a deadline");
        assert_eq!(due, now + PARTIAL_TIME_MAX);
        input.handle_timeout(now);
        assert_eq!(input.take(), None);
        input.handle_timeout(due);
        assert_eq!(taken(&mut input).as_deref(), Some(b"\x1b[".as_slice()));
        assert_eq!(input.poll_timeout(), None);
    }

    #[test]
    fn paste_is_known_until_its_end_or_its_bound() {
        let now = Instant::now();
        let mut input = ViewerInput::default();
        feed(&mut input, b"\x1b[200~some", now);
        while input.take().is_some() {}
        assert!(input.is_pasting());
        assert_eq!(input.closing().as_deref(), Some(PASTE_END));
        feed(&mut input, b" text\x1b[201~", now);
        while input.take().is_some() {}
        assert!(!input.is_pasting() && input.closing().is_none());

        feed(&mut input, b"\x1b[200~", now);
        for _ in 0..PASTE_UNIT_MAX / 64 + 1 {
            feed(&mut input, &[b'x'; 64], now);
            while input.take().is_some() {}
        }
        assert!(!input.is_pasting() && input.closing().is_some());
    }

    proptest! {
        #[test]
        fn everything_arrives_in_order_however_it_is_cut(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..40),
                    "\x1b\\[[0-9;]{0,5}[A-LN-Z~]".prop_map(String::into_bytes),
                    "\\PC{1,20}".prop_map(String::into_bytes),
                    Just(vec![b'x'; 3000]),
                ],
                0..30,
            ),
        ) {
            // Mouse reports are changed on their way, so none here.
            let pieces: Vec<Vec<u8>> = pieces
                .into_iter()
                .map(|piece| piece.into_iter().filter(|byte| !b"<M".contains(byte)).collect())
                .collect();
            let now = Instant::now();
            let mut input = ViewerInput::default();
            let mut got = Vec::new();
            for piece in &pieces {
                feed(&mut input, piece, now);
                prop_assert!(input.partial.len() < keys::KEY_SIZE_MAX);
                while let Some(taken) = taken(&mut input) {
                    prop_assert!(taken.len() <= INPUT_SIZE_MAX);
                    got.extend(taken);
                }
            }
            input.handle_timeout(now + PARTIAL_TIME_MAX);
            got.extend(taken(&mut input).unwrap_or_default());
            prop_assert_eq!(input.byte_count(), 0);
            prop_assert_eq!(got, pieces.concat());
        }
    }
}
