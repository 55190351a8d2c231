//! `tern` outside of tmux: a session in a tmux server of its own, shared by an agent, with an
//! ordinary client on the terminal.

use crate::core::drop_in::commands::Command;
use crate::core::drop_in::options;
use crate::core::notice;
use crate::core::said_access::SaidAccess;
use crate::shell::agent::AgentConfig;
use crate::shell::agent_start::StartedAgent;
use crate::shell::cli::ShareArgs;
use crate::shell::drop_in::config::{Config, Program};
use crate::shell::drop_in::copies;
use crate::shell::drop_in::start::{self, Opened, Opening, Plan};
use crate::shell::program::CodeFile;
use crate::shell::tmux::Tmux;
use crate::shell::{agent_start, agents, attach, paths, remembered, start_view, tty};
use anyhow::{Context, bail};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Letters of a socket's random name: 36^10 names, and they are checked to be free.
const NAME_LENGTH: usize = 10;

/// A server listens long before its socket has this age.
const SETTLED_AGE: Duration = Duration::from_secs(60);

/// How long a tmux server may take to end when it was told to.
pub const TMUX_END_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks at that.
pub const TMUX_END_POLL: Duration = Duration::from_millis(10);

/// On the status line.
const AGENT_DIED: &str =
    "Not shared any more: the agent died. The session goes on here; to share it again: tern";

/// How long an agent that never reached a relay takes to end after its session.
const AGENT_END_TIME_MAX: Duration = Duration::from_millis(500);

/// Where the server will listen: as told, or a new name.
pub fn socket(args: &ShareArgs) -> anyhow::Result<PathBuf> {
    match &args.socket {
        Some(path) => {
            if UnixStream::connect(path).is_ok() {
                bail!(
                    "a tmux server listens at {0} already: attach to it with `tmux -S {0} attach` \
                     and run `tern` in there",
                    path.display()
                );
            }
            let path = std::path::absolute(path)?;
            paths::socket_path(path)
        }
        None => new_socket(&paths::runtime_folder()?),
    }
}

/// A name in this folder of ours that nothing has.
pub fn new_socket(folder: &Path) -> anyhow::Result<PathBuf> {
    remove_dead_sockets(folder);
    loop {
        let path = folder.join(random_name());
        if !path.exists() {
            return paths::socket_path(path);
        }
    }
}

/// tmux leaves its socket behind when it ends, and nobody else would clear them away. In this
/// folder are only sockets of ours; one at which nobody listens is of no use to anyone.
fn remove_dead_sockets(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Between bind and listen a living server refuses, too.
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= SETTLED_AGE));
        let refused = std::io::ErrorKind::ConnectionRefused;
        if is_old && UnixStream::connect(&path).is_err_and(|error| error.kind() == refused) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// `tern`, or `tern -- CMD`: the user's shell or that command, in a session with the user's
/// configuration. Gives the exit code.
pub fn share(args: &ShareArgs, tmux: &Tmux) -> anyhow::Result<u8> {
    let code_file = match args.command.is_empty() {
        true => None,
        false => Some(CodeFile::create(&paths::runtime_folder()?, &random_name())?),
    };
    let mut words = vec!["new-session".into()];
    words.extend(window_args(&args.command, code_file.as_ref())?);
    let config =
        Config::prepare(Program::Tern, args.config.as_deref(), &tmux.socket, tmux.version)?;
    let plan = Plan { list: vec![Command { words }], config, size: Some(tty::size()) };
    run(args, tmux, &plan, code_file)
}

/// A session at which nobody sits yet: it is there and being shared when this returns.
pub fn run_detached(args: &ShareArgs, tmux: &Tmux, plan: &Plan) -> anyhow::Result<u8> {
    let opened = match start::open(tmux, plan)? {
        Opening::Opened(opened) => opened,
        Opening::Over(code) => {
            clean_up(tmux);
            return Ok(code);
        }
    };
    start::print_all(&opened.complaints);
    start::print_all(&opened.settings.notices);
    match start_agent(args, tmux, &opened, &agents::path_for_tmux(&tmux.socket, &opened.id)?) {
        Ok(_) => Ok(0),
        Err(error) => bail!("Not shared: {error:#}. The session is at {}", tmux.socket.display()),
    }
}

/// What the agent of this session has to know.
pub fn agent_config(
    args: &ShareArgs,
    tmux: &Tmux,
    opened: &Opened,
    agent_socket: &Path,
) -> anyhow::Result<AgentConfig> {
    let (size, relay) = (tty::size(), args.relay_args(&opened.settings));
    remembered::remember(tmux, &opened.id, &relay);
    let said = SaidAccess::default().and(&args.wishes(), &options::parse(&opened.options.0));
    remembered::remember_access(tmux, &opened.id, &said)?;
    Ok(AgentConfig {
        tmux_binary: tmux.binary.clone(),
        tmux_socket: tmux.socket.clone(),
        tmux_version: tmux.version.to_string(),
        session_id: opened.id.clone(),
        size: (size.cols, size.rows),
        is_own_server: true,
        agent_socket: agent_socket.to_owned(),
        relay,
        verbosity: args.verbosity,
        display_time_ms: args.display_time_ms(&opened.settings),
        respawned_pane: None,
        wishes: args.wishes().or(opened.settings.wishes.clone()),
        wishes_of_flags: args.wishes(),
        notices: opened.notices(),
        options: opened.options.clone(),
    })
}

fn start_agent(
    args: &ShareArgs,
    tmux: &Tmux,
    opened: &Opened,
    agent_socket: &Path,
) -> anyhow::Result<StartedAgent> {
    // First of all: `tern` in the session tries again, and means the same.
    let config = agent_config(args, tmux, opened, agent_socket)?;
    if let Some(reason) = &opened.refusal {
        bail!("{reason}");
    }
    agent_start::start(&config)
}

/// Removes what a tmux server leaves behind; whether it has ended.
pub fn clean_up(tmux: &Tmux) -> bool {
    let has_ended = UnixStream::connect(&tmux.socket).is_err();
    if has_ended {
        let _ = std::fs::remove_file(&tmux.socket);
        copies::remove(&tmux.socket);
    }
    has_ended
}

/// Ends a server of ours with all that is in it.
pub fn end_session(tmux: &Tmux) {
    // If it has ended, all is well.
    let _ = tmux.run(&["kill-server"]);
    await_end(tmux);
}

/// Until a server that was told to end has ended, and its socket is gone: a bounded time. tmux tells
/// nobody, and a connection that would be closed with it is one more client that it waits for.
pub fn await_end(tmux: &Tmux) {
    let began = Instant::now();
    while !clean_up(tmux) && began.elapsed() < TMUX_END_TIME_MAX {
        std::thread::park_timeout(TMUX_END_POLL);
    }
}

/// Runs the whole of it in a terminal; gives the exit code.
pub fn run(
    args: &ShareArgs,
    tmux: &Tmux,
    plan: &Plan,
    code_file: Option<CodeFile>,
) -> anyhow::Result<u8> {
    let opened = match start::open(tmux, plan)? {
        Opening::Opened(opened) => opened,
        Opening::Over(code) => {
            clean_up(tmux);
            return Ok(code_file.and_then(|file| file.read()).unwrap_or(code));
        }
    };
    let id = opened.id.clone();
    let agent_socket = agents::path_for_tmux(&tmux.socket, &id)?;
    // Whatever hinders the sharing, the session is there and is not lost.
    let (mut agent, shown) = match start_agent(args, tmux, &opened, &agent_socket) {
        Ok(agent) => (Ok(agent), start_view::follow_agent(&agent_socket)),
        Err(error) => {
            let text = format!("Not shared: {error:#}");
            let told = opened.notices().join("\n");
            let shown = start_view::show_text(&format!(
                "{told}\n{text}\nThe session goes on here, unshared; `tern` in it tries again."
            ));
            (Err(text), shown)
        }
    };
    if let Err(error) = shown {
        eprintln!("[tern] the start view could not be shown: {error:#}");
    }
    if !tmux.has_session(&id) {
        println!("[tern] the session ended");
        return Ok(code_file.and_then(|file| file.read()).unwrap_or(0));
    }
    // Asked now: when the session ends, so does its agent.
    let trouble = trouble_of(&agent_socket);
    if code_file.is_some() {
        // A window that begins with a name keeps it; this one is to be named after what runs in
        // it, now that the command does.
        let _ = tmux.run(&["set-option", "-wu", "-t", &id, "automatic-rename"]);
    }
    let mut command = tmux.command();
    command.args(["attach-session", "-t", &id]);
    let mut is_death_told = false;
    let code = attach::run(command, || {
        let mut has_died = || agent.as_mut().is_ok_and(StartedAgent::has_failed);
        if !is_death_told && has_died() {
            is_death_told = true;
            tell_death(tmux, args.display_time_ms(&opened.settings));
        }
    })?;
    let is_over = !tmux.has_session(&id);
    say_goodbye(tmux, is_over, &agent_socket);
    let has_others = tmux.run(&["list-sessions"]).is_ok_and(|list| !list.trim().is_empty());
    if is_over && !has_others {
        // The copies of the configuration are this process's, and may hold secrets.
        await_end(tmux);
    }
    // The command's own code says more than why nobody could watch it.
    let command_code = code_file.filter(|_| is_over).and_then(|file| file.read());
    let failure = match agent {
        Err(text) => Some(text),
        Ok(agent) if is_over => {
            let never_shared = || "Not shared: the relay could not be reached".into();
            let is_failure = agent.has_never_shared(AGENT_END_TIME_MAX);
            is_failure.then(|| trouble.unwrap_or_else(never_shared))
        }
        Ok(_) => trouble_of(&agent_socket),
    };
    if let Some(text) = &failure {
        eprintln!("[tern] {text}");
    }
    Ok(match (command_code, code) {
        (Some(code), _) => code,
        (None, 0) => failure.is_some().into(),
        (None, code) => code,
    })
}

/// Why nobody could join yet.
fn trouble_of(agent_socket: &Path) -> Option<String> {
    agents::status(agent_socket).ok()?.trouble.map(|text| format!("Not shared: {text}"))
}

/// Arguments for the session's window: the command as given, under a process that writes down its
/// exit code, and the name that tmux would give it without that.
fn window_args(
    command: &[OsString],
    code_file: Option<&CodeFile>,
) -> anyhow::Result<Vec<OsString>> {
    let (Some(code_file), Some(program)) = (code_file, command.first()) else {
        return Ok(Vec::new());
    };
    let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let tern = std::env::current_exe().context("cannot find tern's own program file")?;
    let mut args: Vec<OsString> = vec!["-n".into(), notice::for_tmux(&name).into(), "--".into()];
    args.extend([tern.into(), "run-command".into(), code_file.path().into(), "--".into()]);
    args.extend(command.iter().map(|word| tmux_word(word)));
    Ok(args)
}

/// A word that ends with a semicolon would end tmux's own command.
pub fn tmux_word(word: &OsStr) -> OsString {
    let Some(rest) = word.as_encoded_bytes().strip_suffix(b";") else { return word.to_owned() };
    let mut quoted = OsStr::from_bytes(rest).to_owned();
    quoted.push(r"\;");
    quoted
}

/// Our own client says that nobody watches any more: the agent can't.
fn tell_death(tmux: &Tmux, display_time_ms: u64) {
    let Ok(tty) = rustix::termios::ttyname(rustix::stdio::stdin(), Vec::new()) else { return };
    let tty = tty.to_string_lossy();
    let delay = display_time_ms.to_string();
    let mut args = vec!["display-message", "-c", &tty];
    if tmux.version.has_message_delay() {
        args.extend(["-d", &delay]);
    }
    args.push(AGENT_DIED);
    // If the session is gone, too, nobody needs to know.
    let _ = tmux.run(&args);
}

fn say_goodbye(tmux: &Tmux, is_over: bool, agent_socket: &Path) {
    let socket = tmux.socket.display();
    if is_over {
        println!("[tern] the session ended");
    } else if agents::is_alive(agent_socket) {
        println!(
            "[tern] the session goes on and is still shared. Come back: tmux -S {socket} attach\n\
             [tern] Stop sharing: tern stop -S {socket}"
        );
    } else {
        println!("[tern] the session goes on, not shared. Come back: tmux -S {socket} attach");
    }
}

fn random_name() -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let letter = || char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    std::iter::repeat_with(letter).take(NAME_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolon_at_a_words_end_is_no_end_of_tmuxs_command() {
        assert_eq!(tmux_word("echo a; echo b;".as_ref()), r"echo a; echo b\;");
        assert_eq!(tmux_word(";".as_ref()), r"\;");
        assert_eq!(tmux_word("a;b".as_ref()), "a;b");
    }
}
