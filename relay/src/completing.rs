//! What a shell completes for `tern-relay` that changes: users and their keys.

use crate::args::{Arguments, Places};
use clap::{CommandFactory as _, FromArgMatches as _};
use std::time::Duration;
use tern_accounts::{Place, Store};
use tern_help::completions::CompletionCandidate;

/// Nobody waits longer after pressing Tab.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Names of all users.
pub(crate) fn users() -> Vec<CompletionCandidate> {
    candidates(async |store| {
        let users = store.users().await.unwrap_or_default().into_iter();
        let named = users.map(|user| (user.name, user.email));
        named
            .map(|(name, email)| CompletionCandidate::new(name).help(email.map(Into::into)))
            .collect()
    })
}

/// Beginnings of all keys, with whose they are.
pub(crate) fn keys() -> Vec<CompletionCandidate> {
    candidates(async |store| {
        let keys = store.keys(None).await.unwrap_or_default().into_iter();
        keys.map(|key| CompletionCandidate::new(key.label).help(Some(key.user.into()))).collect()
    })
}

/// None where there are no accounts, or where they can't be asked in time.
fn candidates(ask: impl AsyncFn(&Store) -> Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let place = places().accounts();
    if matches!(&place, Place::File(path) if !path.exists()) {
        return Vec::new();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asked = runtime.block_on(async {
        tokio::time::timeout(TIME_MAX, async {
            let store = Store::open(&place).await.ok()?;
            let found = ask(&store).await;
            store.close().await;
            Some(found)
        })
        .await
    });
    runtime.shutdown_background();
    asked.ok().flatten().unwrap_or_default()
}

/// What the line that is being typed says of the database, behind the two dashes after which a
/// shell's script puts it; else what the environment says.
fn places() -> Places {
    let words: Vec<_> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    // The line isn't whole yet.
    let command = Arguments::command().ignore_errors(true);
    let matches = command.get_matches_from(words);

    Places::from_arg_matches(&matches).unwrap_or_default()
}
