//! What a shell completes for `tern` that changes: sessions that are shared here, people who are
//! there, relays that were used before, programs on the path. (Tokens are kept nowhere, so they can't be completed.)

use crate::core::drop_in::options::NAMES;
use crate::core::join_target::SSH_PORT;
use crate::core::person::Person;
use crate::shell::agents;
use crate::shell::drop_in::config::Config;
use crate::shell::paths::state_folder;
use crate::shell::program::is_executable;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_help::completions::{
    ArgValueCandidates, CompletionCandidate, PathCompleter, ValueCompleter,
};

/// More than that nobody reads; it bounds what a folder full of programs costs.
const PROGRAMS_MAX: usize = 1000;

/// With those of tmux's commands that are ours as well, and what may stand behind them. (Others are tmux's
/// to complete.)
pub fn with_tmuxs(command: Command) -> Command {
    let flag = |letter: char, help: &'static str| {
        // Its help is as good a name as any.
        Arg::new(help).short(letter).action(ArgAction::SetTrue).help(help)
    };
    let option = || Arg::new("option").add(ArgValueCandidates::new(options));
    let set = Command::new("set")
        .about("Set an option, of tern's or of tmux's (tmux's own command)")
        .arg(flag('g', "For all sessions"))
        .arg(flag('u', "Take it back"))
        .arg(flag('a', "Append"))
        .args([option(), Arg::new("value")]);
    let show = Command::new("show")
        .about("Print an option (tmux's own command)")
        .arg(flag('g', "Of all sessions"))
        .arg(flag('v', "Its value only"))
        .arg(option());
    let wait = Command::new("wait")
        .about("Wait until the session can be joined")
        .arg(Arg::new("timeout").long("timeout").value_name("SECONDS").help("Give up then"))
        .arg(Arg::new("channel").value_parser(["tern-ready"]));
    let new = Command::new("new-session")
        .about("Start a session of tmux's, and share it")
        .arg(flag('d', "In the background"));
    let foreground = flag('F', "With nobody at this terminal: print the join lines and stay");
    command.arg(foreground).subcommands([set, show, wait, new])
}

/// All that can be set in a configuration.
fn options() -> Vec<CompletionCandidate> {
    NAMES.iter().map(|name| CompletionCandidate::new(format!("tern-{name}"))).collect()
}

/// What `-S` finds, each with what is shared.
pub fn sessions() -> Vec<CompletionCandidate> {
    let names = agents::names().unwrap_or_default();
    names
        .into_iter()
        .map(|(name, what)| CompletionCandidate::new(name).help(Some(what.into())))
        .collect()
}

/// Numbers of those who are in, away, waiting or kept out, where it is clear which sharing is meant.
pub fn people() -> Vec<CompletionCandidate> {
    let status = agents::find(None).and_then(|agent| agents::status(&agent));
    let Ok(status) = status else { return Vec::new() };
    let present = status.viewers.iter().map(|viewer| (&viewer.who.person, "in"));
    let away = status.away.iter().map(|viewer| (&viewer.who.person, "away"));
    let waiting = status.waiting.iter().map(|waiting| (&waiting.who, "waits"));
    let banned = status.banned.iter().map(|person| (person, "kept out"));
    let people = waiting.chain(present).chain(away).chain(banned);
    let candidate = |(person, state): (&Person, &str)| {
        let help = format!("{state}: {}", person.name());
        CompletionCandidate::new(person.number.to_string()).help(Some(help.into()))
    };
    people.map(candidate).collect()
}

/// Relays that the configuration names, and those whose keys were learnt.
pub fn relays() -> Vec<CompletionCandidate> {
    known_relays().into_iter().map(CompletionCandidate::new).collect()
}

/// The relay behind a token.
pub fn join_line(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some((token, _)) = current.to_str().and_then(|current| current.split_once('@')) else {
        return Vec::new();
    };
    let lines = known_relays().into_iter().map(|relay| format!("{token}@{relay}"));
    let fitting = lines.filter(|line| current.to_str().is_some_and(|at| line.starts_with(at)));
    fitting.map(CompletionCandidate::new).collect()
}

fn known_relays() -> Vec<String> {
    let config = Config::to_look_into(None);
    let settings = config.settings(&config.plain_values());
    let mut relays = settings.map(|(settings, _)| settings.relays).unwrap_or_default();
    let learnt = state_folder().map(|folder| folder.join("known_hosts"));
    let learnt = learnt.and_then(|file| Ok(std::fs::read_to_string(file)?)).unwrap_or_default();
    relays.extend(learnt.lines().filter_map(relay_of));
    let mut seen = std::collections::BTreeSet::new();
    relays.retain(|relay| seen.insert(relay.clone()));
    relays
}

/// Of a line of `known_hosts`: `HOST KEY` for SSH's port, else `[HOST]:PORT KEY`.
fn relay_of(line: &str) -> Option<String> {
    let place = line.split_whitespace().next()?;
    if place.starts_with(['#', '@', '|']) {
        return None;
    }
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, SSH_PORT),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some(if port == PORT_DEFAULT { host } else { format!("{host}:{port}") })
}

/// A program behind two dashes, and files behind it.
pub struct ProgramAndFiles;

impl ProgramAndFiles {
    /// The dashes in the line that is typed; a shell's script puts others before the line. (What is
    /// asked for candidates isn't told.)
    fn is_expected() -> bool {
        std::env::args_os().filter(|word| word == "--").count() > 1
    }
}

impl ValueCompleter for ProgramAndFiles {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        if !Self::is_expected() {
            return Vec::new();
        }
        if Path::new(current).components().count() > 1 || current.is_empty() {
            return PathCompleter::any().complete(current);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        programs(&folders, current).into_iter().map(CompletionCandidate::new).collect()
    }

    fn complete_at(&self, arg_index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        match arg_index {
            0 => self.complete(current),
            _ => PathCompleter::any().complete(current),
        }
    }
}

fn programs(folders: &[PathBuf], prefix: &OsStr) -> Vec<String> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut found: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_one = name.starts_with(prefix.to_str()?) && is_executable(&entry.path());
            is_one.then_some(name)
        })
        .take(PROGRAMS_MAX)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_read_from_lines_of_known_hosts() {
        for (line, relay) in [
            ("[relay.example]:2200 ssh-ed25519 AAAA", Some("relay.example")),
            ("[relay.example]:2201 ssh-ed25519 AAAA", Some("relay.example:2201")),
            ("relay.example ssh-ed25519 AAAA", Some("relay.example:22")),
            ("[2001:db8::1]:2201 ssh-ed25519 AAAA", Some("[2001:db8::1]:2201")),
            ("|1|hash|hash ssh-ed25519 AAAA", None),
            ("# a comment", None),
            ("[x]:99999 ssh-ed25519 AAAA", None),
            ("", None),
        ] {
            assert_eq!(relay_of(line).as_deref(), relay, "{line}");
        }
    }

    #[test]
    fn programs_are_those_that_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        for (name, mode) in [("top", 0o755), ("tool", 0o755), ("topic", 0o644), ("other", 0o755)] {
            let path = folder.path().join(name);
            std::fs::write(&path, "").expect("our own folder");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("it is ours");
        }
        let folders = [folder.path().to_owned(), "/nonexistent".into()];
        assert_eq!(programs(&folders, OsStr::new("to")), ["tool", "top"]);
    }
}
