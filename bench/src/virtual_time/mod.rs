//! `tern-bench virtual`: the same rows as `networks`, as far as they are sync's and QUIC's business,
//! over hundreds of seeds in virtual time.

mod pair;
mod scenes;

use crate::plot;
use crate::report::{machine, quantile};
use crate::table::{Figure, Table, Target};
use anyhow::Context as _;
use clap::Args;
use scenes::{Case, RTT, Times};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments of `tern-bench virtual`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Seeds, from 0 on: each is a run of its own of every row
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed, to run one again
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Rows whose names contain this; all, if nothing is given
    #[arg(long, default_value = "")]
    only: String,
    /// Gets a line for each datagram and event of the last seed played
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Gets a plot: virtual-echoes.svg
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
}

/// A scene's times over all seeds, in milliseconds.
#[derive(Serialize)]
struct Distribution {
    times_ms: Vec<Option<f64>>,
    /// The seed of the worst time: where to look first.
    worst_seed: u64,
}

/// What is asked of a distribution: row's name, title, share, target in round trips.
type Question = (&'static str, &'static str, f64, Target);

/// Plays all scenes over all seeds; the figures go to `json`.
pub(crate) fn measure(arguments: &Arguments, json: &Path) -> anyhow::Result<()> {
    let mut table = Table::default();
    let mut kept = BTreeMap::new();
    for (name, scene, questions) in scenes() {
        if !name.contains(&arguments.only) {
            continue;
        }
        let found = distribution(arguments, scene).with_context(|| name.to_owned())?;
        let times: Vec<f64> =
            found.times_ms.iter().map(|time| time.unwrap_or(f64::INFINITY)).collect();
        for (key, title, share, target) in questions {
            let figure = Figure::from(quantile(&times, share) / (RTT.as_secs_f64() * 1e3));
            table.add(key, title, [("Tern", figure)], target);
        }
        println!("    {} times, worst in seed {}", times.len(), found.worst_seed);
        kept.insert(name, found);
    }
    if "idle".contains(&arguments.only) {
        let kb = scenes::idle_hour(&Case { seed: arguments.first_seed, trace: None })?;
        let title = "bytes from the host: idle hour, kB";
        table.add("idle_hour", title, [("Tern", kb.into())], Target::AtMost(100.0));
    }
    write(arguments, &table, &kept, json)
}

type Scene = fn(&Case<'_>) -> anyhow::Result<Times>;

fn scenes() -> Vec<(&'static str, Scene, Vec<Question>)> {
    use Target::{AtMost, Informative};
    let outage_10: Scene = |case| scenes::outage(case, 10);
    let outage_60: Scene = |case| scenes::outage(case, 60);
    let outage_3600: Scene = |case| scenes::outage(case, 3600);
    let screen_10: Scene = |case| scenes::screens(case, 10.0);
    let screen_29: Scene = |case| scenes::screens(case, 29.0);
    vec![
        (
            "loss",
            scenes::loss as Scene,
            vec![
                ("loss_p50", "echo, 29 % loss, 5 keys/s: median, RTT", 0.5, AtMost(1.1)),
                ("loss_p90", "echo, 29 % loss, 5 keys/s: p90, RTT", 0.9, Informative),
                ("loss_p99", "echo, 29 % loss, 5 keys/s: p99, RTT", 0.99, AtMost(2.2)),
                ("loss_max", "echo, 29 % loss, 5 keys/s: worst, RTT", 1.0, Informative),
            ],
        ),
        (
            "screen_10",
            screen_10,
            vec![
                ("screen_10_p50", "new 200x60 screen, 10 % loss: median, RTT", 0.5, AtMost(2.5)),
                ("screen_10_p90", "new 200x60 screen, 10 % loss: p90, RTT", 0.9, Informative),
            ],
        ),
        (
            "screen_29",
            screen_29,
            vec![
                ("screen_29_p50", "new 200x60 screen, 29 % loss: median, RTT", 0.5, AtMost(4.0)),
                ("screen_29_p90", "new 200x60 screen, 29 % loss: p90, RTT", 0.9, Informative),
            ],
        ),
        (
            "rebind",
            scenes::rebind as Scene,
            vec![
                ("rebind_p50", "NAT rebinding while typing: median, RTT", 0.5, AtMost(1.3)),
                ("rebind_max", "NAT rebinding while typing: worst, RTT", 1.0, AtMost(2.5)),
            ],
        ),
        (
            "outage_10s",
            outage_10,
            vec![
                ("outage_10s_p50", "return from an outage of 10 s: median, RTT", 0.5, Informative),
                ("outage_10s_max", "return from an outage of 10 s: worst, RTT", 1.0, AtMost(2.0)),
            ],
        ),
        (
            "outage_60s",
            outage_60,
            vec![
                ("outage_60s_p50", "return from an outage of 60 s: median, RTT", 0.5, Informative),
                ("outage_60s_max", "return from an outage of 60 s: worst, RTT", 1.0, AtMost(2.0)),
            ],
        ),
        (
            "outage_1h",
            outage_3600,
            vec![
                ("outage_1h_p50", "return from an outage of 1 h: median, RTT", 0.5, Informative),
                ("outage_1h_max", "return from an outage of 1 h: worst, RTT", 1.0, AtMost(2.0)),
            ],
        ),
    ]
}

/// All seeds' times, in the seeds' order, whatever thread played them.
fn distribution(arguments: &Arguments, scene: Scene) -> anyhow::Result<Distribution> {
    let (first, end) = (arguments.first_seed, arguments.first_seed + arguments.seeds);
    let next = AtomicU64::new(first);
    let work = || -> anyhow::Result<Vec<(u64, Times)>> {
        let mut found = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(found);
            }
            let is_last = seed + 1 == end;
            let trace = arguments.trace.as_deref().filter(|_| is_last);
            found.push((
                seed,
                scene(&Case { seed, trace }).with_context(|| format!("seed {seed}"))?,
            ));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Vec::new();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let ended = worker.join();
            all.extend(ended.map_err(|_| anyhow::anyhow!("a seed panicked, see above"))??);
        }
        Ok(())
    })?;
    all.sort_by_key(|(seed, _)| *seed);
    let worst =
        |times: &Times| times.iter().map(|time| time.unwrap_or(f64::INFINITY)).fold(0.0, f64::max);
    let worst_seed = all.iter().max_by(|a, b| worst(&a.1).total_cmp(&worst(&b.1)));
    let worst_seed = worst_seed.map_or(first, |(seed, _)| *seed);
    Ok(Distribution {
        times_ms: all.into_iter().flat_map(|(_, times)| times).collect(),
        worst_seed,
    })
}

fn write(
    arguments: &Arguments,
    table: &Table,
    kept: &BTreeMap<&str, Distribution>,
    json: &Path,
) -> anyhow::Result<()> {
    let value = serde_json::json!({
        "machine": machine(),
        "rtt_ms": RTT.as_secs_f64() * 1e3,
        "seeds": [arguments.first_seed, arguments.seeds],
        "table": table,
        "samples": kept,
    });
    if let Some(folder) = json.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(json, format!("{value:#}\n"))?;
    if let Some(folder) = &arguments.svg {
        std::fs::create_dir_all(folder)?;
        let title = "Virtual time, 100 ms round trip: key to echo";
        let curves: Vec<(&str, Vec<Option<f64>>)> =
            kept.iter().map(|(name, found)| (*name, found.times_ms.clone())).collect();
        let plot = plot::distributions(title, plot::ECHO_MS_MIN, &curves);
        std::fs::write(folder.join("virtual-echoes.svg"), plot)?;
    }
    println!("\nfigures: {}", json.display());
    for row in table.missed() {
        println!("missed: {}", row.title);
    }
    Ok(())
}
