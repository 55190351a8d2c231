//! A terminal without a window.
//!
//! [`emulator`] holds its state and gives pictures of it, [`control`] interprets what the parser
//! finds in the program's bytes, [`sgr`] and [`osc`] are parts of that, [`cluster`] decides which
//! characters share a cell, [`snapshot`] makes rows of the emulator's cells, [`lines`] is about rows
//! that are not on the screen.

mod cluster;
mod control;
mod emulator;
mod lines;
mod modes;
mod osc;
mod sgr;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alacritty_terminal::vte::Parser;

pub use cluster::Clusters;
pub use lines::rows_of_lines;
pub(crate) use osc::{is_base64, is_selection};

use crate::frame::Frame;
use crate::row::Row;
use crate::size::Size;
use emulator::Emulator;

/// Longest window title; the rest is cut.
pub const TITLE_CHARS_MAX: usize = 256;
/// Longest text that a program may put in the clipboard, in bytes of base64: 96 kB of text, more
/// than the 100 kB of base64 that xterm and others take. More is ignored.
pub const CLIPBOARD_BYTES_MAX: usize = 128 * 1024;
/// How long a synchronized update may hold the picture back. What others grant: 150 ms to 1 s.
const SYNC_TIME_MAX: Duration = Duration::from_millis(150);
/// Bytes of replies that wait; a program that asks without reading gets no more.
const REPLY_BYTES_MAX: usize = 4096;
/// Bytes of a control string (OSC) that the parser collects; a longer one is left out. More than
/// any that we heed.
const STRING_BYTES_MAX: usize = 2 * CLIPBOARD_BYTES_MAX;
/// Bytes parsed between two looks at whether a control string has grown too long.
const CHUNK_BYTES: usize = 16 * 1024;

/// A terminal without a window: takes a program's output, gives frames.
pub struct Screen {
    parser: Parser,
    emulator: Emulator,
    string: StringGuard,
}

/// What left the screen at its top.
#[derive(Debug, Default)]
pub struct ScrolledOff {
    /// The program wanted all that scrolled off before to be forgotten (ED 3, RIS).
    pub is_cleared: bool,
    /// There were more before these, which nobody has.
    pub has_hole: bool,
    /// Since then, oldest first.
    pub rows: Vec<Arc<Row>>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("size", &self.emulator.size()).finish_non_exhaustive()
    }
}

impl Screen {
    /// An empty screen.
    pub fn new(size: Size) -> Self {
        let size = Size::clamped(size.cols.into(), size.rows.into());
        Self {
            parser: Parser::new(),
            emulator: Emulator::new(size),
            string: StringGuard::Watching { bytes: 0 },
        }
    }

    /// Which characters are joined in one cell from now on.
    pub fn set_clusters(&mut self, clusters: Clusters) {
        self.emulator.clusters = clusters;
    }

    /// From now on lines that scroll off are kept, for [`Screen::take_scrolled_off`].
    pub fn keep_scrolled_off(&mut self) {
        self.emulator.keep_scrolled_off();
    }

    /// What scrolled off since this was last asked; of very much, the newest.
    pub fn take_scrolled_off(&mut self) -> ScrolledOff {
        self.emulator.take_scrolled_off()
    }

    /// The program wrote `bytes`.
    pub fn handle_output(&mut self, bytes: &[u8], now: Instant) {
        self.emulator.now = Some(now);
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let chunk = self.string.skip(chunk);
            self.emulator.has_dispatched = false;
            self.parser.advance(&mut self.emulator, chunk);
            if self.string.is_too_long(chunk.len(), self.emulator.has_dispatched) {
                // A new parser forgets the string, its memory too.
                self.parser = Parser::new();
            }
        }
    }

    /// A synchronized update (mode 2026) that did not end in time is shown anyway.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.emulator.handle_timeout(now);
    }

    /// When [`Screen::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.emulator.sync_deadline()
    }

    /// What the terminal answers to the program's queries (device attributes, reports).
    pub fn poll_reply(&mut self) -> Option<Vec<u8>> {
        let replies = std::mem::take(&mut self.emulator.replies);
        (!replies.is_empty()).then_some(replies)
    }

    /// The window changed its size.
    pub fn resize(&mut self, size: Size) {
        self.emulator.resize(Size::clamped(size.cols.into(), size.rows.into()));
    }

    /// The picture now; rows that did not change since the last call are shared with it.
    pub fn frame(&mut self) -> Frame {
        self.emulator.frame()
    }
}

/// Keeps the parser from collecting a control string without end.
#[derive(Debug)]
enum StringGuard {
    /// So many bytes went by without anything coming out of the parser.
    Watching { bytes: usize },
    /// A string was too long; its rest is left out.
    Skipping,
}

impl StringGuard {
    /// The part of `chunk` that the parser may see.
    fn skip<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Watching { .. } => chunk,
            Self::Skipping => {
                // BEL, CAN, SUB, ESC end a string.
                let Some(end) = chunk.iter().position(|b| matches!(b, 0x07 | 0x18 | 0x1a | 0x1b))
                else {
                    return &[];
                };
                *self = Self::Watching { bytes: 0 };
                if chunk[end] == 0x1b { &chunk[end..] } else { &chunk[end + 1..] }
            }
        }
    }

    /// Whether the parser must be stopped after `len` more bytes.
    fn is_too_long(&mut self, len: usize, has_dispatched: bool) -> bool {
        let Self::Watching { bytes } = self else {
            return false;
        };
        *bytes = if has_dispatched { 0 } else { *bytes + len };
        if *bytes <= STRING_BYTES_MAX {
            return false;
        }
        *self = Self::Skipping;
        true
    }
}

#[cfg(test)]
mod tests;
