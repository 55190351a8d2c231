//! The session's door.

use super::super::asking::ASKING_TIME_MAX;
use super::super::{EXIT_ENDED, EXIT_LOST};
use super::world::{World, open_doors, visitor};
use crate::core::text;
use std::time::Duration;
use tern_sync::session::{HostEvent, Refused, Role, Settings, ViewerEvent, ViewerId, Visitor};

fn asking_world() -> World {
    let mut world = World::connected();
    world.host_wants(open_doors(true));
    world.run();
    world
}

/// Numbers under which the host was asked.
fn asked(world: &World) -> Vec<ViewerId> {
    let asks = |event: &ViewerEvent| match event {
        ViewerEvent::Asks { viewer, .. } => Some(*viewer),
        _ => None,
    };
    world.told.iter().filter_map(asks).collect()
}

#[test]
fn doors_are_known_when_the_host_has_said_it() {
    let mut world = World::connected();
    world.run();
    assert!(world.doors.is_none());
    world.host_wants(open_doors(false));
    world.run();
    assert!(world.doors.is_some());
    assert!(world.join_as(visitor(Role::ReadWrite)).1);
}

#[test]
fn viewer_is_held_at_the_door_until_the_host_lets_it_in() {
    let mut world = asking_world();
    let (viewer, is_in) = world.join_as(visitor(Role::ReadWrite));
    assert!(!is_in);
    world.input(viewer, b"x");
    world.run();
    assert_eq!((asked(&world), world.present().len()), (vec![viewer], 0));
    assert_eq!(world.typed(), b"");
    world.host_says(HostEvent::Admit { viewer });
    world.run();
    assert_eq!(world.admitted, [viewer]);
    assert!(world.present().contains_key(&viewer), "under the same number");
}

#[test]
fn viewer_is_turned_away_by_the_host_or_by_its_silence() {
    let mut world = asking_world();
    let first = world.join(Role::ReadWrite);
    world.host_says(HostEvent::Dismiss { viewer: first, text: "[no]\x1b[2J".into() });
    world.run();
    assert_eq!(world.released, [(first, "[no][2J".to_owned(), EXIT_LOST)]);
    let second = world.join(Role::ReadOnly);
    world.run_for(ASKING_TIME_MAX - Duration::from_secs(1));
    assert_eq!(world.released.len(), 1);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.released[1], (second, text::NOBODY_ANSWERED.to_owned(), EXIT_LOST));
    assert!(world.admitted.is_empty() && world.present().is_empty());
}

#[test]
fn host_that_begins_anew_is_asked_anew() {
    let mut world = asking_world();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.lose_link();
    world.connect(2);
    world.host_wants(open_doors(true));
    world.run();
    let asked = asked(&world);
    assert_eq!(asked.len(), 2);
    world.host_says(HostEvent::Admit { viewer: asked[1] });
    world.run();
    assert_eq!(world.admitted, [viewer]);
}

#[test]
fn answers_about_nobody_change_nothing() {
    let mut world = asking_world();
    let viewer = world.join(Role::ReadWrite);
    world.host_says(HostEvent::Admit { viewer });
    world.host_says(HostEvent::Admit { viewer });
    world.host_says(HostEvent::Admit { viewer: ViewerId(999) });
    world.host_says(HostEvent::Dismiss { viewer: ViewerId(999), text: String::new() });
    world.run();
    assert_eq!((world.admitted.len(), world.present().len()), (1, 1));
}

#[test]
fn host_that_asks_no_more_lets_everybody_in_who_waits() {
    let mut world = asking_world();
    let viewer = world.join(Role::ReadWrite);
    world.host_wants(open_doors(false));
    world.run();
    assert_eq!(world.admitted, [viewer]);
}

#[test]
fn whoever_is_shown_the_door_goes_at_once_and_no_other() {
    let mut world = World::connected();
    world.host_wants(open_doors(false));
    world.run();
    let placed = |place| Visitor { place: Some(place), ..visitor(Role::ReadWrite) };
    let (first, _) = world.join_as(placed([1; 16]));
    let (_second, _) = world.join_as(placed([2; 16]));
    let refused = vec![Refused::Place([1; 16])];
    world.host_wants(Settings { refused, ..open_doors(false) });
    world.run();
    assert_eq!(world.released, [(first, text::REMOVED.to_owned(), EXIT_LOST)]);
    assert_eq!(world.present().len(), 1);
    // Somebody who was let in before the host's word, and joins after it.
    let (third, _) = world.join_as(placed([1; 16]));
    world.run();
    assert_eq!(world.released[1].0, third);
    assert_ne!(EXIT_LOST, EXIT_ENDED);
}
