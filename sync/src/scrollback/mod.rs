//! Lines that scrolled off the shared screen, as each party keeps them: the host, the relay, the
//! viewers that keep a replica. Here they are blocks of opaque bytes with numbers; what is in a
//! block knows `tern_term::scrollback`.
//!
//! ```text
//! source 7   ┌────────┬──────┬─────────────┐
//!            │ 40..72 │72..90│   90..122   │ ◄── new lines
//!            └────────┴──────┴─────────────┘
//!          oldest                        newest         one range of lines without a hole
//! ```
//!
//! [`Trickle`] brings it to a peer behind all else, what is newest first, so a receiver's range
//! grows at both ends. When the lines are other ones (another pane, another width, lines that
//! nobody saw go), there is a new *source*, and both begin with nothing.

mod trickle;

pub use trickle::Trickle;

use crate::BadDiff;
use crate::log::Entry;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Most lines that anybody keeps: more than twice what tmux keeps of itself (2000).
pub const LINES_MAX: u64 = 5000;
/// Most bytes of blocks that anybody keeps, each with [`BLOCK_COST`]: that many lines of build
/// output, of which a line takes some 40 bytes, twice.
pub const SIZE_MAX: usize = 512 * 1024;
/// What a block takes beside its bytes: its numbers and lengths, counts of owners, a place in a list.
const BLOCK_COST: usize = 80;

const _: () = assert!(size_of::<Block>() + 4 * size_of::<usize>() <= BLOCK_COST);
/// Most lines of a block. A block is the least that is sent, dropped and decoded.
pub const BLOCK_LINES_MAX: u16 = 64;
/// Most bytes of a block: one line of 1000 cells that all look different, with its links, fits.
pub const BLOCK_SIZE_MAX: usize = 64 * 1024;
/// No honest host numbers so many lines: a million a second, for 100,000 years.
const LINE_NUMBER_MAX: u64 = 1 << 62;

const _: () = assert!(BLOCK_SIZE_MAX + BLOCK_COST <= SIZE_MAX, "any block can be kept");

/// Some lines one below the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Number of the topmost.
    pub first: u64,
    /// How many, at least one.
    pub count: u16,
    /// What they look like.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl Block {
    /// Number behind its last line.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn cost(&self) -> usize {
        self.bytes.len() + BLOCK_COST
    }
}

/// Where on the shared screen the lines scroll off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Column of its left border.
    pub left: u16,
    /// Row of its upper border.
    pub top: u16,
    /// Columns; 0: nothing scrolls off anywhere.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// A full-screen program has it (alternate screen): nothing scrolls off, and what did is not
    /// what stands above.
    pub is_alternate: bool,
}

/// What changes a [`Scrollback`], as it is told to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScrollbackEntry {
    /// What was told so far is void; what follows is from this source.
    #[serde(rename = "s")]
    Start {
        /// Its number.
        source: u32,
    },
    /// The lines scroll off there.
    #[serde(rename = "p")]
    Place(Place),
    /// Lines directly below or above those that were told before.
    #[serde(rename = "l")]
    Lines(Arc<Block>),
}

impl Entry for ScrollbackEntry {
    fn check(&self) -> Result<(), BadDiff> {
        let Self::Lines(block) = self else { return Ok(()) };
        let is_honest = (1..=BLOCK_LINES_MAX).contains(&block.count)
            && block.bytes.len() <= BLOCK_SIZE_MAX
            && block.first <= LINE_NUMBER_MAX;
        if is_honest { Ok(()) } else { Err(BadDiff("not a block of lines")) }
    }
}

/// The newest lines that scrolled off, within bounds. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrollback {
    source: u32,
    place: Place,
    /// Each begins where the one before ends.
    blocks: Arc<VecDeque<Arc<Block>>>,
    cost: usize,
}

impl Scrollback {
    /// Which lines these are: those of another source have nothing to do with them.
    pub fn source(&self) -> u32 {
        self.source
    }

    /// Where they scrolled off.
    pub fn place(&self) -> Place {
        self.place
    }

    /// They scroll off there from now on.
    pub fn set_place(&mut self, place: Place) {
        self.place = place;
    }

    /// Numbers of the lines that are kept.
    pub fn range(&self) -> Range<u64> {
        match (self.blocks.front(), self.blocks.back()) {
            (Some(first), Some(last)) => first.first..last.end(),
            (None, _) | (_, None) => 0..0,
        }
    }

    /// The blocks, oldest first.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.blocks.iter()
    }

    /// Those that hold any of these lines, oldest first.
    pub fn blocks_of(&self, lines: Range<u64>) -> impl Iterator<Item = &Arc<Block>> {
        let from = self.blocks.partition_point(|block| block.end() <= lines.start);
        self.blocks.iter().skip(from).take_while(move |block| block.first < lines.end)
    }

    /// Bytes of memory that it holds.
    pub fn size(&self) -> usize {
        self.cost
    }

    /// Lets go of all lines; others follow.
    pub fn start(&mut self, source: u32) {
        self.source = source;
        self.blocks = Arc::default();
        self.cost = 0;
    }

    /// What a peer told.
    pub fn handle_entry(&mut self, entry: ScrollbackEntry) {
        match entry {
            ScrollbackEntry::Start { source } => self.start(source),
            ScrollbackEntry::Place(place) => self.place = place,
            ScrollbackEntry::Lines(block) => self.add(block),
        }
    }

    /// Adds lines at the end or at the front. With a hole between, what is older is let go of; what
    /// doesn't fit at all is passed over.
    pub fn add(&mut self, block: Arc<Block>) {
        let range = self.range();
        let is_first = self.blocks.is_empty();
        if !is_first && block.first > range.end {
            self.start(self.source);
        }
        if is_first || block.first >= range.end {
            self.cost += block.cost();
            Arc::make_mut(&mut self.blocks).push_back(block);
            while self.is_too_much(0) {
                self.drop_oldest();
            }
        } else if block.end() == range.start && !self.is_too_much(block.cost()) {
            let lines = range.end - block.first;
            if lines <= LINES_MAX {
                self.cost += block.cost();
                Arc::make_mut(&mut self.blocks).push_front(block);
            }
        }
    }

    fn is_too_much(&self, more: usize) -> bool {
        let range = self.range();
        range.end - range.start > LINES_MAX || self.cost + more > SIZE_MAX
    }

    fn drop_oldest(&mut self) {
        if let Some(block) = Arc::make_mut(&mut self.blocks).pop_front() {
            self.cost -= block.cost();
        }
    }

    /// The block that begins with this line.
    fn block_from(&self, first: u64) -> Option<&Arc<Block>> {
        let at = self.blocks.binary_search_by_key(&first, |block| block.first).ok()?;
        self.blocks.get(at)
    }

    /// The block that ends before this line.
    fn block_before(&self, end: u64) -> Option<&Arc<Block>> {
        let at = self.blocks.binary_search_by_key(&end, |block| block.end()).ok()?;
        self.blocks.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(first: u64, count: u16, size: usize) -> Arc<Block> {
        Arc::new(Block { first, count, bytes: vec![b'x'; size] })
    }

    #[test]
    fn lines_come_at_both_ends_and_the_oldest_go() {
        let mut kept = Scrollback::default();
        kept.add(block(100, 10, 50));
        kept.add(block(110, 10, 50));
        kept.add(block(90, 10, 50));
        assert_eq!(kept.range(), 90..120);
        kept.add(block(70, 10, 50));
        assert_eq!(kept.range(), 90..120, "a hole below is not filled with a lie");
        let held: Vec<_> = kept.blocks_of(105..111).map(|block| block.first).collect();
        assert_eq!(held, [100, 110]);
        kept.add(block(200, 5, 50));
        assert_eq!(kept.range(), 200..205, "lines that nobody saw are between");
        kept.start(8);
        assert_eq!((kept.range(), kept.size(), kept.source()), (0..0, 0, 8));
    }

    #[test]
    fn what_no_honest_peer_sends_is_refused() {
        let check = |block| ScrollbackEntry::Lines(block).check();
        assert!(check(block(0, 1, BLOCK_SIZE_MAX)).is_ok());
        assert!(check(block(0, 1, BLOCK_SIZE_MAX + 1)).is_err());
        assert!(check(block(0, 0, 1)).is_err());
        assert!(check(block(0, BLOCK_LINES_MAX + 1, 1)).is_err());
        assert!(check(block(u64::MAX, 1, 1)).is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_kept_without_a_hole_and_within_bounds(
            all in prop::collection::vec((0u64..20_000, 1u16..64, 0usize..60_000), 0..60),
        ) {
            let mut kept = Scrollback::default();
            for (first, count, size) in all {
                kept.handle_entry(ScrollbackEntry::Lines(block(first, count, size)));
                let range = kept.range();
                prop_assert!(range.end - range.start <= LINES_MAX && kept.size() <= SIZE_MAX);
                prop_assert_eq!(kept.size(), kept.blocks().map(|b| b.cost()).sum::<usize>());
                let mut next = range.start;
                for block in kept.blocks() {
                    prop_assert_eq!(block.first, next);
                    next = block.end();
                }
                prop_assert_eq!(next, range.end);
            }
        }
    }
}
