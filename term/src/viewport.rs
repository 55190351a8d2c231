//! Fits the shared screen to a viewer's terminal.
//!
//! ```text
//! smaller viewer:  a part that follows      larger viewer:  ┌ shared ┐│·····
//!                  the cursor                               └────────┘│·····
//!                                                           ──────────┘·····
//!                                                           ················
//! ```

use std::sync::Arc;

use crate::frame::{Cursor, Frame};
use crate::row::{Cell, Content, Row, RowBuilder};
use crate::size::Size;
use crate::style::{Attrs, Color, Style};
use crate::width;

/// Cells between the cursor and the border after the part moved, so that it doesn't move with
/// every key. At most a quarter of the viewer's size.
const MARGIN_CELLS: u16 = 8;

/// Fits the shared screen to a viewer's terminal: crops it following the cursor where it is
/// larger, marks the border where it is smaller, lays a notice over the last row.
#[derive(Debug, Default)]
pub struct Viewport {
    left: u16,
    top: u16,
    /// The viewer's size before.
    viewer: Option<Size>,
}

impl Viewport {
    /// A frame of size `viewer`.
    pub fn compose(&mut self, frame: &Frame, viewer: Size, notice: Option<&str>) -> Frame {
        let viewer = Size::clamped(viewer.cols.into(), viewer.rows.into());
        self.follow(frame, viewer);
        let mut composed = frame.clone();
        if frame.size != viewer {
            self.fit(&mut composed, viewer);
        }
        if let Some(notice) = notice {
            let mut rows = composed.rows.to_vec();
            rows[usize::from(viewer.rows) - 1] = notice_row(notice, viewer.cols);
            composed.rows = rows.into();
        }
        composed
    }

    /// Left and top of the part shown by the last [`Viewport::compose`], in cells.
    pub fn offset(&self) -> (u16, u16) {
        (self.left, self.top)
    }

    /// Moves the part that is shown if the cursor left it, or either size is another one.
    fn follow(&mut self, frame: &Frame, viewer: Size) {
        if self.viewer.replace(viewer) != Some(viewer) {
            // More may fit, or less: the upper left is the best to see.
            (self.left, self.top) = (0, 0);
        }
        let (cursor, size) = (frame.cursor, frame.size);
        let at = |pos| cursor.is_visible.then_some(pos);
        self.left = follow(self.left, at(cursor.col), viewer.cols, size.cols);
        self.top = follow(self.top, at(cursor.row), viewer.rows, size.rows);
    }

    fn fit(&self, frame: &mut Frame, viewer: Size) {
        let shown = frame.size.min(viewer);
        let mut builder = RowBuilder::new(viewer.cols);
        let mut rows: Vec<Arc<Row>> = Vec::with_capacity(viewer.rows.into());
        let kept = frame.rows.iter().skip(self.top.into()).take(shown.rows.into());
        for row in kept {
            if self.left == 0 && shown.cols == viewer.cols {
                rows.push(row.truncated(viewer.cols));
                continue;
            }
            builder.reset(viewer.cols);
            push_part(&mut builder, row, self.left, shown.cols);
            if shown.cols < viewer.cols {
                push_outside(&mut builder, '│', viewer.cols);
            }
            rows.push(Arc::new(builder.finish()));
        }
        if shown.rows < viewer.rows {
            rows.push(Arc::new(border_row(&mut builder, shown.cols, viewer.cols)));
            builder.reset(viewer.cols);
            push_outside(&mut builder, '·', viewer.cols);
            let outside = Arc::new(builder.finish());
            rows.resize(viewer.rows.into(), outside);
        }
        frame.rows = rows.into();
        frame.size = viewer;
        frame.cursor = self.cursor(frame.cursor, viewer);
    }

    /// The cursor's place in the part shown; hidden if it isn't there.
    fn cursor(&self, cursor: Cursor, viewer: Size) -> Cursor {
        let col = cursor.col.checked_sub(self.left).filter(|col| *col < viewer.cols);
        let row = cursor.row.checked_sub(self.top).filter(|row| *row < viewer.rows);
        match (col, row) {
            (Some(col), Some(row)) => Cursor { col, row, ..cursor },
            (None, _) | (_, None) => Cursor { col: 0, row: 0, is_visible: false, ..cursor },
        }
    }
}

/// Where the shown part of `shown` cells begins in a screen of `len`, so that `at` is in it.
fn follow(start: u16, at: Option<u16>, shown: u16, len: u16) -> u16 {
    let start_max = len.saturating_sub(shown);
    let margin = MARGIN_CELLS.min(shown / 4);
    let start = start.min(start_max);
    match at {
        // All left of it, if there is room for that: the line's begin.
        Some(at) if at < start && at + margin < shown => 0,
        Some(at) if at < start => at.saturating_sub(margin),
        Some(at) if at >= start + shown => (at + 1 + margin - shown).min(start_max),
        Some(_) | None => start,
    }
}

/// Appends `cols` cells from `left` on; halves of wide characters at the borders become blank.
pub(crate) fn push_part(builder: &mut RowBuilder, row: &Row, left: u16, cols: u16) {
    let end = left + cols;
    let cells = row.cells(end + 1).enumerate().skip(left.into()).take(cols.into());
    for (x, cell) in cells {
        let is_cut_left = x == usize::from(left) && cell.width() == 0;
        let is_cut_right = x + usize::from(cell.width()) > usize::from(end);
        if is_cut_left || is_cut_right {
            builder.push(Cell { content: Content::Narrow(' '), ..cell });
        } else {
            builder.push(cell);
        }
    }
}

/// How everything outside of the shared screen looks.
fn outside_style() -> Style {
    Style { attrs: Attrs::DIM, ..Style::PLAIN }
}

/// Appends `border` and dots to the end of the row.
fn push_outside(builder: &mut RowBuilder, border: char, cols: u16) {
    let style = outside_style();
    builder.push(Cell { content: Content::Narrow(border), style: &style });
    while builder.len() < cols {
        builder.push_char_alike('·');
    }
}

/// The row below the shared screen.
fn border_row(builder: &mut RowBuilder, shown: u16, cols: u16) -> Row {
    let style = outside_style();
    builder.reset(cols);
    for _ in 0..shown {
        builder.push(Cell { content: Content::Narrow('─'), style: &style });
    }
    if shown < cols {
        push_outside(builder, '┘', cols);
    }
    builder.finish()
}

/// A row that says `notice`, so that it is seen.
fn notice_row(notice: &str, cols: u16) -> Arc<Row> {
    let style = Style { fg: Color::Ansi(0), bg: Color::Ansi(3), ..Style::PLAIN };
    let mut builder = RowBuilder::new(cols);
    width::push_text(&mut builder, notice, &style);
    while builder.room() > 0 {
        builder.push(Cell { content: Content::Narrow(' '), style: &style });
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Screen;

    fn frame(cols: u16, rows: u16, output: &str) -> Frame {
        let mut screen = Screen::new(Size { cols, rows });
        screen.handle_output(output.as_bytes(), std::time::Instant::now());
        screen.frame()
    }

    fn size(cols: u16, rows: u16) -> Size {
        Size { cols, rows }
    }

    #[test]
    fn same_size_shares_everything() {
        let frame = frame(80, 24, "hello");
        let composed = Viewport::default().compose(&frame, frame.size(), None);
        assert!(Arc::ptr_eq(&composed.rows, &frame.rows));
    }

    #[test]
    fn larger_viewer_sees_the_border() {
        let composed = Viewport::default().compose(&frame(4, 2, "ab\r\ncd"), size(7, 4), None);
        assert_eq!(composed.to_text(), "ab  │··\ncd  │··\n────┘··\n·······\n");
        let wider = Viewport::default().compose(&frame(4, 2, "ab"), size(6, 2), None);
        assert_eq!(wider.to_text(), "ab  │·\n    │·\n");
        let higher = Viewport::default().compose(&frame(4, 2, "ab"), size(4, 4), None);
        assert_eq!(higher.to_text(), "ab\n\n────\n····\n");
    }

    #[test]
    fn smaller_viewer_follows_the_cursor_and_stays_while_it_is_inside() {
        let mut viewport = Viewport::default();
        let at = |col: u16, row: u16| frame(100, 50, &format!("\x1b[{};{}H", row + 1, col + 1));
        let viewer = size(40, 20);
        viewport.compose(&at(0, 0), viewer, None);
        assert_eq!(viewport.offset(), (0, 0));
        viewport.compose(&at(50, 0), viewer, None);
        assert_eq!(viewport.offset(), (19, 0));
        viewport.compose(&at(20, 0), viewer, None);
        assert_eq!(viewport.offset(), (19, 0));
        viewport.compose(&at(99, 49), viewer, None);
        assert_eq!(viewport.offset(), (60, 30));
        let composed = viewport.compose(&at(59, 49), viewer, None);
        assert_eq!(viewport.offset(), (51, 30));
        assert_eq!((composed.cursor.col, composed.cursor.row), (8, 19));
    }

    #[test]
    fn begin_of_the_line_is_seen_as_soon_as_there_is_room_for_it() {
        let mut viewport = Viewport::default();
        let at = |col: u16, row: u16| frame(100, 50, &format!("\x1b[{};{}H", row + 1, col + 1));
        viewport.compose(&at(30, 9), size(20, 5), None);
        assert_eq!(viewport.offset(), (16, 6));
        viewport.compose(&at(12, 9), size(20, 5), None);
        assert_eq!(viewport.offset(), (0, 6));
        viewport.compose(&at(30, 9), size(20, 5), None);
        // A larger terminal.
        viewport.compose(&at(30, 9), size(40, 20), None);
        assert_eq!(viewport.offset(), (0, 0));
    }

    #[test]
    fn hidden_cursor_is_not_followed() {
        let mut viewport = Viewport::default();
        let composed =
            viewport.compose(&frame(100, 50, "\x1b[50;90H\x1b[?25l"), size(40, 20), None);
        assert_eq!(viewport.offset(), (0, 0));
        assert!(!composed.cursor.is_visible);
    }

    #[test]
    fn wide_characters_at_the_borders_are_blank() {
        let mut viewport = Viewport::default();
        let composed = viewport.compose(&frame(10, 1, "日本語"), size(5, 1), None);
        assert_eq!(viewport.offset(), (3, 0));
        assert_eq!(composed.to_text(), " 語\n");
        assert_eq!(composed.cell(0, 0), Cell::BLANK);
    }

    #[test]
    fn notice_covers_the_last_row_only() {
        let frame = frame(10, 3, "one\r\ntwo\r\nthree");
        let composed = Viewport::default().compose(&frame, frame.size(), Some("host away 日本語"));
        assert_eq!(composed.to_text(), "one\ntwo\nhost away\n");
        assert_eq!(composed.cell(9, 2).style.bg, Color::Ansi(3));
        assert!(Arc::ptr_eq(&composed.rows[0], &frame.rows[0]));
    }
}
