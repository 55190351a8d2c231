//! One row of a screen: characters with explicit widths, and runs of style.
//!
//! ```text
//! cells    │ l │ s │   │ 日    │ é │           (blank, plain: not stored)
//! glyphs   'l' 's' ' ' 日+wide cont cluster#0
//! runs     [0,2) blue           [2,6) plain: the last run is dropped if plain
//! clusters ["e\u{301}"]
//! ```
//!
//! The form is canonical: rows that show the same are equal, field by field. An idle session
//! keeps many rows, so a row of plain text costs 4 bytes per cell up to its last character.

mod builder;

use std::sync::{Arc, LazyLock};

use crate::style::Style;

pub(crate) use builder::RowBuilder;

/// Longest text of one cell (a character with its combining ones), in bytes; the rest is cut.
/// The longest emoji sequences in use have 35; tmux keeps 32.
pub const CLUSTER_BYTES_MAX: usize = 40;
/// Bytes of clusters in one row, [`CLUSTER_BYTES_MAX`] for every cell of a usual one; beyond them
/// cells keep only their first character. Bounds what a row can take.
pub(crate) const ROW_CLUSTER_BYTES_MAX: usize = 8 * 1024;
/// Bytes of links in one row, counted anew where the style changes; beyond them cells lose theirs.
pub(crate) const ROW_LINK_BYTES_MAX: usize = 24 * 1024;

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A character one cell wide.
    Narrow(char),
    /// A character two cells wide; the next cell is [`Content::Continuation`].
    Wide(char),
    /// Several characters drawn as one.
    Cluster {
        /// At least two characters, at most [`CLUSTER_BYTES_MAX`] bytes.
        text: &'a str,
        /// Whether it takes two cells.
        is_wide: bool,
    },
    /// The right half of what stands to the left.
    Continuation,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What stands in it.
    pub content: Content<'a>,
    /// How it looks. A right half looks like its left one.
    pub style: &'a Style,
}

impl Cell<'_> {
    /// Plain and empty.
    pub const BLANK: Cell<'static> = Cell { content: Content::Narrow(' '), style: &Style::PLAIN };

    /// Cells that it takes: 1 or 2, 0 for a right half.
    pub fn width(&self) -> u16 {
        match self.content {
            Content::Narrow(_) | Content::Cluster { is_wide: false, .. } => 1,
            Content::Wide(_) | Content::Cluster { is_wide: true, .. } => 2,
            Content::Continuation => 0,
        }
    }

    /// Appends its characters, none for a right half.
    pub fn push_text(&self, text: &mut String) {
        match self.content {
            Content::Narrow(c) | Content::Wide(c) => text.push(c),
            Content::Cluster { text: cluster, .. } => text.push_str(cluster),
            Content::Continuation => {}
        }
    }

    /// Its first character, `None` for a right half.
    pub(crate) fn first_char(&self) -> Option<char> {
        match self.content {
            Content::Narrow(c) | Content::Wide(c) => Some(c),
            Content::Cluster { text, .. } => text.chars().next(),
            Content::Continuation => None,
        }
    }

    /// Whether erasing the cell leaves just this.
    pub(crate) fn is_erased(&self) -> bool {
        self.content == Content::Narrow(' ') && self.style.is_erased()
    }
}

/// A character, or which cluster, and how wide. Unused bits are 0, so equal glyphs are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Glyph(u32);

impl Glyph {
    const WIDE: u32 = 1 << 30;
    const CLUSTER: u32 = 1 << 29;
    const CONTINUATION: Self = Self(1 << 31);
    const VALUE: u32 = (1 << 29) - 1;
    const BLANK: Self = Self(' ' as u32);
}

/// Cells up to `end` (exclusive) from the end of the run before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    end: u16,
    style: Style,
}

/// One row, immutable. It has no width of its own: right of what is stored it is blank.
#[derive(Debug, Clone)]
pub struct Row {
    hash: u64,
    /// Bytes of all that it holds.
    size: u32,
    glyphs: Box<[Glyph]>,
    runs: Box<[Run]>,
    clusters: Box<[Box<str>]>,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.glyphs == other.glyphs
            && self.runs == other.runs
            && self.clusters == other.clusters
    }
}
impl Eq for Row {}

impl Row {
    /// The empty row, the same one always.
    pub fn blank() -> Arc<Self> {
        static BLANK: LazyLock<Arc<Row>> = LazyLock::new(|| Arc::new(RowBuilder::new(0).finish()));
        Arc::clone(&BLANK)
    }

    /// Bytes of memory that it holds; a link that several runs share counts for each.
    pub(crate) fn size_held(&self) -> usize {
        self.size as usize
    }

    /// Whether nothing is on it.
    pub fn is_blank(&self) -> bool {
        self.glyphs.is_empty()
    }

    /// Cells up to the last that isn't plain and empty.
    pub fn len(&self) -> u16 {
        self.glyphs.len() as u16
    }

    /// See [`Row::is_blank`].
    pub fn is_empty(&self) -> bool {
        self.is_blank()
    }

    /// Equal for equal rows.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The cell in this column; blank right of the end.
    pub fn cell(&self, col: u16) -> Cell<'_> {
        let Some(&glyph) = self.glyphs.get(usize::from(col)) else {
            return Cell::BLANK;
        };
        let run = self.runs.partition_point(|run| run.end <= col);
        let style = self.runs.get(run).map_or(&Style::PLAIN, |run| &run.style);
        Cell { content: self.content(glyph), style }
    }

    /// The first `cols` cells. Where that cuts a wide character, its left half is the last one.
    pub fn cells(&self, cols: u16) -> impl Iterator<Item = Cell<'_>> {
        let mut runs = self.runs.iter();
        let mut run = runs.next();
        (0..cols).map(move |col| {
            let Some(&glyph) = self.glyphs.get(usize::from(col)) else {
                return Cell::BLANK;
            };
            if run.is_some_and(|run| run.end <= col) {
                run = runs.next();
            }
            let style = run.map_or(&Style::PLAIN, |run| &run.style);
            Cell { content: self.content(glyph), style }
        })
    }

    /// Appends the text up to the last cell that isn't plain and empty.
    pub fn push_text(&self, text: &mut String) {
        for cell in self.cells(self.len()) {
            cell.push_text(text);
        }
    }

    /// The part that fits in `cols` columns; a wide character over the border becomes blank.
    pub(crate) fn truncated(self: &Arc<Self>, cols: u16) -> Arc<Self> {
        if self.len() <= cols {
            return Arc::clone(self);
        }
        let mut row = RowBuilder::new(cols);
        for cell in self.cells(cols) {
            row.push(cell);
        }
        Arc::new(row.finish())
    }

    fn content(&self, glyph: Glyph) -> Content<'_> {
        if glyph == Glyph::CONTINUATION {
            return Content::Continuation;
        }
        let is_wide = glyph.0 & Glyph::WIDE != 0;
        let value = glyph.0 & Glyph::VALUE;
        if glyph.0 & Glyph::CLUSTER != 0 {
            return Content::Cluster { text: &self.clusters[value as usize], is_wide };
        }
        let c = char::from_u32(value).expect("glyphs are made of characters only");
        if is_wide { Content::Wide(c) } else { Content::Narrow(c) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::{Attrs, Color};

    fn row(cells: &[Cell<'_>], cols: u16) -> Row {
        let mut builder = RowBuilder::new(cols);
        for &cell in cells {
            builder.push(cell);
        }
        builder.finish()
    }

    fn plain(content: Content<'_>) -> Cell<'_> {
        Cell { content, style: &Style::PLAIN }
    }

    #[test]
    fn rows_that_show_the_same_are_equal() {
        let a = plain(Content::Narrow('a'));
        assert_eq!(row(&[a, Cell::BLANK, Cell::BLANK], 10), row(&[a], 3));
        assert!(row(&[Cell::BLANK; 4], 4).is_blank());
    }

    #[test]
    fn coloured_blanks_at_the_end_are_kept() {
        let red = Style::erased(Color::Ansi(1));
        let blank = Cell { content: Content::Narrow(' '), style: &red };
        let row = row(&[blank, blank], 2);
        assert_eq!(row.len(), 2);
        assert_eq!(row.cell(1), blank);
        assert_eq!(row.cell(2), Cell::BLANK);
    }

    #[test]
    fn wide_character_at_the_border_becomes_blank() {
        let row = Arc::new(row(&[plain(Content::Wide('日')), plain(Content::Wide('本'))], 4));
        assert_eq!(row.truncated(3).cell(2), Cell::BLANK);
        assert_eq!(row.truncated(3).len(), 2);
        assert_eq!(row.cell(3).content, Content::Continuation);
    }

    #[test]
    fn cells_come_in_order_with_their_styles() {
        let bold = Style { attrs: Attrs::BOLD, ..Style::PLAIN };
        let cells = [
            plain(Content::Narrow('a')),
            Cell { content: Content::Narrow('b'), style: &bold },
            plain(Content::Cluster { text: "e\u{301}", is_wide: false }),
        ];
        let row = row(&cells, 80);
        assert_eq!(row.cells(3).collect::<Vec<_>>(), cells);
        assert!((0..3).all(|col| row.cell(col) == cells[usize::from(col)]));
    }

    #[test]
    fn what_a_row_can_take_is_bounded() {
        let uri = "x".repeat(2000);
        let mut builder = RowBuilder::new(1000);
        for n in 0..1000 {
            let link = crate::Link::new(&n.to_string(), &uri).map(Arc::new);
            let style = Style { link, ..Style::PLAIN };
            let text = "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";
            builder
                .push(Cell { content: Content::Cluster { text, is_wide: false }, style: &style });
        }
        let row = builder.finish();
        assert_eq!(row.len(), 1000);
        assert!(row.clusters.iter().map(|c| c.len()).sum::<usize>() <= ROW_CLUSTER_BYTES_MAX);
        assert!(row.runs.len() < 20);
    }
}
