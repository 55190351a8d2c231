//! Editors that say themselves that letters are text now: vi's "-- INSERT --" in the last rows. With
//! it on the screen, no key has to prove first that it is echoed.

use super::line::left_edge;
use tern_term::Frame;

/// What vim and its kin show below the text (`showmode`, on by default).
const INSERTING: &str = "-- INSERT --";
/// It stands in the last row; the multiplexer's status line may be below it.
const ROWS: u16 = 2;

/// Characters of a border between two panes, one above the other.
const BORDERS: [&str; 10] = ["─", "━", "═", "-", "┬", "┴", "┼", "├", "┤", "╋"];

/// The row in which the program with the cursor says that what is typed there is inserted. (Beside or
/// above it another pane may have a mode line, which says nothing of this one.)
pub(super) fn inserting_row(frame: &Frame) -> Option<u16> {
    let (rows, cursor) = (frame.size().rows, frame.cursor());
    let left = left_edge(frame, cursor.row, cursor.col);
    let mut below = rows.saturating_sub(ROWS).max(cursor.row + 1)..rows;
    let row = below.find(|row| text_from(frame, *row, left, INSERTING.len()) == INSERTING)?;
    (cursor.row + 1..row).all(|row| !is_border(frame, row, left)).then_some(row)
}

/// Whether the row is a border between two panes, from this column on.
pub(super) fn is_border(frame: &Frame, row: u16, left: usize) -> bool {
    BORDERS.iter().any(|c| text_from(frame, row, left, 3) == c.repeat(3))
}

fn text_from(frame: &Frame, row: u16, left: usize, size: usize) -> String {
    let mut text = String::new();
    let end = left.saturating_add(size).min(frame.size().cols.into());
    let cols = left..end;
    cols.for_each(|col| {
        frame.cell(u16::try_from(col).expect("within a screen"), row).push_text(&mut text);
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tern_term::{Screen, Size};

    fn says_inserting(frame: &Frame) -> bool {
        inserting_row(frame).is_some()
    }

    #[test]
    fn mode_is_read_below_the_cursor_only() {
        let size = Size { cols: 20, rows: 4 };
        let frame = |lines: [&str; 4]| Frame::from_lines(size, lines).with_cells((0, 1), []);
        assert!(says_inserting(&frame(["text", "", "~", "-- INSERT --    1,1"])));
        assert!(says_inserting(&frame(["text", "", "-- INSERT --", "[0] 0:vi*"])));
        assert!(!says_inserting(&frame(["-- INSERT --", "", "", ""])));
        assert!(!says_inserting(&frame(["text", "", "~", "-- VISUAL --"])));
    }

    #[test]
    fn mode_line_of_another_pane_says_nothing() {
        let frame = |lines: [&str; 4], (row, col): (u16, u16)| {
            let mut screen = Screen::new(Size { cols: 40, rows: 4 });
            let text = format!("{}\x1b[{};{}H", lines.join("\r\n"), row + 1, col + 1);
            screen.handle_output(text.as_bytes(), Instant::now());
            screen.frame()
        };
        let beside = ["text          │$", "              │", "~             │", "-- INSERT --  │"];
        assert!(says_inserting(&frame(beside, (0, 0))));
        assert!(!says_inserting(&frame(beside, (0, 16))));
        let above = ["$", "────────────────────", "text", "-- INSERT --"];
        assert!(!says_inserting(&frame(above, (0, 2))));
        assert!(says_inserting(&frame(above, (2, 0))));
    }
}
