//! What a viewer types, on its way from the connection to the session, no faster than the session
//! gives credit. The connection itself never waits: what has no credit yet is kept here, and above a
//! bound the connection isn't read.

use super::line::Line;
use super::session::{Message, SessionHandle};
use crate::core::first_sight::FirstSight;
use crate::core::input::VIEWER_BACKLOG_MAX;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tern_sync::session::ViewerId;
use tokio::sync::{Notify, Semaphore};

/// Bytes that wait above which the connection isn't read. What was read at once (one SSH packet, at
/// most 32 KiB) comes on top.
const PENDING_SIZE_MAX: usize = 4 * 1024;
/// Bytes given to the session at once; there must be credit for all of them.
const PIECE_SIZE_MAX: usize = VIEWER_BACKLOG_MAX / 2;

/// A viewer that has joined.
pub(super) struct Joined {
    pub(super) id: ViewerId,
    pub(super) handle: SessionHandle,
    pub(super) credit: Arc<Semaphore>,
}

/// Shared by a viewer's connection and its tasks.
#[derive(Default)]
pub(super) struct ViewerState {
    /// Typed, and not given to the session yet. A lock, as both sides use it; held for an append.
    pending: Mutex<Vec<u8>>,
    on_typed: Notify,
    /// Whether anything was ever typed for the session.
    has_typed: AtomicBool,
    /// Left and top of what the viewer sees, 16 bits each.
    offset: AtomicU32,
}

impl ViewerState {
    pub(super) fn set_offset(&self, (left, top): (u16, u16)) {
        self.offset.store(u32::from(left) << 16 | u32::from(top), Ordering::Relaxed);
    }

    /// Whether the viewer ever typed anything for the session.
    pub(super) fn has_typed(&self) -> bool {
        self.has_typed.load(Ordering::Relaxed)
    }

    /// The viewer's terminal sent bytes.
    pub(super) fn on_typed(&self, bytes: &[u8], line: &Line) {
        let mut pending = self.pending();
        pending.extend(bytes);
        if pending.len() > PENDING_SIZE_MAX {
            line.set_held(true);
        }
        drop(pending);
        self.on_typed.notify_one();
    }

    /// Throws away what is typed, as long as it is waited for: who isn't in can't see where it would
    /// go.
    pub(super) async fn forget(&self, line: &Line) {
        loop {
            self.forget_now(line);
            self.on_typed.notified().await;
        }
    }

    /// Throws away what was typed up to now.
    pub(super) fn forget_now(&self, line: &Line) {
        while !self.take(line).is_empty() {}
    }

    /// Passes on what is typed, from the first byte on that is for the session, as long as the viewer
    /// is in it. Who had to wait is asked for their `first_sight`.
    pub(super) async fn pass_on(
        self: Arc<Self>,
        joined: Joined,
        line: Arc<Line>,
        mut first_sight: Option<FirstSight>,
    ) {
        loop {
            let bytes = self.take(&line);
            if bytes.is_empty() {
                self.on_typed.notified().await;
                continue;
            }
            let bytes = match &mut first_sight {
                Some(first_sight) => first_sight.pass(bytes, Instant::now()),
                None => bytes,
            };
            if bytes.is_empty() {
                continue;
            }
            self.has_typed.store(true, Ordering::Relaxed);
            let permits = u32::try_from(bytes.len()).expect("pieces are small");
            // Closed when the viewer is let go, as its last words are on their way.
            let Ok(permit) = joined.credit.acquire_many(permits).await else { break };
            permit.forget();
            let (viewer, offset) = (joined.id, self.offset());
            let input = Message::Input { viewer, bytes, mark: 0, offset };
            if joined.handle.inbox.send(input).await.is_err() {
                break;
            }
        }
        line.set_held(false);
    }

    fn take(&self, line: &Line) -> Vec<u8> {
        let mut pending = self.pending();
        let size = pending.len().min(PIECE_SIZE_MAX);
        let rest = pending.split_off(size);
        let bytes = std::mem::replace(&mut *pending, rest);
        if line.is_held() && pending.len() <= PENDING_SIZE_MAX {
            line.set_held(false);
        }
        bytes
    }

    fn pending(&self) -> MutexGuard<'_, Vec<u8>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self) -> (u16, u16) {
        let packed = self.offset.load(Ordering::Relaxed);
        ((packed >> 16) as u16, packed as u16)
    }
}
