//! What a viewer types, on its way from the connection to the session, no faster than the session
//! gives credit.

use super::line::Line;
use super::session::{Message, SessionHandle};
use crate::core::input::VIEWER_BACKLOG_MAX;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tern_sync::session::ViewerId;
use tokio::sync::Semaphore;

/// Bytes kept of what is typed before the session is there; nobody types more in a round trip.
const EARLY_SIZE_MAX: usize = 1024;

/// Bytes given to the session at once; there must be credit for all of them.
const PIECE_SIZE_MAX: usize = VIEWER_BACKLOG_MAX / 2;

const _: () = assert!(EARLY_SIZE_MAX <= VIEWER_BACKLOG_MAX);

/// What a viewer's task makes known once it has joined.
pub(super) struct Joined {
    pub(super) id: ViewerId,
    pub(super) handle: SessionHandle,
    pub(super) credit: Arc<Semaphore>,
}

/// Shared by a viewer's connection and its task.
#[derive(Default)]
pub(super) struct ViewerState {
    joined: OnceLock<Joined>,
    /// Typed before the viewer had joined. A lock, as both sides use it; held for an append.
    early: Mutex<Vec<u8>>,
    /// Whether anything was ever typed.
    has_typed: AtomicBool,
    /// Left and top of what the viewer sees, 16 bits each.
    offset: AtomicU32,
}

impl ViewerState {
    pub(super) fn set_offset(&self, (left, top): (u16, u16)) {
        self.offset.store(u32::from(left) << 16 | u32::from(top), Ordering::Relaxed);
    }

    /// Whether the viewer ever typed anything.
    pub(super) fn has_typed(&self) -> bool {
        self.has_typed.load(Ordering::Relaxed)
    }

    /// The viewer has joined: its task passes on what was typed before, then the connection what
    /// is typed from now on.
    pub(super) async fn join(&self, joined: Joined) {
        loop {
            let early = {
                let mut early = self.early();
                if early.is_empty() {
                    assert!(self.joined.set(joined).is_ok(), "a viewer joins once");
                    return;
                }
                std::mem::take(&mut *early)
            };
            joined.pass_on(early, self.offset()).await;
        }
    }

    /// The viewer's terminal sent bytes. Returns when there is room for more: not reading on is
    /// what slows the viewer down.
    pub(super) async fn on_typed(&self, bytes: &[u8], line: &Line) {
        self.has_typed.store(true, Ordering::Relaxed);
        if self.keep_early(bytes) {
            return;
        }
        let Some(joined) = self.joined.get() else { return };
        for piece in bytes.chunks(PIECE_SIZE_MAX) {
            let is_held = joined.credit.available_permits() < piece.len();
            if is_held {
                line.set_held(true);
            }
            joined.pass_on(piece.to_vec(), self.offset()).await;
            if is_held {
                line.set_held(false);
            }
        }
    }

    /// Keeps what is typed before the viewer has joined, as far as there is room.
    fn keep_early(&self, bytes: &[u8]) -> bool {
        let mut early = self.early();
        let is_early = self.joined.get().is_none();
        if is_early && early.len() + bytes.len() <= EARLY_SIZE_MAX {
            early.extend(bytes);
        }
        is_early
    }

    fn early(&self) -> MutexGuard<'_, Vec<u8>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self) -> (u16, u16) {
        let packed = self.offset.load(Ordering::Relaxed);
        ((packed >> 16) as u16, packed as u16)
    }
}

impl Joined {
    /// Gives bytes for which there is credit to the session.
    async fn pass_on(&self, bytes: Vec<u8>, offset: (u16, u16)) {
        let permits = u32::try_from(bytes.len()).expect("pieces are small");
        if let Ok(permit) = self.credit.acquire_many(permits).await {
            permit.forget();
            let input = Message::Input { viewer: self.id, bytes, offset };
            // Without a session, the viewer's task ends the connection.
            let _ = self.handle.inbox.send(input).await;
        }
    }
}
