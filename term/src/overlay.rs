//! A part of a picture with other lines in it: a view that somebody scrolled.

use std::sync::Arc;

use crate::frame::{Frame, Modes};
use crate::row::{Cell, Content, Row, RowBuilder};
use crate::style::{Color, Style};
use crate::viewport::push_part;
use crate::width;

/// A rectangle of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left border, in columns from 0.
    pub left: u16,
    /// Upper border, in rows from 0.
    pub top: u16,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

impl Area {
    /// The part of it that is on a screen of that size; `None` if there is none.
    pub fn on(self, frame: &Frame) -> Option<Self> {
        let size = frame.size();
        let (left, top) = (self.left, self.top);
        let cols = self.cols.min(size.cols.checked_sub(left)?);
        let rows = self.rows.min(size.rows.checked_sub(top)?);
        (cols > 0 && rows > 0).then_some(Self { left, top, cols, rows })
    }
}

impl Frame {
    /// The same picture, its `area` scrolled down: from its top there are `above`, then what stands at
    /// its top now, as far as there is room. The cursor is hidden.
    #[must_use]
    pub fn scrolled(&self, area: Area, above: &[Arc<Row>]) -> Self {
        let mut frame = self.clone();
        frame.cursor.is_visible = false;
        let Some(area) = area.on(self) else { return frame };
        let mut rows = self.rows.to_vec();
        let mut builder = RowBuilder::new(self.size.cols);
        let end = area.left + area.cols;
        for y in 0..area.rows {
            let place = usize::from(area.top + y);
            builder.reset(self.size.cols);
            push_part(&mut builder, &self.rows[place], 0, area.left);
            pad(&mut builder, area.left);
            match above.get(usize::from(y)) {
                Some(row) => push_part(&mut builder, row, 0, area.cols),
                None => {
                    let source = usize::from(area.top) + usize::from(y) - above.len();
                    push_part(&mut builder, &self.rows[source], area.left, area.cols);
                }
            }
            pad(&mut builder, end);
            push_part(&mut builder, &self.rows[place], end, self.size.cols - end);
            rows[place] = Arc::new(builder.finish());
        }
        frame.rows = rows.into();
        frame
    }

    /// The same picture with other modes.
    #[must_use]
    pub fn with_modes(&self, modes: Modes) -> Self {
        Self { modes, ..self.clone() }
    }

    /// The same picture with a short text at the right end of a row, before column `end`.
    #[must_use]
    pub fn with_mark(&self, row: u16, end: u16, text: &str) -> Self {
        let (row, end) = (row.min(self.size.rows - 1), end.min(self.size.cols));
        let style = Style { fg: Color::Ansi(0), bg: Color::Ansi(3), ..Style::PLAIN };
        let mut mark = RowBuilder::new(end);
        width::push_text(&mut mark, text, &style);
        let mark = mark.finish();
        let start = end - mark.len();
        let mut builder = RowBuilder::new(self.size.cols);
        let under = &self.rows[usize::from(row)];
        push_part(&mut builder, under, 0, start);
        pad(&mut builder, start);
        push_part(&mut builder, &mark, 0, end - start);
        push_part(&mut builder, under, end, self.size.cols - end);
        let mut frame = self.clone();
        let mut rows = self.rows.to_vec();
        rows[usize::from(row)] = Arc::new(builder.finish());
        frame.rows = rows.into();
        frame
    }
}

/// Blanks up to column `end`.
fn pad(builder: &mut RowBuilder, end: u16) {
    while builder.len() < end {
        builder.push(Cell { content: Content::Narrow(' '), style: &Style::PLAIN });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use proptest::prelude::*;

    fn rows(lines: &[&str]) -> Vec<Arc<Row>> {
        let size = Size { cols: 20, rows: lines.len() as u16 };
        Frame::from_lines(size, lines.iter().copied()).rows().to_vec()
    }

    #[test]
    fn only_the_area_scrolls() {
        let size = Size { cols: 9, rows: 4 };
        let frame = Frame::from_lines(size, ["aa│11│bb", "aa│22│bb", "aa│33│bb", "status"]);
        let area = Area { left: 3, top: 0, cols: 2, rows: 3 };
        let scrolled = frame.scrolled(area, &rows(&["y", "zzzz"]));
        assert_eq!(scrolled.to_text(), "aa│y │bb\naa│zz│bb\naa│11│bb\nstatus\n");
        assert!(!scrolled.cursor().is_visible);
        let above = rows(&["1", "2", "3", "4", "5"]);
        assert_eq!(
            frame.scrolled(area, &above).to_text(),
            "aa│1 │bb\naa│2 │bb\naa│3 │bb\nstatus\n"
        );
        let marked = scrolled.with_mark(0, 5, "[2]");
        assert_eq!(marked.to_text().lines().next(), Some("aa[2]│bb"));
    }

    #[test]
    fn wide_characters_at_the_borders_are_blank() {
        let frame = Frame::from_lines(Size { cols: 6, rows: 1 }, ["漢漢漢"]);
        let area = Area { left: 1, top: 0, cols: 3, rows: 1 };
        assert_eq!(frame.scrolled(area, &rows(&["字字"])).to_text(), " 字 漢\n");
        assert_eq!(frame.with_mark(0, 3, "[]").to_text(), " [] 漢\n");
    }

    proptest! {
        #[test]
        fn any_area_is_drawn_without_a_panic_and_leaves_the_rest_alone(
            (left, top, cols, rows_count) in (0u16..30, 0u16..12, 0u16..30, 0u16..12),
            lines in prop::collection::vec("[a-c漢]{0,20}", 10),
            above in prop::collection::vec("[x漢]{0,20}", 0..12),
        ) {
            let size = Size { cols: 20, rows: 10 };
            let frame = Frame::from_lines(size, lines.iter().map(String::as_str));
            let above: Vec<&str> = above.iter().map(String::as_str).collect();
            let above = if above.is_empty() { Vec::new() } else { rows(&above) };
            let area = Area { left, top, cols, rows: rows_count };
            let drawn = frame.scrolled(area, &above).with_mark(top, left, "[5/7]");
            prop_assert_eq!(drawn.size(), size);
            for y in (0..10).filter(|y| *y < top || *y >= top.saturating_add(rows_count)) {
                if y != top.min(9) {
                    prop_assert_eq!(&drawn.rows()[usize::from(y)], &frame.rows()[usize::from(y)]);
                }
            }
        }
    }
}
