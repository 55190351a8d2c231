//! Lines that scrolled off the screen, as blocks of bytes that travel, and back.
//!
//! A block is the diff of a picture with these lines, from a blank one of the same size: a form
//! that there is already, with its bounds.

use std::sync::Arc;
use std::time::Instant;

use tern_sync::scrollback::{BLOCK_LINES_MAX, BLOCK_SIZE_MAX, Block};
use tern_sync::{BadDiff, State};

use crate::frame::Frame;
use crate::row::Row;
use crate::screen::{Clusters, rows_of_lines};
use crate::size::Size;

/// Bytes of a block that are aimed at: about what a datagram takes, for lines of one come and go
/// together.
const BLOCK_SIZE_WANTED: usize = 4096;
/// Lines of a block that are aimed at; more compress hardly better.
const BLOCK_LINES_WANTED: usize = 32;

const _: () = assert!(BLOCK_LINES_WANTED <= BLOCK_LINES_MAX as usize);

/// Lines one below the other, parsed and comparable.
#[derive(Debug, Clone, Default)]
pub struct Lines(Vec<Arc<Row>>);

impl Lines {
    /// From text with SGR sequences, see [`rows_of_lines`].
    pub fn parse<'a>(
        lines: impl IntoIterator<Item = &'a [u8]>,
        cols: u16,
        clusters: Clusters,
        now: Instant,
    ) -> Self {
        Self(rows_of_lines(lines, cols, clusters, now))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those from index `at` on.
    pub fn since(&self, at: usize) -> &[Arc<Row>] {
        self.0.get(at..).unwrap_or_default()
    }

    /// Whether the lines before index `at` are the last ones of `tail`, as many as there are of both,
    /// at least `count`.
    pub fn is_preceded_by(&self, at: usize, tail: &Self, count: usize) -> bool {
        let both = at.min(tail.len());
        both >= count && self.0[at - both..at] == tail.0[tail.len() - both..]
    }

    /// Appends `more`, and keeps the last `count_max`.
    pub fn extend(&mut self, more: &Self, count_max: usize) {
        self.0.extend(more.0.iter().cloned());
        let surplus = self.0.len().saturating_sub(count_max);
        self.0.drain(..surplus);
    }
}

/// Blocks of these lines, of which the first has number `first`; none has more than `cols` cells.
pub fn blocks_of(rows: &[Arc<Row>], cols: u16, first: u64) -> Vec<Arc<Block>> {
    let mut blocks = Vec::new();
    let mut next = first;
    for rows in rows.chunks(BLOCK_LINES_WANTED) {
        push_blocks(&mut blocks, rows, cols, next);
        next += rows.len() as u64;
    }
    blocks
}

/// One block, or several if that is too long.
fn push_blocks(blocks: &mut Vec<Arc<Block>>, rows: &[Arc<Row>], cols: u16, first: u64) {
    let count = u16::try_from(rows.len()).expect("a chunk is small");
    let size = Size::clamped(cols.into(), count.into());
    let blank = Frame::blank(size);
    let mut frame = blank.clone();
    frame.rows = rows.iter().map(|row| row.truncated(size.cols)).collect();
    let mut bytes = frame.diff(&blank);
    if bytes.len() > BLOCK_SIZE_WANTED && rows.len() > 1 {
        let (upper, lower) = rows.split_at(rows.len() / 2);
        push_blocks(blocks, upper, cols, first);
        return push_blocks(blocks, lower, cols, first + upper.len() as u64);
    }
    if bytes.len() > BLOCK_SIZE_MAX {
        // A single line of every style: not to be had, by what a row may hold.
        bytes.clear();
    }
    // The reader needs the columns, which the diff doesn't hold.
    let mut whole = size.cols.to_be_bytes().to_vec();
    whole.extend(bytes);
    blocks.push(Arc::new(Block { first, count, bytes: whole }));
}

/// The lines of a block, from the top.
pub fn rows_of(block: &Block) -> Result<Vec<Arc<Row>>, BadDiff> {
    let Some((cols, diff)) = block.bytes.split_first_chunk() else {
        return Err(BadDiff("a block without columns"));
    };
    let size = Size::clamped(u16::from_be_bytes(*cols).into(), block.count.into());
    let frame = Frame::blank(size).apply(diff)?;
    if frame.size() != size || usize::from(block.count) != frame.rows.len() {
        return Err(BadDiff("a block of another size"));
    }
    Ok(frame.rows.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Screen;
    use proptest::prelude::*;

    fn rows(cols: u16, count: u16, output: &str) -> Vec<Arc<Row>> {
        let mut screen = Screen::new(Size { cols, rows: count });
        screen.handle_output(output.as_bytes(), Instant::now());
        screen.frame().rows().to_vec()
    }

    #[test]
    fn output_of_a_build_takes_some_forty_bytes_a_line() {
        let lines =
            (0..32).map(|n| format!("\x1b[32m   Compiling\x1b[m some-crate-{n} v0.{n}.1\r\n"));
        let rows = rows(120, 32, lines.collect::<String>().trim_end());
        let blocks = blocks_of(&rows, 120, 7);
        let [block] = blocks.as_slice() else { panic!("{}", blocks.len()) };
        assert_eq!((block.first, block.end()), (7, 39));
        assert!(block.bytes.len() < 32 * 40, "{}", block.bytes.len());
    }

    #[test]
    fn what_no_block_holds_is_refused() {
        let block = |count, bytes: &[u8]| Block { first: 0, count, bytes: bytes.to_vec() };
        assert!(rows_of(&block(1, &[])).is_err());
        assert!(rows_of(&block(1, &[0])).is_err());
        assert_eq!(rows_of(&block(2, &[0, 80])).map(|rows| rows.len()), Ok(2));
        // It claims another size than it has lines.
        let mut claims = vec![0, 80];
        claims.extend(Frame::blank(Size { cols: 9, rows: 9 }).diff(&Frame::default()));
        assert!(rows_of(&block(2, &claims)).is_err());
    }

    #[test]
    fn line_of_every_style_has_a_block_of_its_own() {
        let uri = "x".repeat(300);
        let cells = (0..1000).map(|n| {
            format!("\x1b[38;2;{};7;9;48;2;3;{};1;4:3m\x1b]8;{n};{uri}{n}\x07漢", n % 256, n / 4)
        });
        let rows = rows(1000, 4, &cells.collect::<String>());
        let blocks = blocks_of(&rows, 1000, 0);
        assert!(blocks.iter().all(|block| block.bytes.len() <= BLOCK_SIZE_MAX));
        let back: Vec<_> = blocks.iter().flat_map(|block| rows_of(block).expect("own")).collect();
        assert_eq!(back, rows);
    }

    proptest! {
        #[test]
        fn lines_survive_the_way_through_blocks(
            parts in prop::collection::vec(
                prop_oneof![
                    "[a-z ]{0,30}",
                    "\x1b\\[(1|7|31|48;5;99|38;2;1;2;3|0)m",
                    Just("漢字\u{301}".to_owned()),
                    Just("\r\n".to_owned()),
                ],
                0..80,
            ),
        ) {
            let rows = rows(50, 90, &parts.concat());
            let blocks = blocks_of(&rows, 50, 1000);
            let mut next = 1000;
            let mut back = Vec::new();
            for block in &blocks {
                prop_assert_eq!(block.first, next);
                next = block.end();
                back.extend(rows_of(block).expect("own"));
            }
            prop_assert_eq!(back, rows);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            count in 0u16..100,
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(rows) = rows_of(&Block { first: 0, count, bytes }) {
                prop_assert_eq!(rows.len(), usize::from(count));
            }
        }
    }
}
