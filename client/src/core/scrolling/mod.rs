//! A viewer's own view of what scrolled off: nobody else sees it, and nothing of it is sent.
//!
//! ```text
//!  lines kept  ┌────────────┐
//!              │ ...        │
//!        top ─►│ shown      │  the active pane shows this part: lines that scrolled off, then
//!              │ shown      │  what stands at the pane's top, as far as there is room
//!              ├────────────┤
//!  live pane   │ shown      │  what scrolls off meanwhile comes between, so that the place stays
//!              │ ...        │
//!              └────────────┘
//! ```
//!
//! When the lines are suddenly other ones (another window, a flood), a view that shows lines only
//! keeps those that it had until its person is done with them.

pub mod keys;

use keys::Motion;
use tern_sync::scrollback::{Scrollback, ScrollbackEntry};
use tern_term::scrollback::rows_of;
use tern_term::{Area, Frame, Row};

/// The machine.
#[derive(Debug, Default)]
pub struct Scrolling {
    kept: Scrollback,
    view: Option<View>,
}

/// A view that isn't the live screen.
#[derive(Debug)]
struct View {
    /// Number of the topmost line that is shown.
    top: u64,
    /// The lines that it is a view of, if they are others than those that come now.
    held: Option<Scrollback>,
}

impl Scrolling {
    /// Whether the view isn't the live screen.
    pub fn is_scrolled(&self) -> bool {
        self.view.is_some()
    }

    /// Whether there is something to scroll to.
    pub fn has_lines(&self) -> bool {
        !self.kept.range().is_empty()
    }

    /// A full-screen program has the pane: keys and wheel are its own.
    pub fn is_alternate(&self) -> bool {
        self.kept.place().is_alternate
    }

    /// The relay told this. Whether what is shown may be something else.
    pub fn handle_entry(&mut self, entry: ScrollbackEntry) -> bool {
        let range = self.kept.range();
        let is_void = match &entry {
            ScrollbackEntry::Start { .. } => true,
            ScrollbackEntry::Lines(block) => block.first > range.end && !range.is_empty(),
            ScrollbackEntry::Place(_) => false,
        };
        if is_void {
            self.hold();
        }
        self.kept.handle_entry(entry);
        if let Some(View { top, held: None }) = &mut self.view {
            // What is too old has gone.
            *top = (*top).max(self.kept.range().start);
        }
        self.is_scrolled()
    }

    /// The relay forgot what it told: it tells all anew.
    pub fn handle_forgotten(&mut self) {
        self.hold();
        self.kept = Scrollback::default();
    }

    /// The lines go: a view that shows nothing else keeps them.
    fn hold(&mut self) {
        let Some(view) = &mut self.view else { return };
        if view.held.is_some() {
            return;
        }
        let rows = u64::from(self.kept.place().rows);
        if view.top + rows <= self.kept.range().end {
            view.held = Some(self.kept.clone());
        } else {
            self.view = None;
        }
    }

    /// Back to the live screen. Whether it was another one.
    pub fn leave(&mut self) -> bool {
        self.view.take().is_some()
    }

    /// The person scrolls; `live` is what the screen shows. Whether the view is another one.
    pub fn handle_motion(&mut self, motion: Motion, live: &Frame) -> bool {
        let held = self.view.as_ref().and_then(|view| view.held.as_ref());
        let lines = held.unwrap_or(&self.kept);
        let (range, is_held) = (lines.range(), held.is_some());
        let Some(area) = area(lines).on(live) else { return self.leave() };
        let page = u64::from(area.rows.saturating_sub(1).max(1));
        let before = self.view.as_ref().map(|view| view.top);
        let top = before.unwrap_or(range.end).max(range.start);
        let top = match motion {
            Motion::Up(count) => top.saturating_sub(count.into()),
            Motion::Down(count) => top.saturating_add(count.into()),
            Motion::PageUp => top.saturating_sub(page),
            Motion::PageDown => top.saturating_add(page),
            Motion::Oldest => range.start,
            Motion::Live => range.end,
        };
        let top = top.max(range.start);
        // Below lines that are held there is nothing of theirs.
        let end = if is_held { range.end.saturating_sub(area.rows.into()) + 1 } else { range.end };
        if top >= end {
            return self.leave();
        }
        match &mut self.view {
            Some(view) => view.top = top,
            None => self.view = Some(View { top, held: None }),
        }
        before != Some(top)
    }

    /// What the screen shows when this is live.
    pub fn overlay(&self, live: Frame) -> Frame {
        let Some(view) = &self.view else { return live };
        let lines = view.held.as_ref().unwrap_or(&self.kept);
        let Some(area) = area(lines).on(&live) else { return live };
        let range = lines.range();
        let top = view.top.clamp(range.start, range.end);
        let mut rows = Vec::with_capacity(area.rows.into());
        let shown = top..(top + u64::from(area.rows)).min(range.end);
        for block in lines.blocks_of(shown.clone()) {
            // Bytes that say nothing are blank lines: what is missing must not move the others.
            let made = rows_of(block).unwrap_or_default();
            for line in block.first.max(shown.start)..block.end().min(shown.end) {
                let at = usize::try_from(line - block.first).expect("a block is small");
                rows.push(made.get(at).cloned().unwrap_or_else(Row::blank));
            }
        }
        let mark = format!("[{}/{}]", range.end - top, range.end - range.start);
        live.scrolled(area, &rows).with_mark(area.top, area.left + area.cols, &mark)
    }
}

fn area(lines: &Scrollback) -> Area {
    let place = lines.place();
    Area { left: place.left, top: place.top, cols: place.cols, rows: place.rows }
}

#[cfg(test)]
mod tests;
