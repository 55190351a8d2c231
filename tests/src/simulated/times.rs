//! How long echoes and returns take, over many seeds.

use super::scenario::{Outcome, Scenario};
use super::{HOST, path};
use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::{Action, Description, Probability};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When an outage begins, at the earliest.
const OUTAGE_FROM: Duration = Duration::from_secs(10);
/// And how much later at most: by chance, so that it begins anywhere between two heartbeats.
const OUTAGE_SPREAD: Duration = Duration::from_secs(12);
/// Keys typed within an outage.
const OUTAGE_KEYS: u32 = 3;

/// A [`path`] of which each direction loses so much.
#[must_use]
pub fn lossy_path(delay: Duration, percent: f64) -> Description {
    let mut network = path(delay);
    let loss = Change::Loss(Loss::Independent(Probability::percent(percent)));
    for link in network.links.iter_mut().filter(|link| link.name == "dsl") {
        *link = link.clone().both(loss.clone());
    }
    network
}

/// How long the echoes of `keys` keys take with each of the seeds, typed at 5 per second.
///
/// # Panics
/// If a key is lost or anything else goes wrong.
#[must_use]
pub fn echo_times(network: &Description, seeds: Range<u64>, keys: u32) -> Vec<Duration> {
    let run = |seed| {
        let outcome = Scenario::typing(network.clone(), seed, keys).run();
        check(seed, &outcome);
        let time = |echo: &super::Echo| echo.time().unwrap_or(Duration::MAX);
        outcome.echoes.iter().map(time).collect::<Vec<_>>()
    };
    in_parallel(seeds, run).into_iter().flatten().collect()
}

/// A session that loses its network for `outage`, in which some keys are typed.
#[must_use]
pub fn outage(delay: Duration, outage: Duration, seed: u64) -> Scenario {
    let mut chances = ChaCha8Rng::seed_from_u64(seed);
    let down = OUTAGE_FROM + OUTAGE_SPREAD.mul_f64(chances.random());
    let up = down + outage;
    let network = path(delay).at(down, Action::down("dsl")).at(up, Action::up("dsl"));
    let mut keys: Vec<_> =
        (0..OUTAGE_KEYS).map(|_| down + outage.mul_f64(chances.random())).collect();
    keys.sort();
    let calm_at = up;
    Scenario { keys, calm_at, ..Scenario::typing(network, seed, 0) }
}

/// How long after an outage's end both sides are in step again, with each of the seeds.
///
/// # Panics
/// If they are not in time, a key is lost or anything else goes wrong.
#[must_use]
pub fn return_times(delay: Duration, length: Duration, seeds: Range<u64>) -> Vec<Duration> {
    in_parallel(seeds, |seed| {
        let outcome = outage(delay, length, seed).run();
        check(seed, &outcome);
        outcome.settled.unwrap_or(Duration::MAX)
    })
}

/// Bytes of IP packets that the host and the relay send in an hour in which nothing happens.
///
/// # Panics
/// If anything goes wrong.
#[must_use]
pub fn idle_hour(delay: Duration, seed: u64) -> (u64, u64) {
    // One key, for a host whose screen never changed says nothing at all.
    let scenario = |calm_at| Scenario { calm_at, ..Scenario::typing(path(delay), seed, 1) };
    let sent = |calm_at| {
        let outcome = scenario(calm_at).run();
        check(seed, &outcome);
        let wifi = outcome.stats.links.iter().find(|link| link.link == "wifi");
        let wifi = wifi.unwrap_or_else(|| panic!("{HOST} has a link"));
        (wifi.up.delivered_bytes, wifi.down.delivered_bytes)
    };
    // The beginning isn't part of it.
    let (before, after) = (sent(OUTAGE_FROM), sent(OUTAGE_FROM + Duration::from_secs(3600)));
    (after.0 - before.0, after.1 - before.1)
}

/// The value below which so much of all lie: 0.5 is the median.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len());
    sorted[at - 1]
}

/// Runs each seed on one of the machine's processors; gives the results in the seeds' order.
///
/// # Panics
/// If one of the runs does.
pub fn in_parallel<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut results = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return results;
            }
            results.push((seed, run(seed)));
        }
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|results| results.expect("a run failed; see above")).collect()
    });
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}

fn check(seed: u64, outcome: &Outcome) {
    assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
    assert!(outcome.settled.is_some(), "seed {seed} is stuck: {}", outcome.standing);
}
