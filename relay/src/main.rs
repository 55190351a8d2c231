//! `tern-relay`: a relay as a program of its own.

mod args;
mod completing;
mod manage;
mod manual;
mod people;

use anyhow::Context as _;
use args::{Arguments, LogFormat, Sub};
use clap::{CommandFactory as _, Parser as _};
use people::People;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_bootstrap::identity::Identity;
use tern_help::completions;
use tern_relay::{Config, Relay};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What is logged unless something else is wanted. (The database's driver tells of each table that is
/// there already.)
const LOG_DEFAULT: &str = "info,sqlx=warn";
/// Exit code after a second signal, when not everybody was told.
const EXIT_AT_ONCE: u8 = 130;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    match completions::answer(Arguments::command, &words) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => error.exit(),
    }
    let arguments = Arguments::parse_from(words);
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tern-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> anyhow::Result<ExitCode> {
    let manage = match arguments.command.take() {
        None => None,
        Some(Sub::Manage(manage)) => Some(manage),
        Some(Sub::Completions { shell }) => {
            tern_help::print(|to| completions::write_script(shell, "tern-relay", to))?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Sub::Man) => {
            tern_help::print(manual::write)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    start_log(arguments.log_level.as_deref(), arguments.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system gives no threads")?;
    runtime.block_on(async {
        match manage {
            Some(manage) => manage::run(&manage, &arguments.places).await,
            None => serve(arguments).await,
        }
    })
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let data = arguments.places.data();
    let identity = Identity::load_or_create(&data)?;
    let people = People::start(&arguments).await?;
    let relay = Relay::start(Config {
        listen: arguments.listen(),
        quic_listen: arguments.quic_listen,
        host: arguments.host.clone(),
        ssh_port_advertised: arguments.ssh_port_advertised,
        authorized_hosts: arguments.authorized_hosts,
        is_for_this_machine: false,
        accounts: Some(people.accounts),
        registrar: people.registrar,
        webhooks: arguments.webhooks.reach(),
        identity,
        limits: arguments.limits.into(),
    })
    .await?;
    let port = arguments.ssh_port_advertised.unwrap_or(relay.ssh_address().port());
    // Whoever started it may have closed its output; the relay works all the same.
    let _ = introduce(&relay, arguments.host.as_deref(), port, &data);

    let mut signals = Signals::new()?;
    signals.next().await;
    eprintln!("tern-relay: stopping, everybody is told; once more to stop at once");
    tokio::select! {
        () = relay.stop() => Ok(ExitCode::SUCCESS),
        () = signals.next() => Ok(ExitCode::from(EXIT_AT_ONCE)),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What an operator needs to see, and what their users need to type.
fn introduce(relay: &Relay, host: Option<&str>, port: u16, data: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let fingerprint = relay.fingerprint();
    let name = host.unwrap_or("THIS-MACHINE");
    let target = if port == PORT_DEFAULT { name.to_owned() } else { format!("{name}:{port}") };
    writeln!(out, "Listening for ssh on {}, for QUIC on {}", tcp(relay), udp(relay))?;
    writeln!(out, "Keys in {}", data.display())?;
    writeln!(out, "SSH host key {fingerprint}")?;
    writeln!(out)?;
    writeln!(out, "To share a terminal here:")?;
    writeln!(out, "  tern --relay {target} --relay-fingerprint {fingerprint}")?;
    out.flush()
}

fn tcp(relay: &Relay) -> String {
    place(relay.ssh_address(), "TCP")
}

fn udp(relay: &Relay) -> String {
    place(relay.quic_address(), "UDP")
}

fn place(address: SocketAddr, protocol: &str) -> String {
    if address.ip().is_unspecified() {
        format!("{protocol} port {}", address.port())
    } else {
        format!("{protocol} {address}")
    }
}

fn start_log(level: Option<&str>, format: LogFormat) -> anyhow::Result<()> {
    let from_env = ["TERN_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let wanted = level.map(str::to_owned).or(from_env).unwrap_or_else(|| LOG_DEFAULT.into());
    let filter = EnvFilter::try_new(&wanted).with_context(|| {
        format!("the log level {wanted:?} is none of error, warn, info, debug, trace, nor a filter")
    })?;
    let filter = tern_relay::without_secrets(filter);
    let is_colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(is_colored);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
