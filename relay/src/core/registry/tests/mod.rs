//! Who comes in, who waits, who is turned away.

mod seats;

use super::*;
use crate::core::limits::VIEWER_MEMORY_OWN;

fn registry(limits: Limits) -> Registry<u8> {
    Registry::new(limits, None)
}

fn session(number: u8) -> NewSession<u8> {
    NewSession {
        id: SessionId([number; 16]),
        secret: Secret([number; 32]),
        token: TokenHash::of(&format!("token {number}")),
        token_ro: TokenHash::of(&format!("ro-token {number}")),
        owner: None,
        granted_at: SystemTime::UNIX_EPOCH,
        address: AddressKey::LOCAL,
        handle: number,
    }
}

fn join(registry: &mut Registry<u8>, token: &str) -> Result<(u8, Role), Denied> {
    let now = Instant::now();
    let joined = registry.join(TokenHash::of(token), AddressKey::LOCAL, now);
    joined.map(|seated| (seated.handle, seated.role))
}

#[test]
fn token_leads_to_its_session_and_role_until_it_is_retired() {
    let mut registry = registry(Limits::default());
    registry.insert(session(1));
    registry.insert(session(2));
    assert_eq!(join(&mut registry, "token 1"), Ok((1, Role::ReadWrite)));
    assert_eq!(join(&mut registry, "ro-token 2"), Ok((2, Role::ReadOnly)));
    assert_eq!(join(&mut registry, "token 3"), Err(Denied::WrongToken));
    registry.retire(SessionId([1; 16]));
    assert_eq!(join(&mut registry, "token 1"), Err(Denied::WrongToken));
    registry.remove(SessionId([2; 16]));
    assert_eq!(join(&mut registry, "ro-token 2"), Err(Denied::WrongToken));
}

/// One of a user's sessions, granted so many seconds after the first, with this name.
fn named(number: u8, name: &str, granted_at: u64) -> NewSession<u8> {
    NewSession {
        token: TokenHash::of(name),
        owner: Some(OwnerId(7)),
        granted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(granted_at),
        ..session(number)
    }
}

#[test]
fn newer_session_takes_over_a_name_and_the_older_one_never_has_it_back() {
    let mut registry: Registry<u8> = registry(Limits::default());
    let id = |number: u8| SessionId([number; 16]);
    assert!(registry.insert(named(1, "alice/web", 1)).is_empty());
    assert!(registry.insert(named(2, "alice/other", 2)).is_empty());
    assert_eq!(registry.insert(named(3, "alice/web", 3)), [1]);
    assert_eq!(join(&mut registry, "alice/web"), Ok((3, Role::ReadWrite)));
    assert_eq!(join(&mut registry, "ro-token 1"), Err(Denied::WrongToken), "nor its other line");
    registry.remove(id(1));
    assert_eq!(join(&mut registry, "alice/web"), Ok((3, Role::ReadWrite)));
    assert!(registry.was_superseded(id(1)) && registry.is_superseded(&named(1, "alice/web", 1)));
    assert!(!registry.has_ended(id(1)) && !registry.was_superseded(id(3)));
    assert_eq!(registry.owners(), [OwnerId(7)]);
    assert_eq!(registry.sessions_of(OwnerId(7)), [2, 3]);
    assert!(registry.sessions_of(OwnerId(8)).is_empty());
}

#[test]
fn of_two_sessions_that_come_back_to_a_restarted_relay_the_newer_has_the_name() {
    for order in [[1, 2], [2, 1]] {
        let mut registry = Registry::new(Limits::default(), None);
        for number in order {
            let session = named(number, "alice/web", number.into());
            if !registry.is_superseded(&session) {
                registry.insert(session);
            }
        }
        assert_eq!(join(&mut registry, "alice/web"), Ok((2, Role::ReadWrite)), "{order:?}");
    }
}

#[test]
fn viewers_are_counted_in_and_out() {
    let limits = Limits { viewers: 3, viewers_per_session: 2, ..Limits::default() };
    let mut registry = registry(limits);
    registry.insert(session(1));
    registry.insert(session(2));
    let now = Instant::now();
    let first = registry.join(TokenHash::of("token 1"), AddressKey::LOCAL, now).expect("room");
    assert!(join(&mut registry, "token 1").is_ok());
    assert_eq!(join(&mut registry, "token 1"), Err(Denied::ViewersFull));
    assert!(join(&mut registry, "token 2").is_ok());
    assert_eq!(join(&mut registry, "token 2"), Err(Denied::ViewersFull));
    registry.leave(first.seat);
    assert!(join(&mut registry, "token 2").is_ok());
}

#[test]
fn guesses_run_out_for_right_tokens_too() {
    let mut registry = registry(Limits { tries_per_minute: 5, ..Limits::default() });
    registry.insert(session(1));
    for _ in 0..5 {
        assert_eq!(join(&mut registry, "guess"), Err(Denied::WrongToken));
    }
    assert_eq!(join(&mut registry, "guess"), Err(Denied::TooManyTries));
    assert!(join(&mut registry, "token 1").is_ok(), "who knows a token hasn't guessed it");
}

#[test]
fn full_relay_says_which_limit_is_reached() {
    let now = Instant::now();
    let limits = Limits { sessions: 2, sessions_per_address: 1, ..Limits::default() };
    let mut registry = registry(limits);
    assert!(registry.may_create(AddressKey::LOCAL, now).is_ok());
    registry.insert(session(1));
    let refusal = registry.may_create(AddressKey::LOCAL, now).expect_err("one per address");
    assert_eq!(refusal.code, RefusalCode::Full);
    assert!(refusal.text.contains("your address"), "{refusal}");
    registry.insert(session(2));
    let refusal = registry.may_create(AddressKey::LOCAL, now).expect_err("full");
    assert!(refusal.text.contains("the relay is full"), "{refusal}");
    registry.stop();
    let refusal = registry.may_create(AddressKey::LOCAL, now).expect_err("stopping");
    assert_eq!(refusal.code, RefusalCode::Stopping);
}

#[test]
fn connections_are_counted_per_address_and_while_pending() {
    let now = Instant::now();
    let limits = Limits { connections_per_address: 2, connections_pending: 1, ..Limits::default() };
    let mut registry = registry(limits);
    assert!(registry.connect(AddressKey::LOCAL, now));
    assert!(!registry.connect(AddressKey::LOCAL, now), "one is pending");
    registry.identify(AddressKey::LOCAL);
    assert!(registry.connect(AddressKey::LOCAL, now));
    registry.identify(AddressKey::LOCAL);
    assert!(!registry.connect(AddressKey::LOCAL, now), "two of this address");
    registry.disconnect(AddressKey::LOCAL, false);
    assert!(registry.connect(AddressKey::LOCAL, now));
}

#[test]
fn one_address_cannot_take_all_places_of_those_who_are_not_known_yet() {
    let now = Instant::now();
    let limits = Limits { connections_pending: 16, ..Limits::default() };
    let mut registry = registry(limits);
    assert!(registry.connect(AddressKey::LOCAL, now));
    assert!(registry.connect(AddressKey::LOCAL, now));
    assert!(!registry.connect(AddressKey::LOCAL, now), "an eighth of them");
    let other: std::net::IpAddr = "192.0.2.1".parse().expect("an address");
    assert!(registry.connect(other.into(), now));
    registry.disconnect(AddressKey::LOCAL, true);
    assert!(registry.connect(AddressKey::LOCAL, now));
}

#[test]
fn session_comes_back_without_a_try_as_long_as_there_is_room() {
    let now = Instant::now();
    let limits = Limits { sessions: 1, tries_per_minute: 1, ..Limits::default() };
    let mut registry = registry(limits);
    assert!(registry.may_create(AddressKey::LOCAL, now).is_ok());
    assert!(registry.may_create(AddressKey::LOCAL, now).is_err(), "its only try is spent");
    assert!(registry.may_resume(AddressKey::LOCAL).is_ok());
    registry.insert(session(1));
    let refusal = registry.may_resume(AddressKey::LOCAL).expect_err("full");
    assert_eq!(refusal.code, RefusalCode::Full);
    registry.stop();
    let refusal = registry.may_resume(AddressKey::LOCAL).expect_err("stopping");
    assert_eq!(refusal.code, RefusalCode::Stopping);
}

#[test]
fn viewers_wait_for_a_return_in_the_first_seconds_only() {
    let now = Instant::now();
    let until = now + RETURN_TIME_MAX;
    let limits = Limits { viewers: 2, tries_per_minute: 1, ..Limits::default() };
    let mut registry: Registry<u8> = Registry::new(limits, Some(until));
    registry.insert(session(1));
    let unknown = TokenHash::of("token 2");
    let mut wait = |token, now| registry.begin_wait(token, AddressKey::LOCAL, now);
    assert_eq!(wait(TokenHash::of("token 1"), now), None, "it is here");
    assert_eq!(wait(unknown, until), None, "too late");
    assert_eq!(wait(unknown, now), Some(until));
    assert_eq!(wait(unknown, now), Some(until), "waiting is no try");
    assert_eq!(wait(unknown, now), None, "as many as there may be viewers");
    registry.end_wait();
    assert_eq!(join(&mut registry, "token 2"), Err(Denied::WrongToken));
    let wait = registry.begin_wait(unknown, AddressKey::LOCAL, now);
    assert_eq!(wait, None, "who has no try left waits for nothing");
}

#[test]
fn sessions_that_ended_are_remembered_within_bounds() {
    let mut registry = registry(Limits::default());
    let id = |number: usize| SessionId((number as u128).to_be_bytes());
    for number in 0..=ENDED_MAX {
        registry.bury(id(number));
    }
    assert!(registry.has_ended(id(ENDED_MAX)) && registry.has_ended(id(1)));
    assert!(!registry.has_ended(id(0)));
    assert_eq!(registry.ended.len(), ENDED_MAX);
}

#[test]
fn memory_is_bounded_for_an_address_and_for_all_and_small_sessions_always_fit() {
    let own = SESSION_MEMORY_OWN;
    let mut registry = registry(Limits { memory: 4000, ..Limits::default() });
    let address = |number: u8| AddressKey::from(std::net::IpAddr::from([10, 0, 0, number]));
    for number in 1..=6 {
        registry.insert(NewSession { address: address(number / 2), ..session(number) });
    }
    let id = |number: u8| SessionId([number; 16]);
    assert_eq!(registry.hold(id(2), own + 600), Ok(()));
    assert!(registry.hold(id(3), own + 600).is_err(), "of the same address");
    assert_eq!(registry.hold(id(3), own), Ok(()), "its own");
    assert_eq!(registry.hold(id(2), own + 500), Ok(()), "less");
    assert_eq!(registry.hold(id(3), own + 500), Ok(()));
    registry.remove(id(2));
    assert_eq!(registry.hold(id(3), own + 1000), Ok(()));
    for number in [1, 4, 6] {
        assert_eq!(registry.hold(id(number), own + 1000), Ok(()));
    }
    registry.insert(NewSession { address: address(9), ..session(9) });
    assert!(registry.hold(id(9), own + 1).is_err(), "the relay is full");
    assert_eq!(registry.hold(id(9), own), Ok(()));
}
