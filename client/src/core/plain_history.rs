//! What scrolled off a plain terminal: when the screen is asked for it, and what viewers may have.
//! (Of a tmux session: [`crate::core::pane_history`].)

use crate::core::pane_history::INTERVAL;
use std::time::Instant;
use tern_sync::scrollback::{Place, Scrollback};
use tern_term::scrollback::blocks_of;
use tern_term::{Frame, Modes, ScrolledOff};

/// The machine.
#[derive(Debug)]
pub struct PlainHistory {
    is_wanted: bool,
    /// Something was drawn since the screen was asked.
    is_old: bool,
    next_at: Instant,
    /// Number of the next line.
    next_line: u64,
    kept: Scrollback,
}

impl PlainHistory {
    /// Nothing scrolled off yet.
    pub fn new(now: Instant) -> Self {
        let kept = Scrollback::default();
        Self { is_wanted: false, is_old: false, next_at: now, next_line: 0, kept }
    }

    /// Whether anybody keeps a replica.
    pub fn handle_wanted(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
        self.is_old |= is_wanted;
    }

    /// The screen shows something else.
    pub fn handle_drawn(&mut self) {
        self.is_old = true;
    }

    /// When the screen is to be asked.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.is_wanted && self.is_old).then_some(self.next_at)
    }

    /// The screen was asked, and looks like this. Gives what viewers may have.
    pub fn handle_scrolled_off(
        &mut self,
        scrolled: &ScrolledOff,
        frame: &Frame,
        now: Instant,
    ) -> Scrollback {
        (self.is_old, self.next_at) = (false, now + INTERVAL);
        if scrolled.is_cleared || scrolled.has_hole {
            self.kept.start(self.kept.source().wrapping_add(1));
            self.next_line = 0;
        }
        let (cols, rows) = (frame.size().cols, frame.size().rows);
        for block in blocks_of(&scrolled.rows, cols, self.next_line) {
            self.kept.add(block);
        }
        self.next_line += scrolled.rows.len() as u64;
        let is_alternate = frame.modes().contains(Modes::ALT_SCREEN);
        self.kept.set_place(Place { left: 0, top: 0, cols, rows, is_alternate });
        self.kept.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::{Screen, Size};

    #[test]
    fn lines_are_taken_while_somebody_wants_them_and_not_too_often() {
        let mut now = Instant::now();
        let mut screen = Screen::new(Size { cols: 20, rows: 3 });
        screen.keep_scrolled_off();
        let mut history = PlainHistory::new(now);
        let draw = |screen: &mut Screen, history: &mut PlainHistory, text: &str| {
            screen.handle_output(text.as_bytes(), Instant::now());
            history.handle_drawn();
        };
        draw(&mut screen, &mut history, "1\r\n2\r\n3\r\n4\r\n5");
        assert_eq!(history.poll_timeout(), None);
        history.handle_wanted(true);
        assert_eq!(history.poll_timeout(), Some(now));
        let take = |screen: &mut Screen, history: &mut PlainHistory, now| {
            let (scrolled, frame) = (screen.take_scrolled_off(), screen.frame());
            history.handle_scrolled_off(&scrolled, &frame, now)
        };
        assert_eq!(take(&mut screen, &mut history, now).range(), 0..2, "those from before, too");
        assert_eq!(history.poll_timeout(), None, "nothing is drawn");
        draw(&mut screen, &mut history, "\r\n6");
        assert_eq!(history.poll_timeout(), Some(now + INTERVAL));
        now += INTERVAL;
        let kept = take(&mut screen, &mut history, now);
        assert_eq!((kept.range(), kept.place().is_alternate), (0..3, false));
        draw(&mut screen, &mut history, "\x1b[?1049h");
        assert!(take(&mut screen, &mut history, now).place().is_alternate);
        draw(&mut screen, &mut history, "\x1b[?1049l\x1b[3J\r\n7");
        let kept = take(&mut screen, &mut history, now);
        assert_eq!((kept.range(), kept.source()), (0..1, 1));
    }
}
