//! Sharing in virtual time over simulated networks: what must hold after any faults, and how long
//! echoes and returns take.
//!
//! `TERN_SEEDS=5000` plays so many random scenarios instead of [`SEEDS_DEFAULT`], `TERN_SEED=17` one,
//! and tells what happened in it if it fails.

use netsim::Rate;
use std::time::Duration;
use tern_tests::simulated::random::Plan;
use tern_tests::simulated::times::{
    echo_times, idle_hour, in_parallel, lossy_path, outage, quantile, return_times,
};
use tern_tests::simulated::{Printing, Scenario, path};

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(100);
/// So many random scenarios are played unless the environment says otherwise.
const SEEDS_DEFAULT: u64 = 100;

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let runs = |seed| {
        let calm = Scenario::typing(path(RTT / 2), seed, 20).run();
        let rough = Plan::draw(seed).scenario().run();
        assert_eq!((calm.violations, rough.violations), (vec![], vec![]));
        (calm.digest, rough.digest)
    };
    for seed in 1..4 {
        let (first, second, other) = (runs(seed), runs(seed), runs(seed + 10));
        assert_eq!(first, second, "seed {seed}");
        assert!(first.0 != other.0 && first.1 != other.1);
    }
}

#[test]
fn after_any_faults_both_are_in_step_and_nothing_wrong_was_shown_or_typed() {
    let only = number("TERN_SEED");
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..number("TERN_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    let failed = in_parallel(seeds, |seed| Plan::draw(seed).play().err().map(|_| seed));
    let failed: Vec<u64> = failed.into_iter().flatten().collect();
    let Some(&seed) = failed.first() else { return };
    let plan = Plan::draw(seed).shrunk();
    let error = plan.play().err().unwrap_or_default();
    let story = only.map(|_| Scenario { is_told: true, ..plan.scenario() }.run().story);
    panic!(
        "seeds {failed:?} fail; TERN_SEED={seed} plays the first and tells its story; this much of \
         it suffices:\n{plan}\n{error}\n{}",
        story.unwrap_or_default()
    );
}

/// A relay that was restarted forgot the host's states and said so, and the word was lost: then it
/// took the host for one that it knew.
#[test]
fn scenarios_that_failed_once_pass() {
    for seed in [355, 1360, 2099] {
        if let Err(error) = Plan::draw(seed).play() {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn echo_without_loss_takes_a_round_trip() {
    let times = echo_times(&path(RTT / 2), 0..2, 200);
    assert!(quantile(&times, 0.5) <= RTT + 3 * MS, "{}", summary(&times));
    assert!(quantile(&times, 0.99) <= RTT + 8 * MS, "{}", summary(&times));
}

#[test]
fn idle_hour_takes_less_than_100_kb_each_way() {
    let (up, down) = idle_hour(RTT / 2, 1);
    assert!(up < 100_000 && down < 100_000, "{up} up, {down} down");
}

/// Half of all echoes lose a packet on the way there or back: copies spare them the wait.
#[test]
fn echo_with_29_percent_loss_each_way_takes_few_round_trips() {
    let times = echo_times(&lossy_path(RTT / 2, 29.0), 0..10, 200);
    assert!(quantile(&times, 0.5) <= 11 * RTT / 10, "{}", summary(&times));
    assert!(quantile(&times, 0.99) <= 22 * RTT / 10, "{}", summary(&times));
}

/// The host's next probe finds the path, and brings the relay to send what waits, also after an hour,
/// when the relay's own probes are a second apart.
#[test]
fn return_from_an_outage_takes_two_round_trips() {
    for (length, seeds) in [(10, 0..40), (60, 0..20), (60, 67..68), (3600, 0..1)] {
        let times = return_times(RTT / 2, Duration::from_secs(length), seeds);
        assert!(quantile(&times, 1.0) <= 2 * RTT, "{length} s: {}", summary(&times));
    }
}

/// A connection that is made in the moment in which the path returns must not take the session from
/// the link, which is ready a round trip sooner: in seed 9 it did, and the return took 2.7. An
/// acknowledgement of something older must not shut the valve: in seed 187 it did, and it took 3.6.
#[test]
fn return_after_an_hour_is_not_delayed_by_what_is_older_or_newer() {
    for seed in [9, 187] {
        let times = return_times(RTT / 2, Duration::from_secs(3600), seed..seed + 1);
        assert!(times[0] <= 2 * RTT, "seed {seed}: {}", summary(&times));
    }
}

/// By then the relay has let the connection go, and only knows the host again by its ticket.
#[test]
fn night_without_a_network_is_a_longer_outage() {
    let times = return_times(RTT / 2, Duration::from_secs(8 * 3600), 3..5);
    assert!(times.iter().all(|time| *time <= 6 * RTT), "{}", summary(&times));
}

/// Reno fills the queue, which is what it does; keys and frames wait in it, half a second here. Tern,
/// which lets none stand, must get most of what it would take alone, and leave the rest to the other.
/// (Measured over 60 s: 82 % of what it takes alone; the transfer has 91 % of the line, and beside a
/// flood of lines, whose frames are small, 98 %.)
#[test]
fn redraws_and_a_download_over_one_bottleneck_starve_neither() {
    let (from, until) = (Duration::from_secs(5), Duration::from_secs(35));
    let queue_time = Duration::from_millis(512);
    let redraws = (0..).map(|count| from + count * 250 * MS).take_while(|at| *at < until);
    let redraws: Vec<_> = redraws.map(|at| (at, Printing::Redraw)).collect();
    let play = |download| {
        let mut network = path(RTT / 2);
        for link in network.links.iter_mut().filter(|link| link.name == "dsl") {
            *link = link.clone().rate(Rate::mbit(1)).queue(64_000);
        }
        let printing = redraws.clone();
        let outcome = Scenario { printing, download, ..Scenario::typing(network, 1, 150) }.run();
        assert_eq!(outcome.violations, Vec::<String>::new());
        let dsl = outcome.stats.links.iter().find(|link| link.link == "dsl").expect("a link");
        let times = outcome.echoes.iter().map(|echo| echo.time().unwrap_or(Duration::MAX));
        (dsl.up.delivered_bytes, outcome.downloaded, times.collect::<Vec<_>>())
    };
    let (alone, _, _) = play(None);
    let (all, downloaded, times) = play(Some(from..until));
    let own = all - downloaded;
    assert!(own >= alone / 2, "{own} bytes beside a download, {alone} alone");
    assert!(downloaded >= all * 8 / 10, "{downloaded} bytes downloaded of {all}");
    let median = quantile(&times, 0.5);
    assert!(median <= 2 * (RTT + queue_time), "{}", summary(&times));
    assert!(quantile(&times, 0.99) <= 4 * (RTT + queue_time), "{}", summary(&times));
}

/// `TERN_SEEDS=200` for the whole distributions.
#[test]
#[ignore = "prints distributions; fails never"]
fn measure_echoes() {
    let seeds = number("TERN_SEEDS").unwrap_or(20);
    for percent in [0.0, 1.0, 5.0, 10.0, 29.0] {
        let times = echo_times(&lossy_path(RTT / 2, percent), 0..seeds, 200);
        println!("echo, {percent} % loss each way: {}", summary(&times));
    }
    println!("idle hour: {:?} bytes (up, down)", idle_hour(RTT / 2, 1));
}

/// The same.
#[test]
#[ignore = "prints distributions; fails never"]
fn measure_returns() {
    let seeds = number("TERN_SEEDS").unwrap_or(20);
    for length in [10, 60, 3600] {
        let times = return_times(RTT / 2, Duration::from_secs(length), 0..seeds);
        let worst = (0..seeds).zip(&times).max_by_key(|(_, time)| **time);
        println!("return after {length} s: {}; worst: seed {worst:?}", summary(&times));
    }
}

/// `TERN_SEED=3 TERN_OUTAGE=10` tells of a return, without an outage of echoes under loss.
#[test]
#[ignore = "prints a story; fails never"]
fn tell() {
    let seed = number("TERN_SEED").unwrap_or(1);
    let scenario = match number("TERN_OUTAGE") {
        Some(seconds) => outage(RTT / 2, Duration::from_secs(seconds), seed),
        None => Scenario::typing(lossy_path(RTT / 2, 29.0), seed, 200),
    };
    let outcome = Scenario { is_told: true, ..scenario }.run();
    println!("{}\nsettled {:?}; {}", outcome.story, outcome.settled, outcome.standing);
}

fn summary(times: &[Duration]) -> String {
    let part = |part| quantile(times, part).as_secs_f64() / RTT.as_secs_f64();
    format!(
        "{} times; in round trips: median {:.2}, p90 {:.2}, p99 {:.2}, worst {:.2}",
        times.len(),
        part(0.5),
        part(0.9),
        part(0.99),
        part(1.0)
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
