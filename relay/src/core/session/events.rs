//! The log of what viewers do, as the host will read it.

use super::Session;
use super::host::{CloseCode, Host};
use std::time::Instant;
use tern_sync::session::{VIEWER_EVENTS, ViewerEvent};

/// Bytes of events (joins and leaves, mostly) that are kept for a host that is away. When there
/// are more, what was not told is forgotten, and the host learns of those who are present when it
/// comes back: 64 KiB are about 1500 joins.
pub(super) const UNTOLD_MAX: usize = 64 * 1024;

const _: () = assert!(super::viewers::UNCONFIRMED_MAX + 8 * 1024 <= UNTOLD_MAX);

impl Session {
    /// Whether there is an endpoint of the host's that our log fits.
    pub(super) fn is_listening(&self) -> bool {
        match self.host {
            Host::Awaited { .. } | Host::Away { epoch: None, .. } => false,
            Host::Connected { .. } | Host::Away { epoch: Some(_), .. } => true,
        }
    }

    /// Appends to the log. Without an endpoint to hear it, nothing is kept: a host that comes
    /// anew is told who is present.
    pub(super) fn tell(&mut self, event: ViewerEvent, now: Instant) {
        if !self.is_listening() {
            return;
        }
        let mut is_kept = false;
        self.endpoint.update(VIEWER_EVENTS, now, |log| {
            is_kept = log.byte_count() < UNTOLD_MAX && log.push(event);
        });
        if !is_kept {
            let reason = "the host confirms nothing of what viewers do".into();
            self.abandon(CloseCode::Protocol, reason, now);
        }
    }
}
