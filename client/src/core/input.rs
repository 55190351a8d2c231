//! Many viewers, one keyboard: their input is merged in the order in which it came, but a
//! bracketed paste stays whole.
//!
//! Between `ESC [ 200 ~` and `ESC [ 201 ~` of one viewer, the others' keys wait. A paste that
//! stalls is closed for them and opened again when it goes on, so that no key of theirs ever
//! becomes part of a paste, and no half of a paste is taken for keys. What their terminals report of
//! their focus is merged, too ([`Focus`]).

use crate::core::focus::{Focus, REPORT_SIZE};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tern_relay::core::keys::{PASTE_END, PASTE_START};
use tern_sync::session::ViewerId;

/// How long a paste may pause while others wait: several times the hiccup of a bad network.
pub const PASTE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Most bytes that wait; then the paste is closed. Nobody types that much in the time of a paste.
pub const HELD_SIZE_MAX: usize = 64 * 1024;

/// Merges the viewers' input.
#[derive(Debug, Default)]
pub struct InputMerger {
    /// Whose paste is under way, and when it last went on.
    paste: Option<(ViewerId, Instant)>,
    /// Pastes that were closed before their end: they open again with their next bytes.
    interrupted: Vec<ViewerId>,
    held: VecDeque<(ViewerId, Vec<u8>)>,
    held_size: usize,
    focus: Focus,
    /// tmux takes reports of the focus at any time; a program only when it has asked for them.
    is_tmux: bool,
    output: Vec<u8>,
}

impl InputMerger {
    /// For keys that tmux reads.
    pub fn for_tmux() -> Self {
        Self { is_tmux: true, ..Self::default() }
    }

    /// Somebody came who may type.
    pub fn handle_joined(&mut self, viewer: ViewerId) {
        self.focus.handle_joined(viewer);
        self.tell_focus_unasked();
    }

    /// The session has another terminal, which was told nothing yet.
    pub fn handle_terminal_anew(&mut self) {
        self.focus.handle_terminal_anew();
        self.tell_focus_unasked();
    }

    /// A viewer typed or pasted `bytes`: whole keys and sequences.
    pub fn handle_input(&mut self, viewer: ViewerId, bytes: Vec<u8>, now: Instant) {
        match self.paste {
            Some((owner, _)) if owner != viewer => {
                self.held_size += bytes.len();
                self.held.push_back((viewer, bytes));
                while self.held_size > HELD_SIZE_MAX {
                    self.interrupt_paste(now);
                }
            }
            Some(_) | None => self.pass(viewer, &bytes, now),
        }
    }

    /// A viewer is gone; its paste ends here.
    pub fn handle_left(&mut self, viewer: ViewerId, now: Instant) {
        if self.paste.is_some_and(|(owner, _)| owner == viewer) {
            self.interrupt_paste(now);
        }
        self.interrupted.retain(|&of| of != viewer);
        self.focus.handle_left(viewer);
        self.tell_focus_unasked();
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.interrupt_paste(now);
        }
    }

    /// When a stalled paste has to let the others through.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (_, at) = self.paste?;
        (!self.held.is_empty()).then_some(at + PASTE_PAUSE_MAX)
    }

    /// Whether somebody's keys wait for the end of another's paste.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// What goes to the session next; empty if nothing.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The viewers are gone, all of them; the session's end of the line is the same.
    pub fn handle_viewers_forgotten(&mut self) {
        let is_pasting = self.paste.is_some();
        let Self { mut focus, is_tmux, output, .. } = std::mem::take(self);
        focus.handle_all_left();
        *self = Self { focus, is_tmux, output, ..Self::default() };
        if is_pasting {
            self.output.extend_from_slice(PASTE_END);
        }
    }

    /// Lets a viewer's bytes through, and those that waited if its paste ends with them.
    fn pass(&mut self, viewer: ViewerId, bytes: &[u8], now: Instant) {
        self.pass_one(viewer, bytes, now);
        self.release(now);
    }

    fn pass_one(&mut self, viewer: ViewerId, bytes: &[u8], now: Instant) {
        let mut is_pasting = self.paste.is_some();
        if let Some(at) = self.interrupted.iter().position(|&of| of == viewer) {
            self.interrupted.swap_remove(at);
            self.output.extend_from_slice(PASTE_START);
            is_pasting = true;
        }
        let (is_pasting, has_reported) = self.put_out(viewer, bytes, is_pasting);
        self.paste = is_pasting.then_some((viewer, now));
        if has_reported {
            self.tell_focus();
        } else {
            self.tell_focus_unasked();
        }
    }

    /// Puts keys out, without reports of the focus. Whether a paste is open behind them, and whether
    /// there was a report.
    fn put_out(&mut self, viewer: ViewerId, bytes: &[u8], is_pasting: bool) -> (bool, bool) {
        let (mut is_pasting, mut has_reported, mut rest) = (is_pasting, false, bytes);
        while let Some(at) = rest.iter().position(|&byte| byte == 0x1b) {
            let (before, sequence) = rest.split_at(at);
            self.output.extend_from_slice(before);
            let size = if sequence.starts_with(PASTE_START) {
                is_pasting = true;
                PASTE_START.len()
            } else if sequence.starts_with(PASTE_END) {
                is_pasting = false;
                PASTE_END.len()
            } else if let Some((key, behind)) = sequence.split_at_checked(REPORT_SIZE)
                && !is_pasting
                && self.focus.is_report(viewer, key)
            {
                (has_reported, rest) = (true, behind);
                continue;
            } else {
                1
            };
            self.output.extend_from_slice(&sequence[..size]);
            rest = &sequence[size..];
        }
        self.output.extend_from_slice(rest);
        (is_pasting, has_reported)
    }

    /// Tells the session of the focus, if that changed. Within a paste it would be text.
    fn tell_focus(&mut self) {
        if self.paste.is_none()
            && let Some(report) = self.focus.poll_report()
        {
            self.output.extend_from_slice(report);
        }
    }

    /// The same, where nobody's terminal has just shown that it's wanted.
    fn tell_focus_unasked(&mut self) {
        if self.is_tmux {
            self.tell_focus();
        }
    }

    fn interrupt_paste(&mut self, now: Instant) {
        if let Some((owner, _)) = self.paste.take() {
            self.output.extend_from_slice(PASTE_END);
            self.interrupted.push(owner);
        }
        self.release(now);
    }

    /// Lets those through that waited, until one of them begins a paste.
    fn release(&mut self, now: Instant) {
        while self.paste.is_none()
            && let Some((viewer, bytes)) = self.held.pop_front()
        {
            self.held_size -= bytes.len();
            self.pass_one(viewer, &bytes, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: ViewerId = ViewerId(1);
    const B: ViewerId = ViewerId(2);

    fn text(merger: &mut InputMerger) -> String {
        String::from_utf8_lossy(&merger.take_output()).replace('\x1b', "^")
    }

    #[test]
    fn keys_pass_in_the_order_in_which_they_came() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"a".to_vec(), now);
        merger.handle_input(B, b"b".to_vec(), now);
        merger.handle_input(A, b"\x1b[A".to_vec(), now);
        assert_eq!(text(&mut merger), "ab^[A");
    }

    #[test]
    fn others_wait_until_a_paste_has_ended() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"\x1b[200~one ".to_vec(), now);
        merger.handle_input(B, b"ls\r".to_vec(), now);
        merger.handle_input(A, b"two\x1b[201~".to_vec(), now);
        assert_eq!(text(&mut merger), "^[200~one two^[201~ls\r");
        assert_eq!(merger.poll_timeout(), None);
    }

    #[test]
    fn stalled_paste_is_closed_for_the_others_and_opened_again() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"\x1b[200~one".to_vec(), now);
        assert_eq!(merger.poll_timeout(), None);
        merger.handle_input(B, b"b".to_vec(), now);
        let due = merger.poll_timeout().expect("somebody waits");
        merger.handle_timeout(due);
        assert_eq!(text(&mut merger), "^[200~one^[201~b");
        merger.handle_input(A, b"two\x1b[201~".to_vec(), due);
        merger.handle_input(B, b"c".to_vec(), due);
        assert_eq!(text(&mut merger), "^[200~two^[201~c");
    }

    #[test]
    fn paste_of_a_viewer_that_left_is_closed() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"\x1b[200~one".to_vec(), now);
        merger.handle_input(B, b"b".to_vec(), now);
        merger.handle_left(A, now);
        assert_eq!(text(&mut merger), "^[200~one^[201~b");
    }

    #[test]
    fn paste_is_closed_when_all_viewers_are_forgotten() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"\x1b[200~one".to_vec(), now);
        merger.handle_input(B, b"b".to_vec(), now);
        merger.handle_viewers_forgotten();
        assert_eq!(text(&mut merger), "^[200~one^[201~");
        merger.handle_viewers_forgotten();
        assert_eq!(text(&mut merger), "");
    }

    #[test]
    fn second_paste_waits_for_the_first_and_holds_the_rest() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_input(A, b"\x1b[200~a".to_vec(), now);
        merger.handle_input(B, b"\x1b[200~b".to_vec(), now);
        merger.handle_input(A, b"\x1b[201~".to_vec(), now);
        merger.handle_input(A, b"x".to_vec(), now);
        assert_eq!(text(&mut merger), "^[200~a^[201~^[200~b");
        merger.handle_input(B, b"\x1b[201~".to_vec(), now);
        assert_eq!(text(&mut merger), "^[201~x");
    }

    #[test]
    fn focus_is_told_as_it_is_for_all_and_never_within_a_paste() {
        let (mut merger, now) = (InputMerger::for_tmux(), Instant::now());
        merger.handle_joined(A);
        merger.handle_joined(B);
        merger.handle_input(A, b"a\x1b[O\x1b[A".to_vec(), now);
        assert_eq!(text(&mut merger), "a^[A", "B has the focus");
        merger.handle_input(A, b"\x1b[200~one\x1b[I".to_vec(), now);
        merger.handle_left(B, now);
        assert_eq!(text(&mut merger), "^[200~one^[I", "it is pasted text");
        merger.handle_input(A, b"two\x1b[201~".to_vec(), now);
        assert_eq!(text(&mut merger), "two^[201~^[O");
        merger.handle_terminal_anew();
        assert_eq!(text(&mut merger), "^[O");
        merger.handle_viewers_forgotten();
        merger.handle_joined(B);
        assert_eq!(text(&mut merger), "^[I");
    }

    #[test]
    fn program_without_tmux_is_told_of_the_focus_only_when_a_terminal_reports() {
        let (mut merger, now) = (InputMerger::default(), Instant::now());
        merger.handle_joined(A);
        merger.handle_input(A, b"\x1b[O".to_vec(), now);
        assert_eq!(text(&mut merger), "^[O");
        merger.handle_joined(B);
        merger.handle_input(A, b"ls\r".to_vec(), now);
        assert_eq!(text(&mut merger), "ls\r");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_no_paste_is_entered_and_waiting_is_bounded(
            events in prop::collection::vec((1u32..4, 0u8..5, any::<bool>()), 0..200),
        ) {
            let (mut merger, mut now) = (InputMerger::default(), Instant::now());
            let (mut given, mut taken) = (0, Vec::new());
            for (viewer, kind, is_late) in events {
                let byte = b'a' + viewer as u8;
                let bytes = match kind {
                    0 => [PASTE_START, &[byte]].concat(),
                    1 => [&[byte], PASTE_END].concat(),
                    _ => vec![byte],
                };
                given += 1;
                merger.handle_input(ViewerId(viewer), bytes, now);
                if is_late {
                    now += PASTE_PAUSE_MAX;
                    merger.handle_timeout(now);
                }
                taken.extend(merger.take_output());
                prop_assert!(merger.held_size <= HELD_SIZE_MAX);
            }
            while let Some(due) = merger.poll_timeout() {
                merger.handle_timeout(due);
            }
            taken.extend(merger.take_output());
            let taken = String::from_utf8(taken).expect("ASCII");
            let mut letters = 0;
            for (at, part) in taken.split("\x1b[200~").enumerate() {
                if at > 0 && let Some((pasted, _)) = part.split_once("\x1b[201~") {
                    let mut typists: Vec<u8> = pasted.bytes().collect();
                    typists.dedup();
                    prop_assert!(typists.len() <= 1, "a paste of several: {pasted:?}");
                }
                letters += part.replace("\x1b[201~", "").len();
            }
            prop_assert_eq!(letters, given);
        }
    }
}
