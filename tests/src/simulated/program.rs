//! The program whose terminal is shared: echoes keys, sometimes floods, sometimes redraws.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, Instant};
use tern_term::{Frame, Screen, Size};

/// A flood's gulps follow each other so closely.
const GULP_INTERVAL: Duration = Duration::from_millis(5);
/// Lines in a gulp: 20 kB/s, at which every row of the screen changes with each gulp.
const GULP_LINES: u32 = 4;

/// What a program prints without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printing {
    /// Lines without a pause, for so long.
    Flood(Duration),
    /// The whole screen anew, in colours and with nothing that repeats.
    Redraw,
    /// A word.
    Word,
}

/// A gulp of output to come.
#[derive(Debug, Clone, Copy)]
enum Gulp {
    Lines,
    Redraw,
    Word,
}

/// A terminal with its program.
#[derive(Debug)]
pub(super) struct Program {
    screen: Screen,
    size: Size,
    gulps: VecDeque<(Duration, Gulp)>,
    lines_count: u64,
    chances: ChaCha8Rng,
}

impl Program {
    pub(super) fn new(
        size: Size,
        printing: &[(Duration, Printing)],
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut gulps = Vec::new();
        for &(at, what) in printing {
            match what {
                Printing::Redraw => gulps.push((at, Gulp::Redraw)),
                Printing::Word => gulps.push((at, Gulp::Word)),
                Printing::Flood(length) => {
                    let times = (0..).map(|count| at + count * GULP_INTERVAL);
                    let times = times.take_while(|time| *time < at + length);
                    gulps.extend(times.map(|time| (time, Gulp::Lines)));
                }
            }
        }
        gulps.sort_by_key(|(at, _)| *at);
        let chances = ChaCha8Rng::seed_from_u64(seed);
        let mut screen = Screen::new(size);
        screen.handle_output(b"$ ", now);
        Self { screen, size, gulps: gulps.into(), lines_count: 0, chances }
    }

    /// A key arrived: it is echoed as a shell does.
    pub(super) fn handle_key(&mut self, byte: u8, now: Instant) {
        self.screen.handle_output(&[byte], now);
    }

    /// When it prints next.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.gulps.front().map(|(at, _)| *at)
    }

    /// Prints what is due; gives whether there was any.
    pub(super) fn handle_timeout(&mut self, time: Duration, now: Instant) -> bool {
        let mut has_printed = false;
        while let Some(&(at, gulp)) = self.gulps.front()
            && at <= time
        {
            self.gulps.pop_front();
            let text = match gulp {
                Gulp::Lines => self.lines(),
                Gulp::Redraw => self.redraw(),
                Gulp::Word => "word ".to_owned(),
            };
            self.screen.handle_output(text.as_bytes(), now);
            has_printed = true;
        }
        has_printed
    }

    pub(super) fn frame(&mut self) -> Frame {
        self.screen.frame()
    }

    fn lines(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..GULP_LINES {
            self.lines_count += 1;
            let _ = write!(text, "\r\nline {} of the flood", self.lines_count);
        }
        text
    }

    fn redraw(&mut self) -> String {
        let mut text = "\x1b[H".to_owned();
        for row in 1..=self.size.rows {
            let _ = write!(text, "\x1b[{row};1H");
            for _ in 0..self.size.cols / 8 {
                let (color, word) =
                    (self.chances.random_range(16..232), self.chances.random::<u32>());
                let _ = write!(text, "\x1b[38;5;{color}m{word:08x}");
            }
        }
        text.push_str("\x1b[m\x1b[H");
        text
    }
}
