//! Whether the session's terminal is in front of anybody: several people's terminals are one to it.
//!
//! Terminals that are asked for it (mode 1004) report when they come to the front (`ESC [ I`) and
//! when they don't have the focus any more (`ESC [ O`). One that has reported nothing has it, as in
//! tmux: it has just been opened, or can't tell. The session is told what is so for all together,
//! and only when that changes.

use std::collections::BTreeMap;
use tern_sync::session::ViewerId;

/// A terminal has come to the front.
pub const FOCUS_IN: &[u8] = b"\x1b[I";
/// A terminal is in front no more.
pub const FOCUS_OUT: &[u8] = b"\x1b[O";
/// Bytes of either.
pub const REPORT_SIZE: usize = FOCUS_IN.len();

const _: () = assert!(FOCUS_OUT.len() == REPORT_SIZE);

/// The focus of all who type.
#[derive(Debug)]
pub struct Focus {
    /// Who is there, and whether their terminal is in front; as many as the book of viewers has
    /// (`VIEWERS_MAX`).
    present: BTreeMap<u32, bool>,
    /// What the session takes for true.
    is_told: bool,
}

impl Default for Focus {
    fn default() -> Self {
        Self { present: BTreeMap::new(), is_told: true }
    }
}

impl Focus {
    /// Somebody came who may type.
    pub fn handle_joined(&mut self, viewer: ViewerId) {
        self.present.insert(viewer.0, true);
    }

    /// Somebody has gone.
    pub fn handle_left(&mut self, viewer: ViewerId) {
        self.present.remove(&viewer.0);
    }

    /// Everybody is gone, or will come anew.
    pub fn handle_all_left(&mut self) {
        self.present.clear();
    }

    /// The session has another terminal, which it takes to be in front.
    pub fn handle_terminal_anew(&mut self) {
        self.is_told = true;
    }

    /// Whether this key, which isn't pasted, is somebody's report; then it is for nobody else.
    pub fn is_report(&mut self, viewer: ViewerId, key: &[u8]) -> bool {
        let has_focus = match key {
            FOCUS_IN => true,
            FOCUS_OUT => false,
            _ => return false,
        };
        if let Some(known) = self.present.get_mut(&viewer.0) {
            *known = has_focus;
        }
        true
    }

    /// What the session is to be told now, if anything. While nobody is there, nothing is.
    pub fn poll_report(&mut self) -> Option<&'static [u8]> {
        let has_focus = self.present.values().any(|has_focus| *has_focus);
        if self.present.is_empty() || has_focus == self.is_told {
            return None;
        }
        self.is_told = has_focus;
        Some(if has_focus { FOCUS_IN } else { FOCUS_OUT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ViewerId = ViewerId(1);
    const B: ViewerId = ViewerId(2);

    #[test]
    fn session_has_the_focus_as_long_as_anybody_has() {
        let mut focus = Focus::default();
        focus.handle_joined(A);
        focus.handle_joined(B);
        assert!(focus.is_report(A, FOCUS_OUT));
        assert_eq!(focus.poll_report(), None, "B has reported nothing");
        assert!(focus.is_report(B, FOCUS_OUT));
        assert_eq!(focus.poll_report(), Some(FOCUS_OUT));
        assert!(focus.is_report(B, FOCUS_OUT));
        assert_eq!(focus.poll_report(), None, "it is told already");
        assert!(focus.is_report(A, FOCUS_IN));
        assert_eq!(focus.poll_report(), Some(FOCUS_IN));
        focus.handle_left(A);
        assert_eq!(focus.poll_report(), Some(FOCUS_OUT), "B's is in the background");
        focus.handle_joined(A);
        assert_eq!(focus.poll_report(), Some(FOCUS_IN));
        assert!(!focus.is_report(A, b"I"));
    }

    #[test]
    fn another_terminal_of_the_session_is_told_anew() {
        let mut focus = Focus::default();
        focus.handle_joined(A);
        assert!(focus.is_report(A, FOCUS_OUT));
        assert_eq!(focus.poll_report(), Some(FOCUS_OUT));
        focus.handle_terminal_anew();
        assert_eq!(focus.poll_report(), Some(FOCUS_OUT));
        focus.handle_all_left();
        assert_eq!(focus.poll_report(), None, "nobody is there who could have it");
        focus.handle_joined(B);
        assert_eq!(focus.poll_report(), Some(FOCUS_IN));
    }
}
