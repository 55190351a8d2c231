//! What a viewer's terminal is known to be: where its cursor is, what its pen draws; and how to
//! change that.

use super::scroll::Scroll;
use super::{Capabilities, sgr};
use crate::row::{Cell, Content};
use crate::style::Style;
use crate::width;

/// Where the cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Exactly there.
    At { col: u16, row: u16 },
    /// Somewhere in this row: the terminal may disagree about a width, or is at its border.
    In { row: u16 },
    /// Anywhere.
    Unknown,
}

/// A terminal, written to through its functions only.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) capabilities: Capabilities,
    out: Vec<u8>,
    place: Place,
    /// Reduced to what the terminal can show; `None` if unknown.
    pen: Option<Style>,
    /// What was reduced to it. Most cells look like the one before, and needn't be reduced again.
    pen_wanted: Option<Style>,
}

impl Terminal {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Self { capabilities, out: Vec::new(), place: Place::Unknown, pen: None, pen_wanted: None }
    }

    /// What was written since the last time.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(super) fn forget(&mut self) {
        self.place = Place::Unknown;
        self.forget_pen();
    }

    fn forget_pen(&mut self) {
        self.pen = None;
        self.pen_wanted = None;
    }

    /// Ends links and colours; returns what that takes, and what was written before.
    pub(super) fn reset(&mut self) -> Vec<u8> {
        self.forget_pen();
        self.set_pen(&Style::PLAIN);
        self.forget();
        self.take_output()
    }

    /// Makes the whole screen blank.
    pub(super) fn clear(&mut self) {
        self.forget_pen();
        self.set_pen(&Style::PLAIN);
        self.out.extend(b"\x1b[H\x1b[2J");
        self.place = Place::At { col: 0, row: 0 };
    }

    /// Whether the cursor is at this place for sure.
    pub(super) fn is_at(&self, col: u16, row: u16) -> bool {
        self.place == Place::At { col, row }
    }

    /// Makes the next motion an absolute one.
    pub(super) fn lose_col(&mut self) {
        if let Place::At { row, .. } = self.place {
            self.place = Place::In { row };
        }
    }

    /// The cursor's column if it is in this row for sure.
    pub(super) fn col_in(&self, row: u16) -> Option<u16> {
        match self.place {
            Place::At { col, row: at } if at == row => Some(col),
            Place::At { .. } | Place::In { .. } | Place::Unknown => None,
        }
    }

    pub(super) fn set_pen(&mut self, style: &Style) {
        if self.pen_wanted.as_ref() == Some(style) {
            return;
        }
        self.pen_wanted = Some(style.clone());
        let style = self.capabilities.reduce(style);
        if self.pen.as_ref() == Some(&style) {
            return;
        }
        let pen = match self.pen.take() {
            Some(pen) => pen,
            None => {
                self.out.extend(b"\x1b[m");
                if self.capabilities.has_osc {
                    sgr::change_link(&mut self.out, None);
                }
                Style::PLAIN
            }
        };
        sgr::change(&mut self.out, &pen, &style, &self.capabilities);
        if pen.link != style.link {
            sgr::change_link(&mut self.out, style.link.as_deref());
        }
        self.pen = Some(style);
    }

    /// Whether the pen draws this style already.
    pub(super) fn is_pen(&self, style: &Style) -> bool {
        self.pen_wanted.as_ref() == Some(style)
            || self.pen.as_ref().is_some_and(|pen| *pen == self.capabilities.reduce(style))
    }

    /// Puts a cell where the cursor is; `cols` is the width of the screen.
    pub(super) fn print(&mut self, cell: Cell<'_>, cols: u16) {
        self.set_pen(cell.style);
        let mut bytes = [0; 4];
        let text = match cell.content {
            Content::Narrow(c) | Content::Wide(c) => &*c.encode_utf8(&mut bytes),
            Content::Cluster { text, .. } => text,
            Content::Continuation => return,
        };
        // Without autowrap the cursor stays on the last cell, and some terminals (tmux) give what
        // combines with it to the cell before it. What can't wrap may be drawn with autowrap on.
        let is_last = matches!(self.place, Place::At { col, .. } if col + cell.width() == cols);
        let is_wrapping = is_last && width::is_marked(text);
        if is_wrapping {
            self.out.extend(b"\x1b[?7h");
        }
        self.out.extend(text.as_bytes());
        if is_wrapping {
            self.out.extend(b"\x1b[?7l");
        }
        if let Place::At { col, row } = self.place {
            let col = col + cell.width();
            let is_known = is_agreed(cell) && col < cols;
            self.place = if is_known { Place::At { col, row } } else { Place::In { row } };
        }
    }

    /// Makes `count` cells from the cursor on blank, in the pen's background.
    pub(super) fn erase(&mut self, count: u16) {
        if count == 1 {
            self.out.extend(b"\x1b[X");
        } else {
            self.out.extend(format!("\x1b[{count}X").bytes());
        }
    }

    /// Makes the rest of the row blank, in the pen's background.
    pub(super) fn erase_to_end(&mut self) {
        self.out.extend(b"\x1b[K");
    }

    pub(super) fn move_to(&mut self, col: u16, row: u16) {
        if !self.is_at(col, row) {
            let motion = self.motion(col, row);
            self.out.extend(motion.bytes());
            self.place = Place::At { col, row };
        }
    }

    /// The shortest way there.
    pub(super) fn motion(&self, col: u16, row: u16) -> String {
        let mut ways = vec![absolute(col, row)];
        let at_row = match self.place {
            Place::At { row, .. } | Place::In { row } => Some(row),
            Place::Unknown => None,
        };
        if let Some(down) = at_row.and_then(|at| row.checked_sub(at)).filter(|down| *down <= 4) {
            let from_start = format!("\r{}", "\n".repeat(down.into()));
            ways.push(from_start + &forward(col));
        }
        if at_row == Some(row) && self.capabilities.has_ecma {
            ways.push(format!("\x1b[{}G", col + 1));
        }
        if let Place::At { col: at_col, row: at_row } = self.place {
            if row == at_row && col >= at_col {
                ways.push(forward(col - at_col));
            } else if row == at_row {
                ways.push(backward(at_col - col));
            } else if row > at_row && row - at_row <= 4 && col <= at_col {
                ways.push("\n".repeat((row - at_row).into()) + &backward(at_col - col));
            } else if row < at_row && col == at_col {
                ways.push(sequence(at_row - row, 'A'));
            }
        }
        ways.into_iter().min_by_key(String::len).unwrap_or_default()
    }

    /// Moves a block of rows on a screen of `rows`; what is uncovered becomes blank.
    pub(super) fn scroll(&mut self, scroll: Scroll, rows: usize) {
        // What is uncovered gets the pen's background.
        self.set_pen(&Style::PLAIN);
        let is_whole = scroll.top == 0 && usize::from(scroll.bottom) + 1 == rows;
        if !is_whole {
            let region = format!("\x1b[{};{}r", scroll.top + 1, scroll.bottom + 1);
            self.out.extend(region.bytes());
            self.place = Place::At { col: 0, row: 0 };
        }
        let lines = scroll.lines.unsigned_abs();
        let is_up = scroll.lines > 0;
        if self.capabilities.has_ecma {
            self.out.extend(sequence(lines, if is_up { 'S' } else { 'T' }).bytes());
        } else if is_up {
            self.move_to(0, scroll.bottom);
            self.out.extend("\n".repeat(lines.into()).bytes());
        } else {
            self.move_to(0, scroll.top);
            self.out.extend("\x1bM".repeat(lines.into()).bytes());
        }
        if !is_whole {
            self.out.extend(b"\x1b[r");
            self.place = Place::At { col: 0, row: 0 };
        }
    }
}

/// Whether every terminal gives this cell the same width.
pub(super) fn is_agreed(cell: Cell<'_>) -> bool {
    match cell.content {
        Content::Narrow(c) | Content::Wide(c) => width::is_agreed(c),
        Content::Cluster { .. } => false,
        Content::Continuation => true,
    }
}

fn absolute(col: u16, row: u16) -> String {
    match (col, row) {
        (0, 0) => "\x1b[H".into(),
        (0, row) => format!("\x1b[{}H", row + 1),
        (col, 0) => format!("\x1b[;{}H", col + 1),
        (col, row) => format!("\x1b[{};{}H", row + 1, col + 1),
    }
}

fn forward(cols: u16) -> String {
    if cols == 0 { String::new() } else { sequence(cols, 'C') }
}

fn backward(cols: u16) -> String {
    if cols <= 3 { "\x08".repeat(cols.into()) } else { sequence(cols, 'D') }
}

/// A control sequence with a count, left out if it is 1.
fn sequence(count: u16, action: char) -> String {
    if count == 1 { format!("\x1b[{action}") } else { format!("\x1b[{count}{action}") }
}
