//! Rows that are no screen's: lines of text with SGR sequences (as `tmux capture-pane -e` gives
//! them), and lines that scrolled off.

use std::sync::Arc;
use std::time::Instant;

use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};

use super::emulator::Emulator;
use super::{Clusters, Screen, ScrolledOff};
use crate::row::Row;
use crate::size::Size;

/// Lines that scrolled off and wait to be taken; of more, the newest. What tmux keeps; 5 MB at 100
/// columns.
pub(super) const SCROLLED_OFF_MAX: usize = 2000;
/// Rows of the screen on which lines become rows.
const SHEET_ROWS: u16 = 100;

/// The rows that lines of text become on a screen of `cols` columns. How text looks goes on from line
/// to line.
pub fn rows_of_lines<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
    cols: u16,
    clusters: Clusters,
    now: Instant,
) -> Vec<Arc<Row>> {
    let mut sheet = Screen::new(Size { cols, rows: SHEET_ROWS });
    sheet.set_clusters(clusters);
    // Line drawing is G1, by SO and SI; nothing wraps.
    sheet.handle_output(b"\x1b)0\x1b[?7l", now);
    let mut rows: Vec<Arc<Row>> = Vec::new();
    let mut count = 0;
    for line in lines {
        if count == SHEET_ROWS {
            rows.extend(sheet.frame().rows().iter().cloned());
            // Saved meanwhile: how text looks.
            sheet.handle_output(b"\x1b7\x1b[m\x1b[2J\x1b8", now);
            count = 0;
        }
        count += 1;
        sheet.handle_output(format!("\x1b[{count}H").as_bytes(), now);
        sheet.handle_output(line, now);
    }
    rows.extend(sheet.frame().rows().iter().take(count.into()).cloned());
    rows
}

impl Emulator {
    /// What scrolled off since this was last asked.
    pub(super) fn take_scrolled_off(&mut self) -> ScrolledOff {
        let count = self.term.grid().history_size();
        let cols = Column(self.size().cols.into());
        let mut rows = Vec::with_capacity(count);
        for y in (1..=count).rev() {
            let cells = &self.term.grid()[Line(-(y as i32))][..cols];
            rows.push(self.snapshot.row(cells, 0, &[]).unwrap_or_else(Row::blank));
        }
        self.term.grid_mut().clear_history();
        let is_cleared = std::mem::take(&mut self.is_scrolled_off_cleared);
        ScrolledOff { is_cleared, has_hole: count == SCROLLED_OFF_MAX, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;

    fn texts(rows: &[Arc<Row>]) -> Vec<String> {
        let text = |row: &Arc<Row>| {
            let mut text = String::new();
            row.push_text(&mut text);
            text.trim_end().to_owned()
        };
        rows.iter().map(text).collect()
    }

    #[test]
    fn lines_become_rows_and_their_look_goes_on() {
        let lines: Vec<Vec<u8>> = (0..250)
            .map(|n| format!("line {n} {}", if n == 99 { "\x1b[31m" } else { "" }))
            .map(String::into_bytes)
            .collect();
        let rows =
            rows_of_lines(lines.iter().map(Vec::as_slice), 20, Clusters::default(), Instant::now());
        assert_eq!(rows.len(), 250);
        assert_eq!(texts(&rows)[249], "line 249");
        assert_eq!(rows[99].cell(0).style.fg, Color::Default);
        assert_eq!(rows[249].cell(0).style.fg, Color::Ansi(1));
        let drawn = rows_of_lines(
            ["\x0elqk\x0f漢\x1b[44m  ".as_bytes(), "no more".as_bytes()],
            7,
            Clusters::default(),
            Instant::now(),
        );
        assert_eq!(texts(&drawn), ["┌─┐漢", "no more"]);
        assert_eq!(drawn[0].cell(6).style.bg, Color::Ansi(4));
        assert!(drawn[1].cell(6).style.bg != Color::Default, "it goes on");
    }

    #[test]
    fn what_scrolls_off_is_kept_until_it_is_taken() {
        let mut screen = Screen::new(Size { cols: 10, rows: 3 });
        screen.keep_scrolled_off();
        let now = Instant::now();
        screen.handle_output(b"1\r\n2\r\n3\r\n\x1b[32m4\r\n5", now);
        let ScrolledOff { rows, is_cleared, .. } = screen.take_scrolled_off();
        assert_eq!((texts(&rows), is_cleared), (vec!["1".into(), "2".into()], false));
        assert!(screen.take_scrolled_off().rows.is_empty());
        // A region, the alternate screen: nothing is kept of them.
        screen
            .handle_output(b"\x1b[2;3r\x1b[3H\n\n\n\x1b[r\x1b[?1049h\x1b[3H\n\n\n\x1b[?1049l", now);
        assert!(screen.take_scrolled_off().rows.is_empty());
        // A smaller window pushes lines off; a larger one doesn't take back what was taken.
        screen.handle_output(b"\x1b[m\x1b[H\x1b[Ja\r\nb\r\nc", now);
        screen.resize(Size { cols: 10, rows: 2 });
        assert_eq!(texts(&screen.take_scrolled_off().rows), ["a"]);
        screen.resize(Size { cols: 10, rows: 5 });
        assert_eq!(screen.frame().to_text(), "b\nc\n\n\n\n");
        screen.handle_output(b"\x1b[3J", now);
        assert!(screen.take_scrolled_off().is_cleared);
    }

    #[test]
    fn of_a_flood_the_newest_are_kept() {
        let mut screen = Screen::new(Size { cols: 10, rows: 3 });
        screen.keep_scrolled_off();
        let flood: String = (0..20_000).map(|n| format!("{n}\r\n")).collect();
        screen.handle_output(flood.as_bytes(), Instant::now());
        let ScrolledOff { rows, has_hole, .. } = screen.take_scrolled_off();
        assert!(has_hole && rows.len() == SCROLLED_OFF_MAX);
        assert_eq!(texts(&rows)[SCROLLED_OFF_MAX - 1], "19997");
        screen.handle_output(b"more\r\n", Instant::now());
        assert!(!screen.take_scrolled_off().has_hole);
    }
}
