//! A session's viewers: they join, type, change their size, fall silent, leave.

use super::asking::At;
use super::{EXIT_ENDED, EXIT_LOST, Output, Phase, Session};
use crate::core::doors::Admission;
use crate::core::input::{ViewerInput, is_leave_wish};
use crate::core::keys::PASTE_START;
use crate::core::text;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_bootstrap::authorized_keys::Bearer;
use tern_sync::session::{Role, VIEWER_EVENTS, ViewerEvent, ViewerId, Visitor};
use tern_term::{KeyReport, SCREEN, Size};

/// Bytes of viewers' events that the host has not confirmed, above which no more keys are taken:
/// viewers wait, as if their network were slow. 100 kB/s over a round trip of 300 ms.
pub(super) const UNCONFIRMED_MAX: usize = 32 * 1024;
/// How long other viewers' keys wait for the next piece of a paste.
pub(super) const PASTE_HOLD_MAX: Duration = Duration::from_secs(1);

/// A viewer that is attached.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) who: Visitor,
    /// By which right it came.
    pub(super) bearer: Option<Bearer>,
    pub(super) at: At,
    pub(super) size: Size,
    pub(super) input: ViewerInput,
    /// As the host knows it, with the size that it was told. It keeps the number while nothing is
    /// heard from it: what the host says about it then counts.
    pub(super) announced: Option<(ViewerId, Size)>,
    /// Bytes given by the shell, of which [`Output::Taken`] was not said.
    pub(super) owed: usize,
    pub(super) is_silent: bool,
    /// It keeps a replica, and wants what scrolled off.
    pub(super) wants_scrollback: bool,
}

impl Viewer {
    /// Its number, if the host counts it as present.
    fn counted(&self) -> Option<ViewerId> {
        self.announced.filter(|_| !self.is_silent).map(|(number, _)| number)
    }

    /// Whether what scrolled off is for it: it wants it, and isn't held at the door.
    pub(super) fn takes_scrollback(&self) -> bool {
        self.wants_scrollback && self.at == At::Home
    }
}

/// A paste that other viewers' keys should not interrupt.
#[derive(Debug)]
pub(super) struct PasteHold {
    viewer: ViewerId,
    pub(super) until: Instant,
}

impl Session {
    /// A viewer joins whom the [`Doors`](crate::core::doors::Doors) let in. Gives whether it is in;
    /// else it is held at the door until [`Output::Admit`] or [`Output::Release`]. `None`: the session
    /// is over.
    pub fn handle_join(
        &mut self,
        admission: Admission,
        size: Size,
        now: Instant,
    ) -> Option<(ViewerId, bool)> {
        if self.phase != Phase::Live {
            return None;
        }
        let id = self.next_viewer_id();
        let at = self.door_for(now);
        let Admission { who, bearer } = admission;
        let viewer = Viewer {
            who,
            bearer,
            at,
            size,
            input: ViewerInput::default(),
            announced: None,
            owed: 0,
            is_silent: false,
            wants_scrollback: false,
        };
        self.viewers.insert(id, viewer);
        self.announce(id, id, now);
        self.tell_joined(id);
        // The host may have shown it the door since it was looked at, or changed who may join.
        self.turn_out_refused(now);
        self.recheck(id, now);
        let is_in = at == At::Home && self.viewers.contains_key(&id);
        self.update(now);
        Some((id, is_in))
    }

    /// A viewer keeps a replica: what scrolled off is for it, too.
    pub fn handle_scrollback_wanted(&mut self, id: ViewerId, now: Instant) {
        if let Some(viewer) = self.viewers.get_mut(&id) {
            viewer.wants_scrollback = true;
            self.update(now);
        }
    }

    /// A viewer is gone.
    pub fn handle_leave(&mut self, id: ViewerId, now: Instant) {
        // Keys that it typed last still count.
        while self.has_room_for_keys() && self.take_keys(id, now) {}
        if let Some(viewer) = self.viewers.remove(&id) {
            self.retract(&viewer, now);
            self.tell_left(id);
            self.update(now);
        }
    }

    /// A viewer's terminal has another size.
    pub fn handle_resize(&mut self, id: ViewerId, size: Size, now: Instant) {
        if let Some(viewer) = self.viewers.get_mut(&id) {
            viewer.size = size;
            self.update(now);
        }
    }

    /// Nothing was heard from a viewer for some seconds, or it is heard again. A silent one isn't
    /// counted by the host, but keeps its place.
    pub fn handle_silence(&mut self, id: ViewerId, is_silent: bool, now: Instant) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        if viewer.is_silent == is_silent || viewer.at != At::Home {
            return;
        }
        viewer.is_silent = is_silent;
        if let Some((announced, _)) = viewer.announced {
            if is_silent {
                self.tell(ViewerEvent::Away { viewer: announced }, now);
            } else {
                self.announce(id, announced, now);
            }
        }
        self.update(now);
    }

    /// A viewer's terminal sent bytes while it showed the part of the screen at `offset`. The host's
    /// report names `mark`, if it isn't 0, once the screen shows what became of them.
    /// [`Output::Taken`] tells when they wait no more.
    pub fn handle_input(
        &mut self,
        id: ViewerId,
        bytes: &[u8],
        mark: u32,
        offset: (u16, u16),
        now: Instant,
    ) {
        self.handle_silence(id, false, now);
        let screen = self.endpoint.received(SCREEN).frame.size();
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        match viewer.who.role {
            Role::ReadWrite => {
                viewer.owed += bytes.len();
                viewer.input.handle_bytes(bytes, mark, offset, screen, now);
                self.update(now);
            }
            Role::ReadOnly => {
                self.outputs.push_back(Output::Taken { viewer: id, byte_count: bytes.len() });
                if is_leave_wish(bytes) {
                    self.release(id, text::LEFT, now);
                }
            }
        }
    }

    /// The host lets a viewer go, whom it knows by this number.
    pub(super) fn release_announced(&mut self, announced: ViewerId, text: &str, now: Instant) {
        if let Some(id) = self.find_announced(announced) {
            self.release(id, text, now);
        }
    }

    /// The host shows a viewer the door, whom it knows by this number.
    pub(super) fn dismiss_announced(&mut self, announced: ViewerId, text: &str, now: Instant) {
        if let Some(id) = self.find_announced(announced) {
            self.release_with(id, text, EXIT_LOST, now);
        }
    }

    pub(super) fn find_announced(&self, announced: ViewerId) -> Option<ViewerId> {
        let is_meant =
            |viewer: &Viewer| viewer.announced.is_some_and(|(number, _)| number == announced);
        self.viewers.iter().find(|(_, viewer)| is_meant(viewer)).map(|(id, _)| *id)
    }

    fn release(&mut self, id: ViewerId, text: &str, now: Instant) {
        self.release_with(id, text, EXIT_ENDED, now);
    }

    pub(super) fn release_with(
        &mut self,
        id: ViewerId,
        text: &str,
        exit_status: u32,
        now: Instant,
    ) {
        if let Some(viewer) = self.viewers.remove(&id) {
            self.retract(&viewer, now);
            self.tell_left(id);
            let text = text.to_owned();
            self.outputs.push_back(Output::Release { viewer: id, text, exit_status });
        }
    }

    /// The host's report, with marks under the numbers that the viewers were given when they joined.
    pub(super) fn report_for_viewers(&self) -> Arc<KeyReport> {
        let report = &self.endpoint.received(SCREEN).keys;
        if report.marks.is_empty() {
            return Arc::clone(report);
        }
        let mark = |(id, viewer): (&ViewerId, &Viewer)| {
            let (announced, _) = viewer.announced?;
            Some((*id, report.mark(announced)?))
        };
        let marks = self.viewers.iter().filter_map(mark).collect();
        Arc::new(KeyReport { marks, ..KeyReport::clone(report) })
    }

    fn next_viewer_id(&mut self) -> ViewerId {
        self.viewers_count = self.viewers_count.wrapping_add(1);
        ViewerId(self.viewers_count)
    }

    /// Tells the host about all viewers anew.
    pub(super) fn announce_all(&mut self, now: Instant) {
        let all: Vec<_> = self.viewers.iter().map(|(id, viewer)| (*id, viewer.is_silent)).collect();
        for (id, is_silent) in all {
            // Numbers are never used twice.
            let viewer = self.next_viewer_id();
            self.announce(id, viewer, now);
            if is_silent {
                self.tell(ViewerEvent::Away { viewer }, now);
            }
        }
    }

    pub(super) fn announce(&mut self, id: ViewerId, announced: ViewerId, now: Instant) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        viewer.announced = Some((announced, viewer.size));
        let who = viewer.who.clone();
        let event = match viewer.at {
            At::Home => ViewerEvent::Joined {
                viewer: announced,
                who,
                cols: viewer.size.cols,
                rows: viewer.size.rows,
            },
            At::Door { .. } => ViewerEvent::Asks { viewer: announced, who },
        };
        let is_pasting = viewer.input.closing().is_some();
        self.tell(event, now);
        if is_pasting {
            // Its paste was closed, or is unknown, where it had another number: the rest of it must
            // not come as typed lines.
            let bytes = PASTE_START.to_vec();
            self.tell(ViewerEvent::Input { viewer: announced, bytes, mark: 0 }, now);
        }
    }

    fn retract(&mut self, viewer: &Viewer, now: Instant) {
        if let (Some(announced), Some(closing)) = (viewer.counted(), viewer.input.closing()) {
            self.tell(ViewerEvent::Input { viewer: announced, bytes: closing, mark: 0 }, now);
        }
        if let Some((viewer, _)) = viewer.announced {
            self.tell(ViewerEvent::Left { viewer }, now);
        }
    }

    /// Takes keys and sizes of all viewers in turn, as long as the host confirms them.
    pub(super) fn pump(&mut self, now: Instant) {
        self.tell_sizes(now);
        self.release_paste(now);
        while self.has_room_for_keys() {
            let Some(id) = self.next_to_serve() else { break };
            self.served = id;
            self.take_keys(id, now);
        }
        self.repay();
    }

    fn has_room_for_keys(&self) -> bool {
        self.is_listening() && self.endpoint.current(VIEWER_EVENTS).byte_count() < UNCONFIRMED_MAX
    }

    /// Sizes are told when there is room: of a storm of them, the host gets the last.
    fn tell_sizes(&mut self, now: Instant) {
        let mut events = Vec::new();
        if self.has_room_for_keys() {
            for viewer in self.viewers.values_mut() {
                if let Some((announced, told)) = &mut viewer.announced
                    && *told != viewer.size
                    && viewer.at == At::Home
                    && !viewer.is_silent
                {
                    *told = viewer.size;
                    let Size { cols, rows } = viewer.size;
                    events.push(ViewerEvent::Resized { viewer: *announced, cols, rows });
                }
            }
        }
        for event in events {
            self.tell(event, now);
        }
    }

    /// A paste is held together as long as its viewer goes on with it.
    fn release_paste(&mut self, now: Instant) {
        if let Some(paste) = &self.paste {
            let is_pasting = self
                .viewers
                .get(&paste.viewer)
                .is_some_and(|viewer| viewer.input.is_pasting() && viewer.counted().is_some());
            if !is_pasting || paste.until <= now {
                self.paste = None;
            }
        }
    }

    /// The first viewer with keys behind the one that was served last.
    fn next_to_serve(&self) -> Option<ViewerId> {
        let has_turn = |id: ViewerId, viewer: &Viewer| {
            viewer.counted().is_some()
                && viewer.at == At::Home
                && viewer.input.has_keys()
                && self.paste.as_ref().is_none_or(|paste| paste.viewer == id)
        };
        let behind = self.viewers.range((Excluded(self.served), Unbounded));
        let mut all = behind.chain(self.viewers.range(..=self.served));
        all.find(|(id, viewer)| has_turn(**id, viewer)).map(|(id, _)| *id)
    }

    /// Gives whether there were any.
    fn take_keys(&mut self, id: ViewerId, now: Instant) -> bool {
        let Some(viewer) = self.viewers.get_mut(&id) else { return false };
        let (Some(announced), At::Home) = (viewer.counted(), viewer.at) else { return false };
        let Some((bytes, mark)) = viewer.input.take() else { return false };
        self.paste = viewer
            .input
            .is_pasting()
            .then(|| PasteHold { viewer: id, until: now + PASTE_HOLD_MAX });
        self.tell(ViewerEvent::Input { viewer: announced, bytes, mark }, now);
        true
    }

    /// Says how much of each viewer's input waits no more.
    fn repay(&mut self) {
        for (id, viewer) in &mut self.viewers {
            // Mapped mouse reports may be longer than what came.
            let paid = viewer.owed.saturating_sub(viewer.input.byte_count());
            if paid > 0 {
                viewer.owed -= paid;
                self.outputs.push_back(Output::Taken { viewer: *id, byte_count: paid });
            }
        }
    }
}
