//! Which rows of a new frame were somewhere else before.

use std::sync::Arc;

use crate::frame::is_same_row;
use crate::row::Row;

/// For each new row, the old row that it is most like: itself if it didn't change, one that is
/// equal (scrolled, copied), or else the one that scrolled there together with the most others.
pub(super) fn sources(old: &[Arc<Row>], new: &[Arc<Row>]) -> Vec<usize> {
    let mut votes = Votes::default();
    let mut shift_last = 0;
    let mut sources: Vec<Option<usize>> = Vec::with_capacity(new.len());
    for (y, row) in new.iter().enumerate() {
        let source = find(old, y, row, shift_last);
        if let Some(from) = source.filter(|from| *from != y && !row.is_blank()) {
            shift_last = from as isize - y as isize;
            votes.add(shift_last);
        }
        sources.push(source);
    }
    let shift = votes.winner();
    let like = |y: usize| y.checked_add_signed(shift).filter(|from| *from < old.len());
    let resolve = |(y, source): (usize, Option<usize>)| match source {
        Some(from) => from,
        None => best_of(old, &new[y], y, like(y).unwrap_or(y)),
    };
    sources.into_iter().enumerate().map(resolve).collect()
}

/// An old row that equals `row`, which is now at `y`: preferably the same one, then the one that
/// moved like the row above, then the nearest.
fn find(old: &[Arc<Row>], y: usize, row: &Arc<Row>, shift: isize) -> Option<usize> {
    let is_same = |from: &usize| old.get(*from).is_some_and(|other| is_same_row(other, row));
    if is_same(&y) {
        return Some(y);
    }
    if row.is_blank() {
        // Cheaper to clear than to copy.
        return None;
    }
    let shifted = y.checked_add_signed(shift).filter(is_same);
    let nearest = || {
        (1..old.len()).find_map(|distance| {
            let below = (y + distance < old.len()).then_some(y + distance).filter(is_same);
            below.or_else(|| y.checked_sub(distance).filter(is_same))
        })
    };
    shifted.or_else(nearest)
}

/// The one of two old rows that has more cells in common with `row`.
fn best_of(old: &[Arc<Row>], row: &Row, same: usize, shifted: usize) -> usize {
    if same == shifted || row.is_blank() {
        return same;
    }
    let common = |from: usize| {
        let len = row.len();
        row.cells(len).zip(old[from].cells(len)).filter(|(a, b)| a == b && !a.is_erased()).count()
    };
    // A copy has its price.
    if common(shifted) > common(same) + 4 { shifted } else { same }
}

/// Counts how often each shift occurs.
#[derive(Default)]
struct Votes(Vec<(isize, usize)>);

impl Votes {
    fn add(&mut self, shift: isize) {
        match self.0.iter_mut().find(|(candidate, _)| *candidate == shift) {
            Some((_, count)) => *count += 1,
            None => self.0.push((shift, 1)),
        }
    }

    /// The most frequent shift, 0 if there is none.
    fn winner(&self) -> isize {
        self.0.iter().max_by_key(|(_, count)| *count).map_or(0, |(shift, _)| *shift)
    }
}
