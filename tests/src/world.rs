//! One test's sandbox.

use crate::process::{self, MARK, Process};
use crate::terminal::Terminal;
use rustix::process::Signal;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a condition may take to come true: far above what a loaded machine with two cores needs,
/// so that only a real fault meets it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// [`DEADLINE`], or what `TERN_TEST_DEADLINE` says, in seconds: for whoever writes a test.
fn deadline() -> Duration {
    let seconds = std::env::var("TERN_TEST_DEADLINE").ok().and_then(|text| text.parse().ok());
    seconds.map_or(DEADLINE, Duration::from_secs)
}

/// Between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What interactive shells of the sandbox read.
const SHELL_PROFILE: &str =
    "PS1='$ '\nPROMPT_COMMAND=\nHISTFILE=\nexport PATH=\"$TERN_TEST_PATH\"\n";

/// One test's sandbox; clones share it. When the last is dropped, every process started inside is
/// killed and the folder is removed.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    folder: TempDir,
    /// Where the people's programs are looked for.
    path: String,
    /// More environment of its people.
    environment: Mutex<Vec<(String, String)>>,
    terminals: Mutex<Vec<Terminal>>,
    names: AtomicUsize,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty sandbox. Its people's tmux is the machine's, or the one in the folder that
    /// `TERN_TEST_TMUX` names (see `tests/tmux-versions`).
    pub fn new() -> Self {
        Self::with_tmux(std::env::var_os("TERN_TEST_TMUX").map(PathBuf::from).as_deref())
    }

    /// An empty sandbox whose people's tmux is the one in `folder`. (The terminals that tests read
    /// are always the machine's.)
    pub fn with_tmux(folder: Option<&Path>) -> Self {
        for program in ["tmux", "ssh"] {
            assert!(process::is_installed(program), "{program} is not installed: run ./test");
        }
        let path = folder.map_or(PATH.into(), |folder| format!("{}:{PATH}", folder.display()));
        let folder = tempfile::Builder::new().prefix("tern-").tempdir().expect("a folder in /tmp");
        let (terminals, names) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let environment = Mutex::default();
        let inner = Inner { folder, path, environment, terminals, names };
        Self { inner: Arc::new(inner) }
    }

    /// The sandbox's folder.
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Where its people's programs are looked for.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// A name that nothing else in the sandbox has.
    pub fn unique(&self, stem: &str) -> String {
        format!("{stem}{}", self.inner.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A home for one person, with a shell profile that makes prompts the same everywhere.
    pub fn home(&self, person: &str) -> PathBuf {
        let home = self.folder().join(person);
        for folder in ["", ".ssh", "run", "work"] {
            fs::create_dir_all(home.join(folder)).expect("a home can be made");
        }
        for file in [".bashrc", ".bash_profile"] {
            fs::write(home.join(file), SHELL_PROFILE).expect("a profile can be written");
        }
        restrict(&home.join("run"));
        restrict(&home.join(".ssh"));
        home
    }

    /// From now on everybody's processes have this in their environment, a relay too.
    pub fn set_for_everybody(&self, name: &str, value: &str) {
        let mut environment = self.inner.environment.lock().expect("nobody panics with it");
        environment.push((name.to_owned(), value.to_owned()));
    }

    /// The environment of a person's processes: nothing of the tester's own comes in.
    pub fn environment(&self, home: &Path) -> Vec<(String, String)> {
        let path = self.path();
        let home = home.display().to_string();
        [
            (MARK, self.folder().display().to_string()),
            ("HOME", home.clone()),
            ("XDG_CONFIG_HOME", format!("{home}/.config")),
            ("XDG_DATA_HOME", format!("{home}/.local/share")),
            ("XDG_STATE_HOME", format!("{home}/.local/state")),
            ("XDG_CACHE_HOME", format!("{home}/.cache")),
            ("XDG_RUNTIME_DIR", format!("{home}/run")),
            // Long enough to be seen; while it stays, two terminals differ.
            ("TERN_DISPLAY_TIME", "1500".to_owned()),
            ("TMPDIR", format!("{home}/run")),
            ("TMUX_TMPDIR", format!("{home}/run")),
            ("PATH", path.to_owned()),
            ("TERN_TEST_PATH", path.to_owned()),
            ("SHELL", "/bin/bash".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("COLORTERM", "truecolor".to_owned()),
            ("USER", "tester".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(self.inner.environment.lock().expect("nobody panics with it").iter().cloned())
        .collect()
    }

    /// A command with nothing but a person's environment, started in that person's home.
    pub fn command(&self, program: impl AsRef<Path>, home: &Path) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .envs(self.environment(home))
            .env("TERM", "tmux-256color")
            .current_dir(home.join("work"));
        command
    }

    /// Keeps a terminal in the list of those that a failure shows.
    pub(crate) fn register(&self, terminal: Terminal) {
        self.inner.terminals.lock().expect("no test panics while it holds this").push(terminal);
    }

    /// Processes started inside, oldest first.
    pub fn processes(&self) -> Vec<Process> {
        process::marked(&self.folder().display().to_string())
    }

    /// Waits until `condition` holds; a failure says `what` was awaited and shows every terminal.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.wait_for(what, || condition().then_some(()));
    }

    /// Waits until `probe` finds something.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        self.wait_until_ok(what, || probe().ok_or(""))
    }

    /// Waits until `attempt` succeeds; a failure tells why the last one didn't.
    #[track_caller]
    pub fn wait_until_ok<T, E: Display>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, E>,
    ) -> T {
        let (start, limit) = (Instant::now(), deadline());
        loop {
            match attempt() {
                Ok(found) => return found,
                Err(reason) if start.elapsed() > limit => {
                    panic!("waited {limit:?} in vain until {what}\n{reason}\n{}", self.report())
                }
                Err(_) => pause(POLL_INTERVAL),
            }
        }
    }

    /// Every terminal's screen, every process and the ends of all logs, for a failure's message.
    pub fn report(&self) -> String {
        let terminals = self.inner.terminals.lock().expect("no test panics while it holds this");
        let mut report: String = terminals.iter().map(Terminal::report).collect();
        for process in self.processes() {
            report += &format!("process {}: {}\n", process.pid, process.args.join(" "));
        }
        for log in files_named(self.folder(), ".log") {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            report += &format!("--- end of {}\n{tail}\n", log.display());
        }
        report
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mark = self.folder.path().display().to_string();
        // A process may fork while it is being looked for, so look until none is left.
        for _ in 0..20 {
            let processes = process::marked(&mark);
            let live: Vec<&Process> = processes.iter().filter(|p| p.is_running()).collect();
            if live.is_empty() {
                return;
            }
            for process in live {
                process.signal(Signal::KILL);
            }
            pause(Duration::from_millis(5));
        }
    }
}

/// The one place that lets time pass: between two looks at a condition.
#[allow(clippy::disallowed_methods)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Only the owner may look into this folder.
fn restrict(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("our own folder");
}

fn files_named(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_named(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}
