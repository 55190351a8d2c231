//! Measures Tern side by side with what people use without it (ssh, tmux alone): in the same run,
//! on the same machine, with the same terminal. Prints a table and writes JSON.
//!
//! ```sh
//! cargo build --release && cargo run --release -p tern-bench -- all
//! ```

mod bytes;
mod chance;
#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod download;
mod glyphs;
mod latency;
mod memory;
#[cfg(target_os = "linux")]
mod networks;
mod plot;
mod pty;
mod report;
mod screens;
mod shaper;
mod sharing;
mod sshd;
mod table;
mod throughput;
#[cfg(target_os = "linux")]
mod typing;
mod virtual_time;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use report::Report;
use std::path::PathBuf;

/// Measures Tern side by side with ssh and with tmux alone.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the figures go, as JSON.
    #[arg(long, global = true, default_value = "target/bench.json")]
    json: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time from a key to its echo: tmux alone, ssh, ssh with tmux, a Tern viewer, a Tern host.
    Latency {
        /// Keys for each of them.
        #[arg(long, default_value_t = 500)]
        keys: u32,
    },
    /// Bytes from host to relay: per typed key, and for a flood of output on a 1 Mbit/s link.
    Bytes {
        /// Keys typed.
        #[arg(long, default_value_t = 200)]
        keys: u32,
        /// Seconds of flood.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// MB/s of `cat` in a shared session with a viewer, against the same tmux unshared.
    Throughput {
        /// Size of the file.
        #[arg(long, default_value_t = 100)]
        megabytes: usize,
        /// Times that each is run, in turn.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
    },
    /// Memory of the relay per idle session, without and with a viewer.
    Memory {
        /// Sessions.
        #[arg(long, default_value_t = 100)]
        sessions: usize,
    },
    /// Tern, mosh and ssh on bad networks with real packets (root): loss, roaming, outages.
    #[cfg(target_os = "linux")]
    Networks(networks::Arguments),
    /// `tern join`, mosh and ssh, typed into by people on five networks (root): what is shown at once,
    /// and what is shown wrong.
    #[cfg(target_os = "linux")]
    Typing(typing::Arguments),
    /// CPU and wake-ups of `tern join` and `mosh-client`: idle, and under `yes`.
    #[cfg(target_os = "linux")]
    Cpu {
        /// Seconds of each.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// Loss, full screens, rebinding and outages over many seeds in virtual time.
    Virtual(virtual_time::Arguments),
    /// All of them but `networks`, `typing` and `cpu`, with their defaults.
    All,
    /// Floods standard output and writes the number of bytes to a file (used by `bytes`).
    #[command(hide = true)]
    Flood {
        /// Gets the count.
        file: PathBuf,
        /// How long.
        seconds: u64,
    },
    /// Waits for Enter and becomes a program that is typed into (used by `typing`).
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Program {
        /// Which.
        program: typing::programs::Program,
        /// Made anew; it runs there.
        folder: PathBuf,
    },
    /// Paints a new screen at each key and writes the times to a file (used by `networks`).
    #[command(hide = true)]
    Paint {
        /// Gets the times.
        log: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let mut report = Report::new();
    match arguments.what {
        What::Latency { keys } => latency::measure(&mut report, keys)?,
        What::Bytes { keys, seconds } => bytes::measure(&mut report, keys, seconds)?,
        What::Throughput { megabytes, rounds } => {
            throughput::measure(&mut report, megabytes, rounds)?;
        }
        #[cfg(target_os = "linux")]
        What::Cpu { seconds } => cpu::measure(&mut report, seconds)?,
        What::Memory { sessions } => memory::measure(&mut report, sessions)?,
        What::All => {
            latency::measure(&mut report, 500)?;
            bytes::measure(&mut report, 200, 10)?;
            throughput::measure(&mut report, 100, 30)?;
            memory::measure(&mut report, 100)?;
        }
        #[cfg(target_os = "linux")]
        What::Networks(arguments) => return networks::measure(&arguments, &json),
        #[cfg(target_os = "linux")]
        What::Typing(arguments) => return typing::measure(&arguments, &json),
        #[cfg(target_os = "linux")]
        What::Program { program, folder } => return program.run(&folder),
        What::Virtual(arguments) => return virtual_time::measure(&arguments, &json),
        What::Paint { log } => return screens::run(&log),
        What::Flood { file, seconds } => return bytes::flood(&file, seconds),
    }
    report.write(&json).with_context(|| format!("cannot write {}", json.display()))?;
    println!("\nfigures: {}", json.display());
    Ok(())
}
