//! When what tmux draws is a picture. What a person does is one at once; in a flood only what stands there
//! when nothing more comes, or at the end of each spell of reading. There it must be more than a line half
//! printed: under `yes`, a screen that always looks the same would have its last row come and go for ever.

use std::time::{Duration, Instant};
use tern_term::{Cursor, Frame};

/// In a flood a picture waits until nothing more came for so long, or for the next rest: between, it
/// shows half of what tmux draws.
const QUIET_TIME: Duration = Duration::from_millis(10);
/// What tmux wrote before its terminal was stopped has arrived after this time (the kernel passes it on
/// from a task of its own).
const ARRIVAL_TIME: Duration = Duration::from_millis(2);
/// If nothing came so long after a rest's end, the flood is over.
pub const RESUME_TIME: Duration = Duration::from_millis(30);
/// How long a line that is half printed at each rest waits for the rest of it, if nothing else changes.
const HALF_LINE_TIME: Duration = Duration::from_millis(500);

/// The machine.
#[derive(Debug, Default)]
pub struct FloodPictures {
    due: Option<Instant>,
    is_resting: bool,
    /// The last that was shown.
    shown: Option<Frame>,
    half_since: Option<Instant>,
}

impl FloodPictures {
    /// A part of a flood was drawn.
    pub fn handle_drawn(&mut self, now: Instant) {
        (self.due, self.is_resting) = (Some(now + QUIET_TIME), false);
    }

    /// Nothing more is read for a while, but for what is on its way.
    pub fn handle_rest(&mut self, now: Instant) {
        self.due = self.due.map(|_| now + ARRIVAL_TIME);
        self.is_resting = true;
    }

    /// It is read again.
    pub fn handle_resumed(&mut self, now: Instant) {
        self.due = self.due.map(|_| now + RESUME_TIME);
        self.is_resting = false;
    }

    /// When there is a picture, for [`Self::handle_due`]; `None` if none waits.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The picture that is due. Whether it's to be shown now.
    pub fn handle_due(&mut self, picture: &Frame, now: Instant) -> bool {
        if self.shown.as_ref() == Some(picture) {
            (self.due, self.half_since) = (None, None);
            return false;
        }
        let is_half = |shown: &Frame| self.is_resting && is_half_line(shown, picture);
        if !self.shown.as_ref().is_some_and(is_half) {
            return true;
        }
        let waits_until = *self.half_since.get_or_insert(now) + HALF_LINE_TIME;
        self.due = Some(waits_until);
        waits_until <= now
    }

    /// This is shown now, in a flood or not.
    pub fn handle_shown(&mut self, picture: &Frame) {
        (self.due, self.half_since, self.shown) = (None, None, Some(picture.clone()));
    }
}

/// Whether nothing is different but how far the line with the cursor was printed.
fn is_half_line(shown: &Frame, drawn: &Frame) -> bool {
    let at_begin = |frame: &Frame| Cursor { col: 0, ..frame.cursor() };
    let rest = |frame: &Frame| (frame.size(), frame.modes(), frame.bell_count());
    let row = usize::from(drawn.cursor().row);
    let mut pairs = shown.rows().iter().zip(drawn.rows()).enumerate();
    let text = |frame: &Frame| {
        let mut text = String::new();
        frame.rows()[row].push_text(&mut text);
        text.trim_end().to_owned()
    };
    at_begin(shown) == at_begin(drawn)
        && rest(shown) == rest(drawn)
        && (shown.title(), shown.clipboard()) == (drawn.title(), drawn.clipboard())
        && pairs.all(|(at, (shown, drawn))| at == row || shown == drawn)
        && {
            let (shown, drawn) = (text(shown), text(drawn));
            shown != drawn && (shown.starts_with(&drawn) || drawn.starts_with(&shown))
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
        let end = now + HALF_LINE_TIME;
        // The flood goes on and on.
        for ms in [0, 200, 400] {
            let now = now + ms * MS;
            pictures.handle_drawn(now);
            pictures.handle_rest(now);
            assert!(!pictures.handle_due(&half, now), "{ms}");
            assert!(pictures.poll_timeout().is_some_and(|due| due == end));
            pictures.handle_resumed(now + 100 * MS);
        }
        pictures.handle_rest(end);
        assert!(pictures.handle_due(&half, end));
        pictures.handle_shown(&half);
        pictures.handle_drawn(end);
        pictures.handle_rest(end);
        assert!(!pictures.handle_due(&whole, end), "nor does the row just come and go");
    }

    #[test]
    fn what_looks_the_same_is_no_picture() {
        let now = Instant::now();
        let mut pictures = FloodPictures::default();
        pictures.handle_shown(&picture("y\r\n"));
        pictures.handle_drawn(now);
        assert!(!pictures.handle_due(&picture("y\r\n"), now + QUIET_TIME));
        assert_eq!(pictures.poll_timeout(), None);
    }

    #[test]
    fn prompt_after_a_flood_is_shown_at_once_and_so_is_half_a_line_that_stays() {
        let now = Instant::now();
        let mut pictures = FloodPictures::default();
        let (flood, prompt) = (picture("y\r\ny\r\n"), picture("y\r\ny\r\n$ "));
        pictures.handle_shown(&flood);
        pictures.handle_drawn(now);
        assert!(pictures.handle_due(&prompt, now + QUIET_TIME));
        // It came with the last of the flood.
        pictures.handle_rest(now);
        assert!(!pictures.handle_due(&prompt, now));
        pictures.handle_resumed(now + 200 * MS);
        let due = now + 200 * MS + RESUME_TIME;
        assert_eq!(pictures.poll_timeout(), Some(due));
        assert!(pictures.handle_due(&prompt, due));
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
            "y\r\ny\r\n\x1b[31m10 %",
            "y\r\ny\r\n10 %\x1b[D",
        ] {
            let mut pictures = FloodPictures::default();
            pictures.handle_shown(&picture(shown));
            pictures.handle_drawn(now);
            pictures.handle_rest(now);
            assert!(pictures.handle_due(&picture(drawn), now), "{drawn:?}");
        }
    }
}
