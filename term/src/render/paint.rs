//! Draws a row over another.

use super::terminal::{Terminal, is_agreed};
use crate::row::{Cell, Content, Row};
use crate::style::{Color, Style};
use crate::width;

/// Fewer blanks than this are written, not erased.
const ERASE_CELLS_MIN: usize = 6;
/// No motion within a row is longer: `CSI 1000 C`.
const MOTION_BYTES_MAX: usize = 7;

/// Turns row `y`, which shows `old`, into `new`.
pub(super) fn row(terminal: &mut Terminal, y: u16, old: &Row, new: &Row, cols: u16) {
    let old: Vec<Cell<'_>> = old.cells(cols).collect();
    let new: Vec<Cell<'_>> = new.cells(cols).collect();
    let changed = changed(&old, &new);
    let tail = blank_tail(terminal, &new, &changed);
    let mut painter = Painter { terminal, y, old, new, changed, cols };
    let end = tail.map_or(cols.into(), |(start, _)| start);
    // Erased first where a character could reach into it.
    let is_erased_first = end > 0 && painter.changed[end - 1] && may_be_wide(painter.new[end - 1]);
    if let Some((_, first_changed)) = tail.filter(|_| is_erased_first) {
        painter.erase_tail(end, first_changed);
    }
    let mut x = 0;
    while x < end {
        x += if painter.changed[x] { painter.paint(x, end) } else { 1 };
    }
    if let Some((start, first_changed)) = tail.filter(|_| !is_erased_first) {
        painter.erase_tail(start, first_changed);
    }
}

/// Moves to column `x` of row `y`, which shows `cells` left of there: over few of them by writing
/// them again, if that is shorter.
pub(super) fn go(terminal: &mut Terminal, cells: &[Cell<'_>], x: usize, y: u16) {
    if terminal.is_at(x as u16, y) {
        return;
    }
    let from = terminal.col_in(y).map(usize::from).filter(|from| *from < x);
    // Every cell takes a byte at least: long gaps needn't be looked at.
    if let Some(gap) = from.map(|from| &cells[from..x]).filter(|gap| gap.len() <= MOTION_BYTES_MAX)
    {
        let bytes = |cell: &Cell<'_>| match cell.content {
            Content::Narrow(c) if terminal.is_pen(cell.style) && is_agreed(*cell) => {
                Some(c.len_utf8())
            }
            _ => None,
        };
        let sum = gap.iter().map(bytes).sum::<Option<usize>>();
        // No motion to the right is shorter than `CSI C`.
        if sum.is_some_and(|sum| sum <= 3 || sum <= terminal.motion(x as u16, y).len()) {
            return gap.iter().for_each(|cell| terminal.print(*cell, u16::MAX));
        }
    }
    terminal.move_to(x as u16, y);
}

/// Whether a terminal may take this cell for two.
fn may_be_wide(cell: Cell<'_>) -> bool {
    cell.width() == 1 && !is_agreed(cell)
}

/// Which cells have to be drawn: those that differ, and those that a terminal may have spoilt by
/// taking the narrow character before them for wide. A blank isn't worth it: drawing it would
/// take away half of that character.
fn changed(old: &[Cell<'_>], new: &[Cell<'_>]) -> Vec<bool> {
    let mut changed: Vec<bool> = old.iter().zip(new).map(|(old, new)| old != new).collect();
    for x in 1..new.len() {
        let is_blank = new[x].content == Content::Narrow(' ');
        if changed[x - 1] && may_be_wide(new[x - 1]) && !is_blank {
            changed[x] = true;
        }
    }
    changed
}

/// The blank end of the row, if it is worth erasing: where it starts and its first changed cell.
fn blank_tail(terminal: &Terminal, new: &[Cell<'_>], changed: &[bool]) -> Option<(usize, usize)> {
    let last = new.last().filter(|cell| is_erasable(terminal, cell))?;
    let blanks = new.iter().rev().take_while(|cell| *cell == last).count();
    let start = new.len() - blanks;
    let first = (start..new.len()).find(|x| changed[*x])?;
    let end = changed.iter().rposition(|changed| *changed)? + 1;
    (end - first > 3).then_some((start, first))
}

/// Whether erasing leaves this cell.
fn is_erasable(terminal: &Terminal, cell: &Cell<'_>) -> bool {
    let has_bce = terminal.capabilities.has_bce;
    cell.is_erased() && (has_bce || cell.style.bg == Color::Default)
}

struct Painter<'a, 'c> {
    terminal: &'a mut Terminal,
    y: u16,
    old: Vec<Cell<'c>>,
    new: Vec<Cell<'c>>,
    changed: Vec<bool>,
    cols: u16,
}

impl Painter<'_, '_> {
    /// Draws the changed cell at `x`, and those that go with it; returns how many.
    fn paint(&mut self, x: usize, end: usize) -> usize {
        let cell = self.new[x];
        let can_erase = self.terminal.capabilities.has_ecma && is_erasable(self.terminal, &cell);
        let blanks = if can_erase { self.changed_alike(x, end) } else { 0 };
        if blanks >= ERASE_CELLS_MIN && self.is_erasing_cheaper(x + blanks, blanks) {
            go(self.terminal, &self.new, x, self.y);
            self.terminal.set_pen(cell.style);
            self.terminal.erase(blanks as u16);
            return blanks;
        }
        match cell.content {
            // Drawn with its left half.
            Content::Continuation => 1,
            Content::Narrow(_) | Content::Wide(_) | Content::Cluster { .. } => {
                if cell.first_char().is_some_and(width::is_skin_tone) {
                    // A cursor position between keeps it from the character before.
                    self.terminal.lose_col();
                }
                self.prepare(x, end);
                go(self.terminal, &self.new, x, self.y);
                self.terminal.print(cell, self.cols);
                usize::from(cell.width())
            }
        }
    }

    /// Cells like the one at `x`, up to the last of them that changed.
    fn changed_alike(&self, x: usize, end: usize) -> usize {
        let alike = self.new[x..end].iter().take_while(|cell| **cell == self.new[x]).count();
        (x..x + alike).rev().find(|x| self.changed[*x]).map_or(0, |last| last + 1 - x)
    }

    /// Erasing leaves the cursor; if more follows right after, it has to be moved there.
    fn is_erasing_cheaper(&self, after: usize, blanks: usize) -> bool {
        let goes_on = self.changed.get(after).copied().unwrap_or(false);
        blanks > if goes_on { 10 } else { 4 }
    }

    /// Makes room for a character of a width that terminals disagree about: one that takes a wide
    /// one for narrow would leave what was in its right half.
    fn prepare(&mut self, x: usize, end: usize) {
        let cell = self.new[x];
        let is_before_blank =
            x + 1 < end && self.changed[x + 1] && self.new[x + 1].content == Content::Narrow(' ');
        if may_be_wide(cell) && is_before_blank {
            // The blank first, so that it takes nothing away.
            let drawn = self.paint(x + 1, end);
            self.changed[x + 1..x + 1 + drawn].fill(false);
        }
        if cell.width() < 2 || is_agreed(cell) || self.old[x + 1].content == Content::Narrow(' ') {
            return;
        }
        let blank = Cell { content: Content::Narrow(' '), style: cell.style };
        go(self.terminal, &self.new, x, self.y);
        self.terminal.print(blank, self.cols);
        self.terminal.print(blank, self.cols);
    }

    /// Erases the end of the row: anywhere in its blank part up to the first changed cell will do.
    fn erase_tail(&mut self, start: usize, first_changed: usize) {
        let at = self.terminal.col_in(self.y).map(usize::from);
        if !at.is_some_and(|at| (start..=first_changed).contains(&at)) {
            self.terminal.move_to(first_changed as u16, self.y);
        }
        let style: &Style = self.new[first_changed].style;
        self.terminal.set_pen(style);
        self.terminal.erase_to_end();
    }
}
