//! Menus in the local clients of a tmux, by a `tmux display-menu` each, which lasts as long as its
//! menu does: a control client that asked for one would hear nothing until it is gone.

use crate::core::menus::{CHOICES, Choice, SURE_CHOICES, Shown};
use crate::shell::tmux::{Tmux, shell_quoted};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::mpsc;

/// Events of menus that wait to be told of: more than there are menus at once, twice.
const EVENTS_MAX: usize = 64;

/// Who asks.
const TITLE: &str = "#[align=centre] tern ";

/// The menus of a session.
#[derive(Debug)]
pub struct Menus {
    tmux: Tmux,
    program: PathBuf,
    agent: PathBuf,
    events: mpsc::Sender<MenuEvent>,
    on_event: mpsc::Receiver<MenuEvent>,
}

/// What became of a menu at a terminal.
#[derive(Debug)]
pub enum MenuEvent {
    /// Its process runs.
    Shown(String),
    /// It has gone.
    Closed(String),
}

impl Menus {
    /// What is chosen in them comes to the agent at this socket.
    pub fn new(tmux: &Tmux, agent: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find tern's own program file")?;
        let (events, on_event) = mpsc::channel(EVENTS_MAX);
        Ok(Self { tmux: tmux.clone(), program, agent: agent.to_owned(), events, on_event })
    }

    /// What becomes of them. Cancel-safe.
    pub async fn event(&mut self) -> MenuEvent {
        match self.on_event.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Shows one.
    pub fn show(&self, menu: &Shown) {
        let mut command = self.command(&["display-menu", "-c", &menu.tty, "-T", TITLE, "--"]);
        for line in &menu.lines {
            // A hyphen in front: it can't be chosen.
            command.args([&format!("-{line}"), "", ""]);
        }
        command.arg("");
        for (choice, key, text) in menu.choices.iter().copied() {
            command.args([text, key, &self.chosen(menu, choice)]);
        }
        let (events, tty) = (self.events.clone(), menu.tty.clone());
        tokio::spawn(async move {
            // The agent may have ended, who is told.
            let ended = match command.spawn() {
                Ok(mut process) => {
                    let _ = events.send(MenuEvent::Shown(tty.clone())).await;
                    process.wait().await.map(drop)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::warn!(%error, "a menu could not be shown");
            }
            let _ = events.send(MenuEvent::Closed(tty)).await;
        });
    }

    /// Takes one away. `pid` is the client's process: before 3.2 no command of tmux's takes a menu away,
    /// but that the client's terminal may have another size does.
    pub fn take_away(&self, tty: &str, pid: u32) {
        if self.tmux.version.has_popup() {
            let mut command = self.command(&["display-popup", "-C", "-c", tty]);
            tokio::spawn(async move { command.status().await });
        } else if let Some(pid) = pid.try_into().ok().and_then(Pid::from_raw) {
            // If it has gone, so has its menu.
            let _ = kill_process(pid, Signal::WINCH);
        }
    }

    /// What tmux runs when this is chosen. A menu expands formats in it, as `run-shell` does once more;
    /// between, tmux reads it as a command.
    fn chosen(&self, menu: &Shown, choice: Choice) -> String {
        let shell = format!(
            "{} at-door {} {} {} {} >/dev/null 2>&1",
            shell_quoted(&self.program),
            shell_quoted(&self.agent),
            menu.number,
            name(choice),
            shell_quoted(Path::new(&menu.tty)),
        );
        let quoted = shell.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
        format!("run-shell -b \"{}\"", quoted.replace('#', "####"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.tmux.command();
        command.arg("-u").args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Command::from(command)
    }
}

/// As `tern at-door` reads it.
fn name(choice: Choice) -> &'static str {
    match choice {
        Choice::Later => "later",
        Choice::Approve => "approve",
        Choice::Sure => "sure",
        Choice::Deny => "deny",
        Choice::Ban => "ban",
    }
}

/// What [`name`] wrote.
pub fn parse_choice(text: &str) -> Result<Choice, &'static str> {
    let mut all = CHOICES.into_iter().chain(SURE_CHOICES);
    let found = all.find(|(choice, _, _)| name(*choice) == text);
    found.map(|(choice, _, _)| choice).ok_or("no such choice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tmux_version::TmuxVersion;

    #[tokio::test]
    async fn paths_with_any_signs_come_through_tmuxs_quoting() {
        let version = TmuxVersion::parse("3.3a").expect("a version");
        let tmux = Tmux { binary: "tmux".into(), socket: "/s".into(), version };
        let menus = Menus::new(&tmux, Path::new("/it's $HOME#{x}\"\\")).expect("a program");
        let menu =
            Shown { tty: "/dev/pts/1".into(), number: 3, lines: Vec::new(), choices: &CHOICES };
        let chosen = menus.chosen(&menu, Choice::Deny);
        let expected = r#"'/it'\\''s \$HOME####{x}\"\\' 3 deny '/dev/pts/1'"#;
        assert!(chosen.contains(expected), "{chosen}");
        for (choice, _, _) in CHOICES.into_iter().chain(SURE_CHOICES) {
            assert_eq!(parse_choice(name(choice)), Ok(choice));
        }
        assert!(parse_choice("open").is_err());
    }
}
