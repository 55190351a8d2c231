//! The command line.

mod in_tmates_words;
mod join_options;
mod share;
mod share_args;

use crate::core::menus::Choice;
use crate::shell::attendance::{BanOptions, ViewersOptions, WhomOptions};
use crate::shell::join::{self, Refused};
use crate::shell::play::{self, PlayOptions};
use crate::shell::protocol::{Chosen, Request};
use crate::shell::register::RegisterOptions;
use crate::shell::relay_options::RelayOptions;
use crate::shell::{
    agent_start, agents, attendance, commands, completing, doctor, drop_in, manual, menus,
    register, run_command, start_view,
};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use in_tmates_words::{drop_in_flags, program_name, run_drop_in};
use join_options::JoinOptions;
use share::share;
pub use share_args::{LogFormat, SECRET_VARIABLES, ShareArgs};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use tern_help::completions::{self, ArgValueCandidates, Shell};

const LONG_ABOUT: &str = "\
Share the terminal you are in: others join with plain ssh, and see and type the same.

Outside of tmux, a tmux session is started (its server is tern's own, with your usual
configuration); inside of tmux, the session you are in is shared where it is. The lines to join
with are shown first, to you alone: whoever has `ssh TOKEN@...` sees and types, whoever has
`ssh ro-TOKEN@...` only looks.";
const EXAMPLES: &str = "  \
  tern                           share a shell with people in your network
  tern --relay relay.example     share it over a relay, with anybody
  tern -- htop                   share just that program
  tern --no-tmux                 share a shell on a plain terminal
  tern join TOKEN@relay.example  join a session; it survives bad networks, unlike ssh
  tern play FILE                 play what `tern join --record FILE` has recorded
  tern stop                      end the sharing; the session goes on";

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

/// Which sharing a command means.
#[derive(Debug, Args)]
pub struct Which {
    /// Which sharing is meant, if there are several: its tmux's socket, or its name.
    #[arg(short = 'S', long, value_name = "SOCKET",
          add = ArgValueCandidates::new(completing::sessions))]
    pub socket: Option<PathBuf>,
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

/// What can be said to `tern doctor`: as for a sharing.
#[derive(Debug, Args)]
struct DoctorOptions {
    #[command(flatten)]
    relay: RelayOptions,
    /// Configuration in which the relay may be named, in place of ~/.tern.conf or ~/.tmate.conf.
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Join somebody's session: as with ssh, but it survives bad networks.
    ///
    /// The line is the one that their tern shows; a pasted `ssh TOKEN@HOST` will do. Keys that are
    /// typed while the network is gone are kept. To leave: Enter ~ . (and Enter ~ ? for help).
    /// The wheel, Shift-PageUp, Shift-PageDown, Shift-Home and Shift-End scroll your own view, but for
    /// those of a full-screen program, which gets them itself; any other key returns to the live screen.
    #[command(after_long_help = crate::shell::join::exit_statuses())]
    Join(JoinOptions),
    /// Play a recording, made by `tern join --record` or by asciinema.
    ///
    /// Space pauses and goes on, `.` steps to the next picture, `]` to the next marker, q leaves.
    Play(PlayOptions),
    /// Get an account at a relay, for named sessions; it sends a mail to whoever has the mailbox.
    ///
    /// The mail has a link, or a code for --code. The API key that comes of it is printed once, to
    /// standard output.
    Register(RegisterOptions),
    /// End the sharing; the session itself goes on.
    Stop(Which),
    /// Show how to join, over which relay, how it is connected, and who watches.
    Status(Look),
    /// List who watches and who waits to be let in: number, rights, program, window, how long, who.
    Viewers(ViewersOptions),
    /// Let in somebody who waits (see --approve).
    Approve(WhomOptions),
    /// Turn away somebody who waits. They may ask again, unless --ban says otherwise.
    Deny(BanOptions),
    /// Remove a viewer at once. The line that they have still works, unless --ban says otherwise; to
    /// make it useless, end the sharing.
    Kick(BanOptions),
    /// Take back a --ban: they may come again. By the number that `tern viewers` lists.
    Unban(WhomOptions),
    /// Show the log of the sharing: join lines, who came and went, what the relay does.
    ShowMessages(Look),
    /// Look at all that sharing needs: tmux, the terminal, the clock, keys, the relay over SSH and
    /// UDP. Tells what to do where something is missing; exit status 1 if sharing would fail.
    Doctor(DoctorOptions),
    /// Print completions for a shell, which asks tern for sessions and relays.
    ///
    /// In ~/.bashrc: `source <(tern completions bash)`; in ~/.zshrc: `source <(tern completions zsh)`;
    /// in ~/.config/fish/config.fish: `tern completions fish | source`.
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
    /// Runs what was typed at tmux's prompt (started by tmux).
    #[command(hide = true)]
    AtPrompt {
        /// The server's socket.
        socket: PathBuf,
    },
    /// Tells an agent that a program in its session has ended (started by tmux).
    #[command(hide = true)]
    PaneDied {
        /// The agent's socket.
        agent: PathBuf,
    },
    /// Tells an agent what was chosen from a menu of its (started by tmux).
    #[command(hide = true)]
    AtDoor {
        /// The agent's socket.
        agent: PathBuf,
        /// Number of whom the menu is about.
        number: u32,
        /// What was chosen.
        #[arg(value_parser = menus::parse_choice)]
        choice: Choice,
        /// The terminal that the menu was at.
        tty: String,
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

/// Runs `tern`, or `tmate` if it is called so.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match completions::answer(|| completing::with_tmuxs(Cli::command()), &arguments) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => error.exit(),
    }
    let program = program_name(&arguments);
    match drop_in_flags(program, &arguments) {
        Some(Ok(flags)) => return exit_code_of(run_drop_in(program, &flags), true),
        Some(Err(error)) => {
            eprintln!("{}: {error}", program.name());
            drop_in::usage();
            return ExitCode::FAILURE;
        }
        None => {}
    }
    let matches = match parse(arguments) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.share = ShareArgs::read(&matches);
    let is_agent = matches!(cli.command, Some(Sub::Agent));
    exit_code_of(dispatch(cli), !is_agent)
}

fn exit_code_of(result: anyhow::Result<u8>, tells_error: bool) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if tells_error {
                eprintln!("tern: {error:#}");
            }
            let refused = error.downcast_ref::<Refused>();
            refused.map_or(ExitCode::FAILURE, |it| ExitCode::from(it.reason.exit_status()))
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
        Some(Sub::Play(options)) => return play::run(&options),
        Some(Sub::Register(options)) => register::run(options)?,
        Some(Sub::Stop(which)) => commands::stop(which.socket.as_deref())?,
        Some(Sub::Status(look)) => commands::status(look.which.socket.as_deref(), look.reveal)?,
        Some(Sub::ShowMessages(look)) => {
            commands::show_messages(look.which.socket.as_deref(), look.reveal)?;
        }
        Some(Sub::Viewers(options)) => attendance::list(&options)?,
        Some(Sub::Approve(options)) => attendance::approve(&options)?,
        Some(Sub::Deny(options)) => attendance::deny(&options)?,
        Some(Sub::Kick(options)) => attendance::kick(&options)?,
        Some(Sub::Unban(options)) => attendance::unban(&options)?,
        Some(Sub::Doctor(options)) => {
            return doctor::run(&options.relay, options.config.as_deref());
        }
        Some(Sub::Completions { shell }) => {
            tern_help::print(|to| completions::write_script(shell, "tern", to))?;
        }
        Some(Sub::Man) => {
            tern_help::print(|to| manual::write(Cli::command(), EXAMPLES, to))?;
        }
        Some(Sub::RunCommand { code_file, command }) => {
            return run_command::run(&code_file, &command);
        }
        Some(Sub::AtPrompt { socket }) => drop_in::prompt::run(&socket)?,
        Some(Sub::PaneDied { agent }) => drop(agents::ask(&agent, Request::PaneDied)?),
        Some(Sub::AtDoor { agent, number, choice, tty }) => {
            drop(agents::ask(&agent, Request::Chosen(Chosen { number, choice, tty }))?);
        }
        Some(Sub::Agent) => return agent_start::run(),
        Some(Sub::StartView { agent }) => start_view::follow_agent(&agent)?,
    }
    Ok(0)
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
        assert_eq!(cli.share.relay.relay, ["r:1"]);
        assert!(Cli::try_parse_from(["tern", "htop"]).is_err());
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
