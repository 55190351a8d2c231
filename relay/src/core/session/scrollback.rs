//! What scrolled off a session's screen: asked of the host as long as somebody keeps a replica, kept
//! for those who come later, and let go of first when memory is short.

use super::Session;
use super::viewers::Viewer;
use std::time::Instant;
use tern_sync::scrollback::{Scrollback, ScrollbackEntry};
use tern_sync::session::ViewerEvent;

/// The session's book of it.
#[derive(Debug, Default)]
pub(super) struct KeptScrollback {
    lines: Scrollback,
    /// The host was told that it is wanted.
    is_asked: bool,
    /// There is no memory for it, as long as the same viewers want it.
    is_given_up: bool,
    is_changed: bool,
}

impl KeptScrollback {
    /// The host told these.
    pub(super) fn handle_entries(&mut self, entries: Vec<ScrollbackEntry>) {
        // What comes unasked was on its way.
        if self.is_asked {
            for entry in entries {
                self.lines.handle_entry(entry);
            }
            self.is_changed = true;
        }
    }

    /// The host begins with state 0, and was told nothing.
    pub(super) fn handle_host_anew(&mut self) {
        self.is_asked = false;
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.lines.size()
    }

    /// Lets go of all lines. Whether there were any.
    pub(super) fn give_up(&mut self) -> bool {
        self.is_given_up = true;
        self.clear()
    }

    fn clear(&mut self) -> bool {
        let had_any = self.lines.size() > 0;
        self.lines = Scrollback::default();
        self.is_changed |= had_any;
        had_any
    }

    /// Whether viewers are to be shown something else.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What viewers are shown from now on.
    pub(super) fn show(&mut self) -> Scrollback {
        self.is_changed = false;
        self.lines.clone()
    }
}

impl Session {
    /// Tells the host whether what scrolls off is wanted, when that has changed.
    pub(super) fn tell_scrollback_wish(&mut self, now: Instant) {
        let has_takers = self.viewers.values().any(Viewer::takes_scrollback);
        let kept = &mut self.scrollback;
        if !has_takers {
            kept.is_given_up = false;
        }
        let is_wanted = has_takers && !kept.is_given_up;
        if kept.is_asked == is_wanted || !self.host.is_connected() {
            return;
        }
        kept.is_asked = is_wanted;
        if !is_wanted {
            kept.clear();
        }
        self.tell(ViewerEvent::Scrollback { is_wanted }, now);
    }
}
