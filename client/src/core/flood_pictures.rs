//! When what tmux draws is a picture. What a person does is one at once; in a flood only what stands there
//! at the end of each spell of reading is, and only if it's more than a line half printed: under `yes`, a
//! screen that always looks the same would have its last row come and go for ever.

use std::time::{Duration, Instant};
use tern_term::{Cursor, Frame};

/// In a flood a picture waits until nothing more came for so long, or for the next rest: between, it
/// shows half of what tmux draws.
const QUIET_TIME: Duration = Duration::from_millis(10);
/// What tmux wrote before its terminal was stopped has arrived after this time (the kernel passes it on
/// from a task of its own).
const ARRIVAL_TIME: Duration = Duration::from_millis(2);
/// How long a line that is half printed waits for the rest, if nothing else changes.
const HALF_LINE_TIME: Duration = Duration::from_millis(500);

/// The machine.
#[derive(Debug, Default)]
pub struct FloodPictures {
    due: Option<Instant>,
    /// The last that was shown.
    shown: Option<Frame>,
    half_since: Option<Instant>,
}

impl FloodPictures {
    /// A part of a flood was drawn.
    pub fn handle_drawn(&mut self, now: Instant) {
        self.due = Some(now + QUIET_TIME);
    }

    /// Nothing more is read for a while, but for what is on its way.
    pub fn handle_rest(&mut self, now: Instant) {
        self.due = self.due.map(|_| now + ARRIVAL_TIME);
    }

    /// When there is a picture, for [`Self::handle_due`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The picture that is due. Whether it's to be shown now.
    pub fn handle_due(&mut self, picture: &Frame, now: Instant) -> bool {
        if !self.shown.as_ref().is_some_and(|shown| is_half_line(shown, picture)) {
            return true;
        }
        let waits_until = *self.half_since.get_or_insert(now) + HALF_LINE_TIME;
        self.due = Some(waits_until);
        waits_until <= now
    }

    /// This is shown now, in a flood or not.
    pub fn handle_shown(&mut self, picture: &Frame) {
        *self = Self { due: None, shown: Some(picture.clone()), half_since: None };
    }
}

/// Whether nothing is different but how far the line with the cursor was printed.
fn is_half_line(shown: &Frame, drawn: &Frame) -> bool {
    let at_begin = |frame: &Frame| Cursor { col: 0, ..frame.cursor() };
    let rest = |frame: &Frame| (frame.size(), frame.modes(), frame.bell_count());
    let row = usize::from(drawn.cursor().row);
    let mut pairs = shown.rows().iter().zip(drawn.rows()).enumerate();
    at_begin(shown) == at_begin(drawn)
        && rest(shown) == rest(drawn)
        && (shown.title(), shown.clipboard()) == (drawn.title(), drawn.clipboard())
        && pairs.all(|(at, (shown, drawn))| at == row || shown == drawn)
        && {
            let text = |frame: &Frame| {
                let mut text = String::new();
                frame.rows()[row].push_text(&mut text);
                text.trim_end().to_owned()
            };
            let (shown, drawn) = (text(shown), text(drawn));
            shown.starts_with(&drawn) || drawn.starts_with(&shown)
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::{Screen, Size};

    const MS: Duration = Duration::from_millis(1);

    fn picture(text: &str) -> Frame {
        let mut screen = Screen::new(Size { cols: 10, rows: 4 });
        screen.handle_output(text.as_bytes(), Instant::now());
        screen.frame()
    }

    #[test]
    fn flood_is_shown_when_it_is_quiet_or_rests() {
        let now = Instant::now();
        let mut pictures = FloodPictures::default();
        pictures.handle_rest(now);
        assert_eq!(pictures.poll_timeout(), None, "nothing was drawn");
        pictures.handle_drawn(now);
        pictures.handle_drawn(now + 5 * MS);
        assert_eq!(pictures.poll_timeout(), Some(now + 5 * MS + QUIET_TIME));
        pictures.handle_rest(now + 6 * MS);
        assert_eq!(pictures.poll_timeout(), Some(now + 6 * MS + ARRIVAL_TIME));
        assert!(pictures.handle_due(&picture("a"), now + 8 * MS));
        pictures.handle_shown(&picture("a"));
        assert_eq!(pictures.poll_timeout(), None);
    }

    #[test]
    fn half_a_line_waits_for_the_rest_but_not_for_ever() {
        let now = Instant::now();
        let mut pictures = FloodPictures::default();
        let (whole, half) = (picture("y\r\ny\r\ny\r\n"), picture("y\r\ny\r\ny\r\ny"));
        pictures.handle_shown(&whole);
        pictures.handle_drawn(now);
        assert!(!pictures.handle_due(&half, now));
        let end = now + HALF_LINE_TIME;
        assert_eq!(pictures.poll_timeout(), Some(end));
        // The flood goes on.
        pictures.handle_drawn(now + 200 * MS);
        assert!(!pictures.handle_due(&half, now + 210 * MS));
        assert_eq!(pictures.poll_timeout(), Some(end));
        assert!(pictures.handle_due(&half, end));
        pictures.handle_shown(&half);
        assert!(!pictures.handle_due(&whole, end + 200 * MS), "nor does the row just come and go");
    }

    #[test]
    fn whatever_else_changes_is_shown() {
        let now = Instant::now();
        let shown = "y\r\ny\r\n10 %";
        for drawn in [
            "y\r\nz\r\n10 %",
            "y\r\ny\r\n11 %",
            "y\r\ny\r\n10 %\x07",
            "y\r\ny\r\n10 %\x1b[?25l",
            "y\r\ny\r\n10 %\x1b]2;title\x07",
            "y\r\ny\r\n10 %\x1b[?2004h",
            "y\r\ny\r\n10 %\r\n",
        ] {
            let mut pictures = FloodPictures::default();
            pictures.handle_shown(&picture(shown));
            assert!(pictures.handle_due(&picture(drawn), now), "{drawn:?}");
        }
    }
}
