//! tmate's way to be called: `tern -S SOCKET new-session -d`, and `tmate` itself as a link to this
//! program. Commands go to a real tmux as they were typed; only what tmux can't know is ours: the
//! options, `wait tmate-ready`, the log, and that a new session is shared.

pub mod config;
pub mod copies;
pub mod foreground;
pub mod pass;
pub mod prompt;
pub mod sourced_path;
pub mod sources;
pub mod start;

use crate::core::drop_in::commands::{self, Command, Meaning, meaning};
use crate::core::drop_in::flags::{self, FlagError, Flags};
use crate::core::drop_in::help;
use crate::shell::cli::ShareArgs;
use crate::shell::tmux::{Surrounding, Tmux};
use crate::shell::{agents, own_tmux, paths, tty};
use anyhow::bail;
use config::Config;
pub use config::Program;
use start::Plan;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// The tmate that we are like.
const TMATE_VERSION: &str = "2.4.0";

/// As tmate says it.
const NESTED: &str = "sessions should be nested with care, unset $TMUX to force";

/// Whether these words are tmate's grammar and not ours: flags that only it has, or a command of
/// tmux's. `is_ours` tells our own subcommands.
pub fn recognise(
    program: Program,
    words: &[OsString],
    takes_value: impl Fn(&str) -> bool,
    is_ours: impl Fn(&str) -> bool,
) -> Option<Result<Flags, FlagError>> {
    let mut parsed = flags::parse(words, takes_value);
    let first = |flags: &Flags| {
        let word = flags.command.first().and_then(|word| word.to_str());
        word.map(|word| meaning(word.trim_end_matches(';')))
    };
    if let Ok(flags) = &mut parsed
        && flags.is_foreground
        && flags.is_separated
        // To tmate it is a list of tmux's commands, as without `--`.
        && (program == Program::Tern || first(flags) == Some(Meaning::None))
    {
        // `tern -F -- CMD`, as without -F.
        let words = flags.command.iter().map(|word| own_tmux::tmux_word(word));
        flags.command = ["new-session".into(), "--".into()].into_iter().chain(words).collect();
        return Some(parsed);
    }
    if program == Program::Tmate {
        return Some(parsed);
    }
    let flags = parsed.ok()?;
    if flags.is_version || flags.is_usage || flags.is_separated {
        return None;
    }
    let is_asked = |word: &str| command_name(word).filter(|_| !is_ours(word));
    if help::asked_about(&flags.command, is_asked).is_some() {
        return Some(Ok(flags));
    }
    let is_command = match flags.command.first().and_then(|word| word.to_str()) {
        Some(word) if is_ours(word) && !has_socket_before(&flags, word) => return None,
        Some(word) => meaning(word.trim_end_matches(';')) != Meaning::None,
        None => flags.is_foreground || flags.control_count > 0 || flags.shell_command.is_some(),
    };
    is_command.then_some(Ok(flags))
}

fn command_name(word: &str) -> Option<&'static str> {
    match meaning(word) {
        Meaning::Command(name) => Some(name),
        Meaning::Several | Meaning::None => None,
    }
}

/// `tern -S SOCKET show-messages`: ours takes its socket behind.
fn has_socket_before(flags: &Flags, word: &str) -> bool {
    word == "show-messages" && (flags.socket.is_some() || flags.label.is_some())
}

/// Runs it; gives the exit code.
pub fn run(program: Program, flags: &Flags, args: &ShareArgs) -> anyhow::Result<u8> {
    if flags.is_version {
        println!("tmate {TMATE_VERSION} ({})", crate::shell::board::software());
        return Ok(0);
    }
    if flags.is_usage {
        usage();
        return Ok(1);
    }
    if let Some(name) = help::asked_about(&flags.command, command_name) {
        print!("{}", help::text(program.name(), name));
        return Ok(0);
    }
    let mut list = commands::split(&flags.command);
    let named = named_socket(program, flags)?;
    let surrounding = Surrounding::from_env().map(|surrounding| surrounding.socket);
    let socket = named.or_else(|| surrounding.clone().filter(|_| !flags.is_foreground));
    let makes_session =
        list.is_empty() || list.iter().any(|command| command.name() == Some("new-session"));
    if list.is_empty() && surrounding.is_some() && !flags.is_foreground {
        eprintln!("{NESTED}");
        return Ok(1);
    }
    match socket {
        Some(socket) if is_listening(&socket) => pass::run(program, flags, list, &socket),
        socket if makes_session || flags.shell_command.is_some() => {
            if list.is_empty() {
                list.push(Command { words: vec!["new-session".into()] });
            }
            let socket = match socket {
                Some(socket) => paths::socket_path(std::path::absolute(socket)?)?,
                None => own_tmux::new_socket(&sockets_folder(program)?)?,
            };
            start(program, flags, args, list, socket)
        }
        None if list.iter().any(|command| command.name() == Some("attach-session")) => {
            eprintln!("no current session");
            Ok(1)
        }
        Some(socket) if flags.socket.is_some() || flags.label.is_some() => {
            eprintln!(
                "no session at {0}: start one with `{1} -S {0} new-session -d`",
                socket.display(),
                program.name()
            );
            Ok(1)
        }
        Some(_) | None => match only_shared() {
            Some(socket) => pass::run(program, flags, list, &socket),
            None => {
                eprintln!("{}", no_session_text(program, &list));
                Ok(1)
            }
        },
    }
}

fn start(
    program: Program,
    flags: &Flags,
    args: &ShareArgs,
    mut list: Vec<Command>,
    socket: PathBuf,
) -> anyhow::Result<u8> {
    let tmux = Tmux::find(socket)?;
    let _ = std::fs::remove_file(&tmux.socket).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    let named = flags.config.as_ref().map(Path::new);
    let config = Config::prepare(program, named, &tmux.socket, tmux.version)?;
    if let Some(command) = &flags.shell_command {
        let mut tmux = tmux.command();
        tmux.args(&config.args).arg("-c").arg(command);
        bail!("cannot run tmux: {}", tmux.exec());
    }
    let new = list.iter().find(|command| command.name() == Some("new-session"));
    let attaches = |command: &Command| command.name() == Some("attach-session");
    let is_detached = new.is_some_and(|new| new.has_flag(b'd', start::NEW_SESSION_VALUES))
        && !list.iter().any(attaches);
    list.retain(|command| !attaches(command));
    if flags.is_foreground {
        return foreground::run(program, flags, args, &tmux, Plan { list, config, size: None });
    }
    if !is_detached && flags.control_count == 0 && !tty::is_terminal() {
        // As tmux says it.
        eprintln!("open terminal failed: not a terminal");
        return Ok(1);
    }
    let size = (!is_detached).then(tty::size);
    let plan = Plan { list, config, size };
    if is_detached {
        own_tmux::run_detached(args, &tmux, &plan)
    } else if flags.control_count > 0 {
        let code = own_tmux::run_detached(args, &tmux, &plan)?;
        if code != 0 {
            return Ok(code);
        }
        pass::exec(&tmux, flags, &[Command { words: vec!["attach-session".into()] }])
    } else {
        own_tmux::run(args, &tmux, &plan, None)
    }
}

/// Where `-S` or `-L` says.
fn named_socket(program: Program, flags: &Flags) -> anyhow::Result<Option<PathBuf>> {
    if let Some(socket) = &flags.socket {
        return Ok(Some(socket.into()));
    }
    let Some(label) = &flags.label else { return Ok(None) };
    let base = std::env::var_os("TMUX_TMPDIR").filter(|folder| !folder.is_empty());
    let base = base.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let user = rustix::process::getuid().as_raw();
    let folder = base.join(format!("{}-{user}", program.name()));
    paths::make_private(&folder)?;
    Ok(Some(folder.join(label)))
}

/// Where sockets with names of their own are. `$TMUX` tells it, and scripts look for "tmate" there.
fn sockets_folder(program: Program) -> anyhow::Result<PathBuf> {
    let folder = paths::runtime_folder()?;
    match program {
        Program::Tern => Ok(folder),
        Program::Tmate => {
            let folder = folder.join("tmate");
            paths::make_private(&folder)?;
            Ok(folder)
        }
    }
}

/// Whether a server answers there.
pub fn is_listening(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// The tmux of the only session that is shared on this machine.
fn only_shared() -> Option<PathBuf> {
    let status = agents::status(&agents::find(None).ok()?).ok()?;
    status.tmux_socket.map(PathBuf::from).filter(|socket| is_listening(socket))
}

fn no_session_text(program: Program, list: &[Command]) -> String {
    let name = program.name();
    let first =
        list.first().and_then(|command| command.words.first()).and_then(|word| word.to_str());
    if let Some(word) = first.filter(|word| meaning(word) == Meaning::None) {
        return format!(
            "unknown command: {word}. To share a program: {name} new-session {word}, or with nobody at \
             this terminal: {name} -F new-session {word}"
        );
    }
    format!(
        "You must specify a socket name with -S. For example: \n  \
         {name} -S /tmp/{name}.sock new-session -d\n  \
         {name} -S /tmp/{name}.sock wait {name}-ready"
    )
}

/// tmate's, with what its relay has become.
pub fn usage() {
    eprint!(
        "Usage: tmate [options] [tmux-command [flags]]\n\
         \n\
         Basic options:\n \
         -n <name>    specify the session token instead of getting a random one\n \
         -r <name>    same, but for the read-only token\n \
         -k <key>     specify an api-key, necessary for using named sessions\n \
         -a <path>    limit access to ssh public keys listed in provided file\n \
         -F           set the foreground mode, useful for setting remote access\n \
         -f <path>    set the config file path\n \
         -S <path>    set the socket path, useful to issue commands to a running tmate instance\n \
         -v           set verbosity (can be repeated)\n \
         -V           print version\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_drop_in(program: Program, words: &[&str]) -> bool {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        let is_ours = |word: &str| ["status", "show-messages", "join", "help"].contains(&word);
        recognise(program, &words, |name| name == "relay", is_ours).is_some()
    }

    #[test]
    fn program_behind_two_dashes_is_shared_in_the_foreground() {
        let read = |program, words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            let flags = recognise(program, &words, |_| false, |_| false);
            let flags = flags.and_then(Result::ok).expect("it is in tmate's grammar");
            flags.command.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        for program in [Program::Tern, Program::Tmate] {
            assert_eq!(read(program, &["-F", "--", "htop"]), ["new-session", "--", "htop"]);
        }
        assert_eq!(read(Program::Tmate, &["-F", "--", "new", "-d"]), ["new", "-d"]);
    }

    #[test]
    fn terns_own_commands_are_told_from_tmuxs() {
        for words in [
            &["new-session", "-d"][..],
            &["-S", "/s", "wait", "tmate-ready"],
            &["-S", "/s", "show-messages"],
            &["-F"],
            &["-F", "-n", "web", "new-session", "rails", "console"],
            &["--relay", "r", "set", "-g", "x", "y", ";", "new"],
            &["ls"],
            &["s"],
            &["-F", "--", "htop"],
            &["set", "--help"],
            &["help", "wait"],
        ] {
            assert!(is_drop_in(Program::Tern, words), "{words:?}");
        }
        for words in [
            &[][..],
            &["status"],
            &["show-messages"],
            &["join", "x@y"],
            &["--relay", "new-session"],
            &["-S", "/s"],
            &["-n", "name"],
            &["htop"],
            &["-V"],
            &["--", "ls"],
            &["--nonsense"],
            &["help", "status"],
            &["status", "--help"],
        ] {
            assert!(!is_drop_in(Program::Tern, words), "{words:?}");
            assert!(is_drop_in(Program::Tmate, words), "{words:?}");
        }
    }
}
