//! `tern join`: a viewer that keeps a replica of the shared screen, and roams.

mod refused;
mod session;

use crate::core::join_target::{self, JoinTarget};
use crate::core::notice::printable;
use crate::core::prediction::display::Mode;
use crate::shell::board::software;
use crate::shell::recording::{Existing, Target};
use crate::shell::screen_writer::ScreenWriter;
use crate::shell::sharing::{RelayArgs, host_key_policy, identities};
use crate::shell::{logging, paths, tty};
use anyhow::Context;
pub use refused::{Reason, Refused, exit_statuses};
use session::Session;
use std::path::PathBuf;
use std::time::Duration;
use tern_bootstrap::client::{BootstrapError, GrantedView, Options, RelayAddress, request_view};
use tern_bootstrap::grant::{RefusalCode, WireError};
use tern_term::Capabilities;
use tokio::time::sleep;

/// How long after a relay said that the session's host isn't back yet it is asked again.
const RETURN_INTERVAL: Duration = Duration::from_secs(2);
/// After so long who waits for a relay is told so.
const SLOW: Duration = Duration::from_secs(2);
/// How often it is asked: ten minutes.
const RETURN_TRIES_MAX: u32 = 300;

/// What the command line says.
pub struct JoinArgs {
    /// A join line, in words.
    pub words: Vec<String>,
    /// SSH's, if named apart.
    pub port: Option<u16>,
    /// Trusted keys of the relay, and ours.
    pub relay: RelayArgs,
    /// Whether what the host copies may come into the clipboard here.
    pub is_clipboard_allowed: bool,
    /// When keys are shown before the host has echoed them.
    pub predict: Mode,
    /// Where what is shown is recorded to, and what becomes of a file that is there already.
    pub record: Option<(PathBuf, Existing)>,
    /// Whether the wheel scrolls the viewer's own view.
    pub has_wheel: bool,
    /// Log more.
    pub verbosity: u8,
}

/// Joins, and gives the exit code.
pub fn run(args: &JoinArgs) -> anyhow::Result<u8> {
    let target = join_target::parse(&args.words, args.port).map_err(|error| Refused {
        text: printable(&error.to_string()),
        reason: Reason::of_line(&error),
    })?;
    if !tty::is_terminal() {
        let text = "a terminal is needed to join: standard input and output must be one".into();
        return Err(Refused { text, reason: Reason::NoTerminal }.into());
    }
    // Told before anybody is asked.
    let record = args.record.as_ref();
    let record = record.map(|(path, existing)| Target::open(path, *existing)).transpose()?;
    let (_, log) = logging::create_file(&paths::state_folder()?)?;
    logging::start(args.verbosity, Some(log));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let end = runtime.block_on(join(args, &target, record))?;
    runtime.shutdown_background();
    // The terminal is the person's again.
    let mut exit_status = end.exit_status;
    if end.is_terminal_stuck {
        // What takes nothing can't be told anything either.
        return Ok(exit_status.max(1));
    }
    if !end.text.is_empty() {
        println!("{}", printable(&end.text));
    }
    if let Err(reason) = end.recorded {
        eprintln!("tern: {reason}");
        exit_status = exit_status.max(1);
    }
    Ok(exit_status)
}

/// How it ended.
struct End {
    /// Stays on the terminal.
    text: String,
    exit_status: u8,
    /// Whether the recording is whole, if there is one.
    recorded: Result<(), String>,
    /// The terminal doesn't take what is written to it.
    is_terminal_stuck: bool,
}

impl End {
    fn new(text: String, exit_status: u8) -> Self {
        Self { text, exit_status, recorded: Ok(()), is_terminal_stuck: false }
    }
}

async fn join(args: &JoinArgs, target: &JoinTarget, record: Option<Target>) -> anyhow::Result<End> {
    let (options, granted) = bootstrap(args, target).await?;
    let may_type = granted.grant.may_type;
    let capabilities = capabilities(args, may_type);
    let screen = ScreenWriter::start(capabilities)?;
    let title = format!("shared terminal, over {}", options.relay.host);
    let recording = record.map(|target| target.start(&title));
    let session = Session::new(&options, &granted, args, screen, recording);
    // A task of its own: each wake-up of the future that a runtime blocks on is a write to the kernel.
    match tokio::spawn(session.run()).await {
        Ok(end) => end,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn capabilities(args: &JoinArgs, may_type: bool) -> Capabilities {
    let capabilities = tty::capabilities();
    // Who only watches is asked for nothing but the wheel, which is their own (see `Viewing`).
    let is_clipboard_allowed =
        capabilities.is_clipboard_allowed && args.is_clipboard_allowed && may_type;
    Capabilities { is_clipboard_allowed, ..capabilities }
}

/// Asks the relays that may be meant, until one grants a place.
async fn bootstrap(args: &JoinArgs, target: &JoinTarget) -> anyhow::Result<(Options, GrantedView)> {
    let mut first_error = None;
    for relay in &target.relays {
        let options = Options {
            claim: None,
            relay: relay.clone(),
            host_key: host_key_policy(&args.relay)?,
            identities: identities(&args.relay)?,
            use_agent: true,
            software: software(),
        };
        match told_if_slow(&options.relay, ask(&options, &target.token)).await {
            Ok(granted) => return Ok((options, granted)),
            Err(error @ (BootstrapError::Connect { .. } | BootstrapError::NotARelay { .. })) => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(refused(&error).into()),
        }
    }
    let error = first_error.context("no relay was named")?;
    let mut refused = refused(&error);
    if let [_, others @ ..] = target.relays.as_slice() {
        let ports = others.iter().map(|relay| format!(" (nor at port {})", relay.port));
        refused.text.extend(ports);
    }
    Err(refused.into())
}

/// Waits for what a relay says, and tells what is waited for if that takes long.
async fn told_if_slow<T>(relay: &RelayAddress, answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        () = sleep(SLOW) => {}
    }
    eprintln!("waiting for the relay at {} (port {}) ...", printable(&relay.host), relay.port);
    answer.await
}

fn refused(error: &BootstrapError) -> Refused {
    Refused { text: printable(&error.to_string()), reason: Reason::of(error) }
}

/// Asks one relay, and again as long as the session's host may be on its way back there.
async fn ask(options: &Options, token: &str) -> Result<GrantedView, BootstrapError> {
    let mut tries_count = 0;
    loop {
        let mut notices = Vec::new();
        let asked = request_view(options, token, &mut notices).await;
        for text in &notices {
            eprintln!("{}", printable(text));
        }
        match asked {
            Err(BootstrapError::View { error: WireError::Refused(refusal), .. })
                if refusal.code == RefusalCode::Returning && tries_count < RETURN_TRIES_MAX =>
            {
                if tries_count == 0 {
                    eprintln!("{}", printable(&refusal.text));
                }
                tries_count += 1;
                sleep(RETURN_INTERVAL).await;
            }
            other => return other,
        }
    }
}
