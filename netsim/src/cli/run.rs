//! `netsim run` and `netsim shell`.

use std::collections::BTreeMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

use netsim::real::{Lab, LabOptions, LabStats, control};
use netsim::{Action, Description};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;

use super::{FAILED, Failure, NetworkArgs, load};

/// News that wait for the main thread; whoever has more waits too.
const NEWS_MAX: usize = 64;

/// What the main thread waits for.
enum News {
    MainEnded(ExitStatus),
    Event(Action),
    Ended(Signal),
    Stop,
}

pub(super) fn run(args: &NetworkArgs, command: &[String]) -> Result<ExitCode, Failure> {
    let description = load(&args.network, &args.also)?;
    let host = main_host(args, &description)?;
    // Before any thread starts: all inherit that signals wait for the one that reads them.
    let signals = block_signals().map_err(|error| format!("blocking signals: {error}"))?;
    let options = LabOptions {
        seed: args.seed,
        log_folder: args.log.clone(),
        is_without_timetable: args.no_timetable,
    };
    let lab = Arc::new(Lab::new(&description, &options).map_err(|error| error.to_string())?);
    let (sender, news) = mpsc::sync_channel(NEWS_MAX);
    let played = watch(args, &lab, signals, &sender, !command.is_empty())
        .and_then(|()| play(args, command, &host, &lab, (sender, news)));
    if let Some(path) = &args.control {
        // It may never have been made.
        drop(std::fs::remove_file(path));
    }
    // Statistics are of the time in which programs ran: taken before they are ended.
    let stats = lab.stats();
    drop(lab);
    let code = played?;
    report(args, &stats.map_err(|error| error.to_string())?)?;
    Ok(code)
}

/// Sets up all that sends news.
fn watch(
    args: &NetworkArgs,
    lab: &Arc<Lab>,
    signals: SignalFd,
    sender: &SyncSender<News>,
    has_main: bool,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("starting a thread: {error}");
    let to_main = sender.clone();
    in_thread(move || {
        while let Ok(Some(info)) = signals.read_signal() {
            // What the terminal sends (Ctrl-C) goes to the program too; it decides what it means.
            let is_from_terminal = info.ssi_code == SI_KERNEL;
            let signal = Signal::try_from(info.ssi_signo as i32).unwrap_or(Signal::SIGTERM);
            let is_programs = is_from_terminal && has_main && signal != Signal::SIGHUP;
            if !is_programs && to_main.send(News::Ended(signal)).is_err() {
                return;
            }
        }
    })
    .map_err(failed)?;
    let (events, to_main, is_verbose) = (lab.subscribe(), sender.clone(), args.verbose);
    in_thread(move || {
        for (at, action) in events {
            if is_verbose {
                eprintln!("netsim: {:.3} {action}", at.as_secs_f64());
            }
            drop(to_main.send(News::Event(action)));
        }
    })
    .map_err(failed)?;
    let Some(path) = &args.control else { return Ok(()) };
    let (stop, stopped) = mpsc::sync_channel(1);
    control::serve(path, Arc::downgrade(lab), stop)
        .map_err(|error| format!("control socket {}: {error}", path.display()))?;
    let to_main = sender.clone();
    in_thread(move || {
        if stopped.recv().is_ok() {
            drop(to_main.send(News::Stop));
        }
    })
    .map_err(failed)
}

/// Linux's `si_code` of signals that the kernel sends: from the terminal, for one.
const SI_KERNEL: i32 = 0x80;

/// Starts time and programs, and waits for the end.
fn play(
    args: &NetworkArgs,
    command: &[String],
    host: &str,
    lab: &Lab,
    (sender, news): (SyncSender<News>, Receiver<News>),
) -> Result<ExitCode, Failure> {
    lab.start();
    for pair in args.on.chunks_exact(2) {
        start_beside(lab, &pair[0], &pair[1])?;
    }
    if let [program, arguments @ ..] = command {
        let mut main = Command::new(program);
        main.args(arguments).env("NETSIM_HOST", host);
        let started = lab.spawn(host, main);
        let mut main = started.map_err(|error| format!("starting {program}: {error}"))?;
        in_thread(move || {
            if let Ok(status) = main.wait() {
                drop(sender.send(News::MainEnded(status)));
            }
        })
        .map_err(|error| format!("starting a thread: {error}"))?;
    }
    let on_signal: BTreeMap<&String, &String> =
        args.on_signal.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect();
    for each in news {
        match each {
            News::MainEnded(status) => {
                let code = status.code().or(status.signal().map(|signal| 128 + signal));
                return Ok(ExitCode::from(code.map_or(FAILED, |code| code as u8)));
            }
            News::Ended(signal) => return Ok(ExitCode::from(128 + signal as u8)),
            News::Stop => return Ok(ExitCode::SUCCESS),
            News::Event(Action::Run { host, command }) => start_beside(lab, &host, &command)?,
            News::Event(Action::Signal(name)) => {
                if let Some(command) = on_signal.get(&name) {
                    start_outside(command)?;
                }
            }
            // The network's own: done already.
            News::Event(
                Action::Down { .. }
                | Action::Up { .. }
                | Action::Address { .. }
                | Action::Rebind { .. }
                | Action::Set { .. },
            ) => {}
        }
    }
    Err("nothing is left to wait for".to_owned())
}

/// A program beside the main one: it has no terminal to read from, and isn't in its foreground.
fn start_beside(lab: &Lab, host: &str, command: &str) -> Result<(), Failure> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("NETSIM_HOST", host).stdin(Stdio::null()).process_group(0);
    let failed = |error: std::io::Error| format!("starting \"{command}\" on {host}: {error}");
    let mut child = lab.spawn(host, shell).map_err(failed)?;
    // So that it leaves no zombie.
    in_thread(move || drop(child.wait())).map_err(failed)
}

fn start_outside(command: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("starting \"{command}\": {error}");
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).process_group(0);
    let mut child = shell.spawn().map_err(failed)?;
    in_thread(move || drop(child.wait())).map_err(failed)
}

fn report(args: &NetworkArgs, stats: &LabStats) -> Result<(), Failure> {
    if let Some(path) = &args.stats {
        let json = serde_json::to_string_pretty(stats).map_err(|error| error.to_string())?;
        std::fs::write(path, json + "\n")
            .map_err(|error| format!("{}: {error}", path.display()))?;
    } else if !args.quiet {
        eprint!("netsim: after {:.3} s\n{}", stats.elapsed_ms as f64 / 1e3, stats.network);
        eprintln!("simulator's own lateness: {}", stats.lateness);
        if stats.write_errors > 0 {
            eprintln!("{} packets were not taken by their host", stats.write_errors);
        }
    }
    Ok(())
}

fn main_host(args: &NetworkArgs, description: &Description) -> Result<String, Failure> {
    let all = &description.hosts;
    let known = |name: &String| {
        let unknown = || format!("no host \"{name}\"; there are: {}", all.join(", "));
        if all.contains(name) { Ok(()) } else { Err(unknown()) }
    };
    args.on.chunks_exact(2).try_for_each(|pair| known(&pair[0]))?;
    match (&args.host, all.first()) {
        (Some(host), _) => known(host).map(|()| host.clone()),
        (None, Some(first)) => Ok(first.clone()),
        (None, None) => Err("the network has no host".to_owned()),
    }
}

fn block_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::new(&set)
}

fn in_thread(run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(run).map(drop)
}
