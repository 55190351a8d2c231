//! Asks the accounts whose a name is, and from time to time whether its owner is there still.

use super::admission::{Running, Shared};
use super::session::Message;
use crate::core::naming::{Named, named, wanted};
use crate::core::text;
use std::sync::Arc;
use std::time::Duration;
use tern_accounts::Owners;
use tern_bootstrap::grant::{NameClaim, Refusal, RefusalCode};
use tern_bootstrap::ticket::OwnerId;
use tokio::time::{MissedTickBehavior, interval};

/// How long the named sessions of a user who was removed go on, at most: one small question each time,
/// and only while there are named sessions.
const OWNERS_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The names that a session gets. Refused if that can't be known now.
pub(super) async fn name(shared: &Shared, claim: Option<&NameClaim>) -> Result<Named, Refusal> {
    let accounts = shared.accounts.as_ref();
    let wanted = match wanted(claim, accounts.is_some()) {
        Ok(wanted) => wanted,
        Err(not_named) => return Ok(not_named),
    };
    let Some(accounts) = accounts else { return Ok(Named::default()) };
    match accounts.of_key(wanted.api_key).await {
        Ok(whose) => Ok(named(&wanted, whose)),
        Err(_) => Err(unavailable()),
    }
}

/// Whether a session that shows its ticket may have its names back.
pub(super) async fn check_owner(shared: &Shared, owner: Option<OwnerId>) -> Result<(), Refusal> {
    let Some(owner) = owner else { return Ok(()) };
    let living = match &shared.accounts {
        Some(accounts) => accounts.living(vec![owner]).await.map_err(|_| unavailable())?,
        None => Vec::new(),
    };
    if living.contains(&owner) {
        return Ok(());
    }
    Err(Refusal { code: RefusalCode::Unauthorized, text: text::OWNER_GONE.into() })
}

/// Ends the sessions of users who were removed, as long as the relay runs.
pub(super) async fn watch_owners(shared: Arc<Shared>, accounts: Arc<dyn Owners>) {
    let mut running = shared.running.clone();
    let mut look = interval(OWNERS_CHECK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = running.wait_for(|running| *running != Running::Yes) => return,
        }
        let owners = shared.registry().owners();
        if owners.is_empty() {
            continue;
        }
        // Who can't be asked about is not thrown out.
        let Ok(living) = accounts.living(owners.clone()).await else { continue };
        for owner in owners.into_iter().filter(|owner| !living.contains(owner)) {
            let sessions = shared.registry().sessions_of(owner);
            tracing::info!(sessions = sessions.len(), "a user is gone: their named sessions end");
            for session in sessions {
                let _ = session.inbox.send(Message::Disowned).await;
            }
        }
    }
}

fn unavailable() -> Refusal {
    Refusal { code: RefusalCode::Unavailable, text: text::ACCOUNTS_UNAVAILABLE.into() }
}
