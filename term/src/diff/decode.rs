//! Reads diffs. They come from elsewhere: nothing in them is believed.

use std::borrow::Cow;
use std::sync::Arc;

use tern_sync::BadDiff;

use super::table::Definitions;
use super::{BODY_BYTES_MAX, COMPRESSION_MAX, Op, head, rare};
use crate::frame::{Clipboard, CursorShape, Frame, Modes};
use crate::row::{CLUSTER_BYTES_MAX, Cell, Content, Row, RowBuilder};
use crate::screen::{CLIPBOARD_BYTES_MAX, TITLE_CHARS_MAX, is_base64, is_selection};
use crate::size::Size;
use crate::style::Style;
use crate::wire::Reader;

/// `base` changed by `diff`. Costs no more than drawing a screen of the largest size.
pub(crate) fn decode(base: &Frame, diff: &[u8]) -> Result<Frame, BadDiff> {
    let mut frame = base.clone();
    if diff.is_empty() {
        return Ok(frame);
    }
    let body = decompress(diff)?;
    let mut reader = Reader::new(&body);
    let fields = reader.byte()?;
    if fields & !head::ALL != 0 {
        return Err(BadDiff("unknown field"));
    }
    if fields & head::RARE != 0 {
        read_rare(&mut reader, &mut frame)?;
    }
    if fields & head::CURSOR != 0 {
        let (cols, rows) = (reader.signed()?, reader.signed()?);
        let moved = |from: u16, by: i32| i32::from(from).checked_add(by);
        let col = moved(base.cursor.col, cols).and_then(|col| col.try_into().ok());
        let row = moved(base.cursor.row, rows).and_then(|row| row.try_into().ok());
        let (Some(col), Some(row)) = (col, row) else {
            return Err(BadDiff("cursor out of the screen"));
        };
        (frame.cursor.col, frame.cursor.row) = (col, row);
    }
    if frame.cursor.col >= frame.size.cols || frame.cursor.row >= frame.size.rows {
        return Err(BadDiff("cursor out of the screen"));
    }
    if frame.size != base.size || fields & (head::COPIES | head::EDITS) != 0 {
        let old = base.rows_resized(frame.size);
        let mut rows = old.to_vec();
        if fields & head::COPIES != 0 {
            read_copies(&mut reader, &old, &mut rows)?;
        }
        if fields & head::EDITS != 0 {
            Edits::new(&mut reader, &mut rows, frame.size).read()?;
        }
        frame.rows = rows.into();
    }
    if reader.is_empty() { Ok(frame) } else { Err(BadDiff("bytes left over")) }
}

fn decompress(diff: &[u8]) -> Result<Cow<'_, [u8]>, BadDiff> {
    if diff[0] & head::COMPRESSED == 0 {
        return Ok(diff.into());
    }
    let mut reader = Reader::new(&diff[1..]);
    let len = reader.number_up_to(BODY_BYTES_MAX)?;
    let block = reader.rest();
    if diff[0] != head::COMPRESSED || len > block.len().saturating_mul(COMPRESSION_MAX) {
        return Err(BadDiff("bad compression"));
    }
    let body = lz4_flex::block::decompress(block, len).map_err(|_| BadDiff("bad compression"))?;
    if body.len() == len { Ok(body.into()) } else { Err(BadDiff("bad compression")) }
}

fn read_rare(reader: &mut Reader<'_>, frame: &mut Frame) -> Result<(), BadDiff> {
    let mask = reader.byte()?;
    if mask & !rare::ALL != 0 {
        return Err(BadDiff("unknown field"));
    }
    if mask & rare::SIZE != 0 {
        let (cols, rows) = (reader.number()?, reader.number()?);
        frame.size = Size::clamped(cols, rows);
        if (u32::from(frame.size.cols), u32::from(frame.size.rows)) != (cols, rows) {
            return Err(BadDiff("bad size"));
        }
    }
    if mask & rare::LOOK != 0 {
        read_look(reader, frame)?;
    }
    if mask & rare::TITLE != 0 {
        let title = reader.str(4 * TITLE_CHARS_MAX)?;
        if title.chars().count() > TITLE_CHARS_MAX || title.chars().any(char::is_control) {
            return Err(BadDiff("bad title"));
        }
        frame.title = title.into();
    }
    if mask & rare::BELL != 0 {
        frame.bell_count = frame.bell_count.wrapping_add(reader.number()?);
    }
    if mask & rare::CLIPBOARD != 0 {
        frame.clipboard = read_clipboard(reader)?.map(Arc::new);
    }
    Ok(())
}

fn read_look(reader: &mut Reader<'_>, frame: &mut Frame) -> Result<(), BadDiff> {
    let look = reader.number_up_to(0b1111)?;
    frame.cursor.is_visible = look & 1 != 0;
    frame.cursor.is_blinking = look & 2 != 0;
    frame.cursor.shape = match look >> 2 {
        0 => CursorShape::Default,
        1 => CursorShape::Block,
        2 => CursorShape::Underline,
        _ => CursorShape::Beam,
    };
    let bits = reader.number_up_to(u16::MAX.into())? as u16;
    frame.modes = Modes::from_bits(bits).ok_or(BadDiff("unknown mode"))?;
    Ok(())
}

fn read_clipboard(reader: &mut Reader<'_>) -> Result<Option<Clipboard>, BadDiff> {
    let selection = reader.byte()?;
    if selection == 0 {
        return Ok(None);
    }
    let seq = reader.number()?;
    let base64 = reader.str(CLIPBOARD_BYTES_MAX)?;
    if !is_selection(selection) || !is_base64(base64.as_bytes()) {
        return Err(BadDiff("bad clipboard"));
    }
    Ok(Some(Clipboard { seq, selection, base64: base64.into() }))
}

fn read_copies(
    reader: &mut Reader<'_>,
    old: &[Arc<Row>],
    rows: &mut [Arc<Row>],
) -> Result<(), BadDiff> {
    let copies = reader.number_up_to(rows.len())?;
    let mut end = 0;
    for _ in 0..copies {
        let to = end + reader.number_up_to(rows.len() - end)?;
        let from = to.checked_add_signed(reader.signed()? as isize).ok_or(BadDiff("bad copy"))?;
        let count = reader.number_up_to(rows.len() - to)?;
        let source =
            old.get(from..).and_then(|rows| rows.get(..count)).ok_or(BadDiff("bad copy"))?;
        rows[to..to + count].clone_from_slice(source);
        end = to + count;
    }
    Ok(())
}

/// Reads operations on rows, from the top.
struct Edits<'a, 'r> {
    reader: &'a mut Reader<'r>,
    rows: &'a mut [Arc<Row>],
    size: Size,
    definitions: Definitions,
    style: Style,
    builder: RowBuilder,
}

impl<'a, 'r> Edits<'a, 'r> {
    fn new(reader: &'a mut Reader<'r>, rows: &'a mut [Arc<Row>], size: Size) -> Self {
        let definitions = Definitions::default();
        let builder = RowBuilder::new(size.cols);
        Self { reader, rows, size, definitions, style: Style::PLAIN, builder }
    }

    fn read(mut self) -> Result<(), BadDiff> {
        let mut y = self.reader.number()? as usize;
        loop {
            let old = self.rows.get(y).cloned().ok_or(BadDiff("row out of the screen"))?;
            self.builder.reset(self.size.cols);
            let down = self.read_row(&old)?;
            self.rows[y] = Arc::new(self.builder.finish());
            match down {
                Some(down) => y += down,
                None => return Ok(()),
            }
        }
    }

    /// Reads one row's operations; returns how many rows to go down then, `None` at the end.
    fn read_row(&mut self, old: &Row) -> Result<Option<usize>, BadDiff> {
        let old: Vec<Cell<'_>> = old.cells(self.size.cols).collect();
        let down = loop {
            if self.reader.is_empty() {
                break None;
            }
            let number = self.reader.number()?;
            let (op, count) = (Op::ALL[(number & 7) as usize], number >> 3);
            match op {
                Op::Down if count == 0 => return Err(BadDiff("row twice")),
                Op::Down => break Some(count as usize),
                Op::Style => {
                    let left = self.builder.last_style();
                    self.style = self.definitions.read(self.reader, count, left)?;
                }
                Op::Skip => self.copy(&old, count)?,
                Op::Narrow => self.read_chars(count, 1)?,
                Op::Wide => self.read_chars(count, 2)?,
                Op::Fill => self.read_fill(count)?,
                Op::Cluster => self.read_cluster(count)?,
                Op::Clear => self.clear(count)?,
            }
        };
        self.copy(&old, self.builder.room().into())?;
        Ok(down)
    }

    /// Takes over `count` cells of the old row.
    fn copy(&mut self, old: &[Cell<'_>], count: u32) -> Result<(), BadDiff> {
        let from = self.builder.len();
        let to = from + self.room_for(count, 1)?;
        old[from.into()..to.into()].iter().for_each(|cell| self.builder.push(*cell));
        // Half of a wide character is no cell.
        if self.builder.len() == to { Ok(()) } else { Err(BadDiff("character cut")) }
    }

    fn read_chars(&mut self, count: u32, width: u16) -> Result<(), BadDiff> {
        for _ in 0..self.room_for(count, width)? {
            let c = self.reader.char()?;
            let content = if width == 2 { Content::Wide(c) } else { Content::Narrow(c) };
            self.builder.push(Cell { content, style: &self.style });
        }
        Ok(())
    }

    fn read_fill(&mut self, count: u32) -> Result<(), BadDiff> {
        let content = Content::Narrow(self.reader.char()?);
        for _ in 0..self.room_for(count, 1)? {
            self.builder.push(Cell { content, style: &self.style });
        }
        Ok(())
    }

    fn read_cluster(&mut self, count: u32) -> Result<(), BadDiff> {
        let (len, is_wide) = (count as usize >> 1, count & 1 == 1);
        if len > CLUSTER_BYTES_MAX {
            return Err(BadDiff("cluster too long"));
        }
        let text = self.reader.text(len)?;
        if text.chars().count() < 2 || text.chars().any(char::is_control) {
            return Err(BadDiff("bad cluster"));
        }
        self.room_for(1, 1 + u16::from(is_wide))?;
        self.builder.push(Cell { content: Content::Cluster { text, is_wide }, style: &self.style });
        Ok(())
    }

    fn clear(&mut self, number: u32) -> Result<(), BadDiff> {
        let left = self.builder.last_style();
        let style = self.definitions.read(self.reader, number, left)?;
        for _ in 0..self.builder.room() {
            self.builder.push(Cell { content: Content::Narrow(' '), style: &style });
        }
        Ok(())
    }

    /// `count`, if so many cells of this width still fit.
    fn room_for(&self, count: u32, width: u16) -> Result<u16, BadDiff> {
        let fits = count.checked_mul(width.into()).is_some_and(|n| n <= self.builder.room().into());
        if fits { Ok(count as u16) } else { Err(BadDiff("row too long")) }
    }
}

impl Frame {
    /// Its rows on a screen of another size: cut, or extended with blank ones.
    pub(super) fn rows_resized(&self, size: Size) -> Arc<[Arc<Row>]> {
        if size == self.size {
            return Arc::clone(&self.rows);
        }
        let cut = self.rows.iter().map(|row| row.truncated(size.cols));
        cut.chain(std::iter::repeat_with(Row::blank)).take(size.rows.into()).collect()
    }
}
