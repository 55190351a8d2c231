//! A person's terminal: a tmux server of its own with one pane of a fixed size.
//!
//! Reading it exactly takes a second tmux: `capture-pane` leaves out cells that were erased with a
//! background colour, so a mirror (another tmux, whose terminal type can't erase in colour and so
//! writes such cells out) attaches to the terminal and is captured instead.
//!
//! ```text
//! program (tern, ssh) -> terminal's tmux -> mirror's tmux -> capture-pane -e -p -> Screen
//!                                        \-> capture-pane -p (plain text)
//! ```

use crate::process::{find_program, run, send_signal};
use crate::screen::Screen;
use crate::world::World;
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// Settings that make a tmux server a plain terminal.
const CONFIG: &str = "\
set -gq status off
set -gq remain-on-exit on
set -gq remain-on-exit-format ''
set -gq default-terminal tmux-256color
set -gq prefix None
set -gq prefix2 None
set -sq escape-time 0
set -sq set-clipboard on
set -gq allow-passthrough off
set -gq monitor-bell on
set -gq bell-action none
";

/// A person's terminal; clones are the same terminal.
#[derive(Clone)]
pub struct Terminal {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    folder: PathBuf,
    /// Locked to be changed together with the pane's size.
    size: Mutex<(u16, u16)>,
    mirror: OnceLock<()>,
}

impl Terminal {
    /// Opens a terminal of `cols` x `rows` and runs `args` in it, with this environment and nothing
    /// else, starting in `HOME/work`.
    pub fn open(
        world: &World,
        name: &str,
        (cols, rows): (u16, u16),
        environment: &[(String, String)],
        args: &[String],
    ) -> Self {
        let inner = Inner {
            name: world.unique(name),
            folder: world.folder().to_path_buf(),
            size: Mutex::new((cols, rows)),
            mirror: OnceLock::new(),
        };
        let terminal = Self { inner: Arc::new(inner) };
        let config = terminal.config();
        fs::write(&config, CONFIG).expect("the sandbox can be written");
        let home = environment.iter().find(|(name, _)| name == "HOME").map(|(_, home)| home);
        let start_in = format!("{}/work", home.expect("a person has a home"));
        let mut command = Command::new(find_program("tmux"));
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.arg("-S").arg(terminal.socket()).arg("-f").arg(config);
        command.args(["-u", "new-session", "-d", "-c", &start_in]);
        command.args(["-x", &cols.to_string(), "-y", &rows.to_string(), "--"]);
        // The program must not take the terminal for a tmux that it runs in.
        command.args(["env", "-u", "TMUX", "-u", "TMUX_PANE", "-u", "TERM_PROGRAM"]);
        command.args(["-u", "TERM_PROGRAM_VERSION"]).args(args);
        let output = run(&mut command);
        assert!(output.status.success(), "{command:?}: {}", crate::process::text(&output));
        // Nobody who attaches changes the size. Not in the configuration: tmux 3.3 crashes on that.
        terminal.tmux(&["set-option", "-g", "window-size", "manual"]);
        world.register(terminal.clone());
        terminal
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        *self.inner.size.lock().expect("no test panics while it holds this")
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Presses keys by tmux's names for them (`Enter`, `C-b`, `Up`), one after the other: keys that
    /// come within a millisecond are pasted text to tmux (`assume-paste-time`), not bindings.
    pub fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    /// Types a line and Enter.
    pub fn enter_line(&self, line: &str) {
        self.type_text(line);
        self.press(&["Enter"]);
    }

    /// Sends bytes as the terminal itself would (mouse reports, pasted text).
    pub fn send_bytes(&self, bytes: &[u8]) {
        let mut args = vec!["send-keys".to_owned(), "-H".to_owned()];
        args.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
        self.tmux(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// A person drags the window to another size.
    pub fn resize(&self, cols: u16, rows: u16) {
        let mut size = self.inner.size.lock().expect("no test panics while it holds this");
        let (x, y) = (cols.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &x, "-y", &y]);
        if self.inner.mirror.get().is_some() {
            self.mirror_tmux(&["resize-window", "-x", &x, "-y", &y]);
        }
        *size = (cols, rows);
    }

    /// From now on what the program writes is kept, for [`Self::written`].
    pub fn keep_written(&self) {
        let file = self.written_file().display().to_string();
        self.tmux(&["pipe-pane", &format!("exec cat >>'{file}'")]);
    }

    /// The bytes that the program has written since [`Self::keep_written`].
    pub fn written(&self) -> Vec<u8> {
        fs::read(self.written_file()).unwrap_or_default()
    }

    /// A person pastes a text: in brackets if the program asked for them, lines ended by CR.
    pub fn paste(&self, text: &str) {
        let file = self.inner.folder.join(format!("{}.paste", self.inner.name));
        fs::write(&file, text).expect("the sandbox can be written");
        self.tmux(&["load-buffer", "-b", "paste", &file.display().to_string()]);
        self.tmux(&["paste-buffer", "-p", "-b", "paste"]);
    }

    /// What it shows, as plain text: rows without trailing blanks.
    pub fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Whether the text is on the screen; a newline stands for the beginning of a row.
    pub fn shows(&self, text: &str) -> bool {
        format!("\n{}", self.text()).contains(text)
    }

    /// What it shows, cell by cell, and where its cursor is.
    pub fn screen(&self) -> Screen {
        self.inner.mirror.get_or_init(|| self.open_mirror());
        let capture = self.mirror_tmux(&["capture-pane", "-e", "-p", "-N"]);
        let cursor =
            self.tmux(&["display-message", "-p", "#{cursor_x} #{cursor_y} #{cursor_flag}"]);
        Screen::parse(&capture, self.size(), &cursor)
    }

    /// Number of the process that runs in it.
    pub fn pid(&self) -> i32 {
        let pid = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        pid.trim().parse().unwrap_or_else(|_| panic!("{}: no process: {pid:?}", self.name()))
    }

    /// Exit code of the program that ran in it, 128 and the signal's number if one killed it;
    /// `None` while it runs.
    pub fn exit_code(&self) -> Option<i32> {
        let format = "#{pane_dead} #{pid} s#{pane_dead_status} k#{pane_dead_signal}";
        let state = self.tmux(&["display-message", "-p", format]);
        let mut words = state.split_whitespace();
        if words.next()? != "1" {
            return None;
        }
        let server = words.next()?.parse().ok()?;
        let status = words.next()?.strip_prefix('s')?.parse().ok();
        let mut killed_by = || words.next()?.strip_prefix('k')?.parse::<i32>().ok();
        let code = status.or_else(|| killed_by().map(|signal| 128 + signal));
        if code.is_none() {
            // tmux 3.3 now and then misses that its program has ended, and leaves it a zombie.
            send_signal(server, Signal::CHILD);
        }
        code
    }

    /// The terminal window is closed or its machine vanishes: the program gets a hang-up.
    pub fn kill(&self) {
        let pid = self.tmux(&["display-message", "-p", "#{pid}"]);
        send_signal(pid.trim().parse().expect("tmux knows its own pid"), Signal::KILL);
    }

    /// Runs a tmux command on the terminal's server and returns what it printed (empty when the
    /// server is gone).
    pub fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.arg("-u").arg("-S").arg(self.socket()).args(args);
        String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
    }

    /// For a failure's message.
    pub fn report(&self) -> String {
        let (cols, rows) = self.size();
        let state = match self.exit_code() {
            Some(code) => format!("exited with {code}"),
            None => "running".to_owned(),
        };
        let rule = "-".repeat(usize::from(cols));
        format!("{} ({cols}x{rows}, {state})\n{rule}\n{}{rule}\n", self.name(), self.text())
    }

    fn open_mirror(&self) {
        let (cols, rows) = self.size();
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env(crate::process::MARK, &self.inner.folder);
        command.arg("-S").arg(self.mirror_socket()).arg("-f").arg(self.config());
        command.args(["-u", "new-session", "-d"]);
        command.args(["-x", &cols.to_string(), "-y", &rows.to_string(), "--"]);
        command.args(["env", "-u", "TMUX", "tmux", "-u"]);
        command.args(["-T", "256,RGB,usstyle,overline,strikethrough,cstyle"]);
        command.arg("-S").arg(self.socket()).args(["attach", "-f", "read-only,ignore-size"]);
        let output = run(&mut command);
        assert!(output.status.success(), "{command:?}: {}", crate::process::text(&output));
        self.mirror_tmux(&["set-option", "-g", "window-size", "manual"]);
    }

    fn mirror_tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.arg("-u").arg("-S").arg(self.mirror_socket()).args(args);
        String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
    }

    fn socket(&self) -> PathBuf {
        self.inner.folder.join(format!("{}.terminal", self.inner.name))
    }

    fn written_file(&self) -> PathBuf {
        self.inner.folder.join(format!("{}.written", self.inner.name))
    }

    fn mirror_socket(&self) -> PathBuf {
        self.inner.folder.join(format!("{}.mirror", self.inner.name))
    }

    fn config(&self) -> PathBuf {
        self.inner.folder.join("terminal.conf")
    }
}
