//! Builds rows, in canonical form.

use std::hash::{Hash, Hasher};

use super::{
    CLUSTER_BYTES_MAX, Cell, Content, Glyph, ROW_CLUSTER_BYTES_MAX, ROW_LINK_BYTES_MAX, Row, Run,
};
use crate::style::Style;

/// Builds rows from left to right, one after another in the same memory.
#[derive(Debug)]
pub(crate) struct RowBuilder {
    cols: u16,
    glyphs: Vec<Glyph>,
    /// As in [`Row`], but the last run may be plain.
    runs: Vec<Run>,
    clusters: Vec<Box<str>>,
    cluster_bytes: usize,
    link_bytes: usize,
}

impl RowBuilder {
    /// For rows of up to `cols` cells; more are ignored.
    pub(crate) fn new(cols: u16) -> Self {
        Self {
            cols,
            glyphs: Vec::with_capacity(cols.into()),
            runs: Vec::new(),
            clusters: Vec::new(),
            cluster_bytes: 0,
            link_bytes: 0,
        }
    }

    /// Starts anew, for rows of up to `cols` cells.
    pub(crate) fn reset(&mut self, cols: u16) {
        self.cols = cols;
        self.glyphs.clear();
        self.runs.clear();
        self.clusters.clear();
        self.cluster_bytes = 0;
        self.link_bytes = 0;
    }

    /// Cells that it has.
    pub(crate) fn len(&self) -> u16 {
        self.glyphs.len() as u16
    }

    /// Cells that still fit.
    pub(crate) fn room(&self) -> u16 {
        self.cols - self.len()
    }

    /// How the last cell looks.
    pub(crate) fn last_style(&self) -> &Style {
        self.runs.last().map_or(&Style::PLAIN, |run| &run.style)
    }

    /// Appends a cell. A wide one brings its right half; a lone right half is ignored, and a wide
    /// one that doesn't fit becomes a blank.
    pub(crate) fn push(&mut self, cell: Cell<'_>) {
        match cell.content {
            Content::Narrow(c) => self.push_glyph(Glyph(c.into()), 1, cell.style),
            Content::Wide(c) => self.push_glyph(Glyph(c as u32 | Glyph::WIDE), 2, cell.style),
            Content::Cluster { text, is_wide } => self.push_cluster(text, is_wide, cell.style),
            Content::Continuation => {}
        }
    }

    /// Appends a cell that looks like the last one. Faster than [`RowBuilder::push`].
    pub(crate) fn push_char_alike(&mut self, c: char) {
        debug_assert!(!self.runs.is_empty(), "there is a last cell to look like");
        if self.room() > 0 {
            self.glyphs.push(Glyph(c.into()));
            let end = self.len();
            if let Some(run) = self.runs.last_mut() {
                run.end = end;
            }
        }
    }

    fn push_cluster(&mut self, text: &str, is_wide: bool, style: &Style) {
        let fits = |len: &usize| *len <= CLUSTER_BYTES_MAX && text.is_char_boundary(*len);
        let text = &text[..(0..=text.len()).rev().find(fits).unwrap_or(0)];
        let width = 1 + u16::from(is_wide);
        let wide_bit = if is_wide { Glyph::WIDE } else { 0 };
        let mut chars = text.chars();
        let first = chars.next().unwrap_or(' ');
        let is_single = chars.next().is_none();
        if is_single || self.cluster_bytes + text.len() > ROW_CLUSTER_BYTES_MAX {
            return self.push_glyph(Glyph(first as u32 | wide_bit), width, style);
        }
        if width <= self.room() {
            self.cluster_bytes += text.len();
            let index = self.clusters.len() as u32;
            self.clusters.push(text.into());
            self.push_glyph(Glyph(index | Glyph::CLUSTER | wide_bit), width, style);
        } else {
            self.push_glyph(Glyph::BLANK, 1, style);
        }
    }

    fn push_glyph(&mut self, glyph: Glyph, width: u16, style: &Style) {
        let (glyph, width) = if width <= self.room() { (glyph, width) } else { (Glyph::BLANK, 1) };
        if self.room() == 0 {
            return;
        }
        self.glyphs.push(glyph);
        if width == 2 {
            self.glyphs.push(Glyph::CONTINUATION);
        }
        self.extend_runs(style);
    }

    fn extend_runs(&mut self, style: &Style) {
        let end = self.len();
        if let Some(last) = self.runs.last_mut().filter(|run| run.style == *style) {
            last.end = end;
            return;
        }
        let mut style = style.clone();
        if let Some(link) = &style.link {
            self.link_bytes += link.bytes();
            if self.link_bytes > ROW_LINK_BYTES_MAX {
                style.link = None;
                // Without its link it may look like the run before.
                return self.extend_runs(&style);
            }
        }
        self.runs.push(Run { end, style });
    }

    /// Brings what was appended into canonical form.
    fn trim(&mut self) {
        while let Some(run) = self.runs.last() {
            if !run.style.is_plain() {
                break;
            }
            let start = self.runs.len().checked_sub(2).map_or(0, |i| self.runs[i].end);
            let len = self.glyphs.len();
            let tail = &self.glyphs[usize::from(start)..];
            let blanks = tail.iter().rev().take_while(|glyph| **glyph == Glyph::BLANK).count();
            self.glyphs.truncate(len - blanks);
            self.runs.pop();
        }
    }

    /// Whether `row` shows the same.
    pub(crate) fn is_same(&mut self, row: &Row) -> bool {
        self.trim();
        *self.glyphs == *row.glyphs && *self.runs == *row.runs && *self.clusters == *row.clusters
    }

    /// What the row's [`Row::hash`] will be.
    pub(crate) fn hash(&mut self) -> u64 {
        self.trim();
        let mut hasher = RowHasher(0);
        self.glyphs.hash(&mut hasher);
        self.runs.hash(&mut hasher);
        self.clusters.hash(&mut hasher);
        hasher.finish()
    }

    /// The row. The builder may go on with [`RowBuilder::reset`].
    pub(crate) fn finish(&mut self) -> Row {
        let hash = self.hash();
        let links = self.runs.iter().filter_map(|run| run.style.link.as_ref());
        let size = size_of::<Row>()
            + self.glyphs.len() * size_of::<Glyph>()
            + self.runs.len() * size_of::<Run>()
            + links.map(|link| link.bytes()).sum::<usize>()
            + self.clusters.iter().map(|text| size_of::<Box<str>>() + text.len()).sum::<usize>();
        Row {
            hash,
            size: u32::try_from(size).expect("a row's cells, clusters and links are bounded"),
            glyphs: self.glyphs.as_slice().into(),
            runs: self.runs.as_slice().into(),
            clusters: self.clusters.as_slice().into(),
        }
    }
}

/// Multiply and rotate, 8 bytes a step (as rustc's own hasher): rows are hashed at every snapshot.
/// Equality is always checked after it, so collisions made on purpose cost time, nothing else.
struct RowHasher(u64);

impl Hasher for RowHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }
    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
