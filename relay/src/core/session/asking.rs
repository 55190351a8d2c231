//! The session's door: viewers whom the host is asked about before they join, and those whom it has
//! shown out.

use super::{EXIT_LOST, Output, Session};
use crate::core::doors::Doors;
use crate::core::text;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::session::{Access, SETTINGS, ViewerId};

/// How long a viewer waits for the host's word: long enough for somebody to come back from the
/// kettle, and to find the prompt.
pub const ASKING_TIME_MAX: Duration = Duration::from_secs(120);
/// What reading a line of a list costs beside its bytes, in the unit of
/// [`Work`](super::work::Work): some 5 microseconds each (measured).
const LINE_WORK: usize = 100;

/// Where a viewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In the session.
    Home,
    /// Waiting for the host's word, until then.
    Door { until: Instant },
}

impl Session {
    /// The host said who may join.
    pub(super) fn on_settings(&mut self, now: Instant) {
        let settings = &self.endpoint.received(SETTINGS).0;
        if let Access::Keys(lines) = &settings.access {
            self.work.spend(lines.len() * LINE_WORK, now);
        }
        // A host doesn't take back what it said.
        let Some(doors) = Doors::of(settings) else { return };
        let doors = Arc::new(doors);
        self.doors = Some(Arc::clone(&doors));
        self.outputs.push_back(Output::Doors(doors));
        self.turn_out_refused(now);
        for id in self.waiting(|_| true) {
            self.recheck(id, now);
        }
        if !self.asks() {
            for id in self.waiting(|_| true) {
                self.let_in(id, now);
            }
        }
    }

    /// Where somebody begins who joins now.
    pub(super) fn door_for(&self, now: Instant) -> At {
        if self.asks() { At::Door { until: now + ASKING_TIME_MAX } } else { At::Home }
    }

    /// The host lets a viewer in, whom it knows by this number.
    pub(super) fn on_admitted(&mut self, announced: ViewerId, now: Instant) {
        if let Some(id) = self.find_announced(announced) {
            self.let_in(id, now);
        }
    }

    /// Those who were shown the door have to go.
    pub(super) fn turn_out_refused(&mut self, now: Instant) {
        let Some(doors) = self.doors.clone() else { return };
        let refused = self.viewers.iter().filter(|(_, viewer)| doors.refuse(&viewer.who));
        for id in refused.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.release_with(id, text::REMOVED, EXIT_LOST, now);
        }
    }

    /// Who isn't in yet has to go if the doors that let it this far have changed: those that hold now
    /// count for whoever joins next. (Times and addresses were looked at when it came.)
    pub(super) fn recheck(&mut self, id: ViewerId, now: Instant) {
        let (Some(doors), Some(viewer)) = (&self.doors, self.viewers.get(&id)) else { return };
        if !doors.stand_by(viewer.bearer) {
            self.release_with(id, text::DOORS_CHANGED, EXIT_LOST, now);
        }
    }

    /// Whom nobody let in in time has to go.
    pub(super) fn check_asking(&mut self, now: Instant) {
        for id in self.waiting(|until| until <= now) {
            self.release_with(id, text::NOBODY_ANSWERED, EXIT_LOST, now);
        }
    }

    /// When [`Self::check_asking`] has something to do.
    pub(super) fn asking_deadline(&self) -> Option<Instant> {
        self.viewers.values().filter_map(|viewer| viewer.at.until()).min()
    }

    fn asks(&self) -> bool {
        self.doors.as_ref().is_some_and(|doors| doors.ask())
    }

    fn waiting(&self, is_meant: impl Fn(Instant) -> bool) -> Vec<ViewerId> {
        let waits = |at: At| at.until().is_some_and(&is_meant);
        self.viewers.iter().filter(|(_, viewer)| waits(viewer.at)).map(|(id, _)| *id).collect()
    }

    fn let_in(&mut self, id: ViewerId, now: Instant) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        if viewer.at == At::Home {
            return;
        }
        viewer.at = At::Home;
        let announced = viewer.announced.map_or(id, |(number, _)| number);
        self.outputs.push_back(Output::Admit(id));
        self.announce(id, announced, now);
        self.tell_joined(id);
    }
}

impl At {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Home => None,
            Self::Door { until } => Some(until),
        }
    }
}
