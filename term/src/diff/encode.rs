//! Writes diffs.

use std::sync::Arc;

use super::table::Names;
use super::{COMPRESS_BYTES_MIN, Op, head, moves, rare, style_ref};
use crate::frame::{Clipboard, Frame, is_same_row};
use crate::row::{Cell, Content, Row};
use crate::style::Style;
use crate::wire::{put_char, put_number, put_signed, put_str};

/// What turns `base` into `new`; empty if they are the same.
pub(crate) fn encode(base: &Frame, new: &Frame) -> Vec<u8> {
    let mut fields = 0;
    let mut body = vec![0];
    fields |= put_rare(&mut body, base, new);
    if (base.cursor.col, base.cursor.row) != (new.cursor.col, new.cursor.row) {
        fields |= head::CURSOR;
        put_signed(&mut body, i32::from(new.cursor.col) - i32::from(base.cursor.col));
        put_signed(&mut body, i32::from(new.cursor.row) - i32::from(base.cursor.row));
    }
    if !Arc::ptr_eq(&base.rows, &new.rows) {
        fields |= put_rows(&mut body, &base.rows_resized(new.size), new);
    }
    if fields == 0 {
        return Vec::new();
    }
    body[0] = fields;
    compress(body)
}

/// The shorter of `body` and its compressed form.
fn compress(body: Vec<u8>) -> Vec<u8> {
    if body.len() < COMPRESS_BYTES_MIN {
        return body;
    }
    let mut out = vec![head::COMPRESSED];
    put_number(&mut out, body.len() as u32);
    out.extend(lz4_flex::block::compress(&body));
    if out.len() < body.len() { out } else { body }
}

fn put_rare(out: &mut Vec<u8>, base: &Frame, new: &Frame) -> u8 {
    let mask_at = out.len();
    let mut mask = 0;
    out.push(0);
    if base.size != new.size {
        mask |= rare::SIZE;
        put_number(out, new.size.cols.into());
        put_number(out, new.size.rows.into());
    }
    if (look(base), base.modes) != (look(new), new.modes) {
        mask |= rare::LOOK;
        put_number(out, look(new));
        put_number(out, new.modes.bits().into());
    }
    if base.title != new.title {
        mask |= rare::TITLE;
        put_str(out, &new.title);
    }
    if base.bell_count != new.bell_count {
        mask |= rare::BELL;
        put_number(out, new.bell_count.wrapping_sub(base.bell_count));
    }
    if base.clipboard != new.clipboard {
        mask |= rare::CLIPBOARD;
        put_clipboard(out, new.clipboard.as_deref());
    }
    if mask == 0 {
        out.truncate(mask_at);
        return 0;
    }
    out[mask_at] = mask;
    head::RARE
}

/// Everything about the cursor except where it is.
fn look(frame: &Frame) -> u32 {
    let cursor = frame.cursor;
    u32::from(cursor.is_visible) | u32::from(cursor.is_blinking) << 1 | (cursor.shape as u32) << 2
}

fn put_clipboard(out: &mut Vec<u8>, clipboard: Option<&Clipboard>) {
    let Some(clipboard) = clipboard else {
        return out.push(0);
    };
    out.push(clipboard.selection);
    put_number(out, clipboard.seq);
    put_str(out, &clipboard.base64);
}

/// Writes copies and edits.
fn put_rows(out: &mut Vec<u8>, old: &[Arc<Row>], new: &Frame) -> u8 {
    let changed = |y: &usize| !is_same_row(&old[*y], &new.rows[*y]);
    let Some(first) = (0..new.rows.len()).find(changed) else {
        return 0;
    };
    let is_one_row = !(first + 1..new.rows.len()).any(|y| changed(&y));
    let sources =
        if is_one_row { (0..old.len()).collect() } else { moves::sources(old, &new.rows) };
    let mut fields = put_copies(out, &sources);
    let mut edits = Edits { out, names: Names::default(), style: Style::PLAIN, row_last: None };
    for (y, row) in new.rows.iter().enumerate() {
        let source = &old[sources[y]];
        if !is_same_row(source, row) {
            fields |= head::EDITS;
            edits.put_row(y, source, row, new.size.cols);
        }
    }
    fields
}

fn put_copies(out: &mut Vec<u8>, sources: &[usize]) -> u8 {
    let mut copies: Vec<(usize, usize, usize)> = Vec::new();
    for (y, &from) in sources.iter().enumerate().filter(|(y, from)| y != *from) {
        match copies.last_mut() {
            Some((to, first, count)) if *to + *count == y && *first + *count == from => *count += 1,
            _ => copies.push((y, from, 1)),
        }
    }
    if copies.is_empty() {
        return 0;
    }
    put_number(out, copies.len() as u32);
    let mut end = 0;
    for (to, from, count) in copies {
        put_number(out, (to - end) as u32);
        put_signed(out, from as i32 - to as i32);
        put_number(out, count as u32);
        end = to + count;
    }
    head::COPIES
}

/// Writes the operations on rows, from the top.
struct Edits<'a> {
    out: &'a mut Vec<u8>,
    names: Names,
    /// What the next character looks like without a [`Op::Style`].
    style: Style,
    row_last: Option<usize>,
}

impl Edits<'_> {
    fn put(&mut self, op: Op, count: u32) {
        put_number(self.out, count << 3 | op as u32);
    }

    fn put_row(&mut self, y: usize, old: &Row, new: &Row, cols: u16) {
        match self.row_last.replace(y) {
            None => put_number(self.out, y as u32),
            Some(last) => self.put(Op::Down, (y - last) as u32),
        }
        let old: Vec<Cell<'_>> = old.cells(cols).collect();
        let new: Vec<Cell<'_>> = new.cells(cols).collect();
        let (end, clear) = split_tail(&old, &new);
        let mut x = 0;
        while x < end {
            if new[x] == old[x] {
                let len = skip_len(&old, &new, x, end);
                if x + len < end || clear.is_some() {
                    self.put(Op::Skip, len as u32);
                }
                x += len;
            } else {
                x += self.put_segment(&old, &new, x, end);
            }
        }
        if let Some(style) = clear {
            let number = self.names.find(&style).unwrap_or(style_ref::NEW);
            self.put(Op::Clear, number);
            if number == style_ref::NEW {
                self.names.define(self.out, &style);
            }
        }
    }

    /// Writes cells from `x` on that look alike and are as wide; returns how many.
    fn put_segment(&mut self, old: &[Cell<'_>], new: &[Cell<'_>], x: usize, end: usize) -> usize {
        let first = new[x];
        let left = x.checked_sub(1).map_or(&Style::PLAIN, |x| new[x].style);
        self.put_style(first.style, left);
        match first.content {
            Content::Cluster { text, is_wide } => {
                self.put(Op::Cluster, (text.len() as u32) << 1 | u32::from(is_wide));
                self.out.extend_from_slice(text.as_bytes());
                usize::from(first.width())
            }
            Content::Wide(_) => {
                let len = segment_len(old, new, x, end);
                self.put(Op::Wide, (len / 2) as u32);
                self.put_chars(&new[x..x + len]);
                len
            }
            Content::Narrow(c) => {
                let len = segment_len(old, new, x, end);
                let same = new[x..x + len].iter().take_while(|cell| **cell == first).count();
                if same >= 4 {
                    self.put(Op::Fill, same as u32);
                    put_char(self.out, c);
                    return same;
                }
                let repeated = (x + 1..x + len).find(|x| is_run(&new[*x..]));
                let len = repeated.map_or(len, |end| end - x);
                self.put(Op::Narrow, len as u32);
                self.put_chars(&new[x..x + len]);
                len
            }
            // A right half changes only with its left one, which brings it.
            Content::Continuation => 1,
        }
    }

    fn put_chars(&mut self, cells: &[Cell<'_>]) {
        for cell in cells {
            if let Content::Narrow(c) | Content::Wide(c) = cell.content {
                put_char(self.out, c);
            }
        }
    }

    fn put_style(&mut self, style: &Style, left: &Style) {
        if *style == self.style {
            return;
        }
        self.style = style.clone();
        let number = self.names.find(style);
        match number {
            Some(number) => self.put(Op::Style, number),
            None if style == left => self.put(Op::Style, style_ref::LEFT),
            None => {
                self.put(Op::Style, style_ref::NEW);
                self.names.define(self.out, style);
            }
        }
    }
}

/// Where the part of the row ends that has to be written cell by cell, and the style of the blank
/// rest if that is cheaper to clear.
fn split_tail(old: &[Cell<'_>], new: &[Cell<'_>]) -> (usize, Option<Style>) {
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let changed_end = new.len() - same;
    let Some(last) = new.last().filter(|cell| cell.is_erased()) else {
        return (changed_end, None);
    };
    let blanks = new.iter().rev().take_while(|cell| *cell == last).count();
    let blank_start = new.len() - blanks;
    // Clearing costs one byte, and a style perhaps.
    if changed_end > blank_start + 2 || changed_end > blank_start && last.style.is_plain() {
        (blank_start, Some(last.style.clone()))
    } else {
        (changed_end, None)
    }
}

/// Cells from `x` on that are equal in both.
fn skip_len(old: &[Cell<'_>], new: &[Cell<'_>], x: usize, end: usize) -> usize {
    old[x..end].iter().zip(&new[x..end]).take_while(|(a, b)| a == b).count()
}

/// How many cells from `x` on to write together: single characters that look alike and are as wide
/// as the first, up to where more than two, which cost as much as to skip them, are unchanged.
fn segment_len(old: &[Cell<'_>], new: &[Cell<'_>], x: usize, end: usize) -> usize {
    let first = new[x];
    let step = usize::from(first.width());
    let is_alike = |cell: Cell<'_>| {
        let is_single = matches!(cell.content, Content::Narrow(_) | Content::Wide(_));
        is_single && cell.width() == first.width() && cell.style == first.style
    };
    let mut changed_end = x;
    for at in (x..end).step_by(step).take_while(|at| is_alike(new[*at])) {
        if old[at] != new[at] {
            changed_end = at + step;
        } else if at + step - changed_end > 2 * step {
            break;
        }
    }
    changed_end - x
}

/// Whether enough equal cells begin here that a fill is worth its bytes.
fn is_run(cells: &[Cell<'_>]) -> bool {
    cells.len() >= 6 && cells[1..6].iter().all(|cell| *cell == cells[0])
}
