//! What another terminal emulator, written by others, shows. It knows fewer attributes and no joined
//! emoji, so those are left out.

use tern_term::{Attrs, Capabilities, Cell, Color, Frame, Size, Underline};

/// Bytes of a cell's text that are compared; it keeps few more.
const CELL_BYTES_MAX: usize = 16;

/// What it can do.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities { has_styled_underline: false, has_osc: false, ..Capabilities::full() }
}

/// A program's output without what the two disagree about: it makes characters wide that are
/// followed by this one.
pub(crate) fn agreed(output: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(output).replace('\u{fe0f}', "").into_bytes()
}

/// An empty screen of its own.
pub(crate) fn parser(size: Size) -> vt100::Parser {
    let nonzero = |n: u16| std::num::NonZeroU16::new(n).expect("sizes are never zero");
    vt100::Parser::new(nonzero(size.rows), nonzero(size.cols), 0)
}

/// Fails unless it shows `frame`, after these bytes were the last.
pub(crate) fn assert_same(frame: &Frame, screen: &vt100::Screen, bytes: &[u8]) {
    let size = frame.size();
    for row in 0..size.rows {
        for col in 0..size.cols {
            let wanted = looks(frame.cell(col, row));
            if wanted.1 == 0 {
                // It keeps no attributes for right halves.
                continue;
            }
            let shown = screen.cell(row, col).map(other_looks);
            assert!(
                Some(&wanted) == shown.as_ref(),
                "{col},{row}\nwanted {wanted:?}\nshown  {shown:?}\nbytes {:?}",
                String::from_utf8_lossy(bytes),
            );
        }
    }
    let cursor = frame.cursor();
    assert_eq!(cursor.is_visible, !screen.hide_cursor());
    if cursor.is_visible {
        let (row, col) = screen.cursor_position();
        assert_eq!((cursor.row, cursor.col), (row, col.min(size.cols - 1)));
    }
}

/// What both know of a cell: text, width, colours, attributes.
type Looks = (String, u16, [vt100::Color; 2], [bool; 4]);

fn looks(cell: Cell<'_>) -> Looks {
    let mut text = String::new();
    cell.push_text(&mut text);
    let style = cell.style;
    let has = |attr| style.attrs.contains(attr);
    let attrs = [
        // It has one or the other.
        has(Attrs::BOLD) || has(Attrs::DIM),
        has(Attrs::ITALIC),
        style.attrs.underline() != Underline::None,
        has(Attrs::INVERSE),
    ];
    (shortened(&text), cell.width(), [style.fg, style.bg].map(color), attrs)
}

fn other_looks(cell: &vt100::Cell) -> Looks {
    let width = match () {
        () if cell.is_wide_continuation() => 0,
        () if cell.is_wide() => 2,
        () => 1,
    };
    let attrs = [cell.bold() || cell.dim(), cell.italic(), cell.underline(), cell.inverse()];
    (shortened(cell.contents()), width, [cell.fgcolor(), cell.bgcolor()], attrs)
}

fn shortened(text: &str) -> String {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= CELL_BYTES_MAX).last().unwrap_or(0);
    if text == " " { String::new() } else { text[..end].to_owned() }
}

fn color(color: Color) -> vt100::Color {
    match color {
        Color::Default => vt100::Color::Default,
        Color::Ansi(n) | Color::Indexed(n) => vt100::Color::Idx(n),
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
    }
}
