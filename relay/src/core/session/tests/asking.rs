//! The session's door.

use super::super::asking::ASKING_TIME_MAX;
use super::super::{EXIT_ENDED, EXIT_LOST};
use super::world::{World, open_doors, visitor};
use crate::core::doors::{Admission, Caller};
use crate::core::text;
use std::time::Duration;
use tern_bootstrap::authorized_keys::{Credential, PublicKey};
use tern_sync::session::{
    Access, HostEvent, Refused, Role, Settings, ViewerEvent, ViewerId, Visitor,
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINxDM8/pSr4hsikr7eiRmkR4ip0mzY+/S2hTh6+Es397";

fn asking_world() -> World {
    let mut world = World::connected();
    world.host_wants(open_doors(true));
    world.run();
    world
}

/// Settings of a host that lets in who has a key of these lines.
fn ruled_doors(asks: bool, lines: &[&str]) -> Settings {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Settings { access: Access::Keys(lines), asks, ..Settings::default() }
}

/// Somebody who has shown [`KEY`] to the doors of now.
fn bearer_of_key(world: &World) -> Admission {
    let credential = Credential::Key(PublicKey::from_openssh(KEY).expect("a key"));
    let address = "10.0.0.1".parse().expect("an address");
    let caller = Caller { role: Role::ReadWrite, address, credential: &credential, place: None };
    world.doors.as_ref().expect("they are said").admit(&caller, 1).expect("the key is listed")
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
fn who_waits_without_a_key_is_let_in_by_nothing_once_keys_are_wanted() {
    let mut world = asking_world();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.host_wants(ruled_doors(true, &[KEY]));
    world.run();
    assert_eq!(world.released, [(viewer, text::DOORS_CHANGED.to_owned(), EXIT_LOST)]);
    world.host_says(HostEvent::Admit { viewer });
    world.host_wants(ruled_doors(false, &[KEY]));
    world.run();
    assert!(world.admitted.is_empty() && world.present().is_empty());
}

#[test]
fn who_waits_by_a_rule_stays_as_long_as_the_rule_does() {
    let mut world = asking_world();
    world.host_wants(ruled_doors(true, &[KEY]));
    world.run();
    let kept = bearer_of_key(&world);
    let (viewer, is_in) = world.join_by(kept.clone());
    assert!(!is_in);
    world.host_wants(ruled_doors(true, &["# others", &format!("{KEY} renamed")]));
    world.run();
    assert!(world.released.is_empty(), "the rule is there, by another name");
    world.host_wants(ruled_doors(false, &[KEY]));
    world.run();
    assert_eq!(world.admitted, [viewer]);
    world.host_wants(ruled_doors(false, &[&format!("read-only {KEY}")]));
    world.run();
    assert!(world.released.is_empty(), "who is in stays");
    // It was looked at before the host's word, and joins after it.
    let (late, is_in) = world.join_by(kept);
    world.run();
    assert!(!is_in, "it sees nothing");
    assert_eq!(world.released, [(late, text::DOORS_CHANGED.to_owned(), EXIT_LOST)]);
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
