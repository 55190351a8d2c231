//! Viewers that keep a replica of the screen, by the id that they were granted: how their next
//! connection finds the task that holds their place.

use super::replica::NewLink;
use crate::core::registry::Seat;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tern_bootstrap::grant::{Secret, SessionId};
use tokio::sync::mpsc;

/// How a viewer's task is reached.
#[derive(Clone)]
pub(super) struct PlaceHandle {
    /// What the viewer must prove.
    pub(super) secret: Secret,
    /// Its task ends when all that hold it are gone.
    pub(super) inbox: mpsc::Sender<NewLink>,
    /// Where it counts.
    pub(super) seat: Seat,
}

/// All of a relay's. As many as there are viewers, which are counted elsewhere.
#[derive(Default)]
pub(super) struct Places {
    /// A lock, as every connection asks it; held for a look-up.
    all: Mutex<HashMap<SessionId, PlaceHandle>>,
}

impl Places {
    pub(super) fn find(&self, viewer: SessionId) -> Option<PlaceHandle> {
        self.all().get(&viewer).cloned()
    }

    /// The viewer's place: the one that is there already, or this one. Gives whether it is new.
    pub(super) fn take(&self, viewer: SessionId, handle: PlaceHandle) -> (PlaceHandle, bool) {
        let mut all = self.all();
        let is_new = !all.contains_key(&viewer);
        (all.entry(viewer).or_insert(handle).clone(), is_new)
    }

    /// The viewer's task is over. (It may have another place by now.)
    pub(super) fn give_up(&self, viewer: SessionId, seat: Seat) {
        let mut all = self.all();
        if all.get(&viewer).is_some_and(|place| place.seat == seat) {
            all.remove(&viewer);
        }
    }

    /// A viewer's seat was given to another: its task ends.
    pub(super) fn take_away(&self, seat: Seat) {
        self.all().retain(|_, place| place.seat != seat);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, PlaceHandle>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
