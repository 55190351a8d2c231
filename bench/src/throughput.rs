//! `cat` of a large file: in a shared session with a viewer, and in the same tmux unshared.

use crate::pty::{Pty, wait_until};
use crate::report::{Report, quantile};
use crate::sharing::{Sharing, plain_tmux};
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use tern_tests::{Relay, World};

/// Cats a file of `megabytes` in each, `rounds` times in turn, and reports MB/s.
pub(crate) fn measure(report: &mut Report, megabytes: usize, rounds: usize) -> anyhow::Result<()> {
    let world = World::new();
    let relay = Relay::start(&world);
    let file = world.folder().join("large.txt");
    write_text(&file, megabytes * 1_000_000)?;

    let (mut plain, socket, home) = plain_tmux(&world)?;
    plain.wait_for("$ ")?;
    let mut sharing = Sharing::over(&world, &relay, &[])?;
    sharing.terminal.wait_for("$ ")?;
    let viewer = sharing.join()?;
    viewer.wait_for("$")?;

    let (plain_server, shared_server) = (server_pid(&socket)?, server_pid(&sharing.socket())?);
    let mut alone = Rounds::new("tmux alone", plain_server, home.join("work"));
    let mut shared = Rounds::new("tern with a viewer", shared_server, sharing.folder());
    for round in 0..rounds {
        // In turn first and second, or a machine that slows down would favour one.
        if round % 2 == 0 {
            alone.run(&mut plain, &file)?;
            shared.run(&mut sharing.terminal, &file)?;
        } else {
            shared.run(&mut sharing.terminal, &file)?;
            alone.run(&mut plain, &file)?;
        }
    }
    let size = megabytes as f64;
    let lines = [alone.line(size, &alone), shared.line(size, &alone)];
    let title = format!("cat of {megabytes} MB (target: ratio 0.95)");
    report.add("throughput", &title, &lines);
    Ok(())
}

/// What the rounds of one of both took.
struct Rounds {
    name: &'static str,
    /// Its tmux server.
    server: u32,
    /// Where its shell is.
    folder: PathBuf,
    /// Seconds by the clock.
    times: Vec<f64>,
    /// Seconds of CPU that its tmux server took. These hardly swing with what else the machine does.
    server_times: Vec<f64>,
}

impl Rounds {
    fn new(name: &'static str, server: u32, folder: PathBuf) -> Self {
        Self { name, server, folder, times: Vec::new(), server_times: Vec::new() }
    }

    fn run(&mut self, pty: &mut Pty, file: &Path) -> anyhow::Result<()> {
        let before = cpu_time(self.server)?;
        let done = self.folder.join(format!("done{}", self.times.len()));
        self.times.push(time_of_cat(pty, file, &done)?);
        self.server_times.push(cpu_time(self.server)? - before);
        Ok(())
    }

    /// Its line of the table; each round is compared with its neighbour of `base`, since the
    /// machine's speed changes from second to second.
    fn line(&self, size: f64, base: &Self) -> (String, Vec<(&'static str, f64)>) {
        let ratio = |times: &[f64], base: &[f64]| {
            let ratios: Vec<f64> = times.iter().zip(base).map(|(time, base)| base / time).collect();
            quantile(&ratios, 0.5)
        };
        let rates: Vec<f64> = self.times.iter().map(|time| size / time).collect();
        let columns = vec![
            ("median MB/s", quantile(&rates, 0.5)),
            ("least MB/s", quantile(&rates, 0.0)),
            ("most MB/s", quantile(&rates, 1.0)),
            ("ratio", ratio(&self.times, &base.times)),
            ("server CPU s", quantile(&self.server_times, 0.5)),
            ("ratio of CPU", ratio(&self.server_times, &base.server_times)),
        ];
        (self.name.to_owned(), columns)
    }
}

fn server_pid(socket: &Path) -> anyhow::Result<u32> {
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).args(["display-message", "-p", "#{pid}"]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("tmux says of its pid {text:?}"))
}

/// Seconds of CPU that a process's first thread took until now (proc(5), `schedstat`).
fn cpu_time(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanos = text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
    nanos.map(|nanos| nanos as f64 / 1e9).with_context(|| format!("schedstat says {text:?}"))
}

/// Seconds that `cat` takes by the shell's own clock.
fn time_of_cat(pty: &mut Pty, file: &Path, done: &Path) -> anyhow::Result<f64> {
    let (file, done) = (file.display(), done.display());
    let line = format!(
        "s=$EPOCHREALTIME; cat {file}; e=$EPOCHREALTIME; echo $s $e >{done}.new; mv {done}.new {done}\n"
    );
    pty.write(line.as_bytes())?;
    let done = done.to_string();
    wait_until("cat is done", || Path::new(&done).exists())?;
    let text = fs::read_to_string(&done)?;
    let times: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match times.as_slice() {
        [start, end] => Ok(end - start),
        _ => anyhow::bail!("the shell's clock says {text:?}"),
    }
}

/// Lines as a log has them: 20 to 100 characters, none like the one before.
fn write_text(path: &Path, size: usize) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut number) = (0, 0_u64);
    while written < size {
        number += 1;
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let filler =
            "the quick brown fox jumps over the lazy dog and does it again, all night long";
        let line = format!("{number:08} {hash:016x} {}\n", &filler[..(hash >> 58) as usize]);
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    Ok(file.flush()?)
}
