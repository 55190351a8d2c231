//! A picture of a screen.

use std::sync::{Arc, LazyLock};

use tern_sync::{BadDiff, State};

use crate::row::{Cell, Content, Row, RowBuilder};
use crate::size::Size;
use crate::style::Style;
use crate::{diff, width};

/// Shape of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CursorShape {
    /// Whatever the viewer has configured.
    #[default]
    Default,
    /// A full cell.
    Block,
    /// A line below.
    Underline,
    /// A line to the left.
    Beam,
}

/// The cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// From 0; always on the screen.
    pub col: u16,
    /// From 0; always on the screen.
    pub row: u16,
    /// Whether it shows.
    pub is_visible: bool,
    /// Its shape.
    pub shape: CursorShape,
    /// Whether it blinks.
    pub is_blinking: bool,
}

impl Cursor {
    /// Where and how it is on an empty screen.
    pub(crate) const HOME: Self =
        Self { col: 0, row: 0, is_visible: true, shape: CursorShape::Default, is_blinking: false };
}

/// Set of modes that concern what a terminal sends, or how it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Modes(u16);

impl Modes {
    /// Arrow keys send application sequences (DECCKM).
    pub const APP_CURSOR: Self = Self(1);
    /// The keypad sends application sequences (DECKPAM).
    pub const APP_KEYPAD: Self = Self(1 << 1);
    /// Pasted text is bracketed (2004).
    pub const BRACKETED_PASTE: Self = Self(1 << 2);
    /// Focus changes are reported (1004).
    pub const FOCUS: Self = Self(1 << 3);
    /// Mouse buttons are reported (1000).
    pub const MOUSE_CLICK: Self = Self(1 << 4);
    /// Mouse motion with a button held is reported (1002).
    pub const MOUSE_DRAG: Self = Self(1 << 5);
    /// All mouse motion is reported (1003).
    pub const MOUSE_MOTION: Self = Self(1 << 6);
    /// Mouse reports have UTF-8 coordinates (1005).
    pub const MOUSE_UTF8: Self = Self(1 << 7);
    /// Mouse reports are in SGR form (1006).
    pub const MOUSE_SGR: Self = Self(1 << 8);
    /// The program draws on the alternate screen.
    pub const ALT_SCREEN: Self = Self(1 << 9);
    /// The wheel sends arrow keys on the alternate screen (1007).
    pub const ALT_SCROLL: Self = Self(1 << 10);
    const ALL: u16 = (1 << 11) - 1;
    /// Private modes (DECSET) that a program sets and a viewer's terminal takes over, by number.
    pub(crate) const NUMBERS: [(u16, Self); 9] = [
        (1, Self::APP_CURSOR),
        (1000, Self::MOUSE_CLICK),
        (1002, Self::MOUSE_DRAG),
        (1003, Self::MOUSE_MOTION),
        (1004, Self::FOCUS),
        (1005, Self::MOUSE_UTF8),
        (1006, Self::MOUSE_SGR),
        (1007, Self::ALT_SCROLL),
        (2004, Self::BRACKETED_PASTE),
    ];
    /// Any of the three kinds of mouse reports.
    pub const MOUSE: Self = Self(0b111 << 4);

    /// The set as a number, for the wire.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// Back from [`Modes::bits`]; `None` if no set has this number.
    pub(crate) fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::ALL == 0).then_some(Self(bits))
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in it.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With `other` set or not.
    pub fn with(self, other: Self, is_set: bool) -> Self {
        Self(if is_set { self.0 | other.0 } else { self.0 & !other.0 })
    }
}

/// What the program put into the clipboard (OSC 52).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Clipboard {
    /// Counts up with each change, so that the same text twice is two changes.
    pub seq: u32,
    /// Which one: `c` (clipboard), `p` (primary), `s`, `q` or `0`-`7`.
    pub selection: u8,
    /// The text, base64-encoded as it came; nothing but base64 characters.
    pub base64: Box<str>,
}

/// An immutable picture of a screen; a clone shares all rows.
#[derive(Debug, Clone)]
pub struct Frame {
    pub(crate) size: Size,
    /// Exactly `size.rows`, none longer than `size.cols`.
    pub(crate) rows: Arc<[Arc<Row>]>,
    pub(crate) cursor: Cursor,
    pub(crate) modes: Modes,
    pub(crate) title: Arc<str>,
    pub(crate) bell_count: u32,
    pub(crate) clipboard: Option<Arc<Clipboard>>,
}

impl Frame {
    /// An empty screen of this size.
    pub fn blank(size: Size) -> Self {
        let size = Size::clamped(size.cols.into(), size.rows.into());
        static NO_TITLE: LazyLock<Arc<str>> = LazyLock::new(|| "".into());
        Self {
            size,
            rows: vec![Row::blank(); size.rows.into()].into(),
            cursor: Cursor::HOME,
            modes: Modes::default().with(Modes::ALT_SCROLL, true),
            title: Arc::clone(&NO_TITLE),
            bell_count: 0,
            clipboard: None,
        }
    }

    /// A screen with these lines of plain text from the top, each cut at the border.
    pub fn from_lines<'a>(size: Size, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut frame = Self::blank(size);
        let mut rows = frame.rows.to_vec();
        let mut builder = RowBuilder::new(frame.size.cols);
        for (row, line) in rows.iter_mut().zip(lines) {
            builder.reset(frame.size.cols);
            width::push_text(&mut builder, line, &Style::PLAIN);
            *row = Arc::new(builder.finish());
        }
        frame.rows = rows.into();
        frame
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Window title; empty if none was set.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The modes that are on.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// How often the bell rang since the screen was made; wraps around.
    pub fn bell_count(&self) -> u32 {
        self.bell_count
    }

    /// The newest text put into the clipboard.
    pub fn clipboard(&self) -> Option<&Clipboard> {
        self.clipboard.as_deref()
    }

    /// All rows, from the top. Rows that didn't change between two pictures of the same screen are
    /// the same `Arc`.
    pub fn rows(&self) -> &[Arc<Row>] {
        &self.rows
    }

    /// One cell; blank outside of the screen.
    pub fn cell(&self, col: u16, row: u16) -> Cell<'_> {
        self.rows.get(usize::from(row)).map_or(Cell::BLANK, |row| row.cell(col))
    }

    /// The same picture with other cells in one row, and the cursor there at `col`; cells that don't fit
    /// are left out. All other rows are shared.
    #[must_use]
    pub fn with_cells<'a>(
        &self,
        (col, row): (u16, u16),
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Self {
        let mut frame = self.clone();
        let mut builder = RowBuilder::new(self.size.cols);
        for cell in cells {
            builder.push(cell);
        }
        let mut rows = self.rows.to_vec();
        let (row, col) = (row.min(self.size.rows - 1), col.min(self.size.cols - 1));
        rows[usize::from(row)] = Arc::new(builder.finish());
        frame.rows = rows.into();
        (frame.cursor.col, frame.cursor.row) = (col, row);
        frame
    }

    /// The text, a line for each row, blanks at the ends left out. For tests and logs of tests.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for row in self.rows.iter() {
            row.push_text(&mut text);
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }

    /// The text of one row with every change of style written out, e.g. `ls {fg: Ansi(4)}dir{}`.
    /// For tests.
    pub fn row_to_styled_text(&self, row: u16) -> String {
        use std::fmt::Write as _;
        let Some(row) = self.rows.get(usize::from(row)) else {
            return String::new();
        };
        let mut text = String::new();
        let mut last = &Style::PLAIN;
        for cell in row.cells(row.len()).filter(|cell| cell.content != Content::Continuation) {
            if cell.style != last {
                last = cell.style;
                if last.is_plain() {
                    text.push_str("{}");
                } else {
                    write!(text, "{{{last:?}}}").expect("writing to a string cannot fail");
                }
            }
            cell.push_text(&mut text);
        }
        text
    }

    /// Bytes of memory that it holds; rows that it shares count in full.
    pub(crate) fn size_held(&self) -> usize {
        let rows = self.rows.iter().map(|row| size_of::<Arc<Row>>() + row.size_held());
        let clipboard = self.clipboard.as_ref().map_or(0, |clipboard| clipboard.base64.len());
        size_of::<Self>() + rows.sum::<usize>() + self.title.len() + clipboard
    }

    /// See [`State::share`].
    pub(crate) fn share_held(&self) -> usize {
        let share = |row: &Arc<Row>| row.size_held() / Arc::strong_count(row).max(1);
        let rows = self.rows.iter().map(|row| size_of::<Arc<Row>>() + share(row));
        let clipboard = self.clipboard.as_ref().map_or(0, |clipboard| clipboard.base64.len());
        let rows = rows.sum::<usize>() / Arc::strong_count(&self.rows).max(1);
        size_of::<Self>() + rows + self.title.len() + clipboard
    }

    /// Whether both are the same `rows` in memory, or equal.
    fn has_same_rows(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
            || self.rows.len() == other.rows.len()
                && self.rows.iter().zip(other.rows.iter()).all(|(a, b)| is_same_row(a, b))
    }
}

/// Equal; cheap if they are one.
pub(crate) fn is_same_row(a: &Arc<Row>, b: &Arc<Row>) -> bool {
    Arc::ptr_eq(a, b) || **a == **b
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size
            && self.cursor == other.cursor
            && self.modes == other.modes
            && self.bell_count == other.bell_count
            && self.title == other.title
            && self.clipboard == other.clipboard
            && self.has_same_rows(other)
    }
}
impl Eq for Frame {}

impl Default for Frame {
    fn default() -> Self {
        Self::blank(Size { cols: 80, rows: 24 })
    }
}

impl State for Frame {
    fn diff(&self, base: &Self) -> Vec<u8> {
        let diff = diff::encode(base, self);
        debug_assert!(
            diff::decode(base, &diff).is_ok_and(|frame| frame == *self),
            "applying a diff to its base gives its frame"
        );
        diff
    }

    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff> {
        diff::decode(self, diff)
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn size(&self) -> usize {
        self.size_held()
    }

    fn share(&self) -> usize {
        self.share_held()
    }

    /// Any diff may draw the whole screen.
    fn work(&self) -> usize {
        usize::from(self.size.cols) * usize::from(self.size.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_frame_is_one_shared_row() {
        let frame = Frame::blank(Size { cols: 80, rows: 24 });
        assert!(frame.rows().iter().all(|row| Arc::ptr_eq(row, &Row::blank())));
        assert_eq!(frame, Frame::default());
    }

    #[test]
    fn what_frames_share_is_divided_among_them() {
        let size = Size { cols: 80, rows: 24 };
        let frame = Frame::from_lines(size, ["x".repeat(80).as_str(); 24]);
        let alone = frame.share_held();
        let others = [frame.clone(), frame.clone(), frame.clone()];
        let sum = frame.share_held() + others.iter().map(Frame::share_held).sum::<usize>();
        assert!(alone > 2 * size_of::<Frame>(), "{alone}");
        assert!(sum <= alone + 3 * size_of::<Frame>(), "{sum} of four, {alone} of one");
        assert!(sum < 2 * frame.size_held());
    }

    #[test]
    fn lines_are_cut_at_the_border() {
        let frame = Frame::from_lines(Size { cols: 3, rows: 2 }, ["abcdef", "日本", "more"]);
        assert_eq!(frame.to_text(), "abc\n日\n");
    }

    #[test]
    fn numbers_of_no_mode_set_are_refused() {
        assert_eq!(Modes::from_bits(1 << 11), None);
    }
}
