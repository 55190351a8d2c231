//! A person who shares: `tern` in a terminal.

use crate::netns::Namespace;
use crate::process::{Process, binary, run, text};
use crate::relay::Relay;
use crate::screen::Screen;
use crate::terminal::Terminal;
use crate::world::World;
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::{Command, Output};

/// How a host starts.
#[derive(Clone)]
pub struct HostOptions {
    /// Columns and rows of its terminal.
    pub size: (u16, u16),
    /// More arguments of `tern`.
    pub args: Vec<String>,
    /// `~/.tmux.conf`.
    pub tmux_config: String,
    /// More environment, and what replaces the usual.
    pub environment: Vec<(String, String)>,
    /// A network of its own.
    pub namespace: Option<Namespace>,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            size: (80, 24),
            args: Vec::new(),
            tmux_config: String::new(),
            environment: Vec::new(),
            namespace: None,
        }
    }
}

/// `ssh [-pPORT] TOKEN@HOST`, taken from what `tern` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLine {
    /// 22 if the line has none.
    pub port: u16,
    /// With its prefix, if it has one; or the user's and the session's name.
    pub token: String,
    /// It was shown as the read-only one.
    pub is_shown_as_read_only: bool,
    /// Name or address.
    pub host: String,
}

/// Letters and digits of a token, without prefix.
pub const TOKEN_LENGTH: usize = 26;

impl JoinLine {
    /// All join lines in a text.
    pub fn find_all(text: &str) -> Vec<Self> {
        let parse =
            |at: usize| Self::parse(&text[at + 4..], text[..at].trim_end().ends_with("read only:"));
        text.match_indices("ssh ").filter_map(|(at, _)| parse(at)).collect()
    }

    fn parse(rest: &str, is_shown_as_read_only: bool) -> Option<Self> {
        let mut words = rest.split_whitespace();
        let mut word = words.next()?;
        let mut port = 22;
        if let Some(number) = word.strip_prefix("-p") {
            let number = if number.is_empty() { words.next()? } else { number };
            port = number.parse().ok()?;
            word = words.next()?;
        }
        let (token, host) = word.split_once('@')?;
        let secret = token.strip_prefix("ro-").unwrap_or(token);
        let is_token = token.contains('/')
            || secret.len() == TOKEN_LENGTH && secret.chars().all(|c| c.is_ascii_alphanumeric());
        (is_token && !host.is_empty()).then(|| Self {
            port,
            token: token.into(),
            is_shown_as_read_only,
            host: host.into(),
        })
    }

    /// Whether it is the read-only one.
    pub fn is_read_only(&self) -> bool {
        self.is_shown_as_read_only || self.token.starts_with("ro-")
    }
}

/// A person who shares a terminal.
pub struct Host {
    world: World,
    /// Where `tern` runs.
    pub terminal: Terminal,
    /// Home of the person.
    pub home: PathBuf,
    /// Line for those who may type.
    pub read_write: JoinLine,
    /// Line for those who may only look.
    pub read_only: JoinLine,
    environment: Vec<(String, String)>,
}

impl Host {
    /// Shares a shell over `relay` from a terminal of 80x24, the start view closed.
    pub fn share(world: &World, relay: &Relay) -> Self {
        Self::share_with(world, Some(relay), HostOptions::default())
    }

    /// Shares over `relay` (`None`: over an embedded one), the start view closed.
    pub fn share_with(world: &World, relay: Option<&Relay>, options: HostOptions) -> Self {
        let is_command = options.args.iter().any(|arg| arg == "--");
        let host = Self::start(world, relay, options);
        host.close_start_view();
        if !is_command {
            world.wait_until("the host's shell prompts", || host.terminal.shows("\n$"));
        }
        host
    }

    /// Shares, and leaves the start view open.
    pub fn start(world: &World, relay: Option<&Relay>, options: HostOptions) -> Self {
        let (home, environment, terminal) = Self::open(world, relay, options);
        let (read_write, read_only) = lines_shown(world, &terminal);
        Self { world: world.clone(), terminal, home, read_write, read_only, environment }
    }

    /// Ends the sharing as a death of the agent does, or by `tern stop`.
    pub fn end_sharing(&self, is_killed: bool) {
        if is_killed {
            let agent = self.agent();
            agent.signal(Signal::KILL);
            self.world.wait_until("the agent is gone", || !agent.is_running());
        } else {
            let stopped = self.tern(&["stop"]);
            assert!(stopped.status.success(), "{}", text(&stopped));
        }
    }

    /// Types `tern ARGS` into the session, which is not shared any more; takes the new lines, and
    /// closes the start view.
    pub fn share_again(&mut self, args: &str) {
        self.terminal.enter_line(&format!("clear; {} {args}", binary("tern").display()));
        (self.read_write, self.read_only) = lines_shown(&self.world, &self.terminal);
        self.close_start_view();
    }

    /// Runs `tern` in a terminal and expects nothing of it: for cases where it can't share.
    pub fn try_share(world: &World, relay: Option<&Relay>, options: HostOptions) -> Terminal {
        Self::open(world, relay, options).2
    }

    fn open(
        world: &World,
        relay: Option<&Relay>,
        options: HostOptions,
    ) -> (PathBuf, Vec<(String, String)>, Terminal) {
        let home = world.home(&world.unique("host"));
        std::fs::write(home.join(".tmux.conf"), &options.tmux_config).expect("our own home");
        let mut environment = world.environment(&home);
        environment.retain(|(name, _)| options.environment.iter().all(|(other, _)| other != name));
        environment.extend(options.environment.iter().cloned());
        let mut args = options.namespace.as_ref().map_or_else(Vec::new, Namespace::exec_args);
        args.push(binary("tern").display().to_string());
        args.extend(["-S".into(), home.join("tmux").display().to_string()]);
        args.extend(relay_args(relay));
        args.extend(options.args.iter().cloned());
        let terminal = Terminal::open(world, "host", options.size, &environment, &args);
        (home, environment, terminal)
    }

    /// Presses a key in the start view and waits until it is gone.
    pub fn close_start_view(&self) {
        self.terminal.press(&["q"]);
        self.world.wait_until("the start view closes", || is_start_view_gone(&self.terminal));
    }

    /// Runs a tmux command on the shared session's server; returns what it printed.
    pub fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", self.world.path()).env("LANG", "C.UTF-8");
        command.arg("-u").arg("-S").arg(self.home.join("tmux")).args(args);
        text(&run(&mut command)).trim_end().to_owned()
    }

    /// Whether the shared tmux session lives.
    pub fn has_session(&self) -> bool {
        let mut command = Command::new("tmux");
        command.env_clear().env("PATH", self.world.path());
        command.arg("-S").arg(self.home.join("tmux")).arg("has-session");
        run(&mut command).status.success()
    }

    /// The active pane as its own tmux sees it, with its place in the window: left, top, screen.
    pub fn active_pane(&self) -> (usize, usize, Screen) {
        let format = "#{pane_left} #{pane_top} #{pane_width} #{pane_height}";
        let place = self.tmux(&["display-message", "-p", format]);
        let numbers: Vec<u16> =
            place.split_whitespace().filter_map(|part| part.parse().ok()).collect();
        let &[left, top, cols, rows] = numbers.as_slice() else {
            panic!("no pane: {place}\n{}", self.world.report());
        };
        let cursor =
            self.tmux(&["display-message", "-p", "#{cursor_x} #{cursor_y} #{cursor_flag}"]);
        let capture = self.tmux(&["capture-pane", "-e", "-p", "-N"]);
        (left.into(), top.into(), Screen::parse(&capture, (cols, rows), &cursor))
    }

    /// Runs `tern ARGS` beside the session, as its owner.
    pub fn tern(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary("tern"));
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        run(command.env("TERM", "tmux-256color").current_dir(&self.home).args(args))
    }

    /// Waits until `tern show-messages` shows this.
    #[track_caller]
    pub fn wait_until_log(&self, words: &str) {
        self.world.wait_until_ok(&format!("the log says {words:?}"), || {
            let log = text(&self.tern(&["show-messages"]));
            if log.contains(words) { Ok(()) } else { Err(log) }
        });
    }

    /// The same person runs `tern ARGS` in another terminal; nothing is expected of it.
    pub fn again(&self, args: &[&str]) -> Terminal {
        let mut command = vec![binary("tern").display().to_string()];
        command.extend(args.iter().map(|arg| (*arg).to_owned()));
        Terminal::open(&self.world, "again", (120, 24), &self.environment, &command)
    }

    /// The process that shares (`tern agent`), wherever it runs.
    pub fn agent(&self) -> Process {
        self.world.wait_for("the agent runs", || {
            self.world.processes().into_iter().find(Process::is_agent)
        })
    }
}

/// Whether nothing of it is left: keys go to the shell. Where it is in a popup, that stays for a
/// moment longer than the text in it.
pub fn is_start_view_gone(terminal: &Terminal) -> bool {
    let text = terminal.text();
    JoinLine::find_all(&text).is_empty() && !text.contains('┌')
}

/// The lines of the start view: for those who may type, and for those who may only look.
fn lines_shown(world: &World, terminal: &Terminal) -> (JoinLine, JoinLine) {
    let lines = world.wait_for("the start view shows two join lines", || {
        let lines = JoinLine::find_all(&terminal.text());
        (lines.len() >= 2).then_some(lines)
    });
    let find = |read_only| lines.iter().find(|line| line.is_read_only() == read_only).cloned();
    (find(false).expect("one line is for typing"), find(true).expect("one line is for looking"))
}

/// What tells `tern` to use this relay and to trust its key.
pub fn relay_args(relay: Option<&Relay>) -> Vec<String> {
    relay.map_or_else(Vec::new, |relay| {
        vec![
            "--relay".into(),
            relay.name(),
            "--relay-fingerprint".into(),
            relay.fingerprint.clone(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_lines_are_found_in_any_text() {
        let text = "ssh session: ssh -p2200 abcdefghijkmnopqrstuvwxy23@relay.example \n\
                    ssh session read only: ssh ro-abcdefghijkmnopqrstuvwxy24@10.0.0.1\n\
                    ssh nothing@here ssh -p";
        let lines = JoinLine::find_all(text);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].port, lines[0].host.as_str()), (2200, "relay.example"));
        assert!(lines[1].is_read_only() && lines[1].port == 22);
    }
}
