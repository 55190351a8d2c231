//! Whose seat is given to whom, and what viewers hold.

use super::*;
use crate::core::registry::seats::{Seat, YIELD_AFTER};

const READER: &str = "ro-token 1";

fn address(number: u8) -> AddressKey {
    std::net::IpAddr::from([192, 0, 2, number]).into()
}

fn full(limits: Limits) -> (Registry<u8>, Vec<Seat>) {
    let count = limits.viewers_per_session;
    let mut registry = registry(limits);
    registry.insert(session(1));
    let seats = (0..count).map(|number| {
        let address = address(u8::try_from(number).expect("few"));
        registry.join(TokenHash::of(READER), address, Instant::now()).expect("room").seat
    });
    let seats = seats.collect();
    (registry, seats)
}

#[test]
fn newcomer_takes_the_seat_of_whoever_is_silent_for_longest_and_for_long_enough() {
    let now = Instant::now();
    let (mut registry, seats) = full(Limits { viewers_per_session: 3, ..Limits::default() });
    let come = |registry: &mut Registry<u8>, now| {
        registry.join(TokenHash::of("token 1"), address(99), now).map(|seated| seated.yielded)
    };
    registry.set_silent(seats[1], Some(now));
    registry.set_silent(seats[0], Some(now + Duration::from_secs(1)));
    assert_eq!(come(&mut registry, now + YIELD_AFTER / 2), Err(Denied::ViewersFull));
    let later = now + 2 * YIELD_AFTER;
    assert_eq!(come(&mut registry, later), Ok(Some(seats[1])));
    registry.leave(seats[1]);
    assert_eq!(registry.counts(), (1, 3), "it doesn't leave twice");
    registry.set_silent(seats[0], None);
    assert_eq!(come(&mut registry, later), Err(Denied::ViewersFull), "all are heard");
}

#[test]
fn one_address_leaves_seats_to_others_and_takes_its_own_silent_ones() {
    let now = Instant::now();
    let mut registry = registry(Limits { viewers_per_session: 8, ..Limits::default() });
    registry.insert(session(1));
    let join = |registry: &mut Registry<u8>, from, now| {
        registry.join(TokenHash::of(READER), address(from), now)
    };
    let seats: Vec<Seat> =
        (0..6).map(|_| join(&mut registry, 1, now).expect("room").seat).collect();
    let other = join(&mut registry, 2, now).expect("room for others").seat;
    registry.set_silent(other, Some(now));
    let later = now + 2 * YIELD_AFTER;
    assert_eq!(join(&mut registry, 1, later), Err(Denied::ViewersFull));
    registry.set_silent(seats[3], Some(now));
    let seated = join(&mut registry, 1, later).expect("one of its own yields");
    assert_eq!(seated.yielded, Some(seats[3]));
    assert!(join(&mut registry, 3, later).is_ok_and(|seated| seated.yielded.is_none()));
}

#[test]
fn full_relay_gives_away_the_seat_that_is_silent_for_longest_in_any_session() {
    let now = Instant::now();
    let mut registry = registry(Limits { viewers: 2, ..Limits::default() });
    registry.insert(session(1));
    registry.insert(session(2));
    let first = registry.join(TokenHash::of(READER), address(1), now).expect("room").seat;
    let second = registry.join(TokenHash::of(READER), address(2), now).expect("room").seat;
    registry.set_silent(second, Some(now));
    registry.set_silent(first, Some(now + Duration::from_secs(1)));
    let later = now + 2 * YIELD_AFTER;
    let seated = registry.join(TokenHash::of("token 2"), address(3), later).expect("one yields");
    assert_eq!(seated.yielded, Some(second));
    assert_eq!(registry.counts(), (2, 2));
}

#[test]
fn what_viewers_hold_is_bounded_with_all_else_and_is_free_when_they_go() {
    let limits = Limits { memory: 4000, viewers_per_session: 3, ..Limits::default() };
    let (mut registry, seats) = full(limits);
    let beyond = |bytes| VIEWER_MEMORY_OWN + bytes;
    assert!(registry.hold_for_viewer(seats[0], beyond(1000)).is_ok());
    let error = registry.hold_for_viewer(seats[0], beyond(1001)).expect_err("a quarter");
    assert!(error.contains("your address"), "{error}");
    assert!(registry.hold_for_viewer(seats[1], beyond(1000)).is_ok());
    assert!(registry.hold_for_viewer(seats[2], beyond(1000)).is_ok());
    assert!(registry.hold(SessionId([1; 16]), SESSION_MEMORY_OWN + 1000).is_ok());
    registry.insert(session(2));
    assert!(registry.hold_for_viewer(seats[1], beyond(900)).is_ok());
    registry.leave(seats[0]);
    assert!(registry.hold_for_viewer(seats[0], beyond(5000)).is_ok(), "it has gone");
    registry.remove(SessionId([1; 16]));
    assert_eq!(registry.memory, 0);
    assert_eq!(registry.counts(), (1, 0));
}
