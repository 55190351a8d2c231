//! A foretold line, laid over the picture that it belongs to.

use super::line::{Line, Slot};
use tern_term::{Cell, Content, Frame, Style, Underline};

impl Line {
    /// The picture with this line in it, and those that were typed in before. Columns that they change
    /// are underlined if `is_flagged`.
    pub(super) fn laid_over(&self, frame: &Frame, is_flagged: bool) -> Frame {
        self.laid_in(self.row_in(frame), frame, is_flagged)
    }

    fn laid_in(&self, row: u16, frame: &Frame, is_flagged: bool) -> Frame {
        let below = self.before.as_ref().and_then(|before| {
            // What has scrolled out of sight isn't drawn.
            let lift = (self.row_in(frame) - row) + u16::from(self.has_scrolled);
            let row = before.row_in(frame).checked_sub(lift)?;
            Some(before.laid_in(row, frame, is_flagged))
        });
        // The cursor of the picture tells where lines without a row are, so rows come from `frame`.
        let frame = below.as_ref().unwrap_or(frame);
        let mut text = String::new();
        let styles: Vec<Style> = (0..self.slots.len())
            .map(|col| {
                let slot = &self.slots[col];
                let cell = frame.cell(col as u16, row);
                text.clear();
                cell.push_text(&mut text);
                match (text == slot.text, is_flagged) {
                    // It looks as it does.
                    (true, _) => cell.style.clone(),
                    (false, false) => slot.style.clone(),
                    (false, true) => {
                        let attrs = slot.style.attrs.with_underline(Underline::Single);
                        Style { attrs, ..slot.style.clone() }
                    }
                }
            })
            .collect();
        let cells = self.slots.iter().zip(&styles).filter(|(slot, _)| !slot.text.is_empty());
        let cells = cells.map(|(slot, style)| Cell { content: content(slot), style });
        frame.with_cells((self.cursor_col(), row), cells)
    }
}

fn content(slot: &Slot) -> Content<'_> {
    let mut chars = slot.text.chars();
    match (chars.next(), chars.next(), slot.is_wide) {
        (Some(c), None, false) => Content::Narrow(c),
        (Some(c), None, true) => Content::Wide(c),
        (_, _, is_wide) => Content::Cluster { text: &slot.text, is_wide },
    }
}
