//! The relays that may have the session, and the one that does.

use std::future::pending;
use tern_bootstrap::client::{BootstrapError, Granted, Options, RelayAddress, request_session_of};
use tokio::task::JoinHandle;

/// They are asked by turns: those of the first list at once, and those of the next only if nobody
/// is there at the first.
#[derive(Debug, Clone, Default)]
pub struct Relays {
    /// Lists of at least one.
    pub turns: Vec<Vec<RelayAddress>>,
}

/// What another relay answered.
pub(super) type Answer = Result<(RelayAddress, Granted), Vec<BootstrapError>>;

impl Relays {
    /// For people.
    pub(super) fn name(&self) -> String {
        let names: Vec<_> = self.turns.iter().flatten().map(|relay| relay.host.clone()).collect();
        let mut names = names;
        names.dedup();
        names.join(", ")
    }

    /// Asks all for a session.
    pub(super) async fn request(&self, options: &Options) -> Answer {
        request(self.turns.clone(), options.clone()).await
    }

    /// Asks all but this one, in the background; `None` if there is no other.
    pub(super) fn request_other(&self, options: &Options) -> Option<JoinHandle<Answer>> {
        let mut turns = self.turns.clone();
        for turn in &mut turns {
            turn.retain(|relay| relay.host != options.relay.host);
        }
        turns.retain(|turn| !turn.is_empty());
        (!turns.is_empty()).then(|| tokio::spawn(request(turns, options.clone())))
    }

    /// Whether there is another one than this.
    pub(super) fn has_other(&self, than: &RelayAddress) -> bool {
        self.turns.iter().flatten().any(|relay| relay.host != than.host)
    }
}

async fn request(turns: Vec<Vec<RelayAddress>>, options: Options) -> Answer {
    let mut first_errors = None;
    for turn in turns {
        let of = |relay: &RelayAddress| Options { relay: relay.clone(), ..options.clone() };
        let asked: Vec<_> = turn.iter().map(of).collect();
        match request_session_of(&asked).await {
            Ok((at, granted)) => return Ok((turn[at].clone(), granted)),
            Err(errors) => {
                let is_nobody_there = |error: &BootstrapError| {
                    matches!(
                        error,
                        BootstrapError::Connect { .. } | BootstrapError::NotARelay { .. }
                    )
                };
                if !errors.iter().all(is_nobody_there) {
                    return Err(errors);
                }
                first_errors.get_or_insert(errors);
            }
        }
    }
    Err(first_errors.unwrap_or_default())
}

/// The answer of the others, once it is there; never, if nobody was asked.
pub(super) async fn answer(asking: &mut Option<JoinHandle<Answer>>) -> Answer {
    let Some(task) = asking else { return pending().await };
    let answer = task.await.unwrap_or_else(|_| Err(Vec::new()));
    *asking = None;
    answer
}
