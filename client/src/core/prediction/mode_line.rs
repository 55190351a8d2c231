//! Editors that say themselves that letters are text now: vi's "-- INSERT --" in the last rows. With
//! it on the screen, no key has to prove first that it is echoed.

use tern_term::Frame;

/// What vim and its kin show below the text (`showmode`, on by default).
const INSERTING: &str = "-- INSERT --";
/// It stands in the last row; the multiplexer's status line may be below it.
const ROWS: u16 = 2;

/// The row in which the program says that what is typed at the cursor is inserted.
pub(super) fn inserting_row(frame: &Frame) -> Option<u16> {
    let rows = frame.size().rows;
    let mut below = rows.saturating_sub(ROWS).max(frame.cursor().row + 1)..rows;
    below.find(|row| {
        let mut text = String::new();
        let cols = u16::try_from(INSERTING.len()).expect("it is short").min(frame.size().cols);
        (0..cols).for_each(|col| frame.cell(col, *row).push_text(&mut text));
        text == INSERTING
    })
}

/// Whether it says so.
pub(super) fn says_inserting(frame: &Frame) -> bool {
    inserting_row(frame).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::Size;

    #[test]
    fn mode_is_read_below_the_cursor_only() {
        let size = Size { cols: 20, rows: 4 };
        let frame = |lines: [&str; 4]| Frame::from_lines(size, lines).with_cells((0, 1), []);
        assert!(says_inserting(&frame(["text", "", "~", "-- INSERT --    1,1"])));
        assert!(says_inserting(&frame(["text", "", "-- INSERT --", "[0] 0:vi*"])));
        assert!(!says_inserting(&frame(["-- INSERT --", "", "", ""])));
        assert!(!says_inserting(&frame(["text", "", "~", "-- VISUAL --"])));
    }
}
