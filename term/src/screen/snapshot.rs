//! Makes rows of the emulator's cells.

use std::sync::Arc;

use alacritty_terminal::term::cell::{Cell as GridCell, CellExtra, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::Color as GridColor;

use super::sgr;
use crate::link::Link;
use crate::row::{CLUSTER_BYTES_MAX, Cell, Content, Row, RowBuilder};
use crate::style::{Color, Style};

/// Flags that make a cell's style; the others say what is in it.
const STYLE_FLAGS: Flags = Flags::from_bits_retain(
    !(Flags::WRAPLINE.bits()
        | Flags::WIDE_CHAR.bits()
        | Flags::WIDE_CHAR_SPACER.bits()
        | Flags::LEADING_WIDE_CHAR_SPACER.bits()),
);

/// Memory for making rows, and the last link seen.
#[derive(Debug)]
pub(super) struct Snapshot {
    builder: RowBuilder,
    text: String,
    link: Option<(Hyperlink, Option<Arc<Link>>)>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { builder: RowBuilder::new(0), text: String::new(), link: None }
    }
}

impl Snapshot {
    /// The row of these cells, at `y`; `None` if it is `old[y]`. One that equals another old row
    /// (the screen scrolled) is shared with it.
    pub(super) fn row(
        &mut self,
        cells: &[GridCell],
        y: usize,
        old: &[Arc<Row>],
    ) -> Option<Arc<Row>> {
        self.build(cells);
        let hash = self.builder.hash();
        let mut is_same = |row: &Arc<Row>| row.hash() == hash && self.builder.is_same(row);
        if old.get(y).is_some_and(&mut is_same) {
            return None;
        }
        // Nearest below first: most scrolling is upward.
        let below = old.get(y + 1..).unwrap_or_default().iter();
        let above = old[..y.min(old.len())].iter().rev();
        let shared = below.chain(above).find(|row| is_same(row)).cloned();
        Some(shared.unwrap_or_else(|| Arc::new(self.builder.finish())))
    }

    fn build(&mut self, cells: &[GridCell]) {
        self.builder.reset(cells.len() as u16);
        let mut last: Option<&GridCell> = None;
        let mut cells = cells.iter().peekable();
        while let Some(cell) = cells.next() {
            let spacers = Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER;
            let is_simple = !cell.flags.intersects(spacers) && cell.extra.is_none();
            if is_simple && last.is_some_and(|last| is_alike(last, cell)) {
                self.builder.push_char_alike(cell.c);
                continue;
            }
            let mut is_wide = false;
            let mut is_half = cell.flags.contains(Flags::WIDE_CHAR_SPACER);
            if cell.flags.contains(Flags::WIDE_CHAR) {
                is_wide =
                    cells.next_if(|next| next.flags.contains(Flags::WIDE_CHAR_SPACER)).is_some();
                is_half = !is_wide;
            }
            let style = self.style(cell);
            self.push(cell, is_wide, is_half, &style);
            // Rows that are full of links drop some; don't look like those then.
            last = style.link.is_none().then_some(cell);
        }
    }

    /// Appends a cell; half of a wide one that was overwritten is blank.
    fn push(&mut self, cell: &GridCell, is_wide: bool, is_half: bool, style: &Style) {
        let zerowidth = cell.zerowidth().unwrap_or_default();
        let content = match (is_half, is_wide) {
            (true, _) => Content::Narrow(' '),
            (false, is_wide) if !zerowidth.is_empty() => {
                self.text.clear();
                self.text.push(cell.c);
                for c in zerowidth {
                    if self.text.len() + c.len_utf8() <= CLUSTER_BYTES_MAX {
                        self.text.push(*c);
                    }
                }
                Content::Cluster { text: &self.text, is_wide }
            }
            (false, true) => Content::Wide(cell.c),
            (false, false) => Content::Narrow(cell.c),
        };
        self.builder.push(Cell { content, style });
    }

    fn style(&mut self, cell: &GridCell) -> Style {
        Style {
            fg: color(cell.fg),
            bg: color(cell.bg),
            underline_color: cell.underline_color().map_or(Color::Default, color),
            attrs: sgr::attrs(cell.flags & STYLE_FLAGS),
            link: cell.hyperlink().and_then(|link| self.link(link)),
        }
    }

    fn link(&mut self, link: Hyperlink) -> Option<Arc<Link>> {
        if let Some((last, made)) = &self.link
            && *last == link
        {
            return made.clone();
        }
        let made = Link::new(link.id(), link.uri()).map(Arc::new);
        self.link = Some((link, made.clone()));
        made
    }
}

/// Whether `cell`, which has no extras, looks like `last`.
fn is_alike(last: &GridCell, cell: &GridCell) -> bool {
    let has_no_color = |extra: &Arc<CellExtra>| **extra == CellExtra::default();
    last.fg == cell.fg
        && last.bg == cell.bg
        && last.flags & STYLE_FLAGS == cell.flags & STYLE_FLAGS
        && last.extra.as_ref().is_none_or(has_no_color)
}

/// Colours of ours: the first 16 have names.
fn color(color: GridColor) -> Color {
    match color {
        GridColor::Named(name) => match name as usize {
            n @ 0..16 => Color::Ansi(n as u8),
            _ => Color::Default,
        },
        GridColor::Indexed(n) => Color::Indexed(n),
        GridColor::Spec(rgb) => Color::Rgb(rgb.r, rgb.g, rgb.b),
    }
}
