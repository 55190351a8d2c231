//! A person who joins: the stock `ssh`, or `tern join`, in a terminal.

use crate::host::{Host, JoinLine};
use crate::netns::Namespace;
use crate::process::{Process, binary, run};
use crate::screen::Screen;
use crate::terminal::Terminal;
use crate::world::World;
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs its arguments. What a program writes just before it ends may be lost, since tmux closes the
/// terminal when its last process is gone; so the shell stays until tmux answers whether it lives
/// (DSR 5, four bytes), which it does after it has read all that came before.
const RUN_AND_STAY_UNTIL_SEEN: &str = "\"$@\"; status=$?; stty raw -echo; printf '\\033[5n'; \
                                       dd bs=1 count=4 >/dev/null 2>&1; exit $status";

/// How a viewer joins.
#[derive(Clone)]
pub struct ViewerOptions {
    /// Columns and rows of its terminal.
    pub size: (u16, u16),
    /// `TERM` that ssh sends.
    pub term: String,
    /// More arguments of ssh, before the destination.
    pub ssh_args: Vec<String>,
    /// A network of its own.
    pub namespace: Option<Namespace>,
    /// More environment, and what replaces the usual.
    pub environment: Vec<(String, String)>,
    /// What runs: ssh, if `None`; else `tern join` with these arguments before the line.
    pub tern: Option<Vec<String>>,
}

impl Default for ViewerOptions {
    fn default() -> Self {
        Self {
            size: (80, 24),
            term: "tmux-256color".into(),
            ssh_args: Vec::new(),
            namespace: None,
            environment: Vec::new(),
            tern: None,
        }
    }
}

impl ViewerOptions {
    /// With `tern join`.
    pub fn tern() -> Self {
        Self { tern: Some(Vec::new()), ..Self::default() }
    }
}

/// A person who joins a session.
pub struct Viewer {
    world: World,
    /// Where `ssh` runs.
    pub terminal: Terminal,
}

impl Viewer {
    /// Joins from a terminal of 80x24 and waits until the session shows.
    pub fn join(world: &World, host: &Host, line: &JoinLine) -> Self {
        let viewer = Self::open(world, line, ViewerOptions::default());
        viewer.wait_until_same(host);
        viewer
    }

    /// Joins with `tern join`, as [`Self::join`].
    pub fn join_by_tern(world: &World, host: &Host, line: &JoinLine) -> Self {
        let viewer = Self::open(world, line, ViewerOptions::tern());
        viewer.wait_until_same(host);
        viewer
    }

    /// Runs `ssh` or `tern join` and waits for nothing.
    pub fn open(world: &World, line: &JoinLine, options: ViewerOptions) -> Self {
        let home = world.home(&world.unique("viewer"));
        let mut args = options.namespace.as_ref().map_or_else(Vec::new, Namespace::exec_args);
        args.extend(["env".into(), format!("TERM={}", options.term)]);
        // Under a shell: tmux lets its own child go on when it is stopped.
        args.extend(["sh", "-c", RUN_AND_STAY_UNTIL_SEEN, "sh"].map(str::to_owned));
        args.extend(match &options.tern {
            None => ssh_command(world, line, &options.ssh_args),
            Some(more) => tern_command(line, more),
        });
        let mut environment = world.environment(&home);
        environment.extend(options.environment);
        let terminal = Terminal::open(world, "viewer", options.size, &environment, &args);
        Self { world: world.clone(), terminal }
    }

    /// Waits until this terminal shows the same as the host's own, cell by cell.
    #[track_caller]
    pub fn wait_until_same(&self, host: &Host) {
        wait_until_same(&self.world, &host.terminal, &self.terminal);
    }

    /// Waits until the text is on the screen.
    #[track_caller]
    pub fn wait_until_shows(&self, text: &str) {
        let what = format!("{} shows {text:?}", self.terminal.name());
        self.world.wait_until(&what, || self.terminal.shows(text));
    }

    /// Its `ssh` or `tern`.
    #[track_caller]
    pub fn process(&self) -> Process {
        let shell = self.terminal.pid();
        self.world.wait_for("the viewer's program runs", || {
            let is_it = |name: &str| name == "ssh" || name == "tern";
            let mut all = self.world.processes().into_iter();
            all.find(|process| is_it(process.name()) && process.parent() == Some(shell))
        })
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Waits until ssh or tern has ended; returns its exit code.
    #[track_caller]
    pub fn wait_until_left(&self) -> i32 {
        let what = format!("the program of {} ends", self.terminal.name());
        self.world.wait_for(&what, || self.terminal.exit_code())
    }

    /// Cells with attributes.
    pub fn screen(&self) -> Screen {
        self.terminal.screen()
    }
}

/// Waits until two terminals show the same, cell by cell, with attributes and cursor. A notice of
/// somebody's coming or going, which only the host sees, is taken away as a person does: by a key.
#[track_caller]
pub fn wait_until_same(world: &World, one: &Terminal, two: &Terminal) {
    let what = format!("{} and {} show the same", one.name(), two.name());
    world.wait_until_ok(&what, || {
        let (left, right) = (one.screen(), two.screen());
        let differences = left.differences(&right);
        let is_blank = left.rows.iter().all(Vec::is_empty);
        if ["A mate has ", "A mate is "].iter().any(|notice| left.text().contains(notice)) {
            // A prefix and a key that nothing is bound to.
            one.press(&["C-b", "F9"]);
        }
        if differences.is_empty() && !is_blank { Ok(()) } else { Err(differences) }
    });
}

/// The arguments of a stock ssh that knows no configuration but ours; the relay's key is learnt on
/// first use, for this sandbox only.
pub fn ssh_command(world: &World, line: &JoinLine, more: &[String]) -> Vec<String> {
    let mut args = ssh_options(&world.folder().join("known_hosts"), "accept-new");
    args.extend(more.iter().cloned());
    args.extend(["-p".into(), line.port.to_string(), format!("{}@{}", line.token, line.host)]);
    args
}

/// The arguments of a `tern join`.
pub fn tern_command(line: &JoinLine, more: &[String]) -> Vec<String> {
    let mut args = vec![binary("tern").display().to_string(), "join".into()];
    args.extend(more.iter().cloned());
    args.extend([format!("-p{}", line.port), format!("{}@{}", line.token, line.host)]);
    args
}

/// `ssh` without anybody's configuration, keys or agent.
pub fn ssh_options(known_hosts: &std::path::Path, check: &str) -> Vec<String> {
    let known_hosts = format!("UserKnownHostsFile={}", known_hosts.display());
    let check = format!("StrictHostKeyChecking={check}");
    ["ssh", "-F", "none", "-o", &known_hosts, "-o", "GlobalKnownHostsFile=/dev/null", "-o", &check]
        .into_iter()
        .chain(["-o", "SendEnv=COLORTERM", "-o", "LogLevel=ERROR"])
        .map(str::to_owned)
        .collect()
}

/// Runs ssh without a terminal, to its end.
pub fn run_ssh(world: &World, line: &JoinLine, options: &[&str], command: &[&str]) -> Output {
    let home: PathBuf = world.home(&world.unique("viewer"));
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let args = ssh_command(world, line, &options);
    let mut ssh: Command = world.command("timeout", &home);
    run(ssh.arg("60").args(args).args(command).stdin(std::process::Stdio::null()))
}
