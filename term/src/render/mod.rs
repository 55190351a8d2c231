//! Draws frames on a viewer's terminal with few bytes.
//!
//! [`capabilities`] is what the terminal can do, [`terminal`] what it is known to show and where
//! its cursor and pen are, [`paint`] draws a row, [`scroll`] moves what only moved, [`sgr`] changes
//! the pen, [`modes`] everything that isn't in a cell.
//!
//! Autowrap is off while we draw: a character that the terminal takes for wider than we do can
//! spoil its row's end, never the rows below, and the last cell of the screen cannot scroll it.

mod capabilities;
mod colors;
mod modes;
mod paint;
mod scroll;
mod sgr;
mod still;
mod terminal;

use std::sync::Arc;

pub use capabilities::{Capabilities, ColorDepth};
pub use still::still;

use crate::frame::{Cursor, Frame, is_same_row};
use crate::row::{Cell, Row};
use modes::ShownModes;
use terminal::Terminal;

/// Updates from this size on are drawn as one where the terminal can: the 16 bytes for it are then
/// a small part, and smaller ones are on the screen at once anyhow.
const SYNC_BYTES_MIN: usize = 256;
/// Updates from this size on are drawn without cursor, which would be seen to jump about.
const HIDE_CURSOR_BYTES_MIN: usize = 64;
/// Blocks of rows moved in one update: panes beside and below each other.
const SCROLLS_MAX: usize = 4;

/// Draws frames on one viewer's terminal: remembers what it shows, writes the difference.
#[derive(Debug)]
pub struct Renderer {
    capabilities: Capabilities,
    terminal: Terminal,
    modes: ShownModes,
    /// What the terminal shows; `None` before the first frame and when that is unknown.
    shown: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    cols: u16,
    rows: Arc<[Arc<Row>]>,
}

impl Renderer {
    /// For a terminal that shows nothing yet.
    pub fn new(capabilities: Capabilities) -> Self {
        Self {
            terminal: Terminal::new(capabilities.clone()),
            modes: ShownModes::new(capabilities.clone()),
            capabilities,
            shown: None,
        }
    }

    /// Bytes to enter (alternate screen, clear); once, first.
    pub fn enter(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.capabilities.has_osc {
            // The title is kept on the terminal's stack.
            out.extend(b"\x1b[22;2t");
        }
        out.extend(b"\x1b[?1049h\x1b[?7l\x1b[r\x1b[m\x1b[H\x1b[2J");
        out
    }

    /// Fewest bytes that turn what the terminal shows into `frame`. Empty if nothing changed.
    pub fn render(&mut self, frame: &Frame) -> Vec<u8> {
        self.draw(frame);
        let drawn = self.terminal.take_output();
        self.move_cursor(frame);
        let motion = self.terminal.take_output();
        let is_cursor_shown = self.modes.is_cursor_visible();
        let changes = self.modes.change(frame);
        let is_synced = drawn.len() >= SYNC_BYTES_MIN && self.capabilities.has_sync;
        let is_hidden = drawn.len() >= HIDE_CURSOR_BYTES_MIN && is_cursor_shown && !is_synced;
        let mut out = Vec::with_capacity(drawn.len() + motion.len() + changes.len() + 16);
        if is_synced {
            out.extend(b"\x1b[?2026h");
        }
        if is_hidden {
            out.extend(b"\x1b[?25l");
        }
        out.extend(drawn);
        out.extend(motion);
        out.extend(changes);
        if is_hidden && frame.cursor().is_visible {
            out.extend(b"\x1b[?25h");
        }
        if is_synced {
            out.extend(b"\x1b[?2026l");
        }
        out
    }

    /// What the terminal shows is unknown (it changed its size): the next render draws all.
    pub fn forget(&mut self) {
        self.shown = None;
        self.terminal.forget();
    }

    /// Bytes to leave: every mode reset, main screen.
    pub fn leave(&mut self) -> Vec<u8> {
        let mut out = self.modes.reset();
        out.extend(self.terminal.reset());
        out.extend(b"\x1b[r\x1b[?7h\x1b[?25h\x1b[?1049l");
        if self.capabilities.has_osc {
            out.extend(b"\x1b[23;2t");
        }
        self.shown = None;
        out
    }

    /// Draws the cells of `frame`.
    fn draw(&mut self, frame: &Frame) {
        let size = frame.size();
        let is_same_size =
            |shown: &Shown| shown.cols == size.cols && shown.rows.len() == usize::from(size.rows);
        let shown = self.shown.take().filter(is_same_size);
        let rows = match shown {
            Some(shown) => shown.rows,
            None => {
                self.terminal.clear();
                Frame::blank(size).rows
            }
        };
        if !Arc::ptr_eq(&rows, &frame.rows) {
            self.draw_rows(&rows, frame);
        }
        self.shown = Some(Shown { cols: size.cols, rows: Arc::clone(&frame.rows) });
    }

    /// Moves the cursor to its place; a hidden one may stay where it is.
    fn move_cursor(&mut self, frame: &Frame) {
        let Cursor { col, row, is_visible, .. } = frame.cursor();
        if is_visible && !self.terminal.is_at(col, row) {
            let cells: Vec<Cell<'_>> = frame.rows[usize::from(row)].cells(col).collect();
            paint::go(&mut self.terminal, &cells, col.into(), row);
        }
    }

    fn draw_rows(&mut self, shown: &[Arc<Row>], frame: &Frame) {
        let mut shown = shown.to_vec();
        for _ in 0..SCROLLS_MAX {
            let Some(scroll) = scroll::find(&shown, &frame.rows) else {
                break;
            };
            self.terminal.scroll(scroll, shown.len());
            scroll.apply(&mut shown);
        }
        for (y, (old, new)) in shown.iter().zip(frame.rows.iter()).enumerate() {
            if !is_same_row(old, new) {
                paint::row(&mut self.terminal, y as u16, old, new, frame.size().cols);
            }
        }
    }
}

#[cfg(test)]
mod tests;
