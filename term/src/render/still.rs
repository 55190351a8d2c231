//! Writes a frame as lines that stay, as a program's output does.

use super::Capabilities;
use super::terminal::Terminal;
use crate::frame::Frame;
use crate::row::Cell;

/// The frame as lines for a terminal, each with `\r\n`, in colours; without what is blank at the
/// ends of rows and below the last.
pub fn still(frame: &Frame, capabilities: &Capabilities) -> Vec<u8> {
    let cols = frame.size().cols;
    let rows: Vec<Vec<Cell<'_>>> = frame.rows.iter().map(|row| row.cells(cols).collect()).collect();
    let length = |row: &Vec<Cell<'_>>| row.iter().rposition(|cell| *cell != Cell::BLANK);
    let count = rows.iter().rposition(|row| length(row).is_some()).map_or(0, |last| last + 1);
    let mut terminal = Terminal::new(capabilities.clone());
    let mut out = Vec::new();
    for row in &rows[..count] {
        let end = length(row).map_or(0, |last| last + 1);
        for cell in &row[..end] {
            terminal.print(*cell, u16::MAX);
        }
        // A line break in colour would colour the next line on some terminals.
        out.extend(terminal.reset());
        out.extend(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Screen, Size};
    use std::time::Instant;

    #[test]
    fn lines_look_as_they_did_and_end_where_the_screen_is_blank() {
        let output = "one \x1b[31mred\x1b[m\r\n\r\n日本\x1b[44m  \x1b[m\r\n";
        let mut screen = Screen::new(Size { cols: 20, rows: 6 });
        screen.handle_output(output.as_bytes(), Instant::now());
        let lines = still(&screen.frame(), &Capabilities::full());
        let mut again = Screen::new(Size { cols: 20, rows: 6 });
        again.handle_output(&lines, Instant::now());
        let (frame, shown) = (screen.frame(), again.frame());
        assert!(frame.rows.iter().zip(shown.rows.iter()).all(|(old, new)| old == new));
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 3);
    }

    #[test]
    fn blank_screen_is_nothing() {
        assert!(still(&Frame::blank(Size { cols: 9, rows: 3 }), &Capabilities::full()).is_empty());
    }
}
