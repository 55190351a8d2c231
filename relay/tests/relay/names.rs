//! Named sessions: who gets a name, who loses it, and what a restarted relay makes of it.

use crate::support::host::{ask_for_names, connect};
use crate::support::{config, must};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tern_accounts::owners::{Answer, Unavailable, Whose};
use tern_accounts::{Owner, Owners};
use tern_bootstrap::client::BootstrapError;
use tern_bootstrap::grant::{NameClaim, RefusalCode, SessionGrant, WireError};
use tern_bootstrap::hello::{Welcome, introduce};
use tern_bootstrap::identity::Identity;
use tern_bootstrap::ticket::OwnerId;
use tern_relay::{Config, Limits, Relay};

/// Accounts as a test wants them: the user's name is the key, and their number its length.
#[derive(Default)]
struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_broken: bool,
    removed: Vec<OwnerId>,
    asked_count: usize,
}

impl Fake {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no panic"));
    }

    fn asked_count(&self) -> usize {
        self.state.lock().expect("no panic").asked_count
    }
}

impl Owners for Fake {
    fn of_key<'a>(&'a self, key: &'a str) -> Answer<'a, Whose> {
        let mut state = self.state.lock().expect("no panic");
        state.asked_count += 1;
        let id = OwnerId(key.len() as i64);
        let answer = match key {
            _ if state.is_broken => Err(Unavailable),
            "wrong" => Ok(Whose::Nobody),
            _ if state.removed.contains(&id) => Ok(Whose::Nobody),
            name => Ok(Whose::Of(Owner { id, name: name.into() })),
        };
        Box::pin(std::future::ready(answer))
    }

    fn living(&self, owners: Vec<OwnerId>) -> Answer<'_, Vec<OwnerId>> {
        let state = self.state.lock().expect("no panic");
        let living = owners.into_iter().filter(|owner| !state.removed.contains(owner)).collect();
        let answer = if state.is_broken { Err(Unavailable) } else { Ok(living) };
        Box::pin(std::future::ready(answer))
    }
}

async fn relay(identity: Identity, accounts: &Arc<Fake>) -> Relay {
    let accounts: Arc<dyn Owners> = accounts.clone();
    let config = Config { identity, accounts: Some(accounts), ..config(Limits::default()) };
    Relay::start(config).await.expect("the relay starts")
}

fn claim(key: &str, name: &str) -> NameClaim {
    NameClaim { api_key: Some(key.into()), name: Some(name.into()), name_ro: None }
}

async fn granted(relay: &Relay, key: &str, name: &str) -> SessionGrant {
    ask_for_names(relay, claim(key, name)).await.expect("granted")
}

/// A hello on a connection of its own, which is over at once.
async fn hello(relay: &Relay, grant: &SessionGrant) -> Result<Welcome, RefusalCode> {
    let (_quic, connection) = connect(relay, grant).await;
    match must("an answer", introduce(&connection, &grant.credentials(), 1)).await {
        Ok(welcome) => Ok(welcome),
        Err(WireError::Refused(refusal)) => Err(refusal.code),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_host_is_told_that_a_newer_one_has_its_name_also_after_a_restart() {
    let (folder, accounts) = (tempfile::tempdir().expect("a folder"), Arc::new(Fake::default()));
    let keys = || Identity::load_or_create(folder.path()).expect("keys");
    let first = relay(keys(), &accounts).await;
    let older = granted(&first, "alice", "web").await;
    assert_eq!(older.token, "alice/web");
    hello(&first, &older).await.expect("welcome");
    // To the second: a ticket says no more.
    let second = Duration::from_millis(1100);
    tokio::time::sleep(second).await;
    let newer = granted(&first, "alice", "web").await;
    hello(&first, &newer).await.expect("welcome");
    assert_eq!(hello(&first, &older).await, Err(RefusalCode::Superseded));
    hello(&first, &newer).await.expect("it still has the name");
    drop(first);

    for is_older_first in [false, true] {
        let again = relay(keys(), &accounts).await;
        if is_older_first {
            hello(&again, &older).await.expect("nobody else is here yet");
        }
        hello(&again, &newer).await.expect("welcome");
        assert_eq!(hello(&again, &older).await, Err(RefusalCode::Superseded));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_key_takes_nothing_over() {
    let accounts = Arc::new(Fake::default());
    let relay = relay(Identity::ephemeral(), &accounts).await;
    let alice = granted(&relay, "alice", "web").await;
    hello(&relay, &alice).await.expect("welcome");
    let bob = granted(&relay, "bob", "web").await;
    assert_eq!(bob.token, "bob/web");
    let wrong = granted(&relay, "wrong", "web").await;
    assert_eq!(wrong.token.len(), 26);
    assert!(wrong.notices[0].contains("invalid"), "{:?}", wrong.notices);
    hello(&relay, &alice).await.expect("it still has its name");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_do_not_answer_let_nobody_in_and_throw_nobody_out() {
    let (folder, accounts) = (tempfile::tempdir().expect("a folder"), Arc::new(Fake::default()));
    let keys = || Identity::load_or_create(folder.path()).expect("keys");
    let first = relay(keys(), &accounts).await;
    let grant = granted(&first, "alice", "web").await;
    hello(&first, &grant).await.expect("welcome");
    accounts.change(|state| state.is_broken = true);
    match ask_for_names(&first, claim("alice", "other")).await {
        Err(BootstrapError::Grant { error: WireError::Refused(refusal), .. }) => {
            assert_eq!(refusal.code, RefusalCode::Unavailable);
            assert!(refusal.text.contains("temporary server error"), "{}", refusal.text);
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    hello(&first, &grant).await.expect("what runs goes on");
    drop(first);
    let again = relay(keys(), &accounts).await;
    assert_eq!(hello(&again, &grant).await, Err(RefusalCode::Unavailable));
    accounts.change(|state| state.is_broken = false);
    hello(&again, &grant).await.expect("welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_users_session_ends_and_its_ticket_is_worth_nothing() {
    let (folder, accounts) = (tempfile::tempdir().expect("a folder"), Arc::new(Fake::default()));
    let keys = || Identity::load_or_create(folder.path()).expect("keys");
    let first = relay(keys(), &accounts).await;
    let (alice, bob) = (granted(&first, "alice", "web").await, granted(&first, "bob", "web").await);
    hello(&first, &alice).await.expect("welcome");
    hello(&first, &bob).await.expect("welcome");
    accounts.change(|state| state.removed.push(OwnerId("alice".len() as i64)));
    let ended = async {
        while first.counts().0 > 1 {
            tokio::task::yield_now().await;
        }
    };
    must("alice's session ends", ended).await;
    assert_eq!(hello(&first, &alice).await, Err(RefusalCode::Unauthorized));
    hello(&first, &bob).await.expect("bob's goes on");
    drop(first);
    let again = relay(keys(), &accounts).await;
    assert_eq!(hello(&again, &alice).await, Err(RefusalCode::Unauthorized));
    hello(&again, &bob).await.expect("welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_tried_are_counted_before_anything_is_looked_up() {
    let accounts = Arc::new(Fake::default());
    let limits = Limits { tries_per_minute: 3, ..Limits::default() };
    let owners: Arc<dyn Owners> = accounts.clone();
    let config = Config { accounts: Some(owners), ..config(limits) };
    let relay = Relay::start(config).await.expect("the relay starts");
    for _ in 0..5 {
        // Three are answered, the others refused.
        let _ = ask_for_names(&relay, claim("wrong", "web")).await;
    }
    assert_eq!(accounts.asked_count(), 3);
}
