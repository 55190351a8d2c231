//! Echo of typed keys over lossy paths, and what redundancy costs.

mod world;

use std::time::{Duration, Instant};
use world::{DOC, Faults, World};

const MS: Duration = Duration::from_millis(1);
/// The host's program answers after this time.
const PROGRAM: Duration = Duration::from_millis(2);
const DELAY: Duration = Duration::from_millis(50);
const RTT: Duration = Duration::from_millis(100);

#[test]
fn echo_at_29_percent_loss_is_as_fast_as_without_mostly() {
    let mut all = Vec::new();
    for seed in 0..40 {
        all.extend(echoes(seed, lossy(0.29, 0.29), 100, true));
    }
    let (median, tail) = (percentile(&mut all, 50.0), percentile(&mut all, 99.0));
    println!("29 %, counted: median {median:?}, p99 {tail:?}, worst {:?}", all.last());
    assert!(median <= RTT * 11 / 10, "{median:?}");
    assert!(tail <= RTT * 22 / 10, "{tail:?}");
}

#[test]
fn echo_at_29_percent_loss_is_fast_though_nothing_counts() {
    let mut all = Vec::new();
    for seed in 0..40 {
        all.extend(echoes(seed, lossy(0.29, 0.29), 100, false));
    }
    let (median, tail) = (percentile(&mut all, 50.0), percentile(&mut all, 99.0));
    println!("29 %, own evidence: median {median:?}, p99 {tail:?}, worst {:?}", all.last());
    assert!(median <= RTT * 12 / 10, "{median:?}");
    assert!(tail <= RTT * 3, "{tail:?}");
}

#[test]
fn echo_in_bursts_of_loss_is_fast() {
    let mut all = Vec::new();
    for seed in 0..40 {
        all.extend(echoes(seed, lossy(0.05, 0.6), 100, true));
    }
    let (median, tail) = (percentile(&mut all, 50.0), percentile(&mut all, 99.0));
    println!("bursts: median {median:?}, p99 {tail:?}, worst {:?}", all.last());
    assert!(median <= RTT * 11 / 10, "{median:?}");
    assert!(tail <= RTT * 3, "{tail:?}");
}

#[test]
fn path_without_loss_carries_nothing_twice() {
    let keys = 100;
    let mut world = typed(1, Faults::none(DELAY), keys, true);
    world.run(Duration::from_secs(1));
    for side in &world.sides {
        // A key or an echo, and an acknowledgement; few heartbeats.
        let count = side.datagrams.len();
        assert!(count <= 2 * keys + 20, "{count} datagrams for {keys} keys");
    }
    let before = world.sides[0].datagrams.len();
    world.write(0, 1);
    world.run(Duration::from_secs(1));
    let bytes: usize = world.sides[0].datagrams[before..].iter().map(|(_, size)| size).sum();
    assert!(bytes <= 60, "{bytes} bytes for a key");
}

#[test]
fn redundancy_ends_with_the_loss() {
    let mut world = typed(1, lossy(0.29, 0.29), 50, true);
    assert!(world.sides[0].endpoint.loss() > 0.1);
    world.faults = Faults::none(DELAY);
    for _ in 0..20 {
        world.write(0, 1);
        world.run(200 * MS);
    }
    world.run(Duration::from_secs(30));
    let before = world.sides[0].datagrams.len();
    world.write(0, 1);
    world.run(150 * MS);
    assert!(world.sides[0].datagrams.len() <= before + 2);
}

#[test]
fn redundancy_at_29_percent_costs_a_few_kilobytes_per_second() {
    let mut world = typed(1, lossy(0.29, 0.29), 50, true);
    let before = world.sides.each_ref().map(|side| side.datagrams.len());
    for _ in 0..50 {
        world.write(0, 1);
        world.run(200 * MS);
    }
    for (side, before) in world.sides.iter().zip(before) {
        let sizes = side.datagrams[before..].iter().map(|(_, size)| size + 57);
        let (count, bytes) = (sizes.len(), sizes.sum::<usize>());
        println!("10 s at 29 %: {count} datagrams, {bytes} bytes with headers");
        assert!(bytes < 10 * 6_000, "{bytes} bytes in ten seconds");
    }
}

fn lossy(loss: f64, burst: f64) -> Faults {
    Faults { loss, burst, ..Faults::none(DELAY) }
}

/// A world in which keys were typed, five per second.
fn typed(seed: u64, faults: Faults, keys: usize, counts: bool) -> World {
    let mut world = World::new(seed, Faults::none(DELAY));
    world.counts = counts;
    world.run(Duration::from_secs(10));
    world.echo_after = Some(PROGRAM);
    world.faults = faults;
    for _ in 0..keys {
        world.write(0, 1);
        world.run(200 * MS);
    }
    world
}

/// The time from each key to its echo, after the path's loss had time to be noticed.
fn echoes(seed: u64, faults: Faults, keys: usize, counts: bool) -> Vec<Duration> {
    let mut world = typed(seed, faults, 40, counts);
    let mut open: Vec<(usize, Instant)> = Vec::new();
    let mut took = Vec::new();
    for _ in 0..keys {
        world.write(0, 1);
        open.push((world.sides[0].written as usize, world.now));
        let end = world.now + 200 * MS;
        while world.now < end {
            let left = end - world.now;
            let seen = world.sides[0].seen.len();
            world.run_until(left, |w| w.sides[0].seen.len() > seen);
            collect(&world, &mut open, &mut took);
        }
    }
    world.run_until(Duration::from_secs(20), |w| {
        w.sides[0].endpoint.received(DOC).0.len() == w.sides[0].written as usize
    });
    collect(&world, &mut open, &mut took);
    assert!(open.is_empty(), "seed {seed}");
    took
}

fn collect(world: &World, open: &mut Vec<(usize, Instant)>, took: &mut Vec<Duration>) {
    let shown = world.sides[0].endpoint.received(DOC).0.len();
    open.retain(|(len, at)| {
        if *len <= shown {
            took.push(world.now - *at - PROGRAM);
        }
        *len > shown
    });
}

fn percentile(all: &mut [Duration], percent: f64) -> Duration {
    all.sort_unstable();
    all[((all.len() - 1) as f64 * percent / 100.0).round() as usize]
}
