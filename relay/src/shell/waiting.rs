//! Viewers that come before their session's host is back, just after the relay's start.

use super::admission::{Running, Shared, WaitGuard};
use super::line::Stage;
use super::session::wait_until;
use super::viewer::{NewViewerTask, closed};
use crate::core::text;
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::token::{TokenHash, is_well_formed};

/// What somebody gave as user name. (The name itself is not kept.)
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedToken {
    pub(super) hash: TokenHash,
    is_well_formed: bool,
}

impl AskedToken {
    pub(super) fn of(user: &str) -> Self {
        Self { hash: TokenHash::of(user), is_well_formed: is_well_formed(user) }
    }

    /// Whether it has the form of one.
    pub(super) fn is_well_formed(&self) -> bool {
        self.is_well_formed
    }

    /// Whether it may be the token of a session whose host is on its way back.
    pub(super) fn may_return(&self, shared: &Arc<Shared>, address: IpAddr) -> bool {
        self.is_well_formed && WaitGuard::begin(shared, self.hash, address).is_some()
    }
}

/// How waiting for a session's return came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// The token may be looked up.
    Enough,
    /// The viewer is gone.
    InVain,
}

impl NewViewerTask {
    /// Just after the relay's start, the session's host may not be back yet.
    pub(super) async fn wait_for_return(&mut self) -> Waited {
        if !self.token.is_well_formed {
            return Waited::Enough;
        }
        let begun = WaitGuard::begin(&self.shared, self.token.hash, self.address);
        let Some(mut wait) = begun else { return Waited::Enough };
        // It doesn't count as one that says nothing, else viewers would keep hosts out.
        self.line.set_stage(Stage::Serving);
        let mut running = self.shared.running.clone();
        let until = wait.until;
        let waiting = async {
            // Who has no room for the line is waited for nevertheless.
            self.say(text::RETURNING).await;
            wait.arrival().await;
        };
        tokio::select! {
            () = waiting => Waited::Enough,
            () = wait_until(Some(until)) => Waited::Enough,
            _ = running.wait_for(|running| *running != Running::Yes) => Waited::Enough,
            () = closed(&self.size) => Waited::InVain,
        }
    }
}
