//! `tern register`: an account at a relay, by which sessions can be named.

use crate::shell::board::software;
use crate::shell::relay_options::{RelayOptions, plain_settings};
use crate::shell::sharing::{host_key_policy, identities, parse_relay};
use anyhow::{Context, bail};
use clap::Args;
use std::io::Write;
use tern_bootstrap::client::{BootstrapError, Options, register};
use tern_bootstrap::grant::WireError;
use tern_bootstrap::register::Wish;

const RELAY_HELP: &str =
    "At which relay (default port 2200); without one, that of the configuration is meant";

/// What can be said about registering.
#[derive(Debug, Args)]
#[command(mut_arg("relay", |relay| relay.help(RELAY_HELP).long_help(RELAY_HELP)))]
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
    #[command(flatten)]
    relay: RelayOptions,
}

impl RegisterOptions {
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
    let relay = options.relay.args(&plain_settings(None));
    let wish = options.wish();
    let Some(name) = relay.relays.first() else {
        bail!(
            "at which relay? Name it with --relay HOST, in TERN_RELAY, or in ~/.tern.conf \
             (set -g tern-server-host HOST)"
        );
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
