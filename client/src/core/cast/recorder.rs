//! Makes a recording of frames: the lines of an asciicast of version 3.
//!
//! What is recorded is the shared screen as the host had it, whole: not the part of it that fits a
//! small window, no notices, and no predictions, which may have been wrong. A recording tells what
//! happened.
//!
//! It plays on the main screen, so that its last picture stays: with the alternate one, players
//! would end with whatever was there before. Keys, mouse and clipboard of whoever plays it are left
//! alone.

use serde::Serialize;
use std::time::Duration;
use tern_term::{Capabilities, Frame, Renderer, Size};

/// What terminals that play it are taken for, by name; nearly all understand it.
const TERM: &str = "xterm-256color";

/// Makes lines, each with its newline. Times count from the recorder's beginning.
#[derive(Debug)]
pub struct Recorder {
    renderer: Renderer,
    /// Of what was recorded last; `None` at first.
    size: Option<Size>,
    /// Goes on after lines that others wrote.
    is_appending: bool,
    /// What the header says.
    title: String,
    started_at: u64,
    /// Time of the last event in microseconds: intervals are differences of rounded times, so that
    /// their errors don't add up.
    micros: u64,
}

#[derive(Serialize)]
struct Header<'a> {
    version: u8,
    term: Term<'a>,
    timestamp: u64,
    title: &'a str,
}

#[derive(Serialize)]
struct Term<'a> {
    cols: u16,
    rows: u16,
    #[serde(rename = "type")]
    name: &'a str,
}

impl Recorder {
    /// A recording of this title, which begins now: `started_at` is in seconds since 1970. One that
    /// appends to another writes no header.
    pub fn new(title: &str, started_at: u64, is_appending: bool) -> Self {
        let capabilities = Capabilities::from_env(TERM, Some("truecolor")).watch_only();
        // An event is shown as one anyway.
        let capabilities = Capabilities { has_sync: false, ..capabilities };
        let renderer = Renderer::new(capabilities);
        let title = title.to_owned();
        Self { renderer, size: None, is_appending, title, started_at, micros: 0 }
    }

    /// Whether anything was shown yet.
    pub fn has_begun(&self) -> bool {
        self.size.is_some()
    }

    /// The screen looks like this. Empty if that doesn't show.
    pub fn handle_frame(&mut self, frame: &Frame, at: Duration) -> String {
        let mut lines = String::new();
        let mut output = String::new();
        if self.size != Some(frame.size()) {
            let size @ Size { cols, rows } = frame.size();
            match self.size.replace(size) {
                None if !self.is_appending => lines = self.header(size),
                _ => lines = self.event('r', &format!("{cols}x{rows}"), at),
            }
            // Modes that we draw in, whatever was before.
            output.push_str("\x1b[r\x1b[?7l");
        }
        let drawn = self.renderer.render(frame);
        output.push_str(&String::from_utf8_lossy(&drawn));
        if !output.is_empty() {
            lines += &self.event('o', &output, at);
        }
        lines
    }

    /// Something of note happened.
    pub fn handle_marker(&mut self, text: &str, at: Duration) -> String {
        if self.has_begun() { self.event('m', text, at) } else { String::new() }
    }

    /// The session ended with this exit status. The cursor is left in the last row.
    pub fn handle_end(&mut self, exit_status: u8, at: Duration) -> String {
        let Some(Size { rows, .. }) = self.size else { return String::new() };
        let end = format!("\x1b[m\x1b[?7h\x1b[?25h\x1b[?1007h\x1b[0 q\x1b[{rows};1H");
        let left = self.event('o', &end, at);
        left + &self.event('x', &exit_status.to_string(), at)
    }

    fn header(&self, Size { cols, rows }: Size) -> String {
        let term = Term { cols, rows, name: TERM };
        let (timestamp, title) = (self.started_at, &*self.title);
        line(&Header { version: 3, term, timestamp, title })
    }

    fn event(&mut self, code: char, data: &str, at: Duration) -> String {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(self.micros);
        let interval = micros - self.micros;
        self.micros = micros;
        let data = serde_json::to_string(data).expect("a text is JSON");
        format!("[{}.{:06}, \"{code}\", {data}]\n", interval / 1_000_000, interval % 1_000_000)
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cast::{Events, What, read_header};
    use proptest::prelude::*;
    use std::time::Instant;
    use tern_term::Screen;

    const SIZE: Size = Size { cols: 20, rows: 4 };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What a terminal shows that plays these lines, and when the last event was.
    fn play(lines: &str) -> (Frame, Duration, Vec<String>) {
        let mut lines = lines.lines();
        let header = read_header(lines.next().expect("a header")).expect("a header");
        let (mut screen, mut events) = (Screen::new(header.size), Events::new(&header));
        let (mut last, mut markers) = (Duration::ZERO, Vec::new());
        for line in lines {
            let event = events.read(line).expect("a good line").expect("an event");
            last = event.at;
            match event.what {
                What::Output(text) => screen.handle_output(text.as_bytes(), Instant::now()),
                What::Resized(size) => screen.resize(size),
                What::Marker(text) => markers.push(text),
                What::Unseen => {}
            }
        }
        (screen.frame(), last, markers)
    }

    #[test]
    fn recording_plays_to_the_same_picture() {
        let mut recorder = Recorder::new("a \"title\"", 1_700_000_000, false);
        let mut lines = recorder.handle_marker("before all", at(1));
        assert_eq!(lines, "");
        let first = Frame::from_lines(SIZE, ["$ ls", "日本語", "", "last row, all of it!"]);
        lines += &recorder.handle_frame(&first, at(10));
        assert_eq!(recorder.handle_frame(&first, at(15)), "", "nothing changed");
        assert_eq!(play(&lines).0.to_text(), first.to_text());
        lines += &recorder.handle_marker("host silent", at(1000));
        let larger = Frame::from_lines(Size { cols: 30, rows: 5 }, ["one", "two"]);
        lines += &recorder.handle_frame(&larger, at(2000));
        let (frame, last, markers) = play(&lines);
        assert_eq!((frame.to_text(), frame.size()), (larger.to_text(), larger.size()));
        assert_eq!((last, markers), (at(2000), vec!["host silent".into()]));
        lines += &recorder.handle_end(3, at(2500));
        assert!(lines.ends_with("[0.000000, \"x\", \"3\"]\n"), "{lines}");
        let header = lines.lines().next().expect("a header");
        let expected = "{\"version\":3,\"term\":{\"cols\":20,\"rows\":4,\"type\":\"xterm-256color\"},\
                        \"timestamp\":1700000000,\"title\":\"a \\\"title\\\"\"}";
        assert_eq!(header, expected);
    }

    #[test]
    fn appended_recording_has_no_header_and_says_its_size() {
        let mut first = Recorder::new("t", 0, false);
        let frame = Frame::from_lines(SIZE, ["first", "x", "y"]);
        let lines = first.handle_frame(&frame, at(500)) + &first.handle_end(0, at(600));
        let mut second = Recorder::new("t", 9, true);
        let frame = Frame::from_lines(Size { cols: 25, rows: 3 }, ["second"]);
        let more = second.handle_frame(&frame, at(100));
        assert!(more.starts_with("[0.100000, \"r\", \"25x3\"]\n"), "{more}");
        let (shown, last, _) = play(&(lines + &more));
        assert_eq!((shown.to_text(), last), (frame.to_text(), at(700)));
    }

    #[test]
    fn nothing_shown_is_nothing_recorded() {
        let mut recorder = Recorder::new("t", 0, false);
        assert!(!recorder.has_begun());
        assert_eq!(recorder.handle_end(1, at(5)), "");
    }

    proptest! {
        /// Whatever a program writes, at whatever moments: played, it looks as it did.
        #[test]
        fn any_output_is_played_as_it_was(
            pieces in prop::collection::vec((any::<String>(), 0u64..3_000_000), 1..12),
            sizes in prop::collection::vec((1u16..40, 1u16..12), 12),
        ) {
            let mut screen = Screen::new(SIZE);
            let mut recorder = Recorder::new("t", 0, false);
            let (mut lines, mut micros) = (String::new(), 0);
            for ((text, pause), (cols, rows)) in pieces.iter().zip(sizes) {
                if pause % 3 == 0 {
                    screen.resize(Size { cols, rows });
                }
                screen.handle_output(text.as_bytes(), Instant::now());
                micros += pause;
                lines += &recorder.handle_frame(&screen.frame(), Duration::from_micros(micros));
            }
            let (frame, last, _) = play(&lines);
            prop_assert_eq!(frame.to_text(), screen.frame().to_text());
            prop_assert!(last <= Duration::from_micros(micros));
            for line in lines.lines() {
                prop_assert!(!line.contains('\u{1b}'), "{}", line);
            }
        }
    }
}
