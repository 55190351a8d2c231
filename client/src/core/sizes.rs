//! How large the shared screen is: as in tmux, the smallest of those that count.
//!
//! Local clients and read-write viewers count, read-only viewers never do. The hidden client has
//! the size that comes out, so its view is the exact picture of the smallest.

use tern_term::Size;

/// Who is looking, as far as the size is concerned.
#[derive(Debug, Clone, Default)]
pub struct Lookers {
    /// Local clients that count.
    pub locals: Vec<Size>,
    /// Read-write viewers.
    pub writers: Vec<Size>,
    /// The current window with its status lines, if tmux told: what a client that doesn't count
    /// must be to see all of it.
    pub window: Option<Size>,
    /// Whether this tmux can have clients that don't count.
    pub can_ignore_size: bool,
}

/// What the hidden client should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Its terminal's size.
    pub size: Size,
    /// Whether it counts for the window's size (it stands for the writers).
    pub counts: bool,
}

/// Decides the hidden client's size; `last` is what it was, for when nobody says anything.
pub fn decide(lookers: &Lookers, last: Size) -> Decision {
    let counts = !lookers.writers.is_empty();
    if !counts && lookers.can_ignore_size && !lookers.locals.is_empty() {
        // With `window-size latest` the window may be larger than the smallest client.
        if let Some(window) = lookers.window {
            return Decision { size: window, counts };
        }
    }
    let sizes = lookers.locals.iter().chain(&lookers.writers).copied();
    Decision { size: smallest(sizes).unwrap_or(last), counts }
}

/// The componentwise minimum, as tmux computes it.
pub fn smallest(sizes: impl Iterator<Item = Size>) -> Option<Size> {
    sizes.reduce(|a, b| Size { cols: a.cols.min(b.cols), rows: a.rows.min(b.rows) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAST: Size = Size { cols: 80, rows: 24 };

    fn size(cols: u16, rows: u16) -> Size {
        Size { cols, rows }
    }

    #[test]
    fn nobody_keeps_the_last_size() {
        assert_eq!(decide(&Lookers::default(), LAST), Decision { size: LAST, counts: false });
    }

    #[test]
    fn smallest_writer_and_local_client_decide_together() {
        let lookers = Lookers {
            locals: vec![size(100, 30)],
            writers: vec![size(120, 20), size(90, 50)],
            window: Some(size(100, 30)),
            can_ignore_size: true,
        };
        assert_eq!(decide(&lookers, LAST), Decision { size: size(90, 20), counts: true });
    }

    #[test]
    fn without_writers_the_hidden_client_sees_the_whole_window() {
        let mut lookers = Lookers {
            locals: vec![size(100, 30), size(60, 20)],
            writers: Vec::new(),
            window: Some(size(100, 30)),
            can_ignore_size: true,
        };
        assert_eq!(decide(&lookers, LAST), Decision { size: size(100, 30), counts: false });
        lookers.can_ignore_size = false;
        assert_eq!(decide(&lookers, LAST), Decision { size: size(60, 20), counts: false });
    }

    #[test]
    fn writers_alone_decide_when_the_local_terminal_is_gone() {
        let lookers = Lookers { writers: vec![size(70, 40)], ..Lookers::default() };
        assert_eq!(decide(&lookers, LAST), Decision { size: size(70, 40), counts: true });
    }

    proptest! {
        #[test]
        fn no_writer_and_no_local_client_is_cut_off_while_somebody_writes(
            locals in prop::collection::vec((1u16..300, 1u16..100), 0..5),
            writers in prop::collection::vec((1u16..300, 1u16..100), 1..5),
        ) {
            let sizes = |of: &[(u16, u16)]| of.iter().map(|&(c, r)| size(c, r)).collect::<Vec<_>>();
            let lookers = Lookers {
                locals: sizes(&locals),
                writers: sizes(&writers),
                window: None,
                can_ignore_size: true,
            };
            let chosen = decide(&lookers, LAST).size;
            for looker in lookers.locals.iter().chain(&lookers.writers) {
                prop_assert!(chosen.cols <= looker.cols && chosen.rows <= looker.rows);
            }
        }
    }
}
