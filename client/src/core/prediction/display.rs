//! Whether predictions are shown, and how: on fast links the truth comes soon enough.
//!
//! The rules are mosh's (`terminaloverlay.h`, 215 to 225). It shows predictions where the round trip is
//! above 60 ms, since one in a hundred of its own is wrong. Here one in a thousand is at most, so that they
//! are shown wherever an echo may take some milliseconds: also in a LAN, where a busy machine makes
//! single ones late.

use std::time::{Duration, Instant};

/// Round trip above which predictions are shown, and below which they are no more.
const SHOW: Duration = Duration::from_millis(2);
const NO_SHOW: Duration = Duration::from_millis(1);
/// Round trip above which they are underlined, and below which they are no more.
const FLAG: Duration = Duration::from_millis(160);
const NO_FLAG: Duration = Duration::from_millis(100);
/// A key without an answer for so long: the link is slow just now.
const GLITCH: Duration = Duration::from_millis(250);
/// The same, so slow that what is shown is marked as a guess.
const LONG_GLITCH: Duration = Duration::from_secs(5);
/// Answers in time, each a while after the one before, that end a glitch.
const GLITCH_REPAIRS: u32 = 10;
const GLITCH_REPAIR_INTERVAL: Duration = Duration::from_millis(150);

/// When predictions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Where the echo takes some milliseconds.
    #[default]
    Adaptive,
    /// On any.
    Always,
    /// On none.
    Never,
}

/// The machine.
#[derive(Debug)]
pub struct Display {
    mode: Mode,
    is_shown: bool,
    is_flagged: bool,
    /// Answers in time that are needed until the glitch is over; above [`GLITCH_REPAIRS`] it was a
    /// long one.
    glitch: u32,
    repaired_at: Option<Instant>,
}

impl Display {
    /// On a link of which nothing is known yet.
    pub fn new(mode: Mode) -> Self {
        Self { mode, is_shown: false, is_flagged: false, glitch: 0, repaired_at: None }
    }

    /// As it was made.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The round trip takes so long.
    pub fn handle_rtt(&mut self, rtt: Duration, has_pending: bool) {
        self.is_shown = rtt > SHOW || self.is_shown && (rtt > NO_SHOW || has_pending);
        self.is_flagged = rtt > FLAG || self.is_flagged && rtt > NO_FLAG;
    }

    /// A key was answered after so long.
    pub fn handle_answer(&mut self, time: Duration, now: Instant) {
        let is_new =
            self.repaired_at.is_none_or(|at| now.duration_since(at) >= GLITCH_REPAIR_INTERVAL);
        if time < GLITCH && self.glitch > 0 && is_new {
            self.glitch -= 1;
            self.repaired_at = Some(now);
        }
    }

    /// The oldest key without an answer was typed then.
    pub fn handle_waiting(&mut self, since: Instant, now: Instant) {
        let waited = now.saturating_duration_since(since);
        if waited >= LONG_GLITCH {
            self.glitch = 2 * GLITCH_REPAIRS;
        } else if waited >= GLITCH {
            self.glitch = self.glitch.max(GLITCH_REPAIRS);
        }
    }

    /// When [`Self::handle_waiting`] has something new to see.
    pub fn poll_timeout(&self, since: Instant) -> Option<Instant> {
        match self.mode {
            Mode::Never => None,
            _ if self.glitch == 0 && !self.is_on() => Some(since + GLITCH),
            _ if self.glitch <= GLITCH_REPAIRS && !self.is_flagged => Some(since + LONG_GLITCH),
            Mode::Adaptive | Mode::Always => None,
        }
    }

    /// Whether predictions are shown.
    pub fn is_on(&self) -> bool {
        match self.mode {
            Mode::Always => true,
            Mode::Adaptive => self.is_shown || self.glitch > 0,
            Mode::Never => false,
        }
    }

    /// Whether they are underlined.
    pub fn is_flagged(&self) -> bool {
        self.is_flagged || self.glitch > GLITCH_REPAIRS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn slow_links_show_predictions_and_slower_ones_mark_them() {
        let mut display = Display::new(Mode::Adaptive);
        for (rtt, has_pending, is_on, is_flagged) in [
            (2000, false, false, false),
            (2100, false, true, false),
            (1500, false, true, false),
            (900, true, true, false),
            (900, false, false, false),
            (200_000, false, true, true),
            (120_000, false, true, true),
            (90_000, false, true, false),
        ] {
            display.handle_rtt(Duration::from_micros(rtt), has_pending);
            assert_eq!((display.is_on(), display.is_flagged()), (is_on, is_flagged), "{rtt} us");
        }
    }

    #[test]
    fn glitch_shows_predictions_until_answers_are_fast_again() {
        let mut now = Instant::now();
        let mut display = Display::new(Mode::Adaptive);
        assert_eq!(display.poll_timeout(now), Some(now + GLITCH));
        display.handle_waiting(now, now + 249 * MS);
        assert!(!display.is_on());
        display.handle_waiting(now, now + GLITCH);
        assert!(display.is_on() && !display.is_flagged());
        assert_eq!(display.poll_timeout(now), Some(now + LONG_GLITCH));
        display.handle_waiting(now, now + LONG_GLITCH);
        assert!(display.is_flagged());
        assert_eq!(display.poll_timeout(now), None);
        for _ in 0..20 {
            assert!(display.is_on());
            now += 150 * MS;
            display.handle_answer(20 * MS, now);
        }
        assert!(!display.is_on());
    }

    #[test]
    fn modes_always_and_never_are_just_that() {
        let mut never = Display::new(Mode::Never);
        never.handle_rtt(500 * MS, true);
        assert!(!never.is_on() && never.poll_timeout(Instant::now()).is_none());
        assert!(Display::new(Mode::Always).is_on());
    }
}
