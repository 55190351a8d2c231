//! How much input may wait for a reader that is slow, and what becomes of more: it is dropped, and no
//! half of a paste is left open, or all keys that follow would belong to it.

use tern_relay::core::keys::{PASTE_END, is_paste_open};

/// Most bytes that wait for tmux, or a program, to read them: eight of the longest pastes that people
/// make (a log of a megabyte), which a fast network brings at once.
pub const BACKLOG_SIZE_MAX: usize = 8 * 1024 * 1024;

/// What somebody is told whose session drops input.
pub const DROPPED: &str =
    "what viewers type and paste is not read, and too much of it waits: the rest is dropped";

/// Decides about each piece of input: whole keys.
#[derive(Debug, Default)]
pub struct Backlog {
    /// A paste is open behind all that came.
    is_pasting: bool,
    /// Something was dropped, so what follows is, too, until all is read that waits: the middle of a
    /// text must not be missing.
    is_overfull: bool,
}

/// What becomes of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits with the others.
    Waits,
    /// It is dropped, and so is what follows; these bytes take its place. The first to be dropped, so
    /// that somebody should be told.
    DroppedFirst(&'static [u8]),
    /// It is dropped.
    Dropped,
}

impl Backlog {
    /// A piece of input came, while so many bytes wait.
    pub fn admit(&mut self, bytes: &[u8], waiting: usize) -> Admission {
        let was_pasting = self.is_pasting;
        self.is_pasting = is_paste_open(bytes, was_pasting);
        // The rest of a paste whose first part was dropped, or cut, is no keys.
        self.is_overfull &= waiting > 0 || was_pasting;
        if self.is_overfull {
            return Admission::Dropped;
        }
        if waiting + bytes.len() <= BACKLOG_SIZE_MAX {
            return Admission::Waits;
        }
        self.is_overfull = true;
        Admission::DroppedFirst(if was_pasting { PASTE_END } else { &[] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tern_relay::core::keys::PASTE_START;

    #[test]
    fn paste_that_is_too_long_is_cut_and_closed_and_its_rest_is_no_keys() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.admit(PASTE_START, 0), Admission::Waits);
        assert_eq!(backlog.admit(b"one", BACKLOG_SIZE_MAX - 3), Admission::Waits);
        let cut = Admission::DroppedFirst(PASTE_END);
        assert_eq!(backlog.admit(b"two", BACKLOG_SIZE_MAX), cut);
        assert_eq!(backlog.admit(b"rm x\r", 0), Admission::Dropped);
        assert_eq!(backlog.admit(PASTE_END, 0), Admission::Dropped);
        assert_eq!(backlog.admit(b"ls\r", 1), Admission::Dropped, "not all was read");
        assert_eq!(backlog.admit(b"ls\r", 0), Admission::Waits);
    }

    proptest! {
        #[test]
        fn what_waits_is_bounded_and_its_pastes_are_whole(
            pieces in prop::collection::vec((0usize..3, 0usize..4), 0..60),
        ) {
            let (mut backlog, mut passed) = (Backlog::default(), Vec::new());
            for (kind, thirds) in pieces {
                let bytes = [PASTE_START, PASTE_END, b"x"][kind];
                // All but the last has room for it.
                let waiting = thirds * BACKLOG_SIZE_MAX / 3;
                match backlog.admit(bytes, waiting) {
                    Admission::Waits => {
                        prop_assert!(waiting + bytes.len() <= BACKLOG_SIZE_MAX);
                        passed.extend(bytes);
                    }
                    Admission::DroppedFirst(instead) => passed.extend(instead),
                    Admission::Dropped => {}
                }
                let is_open = is_paste_open(&passed, false);
                prop_assert_eq!(is_open, backlog.is_pasting && !backlog.is_overfull);
            }
        }
    }
}
