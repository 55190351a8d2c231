//! The command line.

use crate::core::prediction::display::Mode;
use crate::core::wishes::Wishes;
use crate::shell::join::{self, JoinArgs};
use crate::shell::protocol::Connection;
use crate::shell::sharing::{RelayArgs, parse_relay};
use crate::shell::tmux::{NoTmux, Surrounding, Tmux};
use crate::shell::{
    agent_start, agents, commands, inside_tmux, manual, own_tmux, plain, program, run_command,
    start_view, tty,
};
use anyhow::bail;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const LONG_ABOUT: &str = "\
Share the terminal you are in: others join with plain ssh, and see and type the same.

Outside of tmux, a tmux session is started (its server is tern's own, with your usual
configuration); inside of tmux, the session you are in is shared where it is. The lines to join
with are shown first, to you alone: whoever has `ssh TOKEN@...` sees and types, whoever has
`ssh ro-TOKEN@...` only looks.";
const EXAMPLES: &str = "  \
  tern                          share a shell with people in your network
  tern --relay relay.example    share it over a relay, with anybody
  tern -- htop                  share just that program
  tern --no-tmux                share a shell on a plain terminal
  tern join TOKEN@relay.example join a session; it survives bad networks, unlike ssh
  tern stop                     end the sharing; the session goes on";

/// Share the terminal you are in: others join with plain ssh, and see and type the same.
#[derive(Debug, Parser)]
#[command(
    name = "tern",
    version,
    args_conflicts_with_subcommands = true,
    long_about = LONG_ABOUT,
    after_help = format!("Examples:\n{EXAMPLES}")
)]
struct Cli {
    #[command(flatten)]
    share: ShareArgs,
    #[command(subcommand)]
    command: Option<Sub>,
}

/// What can be said about a sharing that starts.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// Relay to share over (default port 2200). Without one, a relay is run on this machine, for
    /// people in the same network.
    #[arg(long, env = "TERN_RELAY", value_name = "HOST[:PORT]")]
    pub relay: Option<String>,
    /// Trust only a relay with this host key, as `tern-relay` prints it. May be repeated.
    /// Without it, known_hosts is asked, and an unknown relay's key is learnt with a notice.
    #[arg(long, env = "TERN_RELAY_FINGERPRINT", value_delimiter = ',', value_name = "SHA256:...",
          value_parser = fingerprint)]
    pub relay_fingerprint: Vec<String>,
    /// Private key for a relay that lets only some people share. May be repeated; keys of
    /// ssh-agent are tried, too.
    #[arg(short, long, env = "TERN_IDENTITY", value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// How long a notice (somebody joined, somebody left) stays on the status line, in
    /// milliseconds; a key takes it away at once.
    #[arg(long, env = "TERN_DISPLAY_TIME", value_name = "MS", default_value_t = 15_000,
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub display_time: u64,
    /// Don't use tmux: share the program, or a shell, on a plain terminal. It ends with its
    /// terminal.
    #[arg(long)]
    pub no_tmux: bool,
    /// Where the new tmux server listens.
    #[arg(short = 'S', long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// Log more (to files in ~/.local/state/tern/log). May be repeated; TERN_LOG has a filter.
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbosity: u8,
    /// Program to share, with its arguments; your shell if none is given.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
    /// Whether the relay was named on the command line itself.
    #[arg(skip)]
    pub is_relay_named: bool,
    /// The same of its fingerprints.
    #[arg(skip)]
    pub are_fingerprints_named: bool,
}

impl ShareArgs {
    /// The same for a session that was shared before: what is not named now is as it was then.
    pub fn relay_args_again(&self, before: Option<RelayArgs>) -> RelayArgs {
        let now = self.relay_args();
        match before {
            Some(before) if !self.is_relay_named => {
                let are_identities_named = !now.identities.is_empty();
                let choose = |is_new| if is_new { &now } else { &before };
                RelayArgs {
                    relay: before.relay.clone(),
                    fingerprints: choose(self.are_fingerprints_named).fingerprints.clone(),
                    identities: choose(are_identities_named).identities.clone(),
                }
            }
            Some(_) | None => now,
        }
    }

    /// What else is wanted.
    pub fn wishes(&self) -> Wishes {
        Wishes::default()
    }

    /// What is said about the relay.
    pub fn relay_args(&self) -> RelayArgs {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        RelayArgs {
            relay: self.relay.clone().filter(|relay| !relay.is_empty()),
            fingerprints: self.relay_fingerprint.clone(),
            identities: self.identity.iter().map(absolute).collect(),
        }
    }
}

/// Which sharing a command means.
#[derive(Debug, Args)]
struct Which {
    /// Which sharing is meant, if there are several: its tmux's socket, or its name.
    #[arg(short = 'S', long, value_name = "SOCKET")]
    socket: Option<PathBuf>,
}

/// What a command shows.
#[derive(Debug, Args)]
struct Look {
    #[command(flatten)]
    which: Which,
    /// Show the read-write line even on the screen that is shared, where every viewer sees it.
    #[arg(long)]
    reveal: bool,
}

/// What can be said about joining.
#[derive(Debug, Args)]
struct JoinOptions {
    /// What to join: TOKEN@HOST, TOKEN@HOST:PORT, the whole `ssh TOKEN@HOST` line, or a web link.
    #[arg(required = true, value_name = "TOKEN@HOST")]
    line: Vec<String>,
    /// The relay's SSH port, as for ssh; without one, 2200 is tried, then 22.
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Trust only a relay with this host key, as `tern-relay` prints it. May be repeated.
    /// Without it, known_hosts is asked, and an unknown relay's key is learnt with a notice.
    #[arg(long, env = "TERN_RELAY_FINGERPRINT", value_delimiter = ',', value_name = "SHA256:...",
          value_parser = fingerprint)]
    relay_fingerprint: Vec<String>,
    /// Private key, where the session or the relay asks for one. May be repeated; keys of ssh-agent
    /// are tried, too.
    #[arg(short, long, env = "TERN_IDENTITY", value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// When to show what you type before the host has: on slow links, always, or never. It is
    /// underlined while it is a guess and the link is very slow.
    #[arg(long, env = "TERN_PREDICT", value_name = "WHEN", value_enum, default_value_t)]
    predict: Predict,
    /// Let what is copied in the session come into the clipboard here.
    #[arg(long)]
    clipboard: bool,
    /// Log more (to files in ~/.local/state/tern/log). May be repeated; TERN_LOG has a filter.
    #[arg(short, action = clap::ArgAction::Count)]
    verbosity: u8,
}

/// When keys are shown before the host has echoed them.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Predict {
    /// On slow links.
    #[default]
    Adaptive,
    /// On any link.
    Always,
    /// On none.
    Never,
}

impl From<Predict> for Mode {
    fn from(predict: Predict) -> Self {
        match predict {
            Predict::Adaptive => Self::Adaptive,
            Predict::Always => Self::Always,
            Predict::Never => Self::Never,
        }
    }
}

impl JoinOptions {
    fn args(self) -> JoinArgs {
        let relay = RelayArgs {
            relay: None,
            fingerprints: self.relay_fingerprint,
            identities: self.identity,
        };
        JoinArgs {
            words: self.line,
            port: self.port,
            relay,
            is_clipboard_allowed: self.clipboard,
            predict: self.predict.into(),
            verbosity: self.verbosity,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Join somebody's session: as with ssh, but it survives bad networks.
    ///
    /// The line is the one that their tern shows; a pasted `ssh TOKEN@HOST` will do. Keys that are
    /// typed while the network is gone are kept. To leave: Enter ~ . (and Enter ~ ? for help).
    Join(JoinOptions),
    /// End the sharing; the session itself goes on.
    Stop(Which),
    /// Show how to join, over which relay, how it is connected, and who watches.
    Status(Look),
    /// Show the log of the sharing: join lines, who came and went, what the relay does.
    ShowMessages(Look),
    /// Print completions for a shell.
    Completions {
        /// For this shell.
        shell: Shell,
    },
    /// Print the manual page (`tern man | man -l -`).
    Man,
    /// Runs a command and writes down its exit code (started by tern itself, in tmux).
    #[command(hide = true)]
    RunCommand {
        /// Where the code is written to.
        code_file: PathBuf,
        /// The command, with its arguments.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// The process that shares a session (started by tern itself).
    #[command(hide = true)]
    Agent,
    /// Shows what an agent says (started by tern itself, in a popup).
    #[command(hide = true)]
    StartView {
        /// The agent's socket.
        agent: PathBuf,
    },
}

/// Runs `tern`.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = match parse(arguments) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let is_named = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    cli.share.is_relay_named = is_named("relay");
    cli.share.are_fingerprints_named = is_named("relay_fingerprint");
    let is_agent = matches!(cli.command, Some(Sub::Agent));
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !is_agent {
                eprintln!("tern: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line, and understands two common mistakes.
fn parse(mut arguments: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
    let is_help = |argument: &OsString| argument == "--help" || argument == "-h";
    if arguments.get(1).is_some_and(|word| word == "help") && arguments.get(2).is_some_and(is_help)
    {
        arguments.remove(1);
    }
    let mut command = Cli::command();
    command.try_get_matches_from_mut(&arguments).map_err(|error| {
        // A program without the two dashes before it.
        match arguments.get(1).and_then(|word| word.to_str()) {
            Some(word)
                if is_unknown(&error)
                    && !word.starts_with('-')
                    && command.find_subcommand(word).is_none() =>
            {
                let words: Vec<_> =
                    arguments[1..].iter().map(|word| word.to_string_lossy()).collect();
                let text = format!(
                    "tern has no command '{word}'. To share a program: tern -- {}",
                    words.join(" ")
                );
                command.error(ErrorKind::InvalidSubcommand, text)
            }
            Some(_) | None => error,
        }
    })
}

fn is_unknown(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand)
}

fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        None => return share(&cli.share),
        Some(Sub::Join(options)) => return join::run(&options.args()),
        Some(Sub::Stop(which)) => commands::stop(which.socket.as_deref())?,
        Some(Sub::Status(look)) => commands::status(look.which.socket.as_deref(), look.reveal)?,
        Some(Sub::ShowMessages(look)) => {
            commands::show_messages(look.which.socket.as_deref(), look.reveal)?;
        }
        Some(Sub::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "tern", &mut std::io::stdout());
        }
        Some(Sub::Man) => {
            manual::write(Cli::command(), EXAMPLES, &mut std::io::stdout())?;
        }
        Some(Sub::RunCommand { code_file, command }) => {
            return run_command::run(&code_file, &command);
        }
        Some(Sub::Agent) => return agent_start::run(),
        Some(Sub::StartView { agent }) => start_view::follow_agent(&agent)?,
    }
    Ok(0)
}

fn share(args: &ShareArgs) -> anyhow::Result<u8> {
    let relay = args.relay_args();
    if let Some(relay) = &relay.relay {
        // A mistake is told before anything is started.
        parse_relay(relay)?;
    }
    if let Some(program) = args.command.first()
        && let Err(unusable) = program::check(program, std::env::var_os("PATH").as_deref())
    {
        eprintln!("tern: {unusable}");
        return Ok(unusable.exit_code());
    }
    // Inside of tmux the session is shared; a program alone, or another socket, is something new.
    let is_plain = args.no_tmux || !args.command.is_empty() && Surrounding::from_env().is_some();
    if !is_plain && let Some(surrounding) = Surrounding::from_env() {
        inside_tmux::run(args, &surrounding)?;
        return Ok(0);
    }
    if let Some(path) = agents::surrounding()?.filter(|_| Surrounding::from_env().is_none()) {
        match agents::status(&path)?.connection {
            Connection::Failed(reason) => bail!(
                "sharing this terminal has failed: {reason}. It lives and ends with the tern that \
                 runs it: leave the shell, and start `tern` anew"
            ),
            Connection::Connecting | Connection::Connected(_) | Connection::Reconnecting(_) => {
                bail!("this terminal is shared already; see `tern status`")
            }
        }
    }
    if !tty::is_terminal() {
        bail!("there is no terminal to share: standard input and output must be one");
    }
    if is_plain {
        return plain::run(args, None);
    }
    let socket = own_tmux::socket(args)?;
    match Tmux::find(socket) {
        Ok(tmux) => own_tmux::run(args, &tmux),
        Err(reason @ (NoTmux::Missing | NoTmux::TooOld(_) | NoTmux::Unknown(_))) => {
            let notice = format!("{reason}: sharing a plain terminal, which ends with its window");
            plain::run(args, Some(notice))
        }
    }
}

/// A fingerprint as `ssh-keygen -l` prints it: SHA-256 in base64 without padding.
fn fingerprint(text: &str) -> Result<String, String> {
    let hash = text.strip_prefix("SHA256:").unwrap_or_default();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if hash.len() == 43 && hash.bytes().all(is_base64) {
        Ok(text.to_owned())
    } else {
        Err("allowed is SHA256: and 43 letters, as tern-relay and ssh-keygen -l print it".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn program_comes_after_two_dashes_as_it_is() {
        let cli = Cli::try_parse_from(["tern", "--relay", "r:1", "--", "ls", "-la", "a b"]);
        let cli = cli.expect("it is right");
        assert_eq!(cli.share.command, ["ls", "-la", "a b"]);
        assert_eq!(cli.share.relay.as_deref(), Some("r:1"));
        assert!(Cli::try_parse_from(["tern", "htop"]).is_err());
    }

    #[test]
    fn relay_of_before_is_meant_unless_one_is_named() {
        let before = RelayArgs {
            relay: Some("before".into()),
            fingerprints: vec!["SHA256:x".into()],
            identities: vec!["/before".into()],
        };
        let mut share = Cli::try_parse_from(["tern"]).expect("it is right").share;
        share.relay = Some("usual".into());
        let args = share.relay_args_again(Some(before.clone()));
        assert_eq!(
            (args.relay, args.identities),
            (before.relay.clone(), before.identities.clone())
        );
        assert_eq!(share.relay_args_again(None).relay.as_deref(), Some("usual"));
        share.is_relay_named = true;
        let args = share.relay_args_again(Some(before));
        assert_eq!((args.relay.as_deref(), args.fingerprints.len()), (Some("usual"), 0));
    }

    #[test]
    fn socket_may_be_named_after_a_subcommand() {
        let cli = Cli::try_parse_from(["tern", "stop", "-S", "/x"]).expect("it is right");
        let Some(Sub::Stop(which)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(which.socket, Some("/x".into()));
    }

    fn mistake(words: &[&str]) -> String {
        let words = words.iter().map(Into::into).collect();
        parse(words).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn program_without_dashes_gets_a_hint() {
        assert!(mistake(&["tern", "htop", "-d", "5"]).contains("tern -- htop -d 5"));
        let said = mistake(&["tern", "stop", "--nonsense"]);
        assert!(said.contains("--nonsense"), "{said}");
        let said = mistake(&["tern", "status", "extra"]);
        assert!(said.contains("unexpected argument 'extra'"), "{said}");
    }

    #[test]
    fn help_of_help_is_help() {
        assert!(mistake(&["tern", "help", "--help"]).contains("Usage:"));
        assert!(mistake(&["tern", "help", "stop"]).contains("Usage:"));
    }

    #[test]
    fn only_commands_that_ask_an_agent_have_a_socket() {
        for (words, has) in [
            (["tern", "stop", "--help"], true),
            (["tern", "man", "--help"], false),
            (["tern", "completions", "--help"], false),
        ] {
            assert_eq!(mistake(&words).contains("--socket"), has, "{words:?}");
        }
    }

    #[test]
    fn manual_has_the_sections_of_a_manual() {
        let mut page = Vec::new();
        manual::write(Cli::command(), EXAMPLES, &mut page).expect("memory takes it");
        let page = String::from_utf8_lossy(&page);
        for heading in ["SYNOPSIS", "OPTIONS", "COMMANDS", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES"]
        {
            assert!(page.contains(heading), "{heading}");
        }
        assert!(page.contains("\\-\\-reveal"), "a flag is shown as one");
        assert!(page.contains("TERN_PREDICT"));
        // No other pages, nothing that tern starts by itself.
        for word in ["(1)\n.br", "tern\\-stop", "EXTRA", "run\\-command", "start\\-view"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
