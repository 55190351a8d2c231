//! Processes of one sandbox, found by the mark that they inherit in their environment.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// Environment variable that marks a process as a sandbox's; its value is the sandbox's folder.
pub const MARK: &str = "TERN_TEST_WORLD";

/// A process as `/proc` shows it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its arguments, program first.
    pub args: Vec<String>,
}

impl Process {
    /// File name of the program.
    pub fn name(&self) -> &str {
        self.args.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program))
    }

    /// Whether it shares a session of tmux's.
    pub fn is_agent(&self) -> bool {
        self.name() == "tern" && self.args.iter().any(|argument| argument == "agent")
    }

    /// Number of the process that started it.
    pub fn parent(&self) -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    }

    /// Sends a signal; a process that is already gone is no error.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid, signal);
    }

    /// Whether all of its threads are stopped, as by [`Signal::STOP`].
    pub fn has_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        threads.is_ok_and(|mut threads| {
            threads.all(|thread| {
                let stat = thread.and_then(|thread| fs::read_to_string(thread.path().join("stat")));
                // The state follows the name in brackets (proc(5)).
                stat.is_ok_and(|stat| {
                    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
                })
            })
        })
    }

    /// Time of a processor that it has used so far.
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // In user and in system mode, in hundredths of a second; the 14th and 15th field, of which
        // two are before the bracket (proc(5)).
        let ticks = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2);
        let sum: u64 = ticks.map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(Duration::from_millis(10 * sum))
    }

    /// Whether it still runs (a zombie does not).
    pub fn is_running(&self) -> bool {
        is_running(self.pid)
    }
}

/// Times that any of a process's threads had waited and went on (proc(5), `status`); `None` if it is
/// gone.
pub fn wake_count(pid: i32) -> Option<u64> {
    sum_over_threads(pid, "status", |text| {
        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    })
}

/// CPU time of all of a process's threads (proc(5), `schedstat`); `None` if it is gone.
pub fn cpu_time(pid: i32) -> Option<Duration> {
    let nanos = sum_over_threads(pid, "schedstat", |text| text.split(' ').next()?.parse().ok());
    nanos.map(Duration::from_nanos)
}

fn sum_over_threads(pid: i32, file: &str, read: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.map(|thread| read(&fs::read_to_string(thread.ok()?.path().join(file)).ok()?)).sum()
}

/// Sends a signal; a process that is already gone is no error.
pub fn send_signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process runs (a zombie does not).
pub fn is_running(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit(") ").next().map(|rest| !rest.starts_with('Z')))
        .unwrap_or(false)
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// All processes with this mark, oldest first.
pub fn marked(mark: &str) -> Vec<Process> {
    let needle = format!("{MARK}={mark}");
    let mut found: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|v| v == needle.as_bytes())
            })
        })
        .map(|pid| Process { pid, args: arguments(pid) })
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn arguments(pid: i32) -> Vec<String> {
    fs::read(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// The built binary `name`: beside the test's own, or in `TERN_BIN_DIR`.
///
/// Cargo builds binaries of other packages only when it is told to, so a missing one is an
/// ordinary mistake and the message says how to mend it.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("TERN_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().expect("a running program has a path");
            // target/debug/deps/NAME-HASH -> target/debug
            let deps = test.parent().expect("a file has a folder");
            if deps.ends_with("deps") {
                deps.parent().expect("deps is inside a profile's folder").to_path_buf()
            } else {
                deps.to_path_buf()
            }
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run ./test, or build it first: cargo build -p tern-client -p tern-relay",
        path.display()
    );
    path
}

/// Where `tests/tmux-versions` has built a version of tmux, beside the programs under test.
pub fn tmux_folder(version: &str) -> Option<PathBuf> {
    let target = binary("tern").parent()?.parent()?.to_path_buf();
    let folder = target.join("tmux").join(version).join("bin");
    folder.join("tmux").exists().then_some(folder)
}

/// Whether `program` is on the path.
pub fn is_installed(program: &str) -> bool {
    find_program(program).is_file()
}

/// Where `program` is, looked for on the tester's own path and where administrators' programs are;
/// its bare name if it is nowhere.
pub fn find_program(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| program.into())
}

/// Runs a command to its end and returns what it wrote.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output and standard error, in this order.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
