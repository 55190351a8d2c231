//! `tern register`: an account at a relay, by which sessions can be named.

use crate::shell::board::software;
use crate::shell::cli::fingerprint;
use crate::shell::completing;
use crate::shell::sharing::{RelayArgs, host_key_policy, identities, parse_relay};
use anyhow::{Context, bail};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use tern_bootstrap::client::{BootstrapError, Options, register};
use tern_bootstrap::grant::WireError;
use tern_bootstrap::register::Wish;
use tern_help::completions::ArgValueCandidates;

/// What can be said about registering.
#[derive(Debug, Args)]
pub struct RegisterOptions {
    /// The name that you want: the first part of your sessions' names.
    #[arg(required_unless_present = "code")]
    name: Option<String>,
    /// Where the mail goes.
    #[arg(required_unless_present = "code")]
    email: Option<String>,
    /// The code in the mail, to get the key.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["name", "email"])]
    code: Option<String>,
    /// At which relay (default port 2200).
    #[arg(long, env = "TERN_RELAY", value_name = "HOST[:PORT]",
          add = ArgValueCandidates::new(completing::relays))]
    relay: Option<String>,
    /// Trust only a relay with this host key, as `tern-relay` prints it. May be repeated.
    #[arg(long, env = "TERN_RELAY_FINGERPRINT", value_delimiter = ',', value_name = "SHA256:...",
          value_parser = fingerprint)]
    relay_fingerprint: Vec<String>,
    /// Private key for a relay that lets only some people share. May be repeated; keys of
    /// ssh-agent are tried, too.
    #[arg(short, long, env = "TERN_IDENTITY", value_name = "FILE")]
    identity: Vec<PathBuf>,
}

impl RegisterOptions {
    fn relay_args(&self) -> RelayArgs {
        RelayArgs {
            relays: self.relay.iter().filter(|relay| !relay.is_empty()).cloned().collect(),
            fingerprints: self.relay_fingerprint.clone(),
            identities: self.identity.clone(),
        }
    }

    fn wish(self) -> Wish {
        match self.code {
            Some(code) => Wish::Key { code },
            None => Wish::Account {
                name: self.name.unwrap_or_default(),
                email: self.email.unwrap_or_default(),
            },
        }
    }
}

/// Asks the relay. The key goes to standard output, everything else to standard error.
pub fn run(options: RegisterOptions) -> anyhow::Result<()> {
    let (relay, wish) = (options.relay_args(), options.wish());
    let Some(name) = relay.relays.first() else {
        bail!("at which relay? Name it with --relay HOST, or in TERN_RELAY");
    };
    let options = Options {
        relay: parse_relay(name)?,
        host_key: host_key_policy(&relay)?,
        identities: identities(&relay)?,
        use_agent: true,
        software: software(),
        claim: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no thread")?;
    let answered = runtime.block_on(register(&options, wish));
    let registered = answered.map_err(|error| match error {
        // What the relay says is all there is to say.
        BootstrapError::Register { error: WireError::Refused(refusal), .. } => {
            anyhow::Error::msg(refusal.text)
        }
        other => other.into(),
    })?;
    for notice in registered.notices {
        eprintln!("{notice}");
    }
    eprintln!("{}", registered.answer.text);
    if let Some(key) = registered.answer.api_key {
        writeln!(std::io::stdout(), "{key}").context("nobody reads the output")?;
        eprintln!("To share a terminal under a name: TERN_API_KEY=... tern --relay {name} -n web");
    }
    Ok(())
}
