//! Large changes over lossy paths: erasure coding in place of repair.

mod world;

use std::time::Duration;
use world::{DOC, Faults, World};

const DELAY: Duration = Duration::from_millis(50);
const RTT: Duration = Duration::from_millis(100);

#[test]
fn whole_screen_is_complete_soon_after_its_key_at_10_percent_loss() {
    let (median, tail) = screens(0.10, true);
    assert!(median <= RTT * 25 / 10, "{median:?}");
    assert!(tail <= RTT * 4, "{tail:?}");
}

#[test]
fn whole_screen_is_complete_soon_after_its_key_at_29_percent_loss() {
    let (median, tail) = screens(0.29, true);
    assert!(median <= RTT * 4, "{median:?}");
    assert!(tail <= RTT * 5, "{tail:?}");
}

#[test]
fn first_screen_on_a_path_that_turned_bad_needs_a_few_round_trips() {
    let (median, tail) = screens(0.29, false);
    assert!(median <= RTT * 5, "{median:?}");
    assert!(tail <= RTT * 9, "{tail:?}");
}

#[test]
fn screen_on_a_good_path_takes_no_parity() {
    let mut world = world(1, 0.0, false);
    let before = world.sides[1].datagrams.len();
    world.write(0, 1);
    world.run(Duration::from_secs(1));
    assert_eq!(world.sides[0].endpoint.received(DOC).0.len(), SIZE);
    let bytes: usize = world.sides[1].datagrams[before..].iter().map(|(_, size)| size).sum();
    assert!(bytes < SIZE * 105 / 100, "{bytes} bytes");
}

#[test]
fn change_on_top_of_an_incomplete_screen_costs_no_second_screen() {
    for seed in 0..20 {
        let mut world = world(seed, 0.0, false);
        world.faults.loss = 0.3;
        let before = world.sides[1].datagrams.len();
        world.write(0, 1);
        world.run_until(Duration::from_secs(5), |w| w.sides[1].datagrams.len() > before + 5);
        world.faults.loss = 0.0;
        world.echo_size = None;
        for _ in 0..10 {
            world.write(0, 1);
            world.run(Duration::from_millis(20));
        }
        world.run_until(Duration::from_secs(5), World::is_settled).expect("settled");
        let bytes: usize = world.sides[1].datagrams[before..].iter().map(|(_, size)| size).sum();
        assert!(bytes < SIZE * 2, "seed {seed}: {bytes} bytes");
    }
}

/// Bytes of a full coloured screen of 200 x 60, compressed.
const SIZE: usize = 30_000;

/// Median and 99th percentile from a key to the whole screen that it causes.
fn screens(loss: f64, is_known: bool) -> (Duration, Duration) {
    let mut all = Vec::new();
    for seed in 0..200 {
        let mut world = world(seed, loss, is_known);
        let start = world.now;
        let seen = world.sides[0].seen.len();
        world.write(0, 1);
        world
            .run_until(Duration::from_secs(20), |w| w.sides[0].seen.len() > seen)
            .unwrap_or_else(|| panic!("seed {seed}"));
        assert_eq!(world.sides[0].endpoint.received(DOC).0.len(), SIZE);
        assert_eq!(world.sides[1].streams_count, 0);
        all.push(world.now - start);
    }
    all.sort_unstable();
    let (median, tail) = (all[all.len() / 2], all[all.len() * 99 / 100]);
    println!("{loss} known {is_known}: median {median:?}, p99 {tail:?}, worst {:?}", all.last());
    (median, tail)
}

/// After some keys, so that the round trip is known, and the loss or not.
fn world(seed: u64, loss: f64, is_known: bool) -> World {
    let mut world = World::new(seed, Faults::none(DELAY));
    world.echo_after = Some(Duration::ZERO);
    for n in 0..60 {
        if n == 20 && is_known {
            world.faults.loss = loss;
        }
        world.write(0, 1);
        world.run(Duration::from_millis(200));
    }
    world.run_until(Duration::from_secs(20), World::is_settled).expect("settled");
    world.faults.loss = loss;
    world.echo_size = Some(SIZE);
    world
}
