//! `tern-bench networks`: Tern, mosh and ssh side by side on bad networks, with real packets.
//!
//! The bad path lies between the host (`h`) and the person who types (`r`): a key goes r → h and its
//! echo h → r. Tern's relay is beside the person, or, for `tern join`, beside the host. Each system has
//! a network of its own, all described alike and measured at the same time.

mod bytes;
mod echo;
mod fairness;
mod interrupt;
mod place;
mod restart;
mod roam;
mod screen;
pub(crate) mod stage;
mod startup;
pub(crate) mod system;
mod timeline;
mod typist;

use crate::plot;
use crate::report::machine;
use crate::table::{Figure, Table, Target};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use system::{Outcome, System};

/// Arguments of `tern-bench networks`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure; all, if none is named
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Which systems
    #[arg(long, value_delimiter = ',')]
    systems: Vec<Name>,
    /// Gets plots: echoes.svg and timeline.svg
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    /// Few repetitions: to see whether it works
    #[arg(long)]
    quick: bool,
    /// Every chance of the networks is drawn from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Gets a log of single packets for each row and system
    #[arg(long, value_name = "FOLDER")]
    packets: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Row {
    /// Key to echo without loss
    Echo,
    /// Key to echo with 29 % loss each way
    Loss,
    /// A full new coloured screen, with 10 % and 29 % loss
    Screen,
    /// Address change and NAT rebinding
    Roam,
    /// Return from outages of 10 s and 60 s
    Outage,
    /// The relay is killed and starts again
    Restart,
    /// Ctrl-C under `yes` on 1 Mbit/s
    Interrupt,
    /// Whole screens and a TCP download, both on 1 Mbit/s
    Fairness,
    /// Bytes from the host: idle, typing, flood
    Bytes,
    /// From `tern` to a join line
    Startup,
    /// A timeline for the plot: an outage, then an address change
    Timeline,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Tern,
    Join,
    Mosh,
    Ssh,
}

/// What rows need to know, and where their figures go.
pub(crate) struct Run {
    /// In the table's order.
    systems: Vec<System>,
    is_quick: bool,
    seed: u64,
    packets: Option<PathBuf>,
    table: Table,
    /// Single times for plots and for who wants more than the table: by row, by system.
    samples: BTreeMap<String, BTreeMap<&'static str, Samples>>,
}

/// Single measurements of a row, in the order in which they were made.
#[derive(Serialize)]
#[serde(untagged)]
enum Samples {
    /// Milliseconds; `None`: never.
    Times(Vec<Option<f64>>),
    /// Keys with their echoes.
    Echoes(Vec<typist::Echo>),
}

impl Run {
    /// `full`, or `quick` if it should be quick.
    fn count<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }

    fn packets(&self, row: &str) -> Option<PathBuf> {
        self.packets.as_deref().map(|folder| folder.join(row))
    }

    fn setting<'a>(&self, program: &'a str, log_folder: Option<&'a Path>) -> stage::Setting<'a> {
        stage::Setting { seed: self.seed, size: crate::pty::SIZE, program, log_folder }
    }

    /// Adds a row of what `figure` makes of each outcome.
    fn add<T>(
        &mut self,
        key: &str,
        title: &str,
        outcomes: &[Outcome<T>],
        target: Target,
        figure: impl Fn(&T) -> f64,
    ) {
        let figures = outcomes.iter().map(|(system, outcome)| {
            let figure = match outcome {
                Ok(value) => figure(value).into(),
                Err(error) => {
                    eprintln!("  {}: {error:#}", system.name());
                    Figure::None("failed".into())
                }
            };
            (system.name(), figure)
        });
        let figures: Vec<_> = figures.collect();
        self.table.add(key, title, figures, target);
    }

    fn keep(&mut self, key: &str, system: System, samples: Samples) {
        self.samples.entry(key.to_owned()).or_default().insert(system.name(), samples);
    }
}

/// Measures what `arguments` ask for; the figures go to `json`.
pub(crate) fn measure(arguments: &Arguments, json: &Path) -> anyhow::Result<()> {
    let is_wanted = |name: Name| arguments.systems.is_empty() || arguments.systems.contains(&name);
    let names = [Name::Tern, Name::Join, Name::Mosh, Name::Ssh];
    let systems = System::ALL.into_iter().zip(names);
    let systems = systems.filter(|(_, name)| is_wanted(*name)).map(|(system, _)| system);
    let systems: Vec<System> = systems.collect();
    system::require_programs(&systems)?;
    let mut run = Run {
        systems,
        is_quick: arguments.quick,
        seed: arguments.seed,
        packets: arguments.packets.clone(),
        table: Table::default(),
        samples: BTreeMap::new(),
    };
    for row in Row::value_variants() {
        if !arguments.rows.is_empty() && !arguments.rows.contains(row) {
            continue;
        }
        match row {
            Row::Echo => echo::without_loss(&mut run),
            Row::Loss => echo::with_loss(&mut run),
            Row::Screen => screen::measure(&mut run),
            Row::Roam => roam::measure(&mut run),
            Row::Outage => roam::outages(&mut run),
            Row::Restart => restart::measure(&mut run),
            Row::Interrupt => interrupt::measure(&mut run),
            Row::Fairness => fairness::measure(&mut run),
            Row::Bytes => bytes::measure(&mut run),
            Row::Startup => startup::measure(&mut run),
            Row::Timeline => timeline::measure(&mut run),
        }
        // A run of many minutes keeps what it has, whatever comes.
        write_json(&run, json)?;
    }
    if let Some(folder) = &arguments.svg {
        plots(&run, folder)?;
    }
    println!("\nfigures: {}", json.display());
    for row in run.table.missed() {
        println!("missed: {}", row.title);
    }
    Ok(())
}

fn write_json(run: &Run, path: &Path) -> anyhow::Result<()> {
    let value = serde_json::json!({
        "machine": machine(),
        "rtt_ms": typist::ms(place::RTT),
        "seed": run.seed,
        "is_quick": run.is_quick,
        "table": run.table,
        "samples": run.samples,
    });
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, format!("{value:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// `echoes.svg` and `timeline.svg`, of what was measured.
fn plots(run: &Run, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let of = |key: &str| {
        let systems = run.samples.get(key).into_iter().flatten();
        systems.filter_map(|(name, samples)| match samples {
            Samples::Echoes(echoes) => Some((*name, echoes.as_slice())),
            Samples::Times(_) => None,
        })
    };
    let times = |echoes: &[typist::Echo]| echoes.iter().map(|echo| echo.delay_ms).collect();
    let curves: Vec<(&str, Vec<Option<f64>>)> =
        of("loss").map(|(name, echoes)| (name, times(echoes))).collect();
    if !curves.is_empty() {
        let title = "Key to echo, 29 % loss each way, 100 ms round trip, no prediction";
        std::fs::write(
            folder.join("echoes.svg"),
            plot::distributions(title, plot::ECHO_MS_MIN, &curves),
        )?;
    }
    let lines: Vec<plot::Line<'_>> = of("timeline")
        .map(|(name, echoes)| {
            let points = echoes.iter().map(|echo| (echo.at_s, echo.delay_ms)).collect();
            plot::Line { name, points }
        })
        .collect();
    if !lines.is_empty() {
        let title = "Key to echo through an outage and a change of address";
        let text = plot::timeline(title, &lines, &timeline::EVENTS);
        std::fs::write(folder.join("timeline.svg"), text)?;
    }
    Ok(())
}
