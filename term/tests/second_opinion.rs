//! Another terminal emulator, written by others, shows what the renderer was to draw. It knows
//! fewer attributes and no joined emoji, so those are left out.

mod output;

use std::time::Instant;

use proptest::prelude::*;
use tern_term::{
    Attrs, Capabilities, Cell, Clusters, Color, Frame, Renderer, Screen, Size, Underline,
};

use output::Step;

/// Bytes of a cell's text that are compared; it keeps few more.
const CELL_BYTES_MAX: usize = 16;

/// Pictures after each step of a program, until the window changes.
fn frames(steps: &[Step]) -> Vec<Frame> {
    let mut screen = Screen::new(output::SIZE);
    screen.set_clusters(Clusters::ByWidth);
    let mut frames = vec![screen.frame()];
    for step in steps {
        match step {
            Step::Write(bytes) => {
                // It makes characters wide that are followed by this.
                let text = String::from_utf8_lossy(bytes).replace('\u{fe0f}', "");
                screen.handle_output(text.as_bytes(), Instant::now());
            }
            Step::Resize(_) => break,
        }
        frames.push(screen.frame());
    }
    frames
}

fn parser(size: Size) -> vt100::Parser {
    let nonzero = |n: u16| std::num::NonZeroU16::new(n).expect("sizes are never zero");
    vt100::Parser::new(nonzero(size.rows), nonzero(size.cols), 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn another_emulator_shows_what_the_host_does(steps in output::steps()) {
        let capabilities = Capabilities {
            has_styled_underline: false,
            has_osc: false,
            ..Capabilities::full()
        };
        let mut renderer = Renderer::new(capabilities);
        let mut parser = parser(output::SIZE);
        parser.process(&renderer.enter());
        for frame in frames(&steps) {
            let bytes = renderer.render(&frame);
            parser.process(&bytes);
            assert_same(&frame, parser.screen(), &bytes);
        }
    }
}

fn assert_same(frame: &Frame, screen: &vt100::Screen, bytes: &[u8]) {
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
