//! What turns one frame into another, in few bytes.
//!
//! ```text
//! diff     head [compressed: raw length, lz4 block | body]
//! body     [rare] [cursor] [copies] [edits]      which of them: bits of the head
//! rare     mask, then of: size, look of the cursor and modes, title, bell, clipboard
//! cursor   columns and rows that it moved
//! copies   count, then for each: rows down from the end of the last one, where from (relative),
//!          how many; all read from the base, so that scrolling in any direction, regions and
//!          panes are all the same thing
//! edits    first row, then operations to the end of the diff (see [`Op`])
//! ```
//!
//! Numbers are LEB128. A base of another size is first cut or extended at its right and bottom.
//! Styles are defined where they first occur, then named by number. A typed key is about 8 bytes.

mod decode;
mod encode;
mod moves;
mod table;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

use crate::row::{CLUSTER_BYTES_MAX, ROW_CLUSTER_BYTES_MAX, ROW_LINK_BYTES_MAX};
use crate::size::{COLS_MAX, ROWS_MAX};

/// Bits of a diff's first byte; the others must be 0.
mod head {
    pub(super) const COMPRESSED: u8 = 1;
    pub(super) const CURSOR: u8 = 1 << 1;
    pub(super) const COPIES: u8 = 1 << 2;
    pub(super) const EDITS: u8 = 1 << 3;
    pub(super) const RARE: u8 = 1 << 4;
    pub(super) const ALL: u8 = CURSOR | COPIES | EDITS | RARE;
}

/// Bits of the mask of what changes rarely; the others must be 0.
mod rare {
    pub(super) const SIZE: u8 = 1;
    pub(super) const LOOK: u8 = 1 << 1;
    pub(super) const TITLE: u8 = 1 << 2;
    pub(super) const BELL: u8 = 1 << 3;
    pub(super) const CLIPBOARD: u8 = 1 << 4;
    pub(super) const ALL: u8 = SIZE | LOOK | TITLE | BELL | CLIPBOARD;
}

/// One step through a row, from left to right: the low three bits of a number whose others are a
/// count, so up to 15 in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// So many cells stay.
    Skip,
    /// So many characters follow, each one cell.
    Narrow,
    /// So many characters follow, each two cells.
    Wide,
    /// One cell of several characters: twice their bytes, plus 1 if it is wide; they follow.
    Cluster,
    /// One character follows, to be put in so many cells.
    Fill,
    /// What follows looks like: see [`style_ref`].
    Style,
    /// The rest of the row becomes blank, in the background of the count's style reference.
    Clear,
    /// The rest of the row stays; go down so many rows.
    Down,
}

impl Op {
    const ALL: [Self; 8] = [
        Self::Skip,
        Self::Narrow,
        Self::Wide,
        Self::Cluster,
        Self::Fill,
        Self::Style,
        Self::Clear,
        Self::Down,
    ];
}

/// Numbers that stand for a style.
mod style_ref {
    /// The plain one.
    pub(super) const PLAIN: u32 = 0;
    /// That of the cell to the left.
    pub(super) const LEFT: u32 = 1;
    /// A new one, which follows, and gets the next number.
    pub(super) const NEW: u32 = 2;
    /// The first number given.
    pub(super) const FIRST: u32 = 3;
}

/// Bits of the mask before a new style's parts; the others must be 0.
mod part {
    pub(super) const FG: u8 = 1;
    pub(super) const BG: u8 = 1 << 1;
    pub(super) const UNDERLINE_COLOR: u8 = 1 << 2;
    pub(super) const ATTRS: u8 = 1 << 3;
    pub(super) const LINK: u8 = 1 << 4;
    pub(super) const ALL: u8 = FG | BG | UNDERLINE_COLOR | ATTRS | LINK;
}

/// Styles, and links, that get a number in one diff; the next ones are always written out.
const TABLE_LEN_MAX: usize = 4096;

/// Compressing less than this gains nothing.
const COMPRESS_BYTES_MIN: usize = 128;

/// Most bytes that a body can have: for each cell a style (mask, three colours of 5, attributes of
/// 3, link of 3), two operations of 3 and a character; for each row, its clusters and links, and
/// some for the row itself; and 256 kB for the title and the clipboard.
const BODY_BYTES_MAX: usize = COLS_MAX as usize * ROWS_MAX as usize * (1 + 15 + 3 + 3 + 6 + 4)
    + ROWS_MAX as usize * (ROW_CLUSTER_BYTES_MAX + ROW_LINK_BYTES_MAX + 32)
    + 256 * 1024;

/// lz4 cannot make a body smaller than this part of it, so one that claims more is refused before
/// anything is allocated.
const COMPRESSION_MAX: usize = 255;

const _: () = assert!(BODY_BYTES_MAX <= 40 * 1024 * 1024);
const _: () = assert!(CLUSTER_BYTES_MAX < 1 << 13, "fits in an operation's count with its bit");

#[cfg(test)]
mod tests;
