//! Finds blocks of rows that only moved up or down.

use std::sync::Arc;

use crate::frame::is_same_row;
use crate::row::Row;

/// Bytes to move a block: region, scroll, region back, cursor back.
const REGION_COST: usize = 20;
/// Bytes to move the whole screen.
const SCROLL_COST: usize = 6;
/// Different distances that are tried.
const SHIFTS_MAX: usize = 8;

/// A block of rows, both ends included, that moves by `lines`: up if positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scroll {
    pub(super) top: u16,
    pub(super) bottom: u16,
    pub(super) lines: i16,
}

impl Scroll {
    /// Does to `rows` what a terminal does.
    pub(super) fn apply(self, rows: &mut [Arc<Row>]) {
        let block = &mut rows[self.top.into()..=self.bottom.into()];
        let lines = usize::from(self.lines.unsigned_abs());
        if self.lines > 0 {
            block.rotate_left(lines);
            let kept = block.len() - lines;
            block[kept..].fill(Row::blank());
        } else {
            block.rotate_right(lines);
            block[..lines].fill(Row::blank());
        }
    }
}

/// The move that saves the most bytes, if any saves some.
pub(super) fn find(old: &[Arc<Row>], new: &[Arc<Row>]) -> Option<Scroll> {
    let shifts = shifts(old, new);
    let best = shifts.into_iter().filter_map(|shift| best_block(old, new, shift));
    best.max_by_key(|(gain, _)| *gain).map(|(_, scroll)| scroll)
}

/// By how much rows moved, the most frequent first. A row at `y` came from `y + shift`.
fn shifts(old: &[Arc<Row>], new: &[Arc<Row>]) -> Vec<isize> {
    // At `rows + shift`: a screen of equal rows votes for every shift many times.
    let mut votes = vec![0usize; 2 * new.len()];
    for (y, row) in new.iter().enumerate() {
        if row.is_blank() || is_same_row(&old[y], row) {
            continue;
        }
        for (from, _) in old.iter().enumerate().filter(|(_, other)| is_same_row(other, row)) {
            votes[new.len() + from - y] += 1;
        }
    }
    let shift = |at: usize| at as isize - new.len() as isize;
    let voted = votes.into_iter().enumerate().filter(|(_, count)| *count > 0);
    let mut shifts: Vec<(isize, usize)> = voted.map(|(at, count)| (shift(at), count)).collect();
    shifts.sort_by_key(|(shift, count)| (std::cmp::Reverse(*count), shift.unsigned_abs()));
    shifts.truncate(SHIFTS_MAX);
    shifts.into_iter().map(|(shift, _)| shift).collect()
}

/// The move by `shift` that saves the most, and how much: of a block of rows that all moved so, or
/// of the whole screen, which needs no region.
fn best_block(old: &[Arc<Row>], new: &[Arc<Row>], shift: isize) -> Option<(usize, Scroll)> {
    let rows = new.len();
    let moved = |y: usize| {
        let from = y.checked_add_signed(shift).and_then(|from| old.get(from));
        from.is_some_and(|from| is_same_row(from, &new[y]))
    };
    let mut best: Option<(usize, Scroll)> = None;
    let mut consider = |top: usize, bottom: usize| {
        let scroll = Scroll { top: top as u16, bottom: bottom as u16, lines: shift as i16 };
        let gain = gain(old, new, scroll);
        if gain > best.map_or(0, |(gain, _)| gain) {
            best = Some((gain, scroll));
        }
    };
    let (above, below) = if shift > 0 { (0, shift as usize) } else { (shift.unsigned_abs(), 0) };
    let mut y = 0;
    while y < rows {
        let end = (y..rows).find(|y| !moved(*y)).unwrap_or(rows);
        if end > y {
            consider(y - above, end - 1 + below);
        }
        y = end + 1;
    }
    consider(0, rows - 1);
    best
}

/// Bytes that it saves to scroll.
fn gain(old: &[Arc<Row>], new: &[Arc<Row>], scroll: Scroll) -> usize {
    let (top, bottom) = (usize::from(scroll.top), usize::from(scroll.bottom));
    let is_whole = top == 0 && bottom + 1 == new.len();
    let blank = Row::blank();
    let cost = |shown: &Arc<Row>, wanted: &Arc<Row>| match () {
        () if is_same_row(shown, wanted) => 0,
        () => draw_cost(wanted),
    };
    let (mut before, mut after) = (0, if is_whole { SCROLL_COST } else { REGION_COST });
    for y in top..=bottom {
        let from = y.checked_add_signed(scroll.lines.into());
        let moved = from.filter(|from| (top..=bottom).contains(from)).map_or(&blank, |y| &old[y]);
        before += cost(&old[y], &new[y]);
        after += cost(moved, &new[y]);
    }
    usize::saturating_sub(before, after)
}

/// About the bytes to draw a row on a blank one.
fn draw_cost(row: &Row) -> usize {
    4 + usize::from(row.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Size};

    fn rows(lines: &[&str]) -> Vec<Arc<Row>> {
        let size = Size { cols: 80, rows: lines.len() as u16 };
        Frame::from_lines(size, lines.iter().copied()).rows().to_vec()
    }

    #[test]
    fn region_between_fixed_rows_is_found() {
        let old =
            rows(&["top of the screen", "one first line", "two second line", "three", "status"]);
        let new = rows(&["top of the screen", "two second line", "three", "four", "status"]);
        let scroll = find(&old, &new);
        assert_eq!(scroll, Some(Scroll { top: 1, bottom: 3, lines: 1 }));
        let mut moved = old;
        scroll.expect("found").apply(&mut moved);
        assert_eq!(moved[1..3], new[1..3]);
        assert!(moved[3].is_blank());
    }

    #[test]
    fn downward_scroll_is_found() {
        let old = rows(&["one first line", "two second line", "three third line"]);
        let new = rows(&["zero", "one first line", "two second line"]);
        assert_eq!(find(&old, &new), Some(Scroll { top: 0, bottom: 2, lines: -1 }));
    }

    #[test]
    fn little_is_drawn_anew() {
        let (old, new) = (rows(&["x", "a", "b", "status"]), rows(&["x", "b", "c", "status"]));
        assert_eq!(find(&old, &new), None);
    }

    #[test]
    fn blank_rows_below_need_no_region() {
        let old = rows(&["one first line", "two second line", "three third line", ""]);
        let new = rows(&["two second line", "three third line", "four fourth line", ""]);
        assert_eq!(find(&old, &new), Some(Scroll { top: 0, bottom: 3, lines: 1 }));
    }
}
