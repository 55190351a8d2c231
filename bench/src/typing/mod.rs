//! `tern-bench typing`: `tern join`, mosh and ssh, typed into by people, on five networks.
//!
//! A corpus of typed sessions ([`session`]) is typed into five programs twice: once at this machine,
//! key by key, which is the truth ([`recording`]); then by all systems at once over each network, with
//! real packets, at a person's pace ([`person`]). What the viewers' terminals showed is compared with
//! the truth ([`score`]). With `--replay`, the same sessions are typed in virtual time at Tern's
//! predictor alone ([`mod@replay`]).

mod chat;
mod entry;
mod figures;
mod form;
mod human;
mod person;
pub(crate) mod programs;
mod recording;
mod replay;
mod score;
mod session;
mod stage;
mod view;

use crate::networks::system;
use crate::plot;
use crate::report::machine;
use anyhow::Context as _;
use clap::Args;
use figures::{Figures, HEADS, delays};
use programs::Program;
use recording::Recording;
use replay::PATHS;
use score::Fate;
use serde_json::{Map, Value, json};
use stage::{PLACES, Place, Stage, System};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tern_client::core::prediction::display::Mode;
use tern_tests::World;

/// Keys of a full run, and of a quick one; and how long a pause may be in each.
const KEYS: (usize, usize) = (5_200, 1_000);
const PAUSE_MAX: (Duration, Duration) = (Duration::from_millis(1200), Duration::from_millis(500));
/// Systems that are typed into at once where each has a download beside it. All of them together keep
/// two cores busy with packets, and keys wait for the processor then.
const DOWNLOADS_MAX: usize = 2;
/// Where the axis of the plots begins, in milliseconds.
const PLOT_MS_MIN: f64 = 0.2;

/// Arguments of `tern-bench typing`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Networks (lan, wifi, lossy, lte, satellite); all, if none is named
    #[arg(long, value_delimiter = ',')]
    networks: Vec<String>,
    /// Programs; all, if none is named
    #[arg(long, value_delimiter = ',')]
    programs: Vec<Program>,
    /// Gets a plot for each network: typing-NETWORK.svg
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    /// A thousand keys, short pauses: some minutes
    #[arg(long)]
    quick: bool,
    /// The sessions and every chance of the networks are drawn from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// In virtual time, over so many seeds, Tern's predictor alone
    #[arg(long, value_name = "SEEDS")]
    replay: Option<u64>,
    /// Tell of each key that was shown wrong, or late
    #[arg(long)]
    explain: bool,
}

/// What came of all keys of one system on one network, by program.
type Fates = Vec<(Program, Vec<Fate>)>;

/// Measures; the figures go to `json`.
pub(crate) fn measure(arguments: &Arguments, json: &Path) -> anyhow::Result<()> {
    let is_real = arguments.replay.is_none();
    if is_real {
        system::require_programs(&[system::System::Mosh, system::System::Ssh])?;
    }
    let recordings = record(arguments)?;
    println!("{:24}{:12}{HEADS}", "", "");
    let mut sections = Map::new();
    match arguments.replay {
        Some(seeds) => {
            for path in PATHS.iter().filter(|path| is_wanted(arguments, path.name)) {
                let fates = replay_all(arguments, &recordings, *path, seeds);
                sections.insert(
                    path.name.into(),
                    json!({ "tern join": section(path.name, "tern join", &fates) }),
                );
            }
        }
        None => {
            for place in PLACES.iter().filter(|place| is_wanted(arguments, place.key)) {
                let all = type_over(arguments, &recordings, place);
                let systems: Map<String, Value> = all
                    .iter()
                    .map(|(system, fates)| {
                        (system.name().to_owned(), section(place.title, system.name(), fates))
                    })
                    .collect();
                sections.insert(place.key.into(), Value::Object(systems));
                // A run of many minutes keeps what it has.
                write_json(arguments, &sections, json)?;
                if let Some(folder) = &arguments.svg {
                    draw(folder, place, &all)?;
                }
            }
        }
    }
    write_json(arguments, &sections, json)?;
    println!("\nfigures: {}", json.display());
    Ok(())
}

fn is_wanted(arguments: &Arguments, network: &str) -> bool {
    arguments.networks.is_empty() || arguments.networks.iter().any(|name| name == network)
}

/// The truth of each session, all recorded at once.
fn record(arguments: &Arguments) -> anyhow::Result<Vec<Recording>> {
    let world = World::new();
    let total = if arguments.quick { KEYS.1 } else { KEYS.0 };
    let corpus = session::corpus(arguments.seed, total);
    let corpus = corpus.into_iter().filter(|(program, _)| {
        arguments.programs.is_empty() || arguments.programs.contains(program)
    });
    std::thread::scope(|scope| {
        let world = &world;
        let running: Vec<_> = corpus
            .map(|(program, keys)| scope.spawn(move || Recording::make(world, program, keys)))
            .collect();
        let ended = || anyhow::anyhow!("panicked; its message is above");
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(ended()))).collect()
    })
}

/// All systems over one network, at once as far as the machine carries their packets; what can't be
/// measured says why.
fn type_over(
    arguments: &Arguments,
    recordings: &[Recording],
    place: &Place,
) -> Vec<(System, Fates)> {
    let run = |system| type_by(arguments, recordings, place, system);
    let at_once = if place.has_download { DOWNLOADS_MAX } else { System::ALL.len() };
    let mut all = Vec::new();
    for systems in System::ALL.chunks(at_once) {
        std::thread::scope(|scope| {
            let running: Vec<_> =
                systems.iter().map(|system| (*system, scope.spawn(|| run(*system)))).collect();
            for (system, thread) in running {
                match thread.join() {
                    Ok(Ok(fates)) => all.push((system, fates)),
                    Ok(Err(error)) => eprintln!("  {}: {error:#}", system.name()),
                    Err(_) => eprintln!("  {}: panicked; its message is above", system.name()),
                }
            }
        });
    }
    all
}

fn type_by(
    arguments: &Arguments,
    recordings: &[Recording],
    place: &Place,
    system: System,
) -> anyhow::Result<Fates> {
    let programs: Vec<Program> = recordings.iter().map(|recording| recording.program).collect();
    let mut stage = Stage::start(system, place, arguments.seed, &programs)?;
    let rows = stage.rows;
    let pause_max = if arguments.quick { PAUSE_MAX.1 } else { PAUSE_MAX.0 };
    std::thread::scope(|scope| {
        let people = stage.people.iter_mut().zip(recordings);
        let running: Vec<_> = people
            .map(|((program, pty), recording)| {
                let session = move || person::type_session(pty, rows, recording, place, pause_max);
                (*program, scope.spawn(session))
            })
            .collect();
        let mut fates = Vec::new();
        for (program, thread) in running {
            let ended = || anyhow::anyhow!("panicked; its message is above");
            let (found, notes) = thread.join().unwrap_or_else(|_| Err(ended()))?;
            if arguments.explain {
                notes
                    .iter()
                    .for_each(|text| println!("  {} {}: {text}", system.name(), program.name()));
            }
            fates.push((program, found));
        }
        Ok(fates)
    })
}

fn replay_all(
    arguments: &Arguments,
    recordings: &[Recording],
    path: replay::Path,
    seeds: u64,
) -> Fates {
    let mut all = Vec::new();
    for recording in recordings {
        let mut fates = Vec::new();
        for seed in 0..seeds {
            let (found, notes) = replay::replay(recording, path, Mode::Adaptive, seed);
            if arguments.explain {
                notes.iter().for_each(|text| {
                    println!("  {} seed {seed}: {text}", recording.program.name())
                });
            }
            fates.extend(found);
        }
        all.push((recording.program, fates));
    }
    all
}

/// Prints a system's figures, and gives them with the single times.
fn section(place: &str, system: &str, fates: &Fates) -> Value {
    let all = || fates.iter().flat_map(|(_, fates)| fates);
    let figures = Figures::of(all());
    println!("{place:36.36}{system:12}{}", figures.cells());
    let programs: Map<String, Value> = fates
        .iter()
        .map(|(program, fates)| {
            let figures = Figures::of(fates.iter());
            println!("{:36}  {:10}{}", "", program.name(), figures.cells());
            (program.name().to_owned(), json!(figures))
        })
        .collect();
    json!({ "all": figures, "programs": programs, "echoed_ms": delays(all()) })
}

fn write_json(
    arguments: &Arguments,
    sections: &Map<String, Value>,
    path: &Path,
) -> anyhow::Result<()> {
    let value = json!({
        "machine": machine(),
        "seed": arguments.seed,
        "is_quick": arguments.quick,
        "is_virtual": arguments.replay.is_some(),
        "networks": sections,
    });
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, format!("{value:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn draw(folder: &Path, place: &Place, all: &[(System, Fates)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let curves: Vec<(&str, Vec<Option<f64>>)> = all
        .iter()
        .map(|(system, fates)| {
            let echoed = fates.iter().flat_map(|(_, fates)| fates).filter(|fate| fate.is_echoed);
            let times = echoed.map(|fate| fate.delay.map(|delay| delay.as_secs_f64() * 1000.0));
            (system.name(), times.collect())
        })
        .collect();
    let title = format!("Key to glass: {}", place.title);
    let path = folder.join(format!("typing-{}.svg", place.key));
    Ok(std::fs::write(path, plot::distributions(&title, PLOT_MS_MIN, &curves))?)
}
