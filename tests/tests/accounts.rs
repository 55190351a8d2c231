//! Users and keys, in SQLite and in a real PostgreSQL: the same from both.

use std::time::{Duration, SystemTime};
use tern_accounts::owners::Whose;
use tern_accounts::{Accounts, ApiKey, Owners, Place, Store, StoreError};
use tern_bootstrap::ticket::OwnerId;
use tern_tests::World;
use tern_tests::certified::Certified;
use tern_tests::postgres::Postgres;

const HOUR: Duration = Duration::from_secs(3600);

/// Both kinds of database; the server lives as long as this.
struct Databases {
    world: World,
    postgres: Postgres,
}

impl Databases {
    fn start() -> Self {
        let world = World::new();
        let postgres = Postgres::start(&world);
        Self { world, postgres }
    }

    fn places(&self) -> [Place; 2] {
        let server = Place::parse(&self.postgres.url()).expect("a URL");
        [Place::File(self.world.folder().join("new/a b?.sqlite")), server]
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

async fn open(world: &World, place: &Place) -> Store {
    let opened = Store::open(place).await;
    opened.unwrap_or_else(|error| panic!("{error}\n{}", world.report()))
}

#[test]
fn users_and_keys_are_the_same_in_both_databases() {
    let databases = Databases::start();
    for place in databases.places() {
        run(async {
            let store = open(&databases.world, &place).await;
            let now = SystemTime::now();
            let alice =
                store.add_user("Alice", Some("Alice@Example.org"), now).await.expect("added");
            let bob = store.add_user("bob", None, now).await.expect("added");
            assert_ne!(alice, bob);
            let key = store.new_key("alice", now).await.expect("a key");
            let second = store.new_key("ALICE", now).await.expect("another");

            let owner = store.owner_of(&key, now + HOUR).await.expect("asked").expect("known");
            assert_eq!((owner.id, owner.name.as_str()), (alice, "Alice"));
            assert_eq!(store.owner_of(&ApiKey::generate(), now).await.expect("asked"), None);
            let users = store.users().await.expect("listed");
            let shown: Vec<_> = users.iter().map(|u| (u.name.as_str(), u.keys_count)).collect();
            assert_eq!(shown, [("Alice", 2), ("bob", 0)]);
            assert_eq!(users[0].email.as_deref(), Some("alice@example.org"));
            assert_eq!(users[0].used_at, Some(users[0].created_at + 3600));
            assert_eq!((&users[1].email, users[1].used_at), (&None, None));
            let keys = store.keys(Some("alice")).await.expect("listed");
            assert_eq!(keys.len(), 2);
            assert_eq!(store.keys(None).await.expect("listed"), keys);
            assert_eq!(store.keys(Some("bob")).await.expect("listed"), []);

            store.revoke_key(second.reveal()).await.expect("revoked");
            assert_eq!(store.owner_of(&second, now).await.expect("asked"), None);
            assert!(store.owner_of(&key, now).await.expect("asked").is_some());
            let unknown = OwnerId(alice.0.wrapping_add(1));
            let living = store.living(&[alice, unknown, bob]).await.expect("asked");
            assert!(living.len() == 2 && !living.contains(&unknown), "{living:?}");

            assert_eq!(store.remove_user("ALICE").await.expect("removed"), 1);
            assert_eq!(store.owner_of(&key, now).await.expect("asked"), None);
            assert_eq!(store.living(&[alice, bob]).await.expect("asked"), [bob]);
            let again = store.add_user("alice", None, now).await.expect("the name is free");
            assert_ne!(again, alice, "whose tickets may still be about");
        });
    }
}

#[test]
fn mistakes_are_told_in_the_same_words_by_both_databases() {
    let databases = Databases::start();
    for place in databases.places() {
        run(async {
            let store = open(&databases.world, &place).await;
            let now = SystemTime::now();
            store.add_user("alice", Some("a@example.org"), now).await.expect("added");
            for (name, email) in [("ALICE", None), ("bob", Some("A@Example.Org"))] {
                let error = store.add_user(name, email, now).await.expect_err("taken");
                assert!(matches!(error, StoreError::Taken(_)), "{error}");
            }
            for name in ["", "a b", "-a", "a/b", "'; DROP TABLE users; --", &"x".repeat(41)] {
                let error = store.add_user(name, None, now).await.expect_err("no name");
                assert!(matches!(error, StoreError::Name(_)), "{error}");
            }
            let error = store.new_key("nobody", now).await.expect_err("no user");
            assert!(error.to_string().contains("there is no user nobody"), "{error}");
            assert!(matches!(store.remove_user("'").await, Err(StoreError::NoUser(_))));
            assert!(matches!(store.keys(Some("bob")).await, Err(StoreError::NoUser(_))));
            let error = store.revoke_key("tmk-nothing").await.expect_err("no key");
            assert!(error.to_string().contains("no key that begins with tmk-nothin"), "{error}");
            for _ in 0..50 {
                store.new_key("alice", now).await.expect("a key");
            }
            let error = store.new_key("alice", now).await.expect_err("too many");
            assert!(error.to_string().contains("revoke one first"), "{error}");
        });
    }
}

#[test]
fn several_programs_open_an_empty_database_at_once() {
    let databases = Databases::start();
    for place in databases.places() {
        run(async {
            let opening: Vec<_> = (0..4)
                .map(|_| {
                    let (world, place) = (databases.world.clone(), place.clone());
                    tokio::spawn(async move { open(&world, &place).await })
                })
                .collect();
            for (number, opened) in opening.into_iter().enumerate() {
                let store = opened.await.expect("no panic");
                let name = format!("user-{number}");
                store.add_user(&name, None, SystemTime::now()).await.expect("added");
                assert_eq!(store.users().await.expect("listed").len(), number + 1);
            }
        });
    }
}

#[test]
fn relay_without_accounts_has_no_file_and_sees_the_first_user_when_there_is_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let path = world.folder().join("accounts.sqlite");
    run(async {
        let accounts = Accounts::at(Place::File(path.clone()));
        let key = ApiKey::generate();
        assert_eq!(accounts.of_key(key.reveal()).await, Ok(Whose::NoAccounts));
        assert!(!path.exists(), "asking makes nothing");

        let store = open(&world, &Place::File(path.clone())).await;
        store.add_user("alice", None, SystemTime::now()).await.expect("added");
        let key = store.new_key("alice", SystemTime::now()).await.expect("a key");
        let whose = accounts.of_key(key.reveal()).await;
        assert!(matches!(whose, Ok(Whose::Of(owner)) if owner.name == "alice"));
        for wrong in ["", "tmk-", ApiKey::generate().reveal(), &"x".repeat(4000)] {
            assert_eq!(accounts.of_key(wrong).await, Ok(Whose::Nobody), "{wrong}");
        }
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    });
}

#[test]
fn server_that_is_gone_lets_nobody_in_and_is_asked_again_when_it_is_back() {
    let mut databases = Databases::start();
    let [_, place] = databases.places();
    run(async {
        let store = open(&databases.world, &place).await;
        store.add_user("alice", None, SystemTime::now()).await.expect("added");
        let key = store.new_key("alice", SystemTime::now()).await.expect("a key");
        let accounts = Accounts::open(place.clone()).await.expect("opened");
        assert!(matches!(accounts.of_key(key.reveal()).await, Ok(Whose::Of(_))));

        databases.postgres.kill();
        assert!(accounts.of_key(key.reveal()).await.is_err());
        assert!(accounts.living(vec![OwnerId(1)]).await.is_err());
        let error = Store::open(&place).await.expect_err("gone").to_string();
        assert!(error.contains("cannot use the database postgres://127.0.0.1"), "{error}");
        assert!(!error.contains("pass@"), "{error}");

        databases.postgres.start_again();
        let whose = accounts.of_key(key.reveal()).await;
        assert!(matches!(whose, Ok(Whose::Of(_))), "{whose:?}");
    });
}

#[test]
fn file_that_is_no_database_is_named() {
    let world = World::new();
    let path = world.folder().join("accounts.sqlite");
    std::fs::write(&path, "these are no tables, but a text of some length").expect("written");
    let error = run(Store::open(&Place::File(path))).expect_err("no database").to_string();
    assert!(
        error.contains("cannot use the database") && error.contains("accounts.sqlite"),
        "{error}"
    );
}

#[test]
fn server_is_known_by_its_certificate_and_nothing_is_sent_in_clear() {
    let world = World::new();
    let (right, wrong) = (Certified::new(&world), Certified::new(&world));
    let postgres = Postgres::start_tls(&world, &right);
    let place = Place::parse(&postgres.tls_url(&right.authority)).expect("a URL");
    run(async {
        let store = open(&world, &place).await;
        store.add_user("alice", None, SystemTime::now()).await.expect("there is none yet");
        store.close().await;
    });
    // Another authority, and another name than the certificate's.
    let stranger = postgres.tls_url(&wrong.authority);
    let by_address = postgres.tls_url(&right.authority).replace("@localhost:", "@127.0.0.1:");
    // A server that speaks no TLS.
    let clear = Postgres::start(&world);
    let unsafe_url = clear.tls_url(&right.authority);
    for url in [stranger, by_address, unsafe_url] {
        let place = Place::parse(&url).expect("a URL");
        let error = run(Store::open(&place)).err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("{url} is not to be trusted"));
        assert!(!error.contains("pass@"), "{error}");
    }
}
