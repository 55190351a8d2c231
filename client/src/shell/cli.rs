//! The command line.

use crate::core::drop_in::flags::{FlagError, Flags};
use crate::core::drop_in::options::Settings;
use crate::core::menus::Choice;
use crate::core::prediction::display::Mode;
use crate::core::wishes::{Forges, Wishes, webhook_secret, webhook_url, webhook_userdata};
use crate::shell::attendance::{BanOptions, ViewersOptions, WhomOptions};
use crate::shell::drop_in::Program;
use crate::shell::join::{self, JoinArgs, Refused};
use crate::shell::play::{self, PlayOptions};
use crate::shell::protocol::{Chosen, Connection, Request};
use crate::shell::recording::Existing;
use crate::shell::register::RegisterOptions;
use crate::shell::relay_options::{RelayOptions, TrustOptions, absolute, plain_settings};
use crate::shell::sharing::{RelayArgs, parse_relay};
use crate::shell::tmux::{NoTmux, Surrounding, Tmux};
use crate::shell::{
    agent_start, agents, attendance, commands, completing, doctor, drop_in, inside_tmux, manual,
    menus, own_tmux, plain, program, register, run_command, start_view, tty,
};
use anyhow::bail;
use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tern_help::completions::{self, ArgValueCandidates, ArgValueCompleter, Shell};

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
  tern play FILE                play what `tern join --record FILE` has recorded
  tern stop                     end the sharing; the session goes on";

const API_KEY_VARIABLE: &str = "TERN_API_KEY";
const WEBHOOK_SECRET_VARIABLE: &str = "TERN_WEBHOOK_SECRET";
/// Of the environment; no program in the session gets them, since whoever types there could read them.
pub const SECRET_VARIABLES: [&str; 2] = [API_KEY_VARIABLE, WEBHOOK_SECRET_VARIABLE];

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
    /// Which relay.
    #[command(flatten)]
    pub relay: RelayOptions,
    /// Name for the session: the line to join with is `ssh USER/NAME@RELAY`, after every restart
    /// of host or relay. Needs a key.
    #[arg(short, long, env = "TERN_SESSION_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// The same for the read-only line.
    #[arg(short = 'r', long, env = "TERN_SESSION_NAME_RO", value_name = "NAME")]
    pub name_ro: Option<String>,
    /// Key by which the relay knows whose names these are.
    #[arg(short = 'k', long, env = API_KEY_VARIABLE, hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Only people with an SSH key of this file may join, with ssh or `tern join`: an OpenSSH
    /// authorized_keys file. A change to it counts for whoever joins next. In front of a key,
    /// `read-only` lets its owner look only; from=, expiry-time=, cert-authority and principals= are
    /// honoured, and a line with an option that can't be lets nobody in.
    #[arg(short, long, env = "TERN_AUTHORIZED_KEYS", value_name = "FILE")]
    pub authorized_keys: Option<PathBuf>,
    /// Whose SSH keys may join, beside those of a file.
    #[command(flatten)]
    pub forges: ForgeArgs,
    /// Be asked before somebody joins: by a menu in your tmux, or answer with `tern approve` and
    /// `tern deny`. Who gets no answer within two minutes is not let in.
    #[arg(long, env = "TERN_APPROVE", value_parser = FalseyValueParser::new())]
    pub approve: bool,
    /// Whom a webhook tells.
    #[command(flatten)]
    pub webhook: WebhookArgs,
    /// Configuration of the new tmux, in place of ~/.tern.conf, ~/.tmate.conf or tmux's own files.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long a notice (somebody joined, somebody left) stays on the status line, in
    /// milliseconds; a key takes it away at once. 15000 if nothing is said.
    #[arg(long, env = "TERN_DISPLAY_TIME", value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub display_time: Option<u64>,
    /// How log lines are printed in the foreground (`tern -F`).
    #[arg(long, env = "TERN_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
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
    #[arg(last = true, value_name = "CMD",
          add = ArgValueCompleter::new(completing::ProgramAndFiles))]
    pub command: Vec<OsString>,
    /// Whether the relay was named on the command line itself.
    #[arg(skip)]
    pub is_relay_named: bool,
    /// The same of its fingerprints.
    #[arg(skip)]
    pub are_fingerprints_named: bool,
}

/// What can be said about keys on the web.
#[derive(Debug, Args)]
pub struct ForgeArgs {
    /// Only people with an SSH key of this user of GitHub may join (and those of --authorized-keys and
    /// of other users). May be repeated. The keys are asked for every two minutes.
    #[arg(long, env = "TERN_GITHUB_USER", value_delimiter = ',', value_name = "NAME")]
    pub github_user: Vec<String>,
    /// The same for a user of GitLab.
    #[arg(long, env = "TERN_GITLAB_USER", value_delimiter = ',', value_name = "NAME")]
    pub gitlab_user: Vec<String>,
    /// The same for any list of keys (https). {user} in it stands for each --keys-user:
    /// https://codeberg.org/{user}.keys. May be repeated.
    #[arg(long, env = "TERN_KEYS_URL", value_delimiter = ',', value_name = "URL")]
    pub keys_url: Vec<String>,
    /// A user for --keys-url. May be repeated.
    #[arg(long, env = "TERN_KEYS_USER", value_delimiter = ',', value_name = "NAME")]
    pub keys_user: Vec<String>,
}

impl ForgeArgs {
    fn wishes(&self) -> Forges {
        Forges {
            github_users: self.github_user.clone(),
            gitlab_users: self.gitlab_user.clone(),
            users: self.keys_user.clone(),
            urls: self.keys_url.clone(),
        }
    }
}

/// What can be said about a webhook.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// Web server that the relay tells who joins and leaves, and when the session begins and ends, as
    /// JSON (docs/webhooks.md).
    #[arg(long, env = "TERN_WEBHOOK_URL", value_name = "URL", hide_env_values = true,
          value_parser = webhook_url)]
    pub webhook_url: Option<String>,
    /// Text that goes with each event of the webhook.
    #[arg(long, env = "TERN_WEBHOOK_USERDATA", value_name = "TEXT",
          value_parser = webhook_userdata)]
    pub webhook_userdata: Option<String>,
    /// Secret by which the webhook's events are signed (HMAC-SHA256, in the header webhook-signature).
    #[arg(long, env = WEBHOOK_SECRET_VARIABLE, hide_env_values = true, value_name = "SECRET",
          value_parser = webhook_secret)]
    pub webhook_secret: Option<String>,
    /// Send the webhook from here, not from the relay: for servers that only this machine reaches.
    #[arg(long, env = "TERN_WEBHOOK_FROM_HOST",
          value_parser = FalseyValueParser::new())]
    pub webhook_from_host: bool,
}

impl ShareArgs {
    /// The same for a session that was shared before: what is not named now is as it was then.
    pub fn relay_args_again(&self, settings: &Settings, before: Option<RelayArgs>) -> RelayArgs {
        let now = self.relay_args(settings);
        match before {
            Some(before) if !self.is_relay_named => {
                let are_identities_named = !self.relay.trust.identity.is_empty();
                let choose = |is_new| if is_new { &now } else { &before };
                RelayArgs {
                    relays: before.relays.clone(),
                    fingerprints: choose(self.are_fingerprints_named).fingerprints.clone(),
                    identities: choose(are_identities_named).identities.clone(),
                }
            }
            Some(_) | None => now,
        }
    }

    /// What else the command line wants.
    pub fn wishes(&self) -> Wishes {
        Wishes {
            name: self.name.clone(),
            name_ro: self.name_ro.clone(),
            api_key: self.api_key.clone(),
            authorized_keys: self.authorized_keys.as_deref().map(absolute),
            forges: self.forges.wishes(),
            asks_before_join: self.approve.then_some(true),
            webhook_url: self.webhook.webhook_url.clone(),
            webhook_userdata: self.webhook.webhook_userdata.clone().unwrap_or_default(),
            webhook_secret: self.webhook.webhook_secret.clone(),
            is_webhook_from_host: self.webhook.webhook_from_host,
            ..Wishes::default()
        }
    }

    /// What is said about the relay: here, or else by the configuration.
    pub fn relay_args(&self, settings: &Settings) -> RelayArgs {
        self.relay.args(settings)
    }

    /// How long notices stay.
    pub fn display_time_ms(&self, settings: &Settings) -> u64 {
        self.display_time.or(settings.display_time_ms).unwrap_or(DISPLAY_TIME_MS)
    }

    /// What the configuration says where no tmux of ours evaluates it.
    pub fn plain_settings(&self) -> Settings {
        plain_settings(self.config.as_deref())
    }
}

/// How log lines are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// As tmate prints them.
    #[default]
    Text,
    /// An object a line.
    Json,
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

/// What can be said about joining.
#[derive(Debug, Args)]
struct JoinOptions {
    /// What to join: TOKEN@HOST, TOKEN@HOST:PORT, the whole `ssh TOKEN@HOST` line, or a web link.
    #[arg(required = true, value_name = "TOKEN@HOST",
          add = ArgValueCompleter::new(completing::join_line))]
    line: Vec<String>,
    /// The relay's SSH port, as for ssh; without one, 2200 is tried, then 22.
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    #[command(flatten)]
    trust: TrustOptions,
    /// When to show what you type before the host has: on slow links, always, or never. It is
    /// underlined while it is a guess and the link is very slow.
    #[arg(long, env = "TERN_PREDICT", value_name = "WHEN", value_enum, default_value_t)]
    predict: Predict,
    /// Let what is copied in the session come into the clipboard here.
    #[arg(long)]
    clipboard: bool,
    /// Record what the host shows, to be played by `tern play` or asciinema (asciicast v3). What you
    /// type is not in it, unless the session shows it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Begin the recording's file anew, if there is one.
    #[arg(long, requires = "record", conflicts_with = "append")]
    overwrite: bool,
    /// Go on at the end of the recording's file, if there is one.
    #[arg(long, requires = "record")]
    append: bool,
    /// Leave the mouse to the terminal while the session doesn't want it: the wheel doesn't scroll
    /// then, and text is selected without Shift.
    #[arg(long)]
    no_wheel: bool,
    /// Log more (to files in ~/.local/state/tern/log). May be repeated; TERN_LOG has a filter.
    #[arg(short, action = clap::ArgAction::Count)]
    verbosity: u8,
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
        let existing = match (self.overwrite, self.append) {
            (true, _) => Existing::Overwrite,
            (false, true) => Existing::Append,
            (false, false) => Existing::Keep,
        };
        JoinArgs {
            words: self.line,
            port: self.port,
            relay: self.trust.args(),
            is_clipboard_allowed: self.clipboard,
            predict: self.predict.into(),
            record: self.record.map(|path| (path, existing)),
            has_wheel: !self.no_wheel,
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
    /// The wheel, Shift-PageUp, Shift-PageDown, Shift-Home and Shift-End scroll your own view; any
    /// other key returns to the live screen.
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

/// How long notices stay if nothing is said: tmate's time.
const DISPLAY_TIME_MS: u64 = 15_000;

/// Runs `tern`, or `tmate` if it is called so.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match completions::answer(Cli::command, &arguments) {
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
    cli.share = share_args(&matches);
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

/// By the file name that we were called by.
fn program_name(arguments: &[OsString]) -> Program {
    let path = arguments.first().map(Path::new);
    let is_tmate = path.and_then(Path::file_name).is_some_and(|name| name == "tmate");
    if is_tmate { Program::Tmate } else { Program::Tern }
}

/// The words in tmate's grammar, if that is what they are in.
fn drop_in_flags(program: Program, arguments: &[OsString]) -> Option<Result<Flags, FlagError>> {
    let command = Cli::command();
    let words = arguments.get(1..)?;
    // What tern starts by itself, by whatever name.
    let first = words.first().and_then(|word| word.to_str());
    let own = first.and_then(|word| command.find_subcommand(word));
    if own.is_some_and(clap::Command::is_hide_set) {
        return None;
    }
    let takes_value = |name: &str| {
        let argument = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        argument.is_some_and(|argument| argument.get_action().takes_values())
    };
    let is_ours = |word: &str| command.find_subcommand(word).is_some() || word == "help";
    drop_in::recognise(program, words, takes_value, is_ours)
}

/// Flags that both grammars have, and long options, mean the same in both.
fn run_drop_in(program: Program, flags: &Flags) -> anyhow::Result<u8> {
    let mut words: Vec<OsString> = vec!["tern".into()];
    words.extend(flags.long.iter().cloned());
    let values = [
        ("--name", &flags.name),
        ("--name-ro", &flags.name_ro),
        ("--api-key", &flags.api_key),
        ("--authorized-keys", &flags.authorized_keys),
        ("--config", &flags.config),
        ("--socket", &flags.socket),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            words.extend([name.into(), value.clone()]);
        }
    }
    words.extend(std::iter::repeat_n("-v".into(), flags.verbosity.into()));
    let matches = Cli::command().try_get_matches_from(&words).unwrap_or_else(|error| error.exit());
    let share = share_args(&matches);
    for relay in &share.relay_args(&Settings::default()).relays {
        parse_relay(relay)?;
    }
    drop_in::run(program, flags, &share)
}

/// What the matches say, and which of it the command line itself did.
fn share_args(matches: &ArgMatches) -> ShareArgs {
    let mut share = ShareArgs::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
    let is_named = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    share.is_relay_named = is_named("relay");
    share.are_fingerprints_named = is_named("relay_fingerprint");
    share
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
            completions::write_script(shell, "tern", &mut std::io::stdout())?;
        }
        Some(Sub::Man) => {
            manual::write(Cli::command(), EXAMPLES, &mut std::io::stdout())?;
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
        Some(Sub::StartView { agent }) => start_view::follow_agent(&agent, Vec::new())?,
    }
    Ok(0)
}

fn share(args: &ShareArgs) -> anyhow::Result<u8> {
    for relay in &args.relay_args(&Settings::default()).relays {
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
        Ok(tmux) => own_tmux::share(args, &tmux),
        Err(reason @ (NoTmux::Missing | NoTmux::TooOld(_) | NoTmux::Unknown(_))) => {
            let notice = format!("{reason}: sharing a plain terminal, which ends with its window");
            plain::run(args, Some(notice))
        }
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
        assert_eq!(cli.share.relay.relay, ["r:1"]);
        assert!(Cli::try_parse_from(["tern", "htop"]).is_err());
    }

    #[test]
    fn relay_of_before_is_meant_unless_one_is_named() {
        let before = RelayArgs {
            relays: vec!["before".into()],
            fingerprints: vec!["SHA256:x".into()],
            identities: vec!["/before".into()],
        };
        let mut share = Cli::try_parse_from(["tern"]).expect("it is right").share;
        share.relay.relay = vec!["usual".into()];
        let settings = Settings::default();
        let args = share.relay_args_again(&settings, Some(before.clone()));
        assert_eq!(
            (args.relays, args.identities),
            (before.relays.clone(), before.identities.clone())
        );
        assert_eq!(share.relay_args_again(&settings, None).relays, ["usual"]);
        share.is_relay_named = true;
        let args = share.relay_args_again(&settings, Some(before));
        assert_eq!((args.relays, args.fingerprints.len()), (vec!["usual".to_owned()], 0));
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
