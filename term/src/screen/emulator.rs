//! The state of the terminal: alacritty's grid, and what it doesn't keep.

use std::sync::Arc;
use std::time::Instant;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::{Config, Osc52, Term, TermDamage, TermMode};

use super::cluster::Clusters;
use super::lines::SCROLLED_OFF_MAX;
use super::snapshot::Snapshot;
use super::{REPLY_BYTES_MAX, SYNC_TIME_MAX};
use crate::frame::{Clipboard, Cursor, Frame, Modes};
use crate::row::Row;
use crate::size::Size;

/// Saved titles (XTWINOPS 22); more push the oldest out.
const TITLE_STACK_LEN_MAX: usize = 16;
/// Alacritty's grid needs room for a wide character.
const GRID_COLS_MIN: u16 = 2;

/// What the parser drives; see [`super::control`].
pub(super) struct Emulator {
    pub(super) term: Term<VoidListener>,
    /// What is asked for; the grid may be wider.
    size: Size,
    pub(super) clusters: Clusters,
    /// Only `is_visible`, `shape` and `is_blinking` count; the place is the grid's.
    pub(super) cursor: Cursor,
    pub(super) modes: Modes,
    title: Arc<str>,
    title_stack: Vec<Arc<str>>,
    pub(super) bell_count: u32,
    clipboard: Option<Arc<Clipboard>>,
    /// Last character printed, for REP.
    pub(super) last_char: Option<char>,
    /// Whether the last thing in the output was a character.
    pub(super) is_printing: bool,
    /// Rows changed that alacritty doesn't know of.
    pub(super) is_damaged: bool,
    /// Whether the parser called since this was last cleared.
    pub(super) has_dispatched: bool,
    /// When the bytes came that are being parsed.
    pub(super) now: Option<Instant>,
    pub(super) replies: Vec<u8>,
    sync: Sync,
    pub(super) snapshot: Snapshot,
    rows: Arc<[Arc<Row>]>,
    /// All that scrolled off before is to be forgotten.
    pub(super) is_scrolled_off_cleared: bool,
}

/// Synchronized output (mode 2026).
enum Sync {
    /// Every change shows.
    Off,
    /// The picture from before the update shows until it ends, at the latest at `deadline`.
    Holding { frame: Frame, deadline: Instant },
}

fn config(scrolling_history: usize) -> Config {
    Config { scrolling_history, kitty_keyboard: false, osc52: Osc52::Disabled, ..Config::default() }
}

struct GridSize(Size);

impl Dimensions for GridSize {
    fn total_lines(&self) -> usize {
        self.0.rows.into()
    }
    fn screen_lines(&self) -> usize {
        self.0.rows.into()
    }
    fn columns(&self) -> usize {
        self.0.cols.max(GRID_COLS_MIN).into()
    }
}

impl Emulator {
    pub(super) fn new(size: Size) -> Self {
        let blank = Frame::blank(size);
        Self {
            term: Term::new(config(0), &GridSize(size), VoidListener),
            size,
            clusters: Clusters::default(),
            cursor: blank.cursor,
            modes: blank.modes,
            title: blank.title,
            title_stack: Vec::new(),
            bell_count: 0,
            clipboard: None,
            last_char: None,
            is_printing: false,
            is_damaged: true,
            has_dispatched: false,
            now: None,
            replies: Vec::new(),
            sync: Sync::Off,
            snapshot: Snapshot::default(),
            rows: blank.rows,
            is_scrolled_off_cleared: false,
        }
    }

    /// Lines that scroll off are kept.
    pub(super) fn keep_scrolled_off(&mut self) {
        self.term.set_options(config(SCROLLED_OFF_MAX));
    }

    /// ED 3: what scrolled off is to be forgotten.
    pub(super) fn clear_scrolled_off(&mut self) {
        self.term.grid_mut().clear_history();
        self.is_scrolled_off_cleared = true;
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn resize(&mut self, size: Size) {
        if size == self.size {
            return;
        }
        self.sync = Sync::Off;
        self.size = size;
        self.term.resize(GridSize(size));
        self.is_damaged = true;
    }

    pub(super) fn sync_deadline(&self) -> Option<Instant> {
        match self.sync {
            Sync::Off => None,
            Sync::Holding { deadline, .. } => Some(deadline),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.sync_deadline().is_some_and(|deadline| deadline <= now) {
            self.sync = Sync::Off;
        }
    }

    /// An update begins. One that has begun is not prolonged: it would never have to end.
    pub(super) fn begin_sync(&mut self) {
        if let (Sync::Off, Some(now)) = (&self.sync, self.now) {
            let frame = self.snapshot();
            self.sync = Sync::Holding { frame, deadline: now + SYNC_TIME_MAX };
        }
    }

    pub(super) fn end_sync(&mut self) {
        self.sync = Sync::Off;
    }

    pub(super) fn is_syncing(&self) -> bool {
        matches!(self.sync, Sync::Holding { .. })
    }

    pub(super) fn frame(&mut self) -> Frame {
        match &self.sync {
            Sync::Off => self.snapshot(),
            Sync::Holding { frame, .. } => frame.clone(),
        }
    }

    fn snapshot(&mut self) -> Frame {
        self.update_rows();
        let point = self.term.grid().cursor.point;
        let is_alt = self.term.mode().contains(TermMode::ALT_SCREEN);
        Frame {
            size: self.size,
            rows: Arc::clone(&self.rows),
            cursor: Cursor {
                col: (point.column.0 as u16).min(self.size.cols - 1),
                row: (point.line.0 as u16).min(self.size.rows - 1),
                ..self.cursor
            },
            modes: self.modes.with(Modes::ALT_SCREEN, is_alt),
            title: Arc::clone(&self.title),
            bell_count: self.bell_count,
            clipboard: self.clipboard.clone(),
        }
    }

    /// Makes the rows anew that were touched since the last time.
    fn update_rows(&mut self) {
        let is_damaged = std::mem::take(&mut self.is_damaged);
        let touched: Vec<usize> = match self.term.damage() {
            TermDamage::Partial(lines) if !is_damaged => lines.map(|line| line.line).collect(),
            TermDamage::Partial(_) | TermDamage::Full => (0..self.size.rows.into()).collect(),
        };
        self.term.reset_damage();
        let mut rows: Option<Vec<Arc<Row>>> = None;
        if self.rows.len() != usize::from(self.size.rows) {
            let blanks = std::iter::repeat_with(Row::blank);
            rows =
                Some(self.rows.iter().cloned().chain(blanks).take(self.size.rows.into()).collect());
        }
        for y in touched {
            let cells = &self.term.grid()[Line(y as i32)][..Column(self.size.cols.into())];
            if let Some(row) = self.snapshot.row(cells, y, &self.rows) {
                rows.get_or_insert_with(|| self.rows.to_vec())[y] = row;
            }
        }
        if let Some(rows) = rows {
            self.rows = rows.into();
        }
    }

    pub(super) fn reply(&mut self, reply: &str) {
        if self.replies.len() + reply.len() <= REPLY_BYTES_MAX {
            self.replies.extend_from_slice(reply.as_bytes());
        }
    }

    pub(super) fn set_title(&mut self, title: &str) {
        if *title != *self.title {
            self.title = title.into();
        }
    }

    pub(super) fn push_title(&mut self) {
        if self.title_stack.len() == TITLE_STACK_LEN_MAX {
            self.title_stack.remove(0);
        }
        self.title_stack.push(Arc::clone(&self.title));
    }

    pub(super) fn pop_title(&mut self) {
        if let Some(title) = self.title_stack.pop() {
            self.title = title;
        }
    }

    pub(super) fn set_clipboard(&mut self, selection: u8, base64: &str) {
        let seq = self.clipboard.as_ref().map_or(0, |clipboard| clipboard.seq).wrapping_add(1);
        self.clipboard = Some(Arc::new(Clipboard { seq, selection, base64: base64.into() }));
    }

    /// RIS: everything as it was at first, except what counts up.
    pub(super) fn reset(&mut self) {
        use alacritty_terminal::vte::ansi::Handler as _;
        self.term.reset_state();
        self.clear_scrolled_off();
        let blank = Frame::blank(self.size);
        self.cursor = blank.cursor;
        self.modes = blank.modes;
        self.title = blank.title;
        self.title_stack.clear();
        self.last_char = None;
        self.sync = Sync::Off;
    }
}
