//! What can be said about a relay on every command line that has to do with one, and what the
//! configuration says where nothing is.

use crate::core::drop_in::options::{self, Settings};
use crate::shell::completing;
use crate::shell::drop_in::config::Config;
use crate::shell::sharing::RelayArgs;
use clap::Args;
use std::path::{Path, PathBuf};
use tern_help::completions::ArgValueCandidates;

/// Which relay, and how both sides are known.
#[derive(Debug, Clone, Default, Args)]
pub struct RelayOptions {
    /// Relay (default port 2200). Of several, with commas, the most responsive one is taken.
    /// Without one, that of the configuration is meant; if it names none, a relay is run on this
    /// machine, for people in the same network.
    #[arg(long, env = "TERN_RELAY", value_delimiter = ',', value_name = "HOST[:PORT]",
          add = ArgValueCandidates::new(completing::relays))]
    pub relay: Vec<String>,
    /// How both sides are known.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// How a relay is known, and we to it.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustOptions {
    /// Trust only a relay with this host key, as `tern-relay` prints it. May be repeated.
    /// Without it, known_hosts is asked, and an unknown relay's key is learnt with a notice.
    #[arg(long, env = "TERN_RELAY_FINGERPRINT", value_delimiter = ',', value_name = "SHA256:...",
          value_parser = fingerprint)]
    pub relay_fingerprint: Vec<String>,
    /// Private key, where the relay or the session lets only some people in. May be repeated; keys
    /// of ssh-agent are tried, too.
    #[arg(short, long, env = "TERN_IDENTITY", value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

impl RelayOptions {
    /// What was said, or else what the configuration says.
    pub fn args(&self, settings: &Settings) -> RelayArgs {
        let named: Vec<_> = self.relay.iter().filter(|relay| !relay.is_empty()).cloned().collect();
        let said = self.trust.args();
        // A pin is for the relay that it was given with.
        let is_configured = named.is_empty();
        let fingerprints = match is_configured && said.fingerprints.is_empty() {
            true => settings.fingerprints.clone(),
            false => said.fingerprints,
        };
        let identities = match (said.identities.as_slice(), &settings.identity) {
            ([], Some(identity)) => vec![identity.clone()],
            (_, _) => said.identities,
        };
        let relays = if is_configured { settings.relays.clone() } else { named };
        RelayArgs { relays, fingerprints, identities }
    }
}

impl TrustOptions {
    /// For a relay that is named elsewhere.
    pub fn args(&self) -> RelayArgs {
        RelayArgs {
            relays: Vec::new(),
            fingerprints: self.relay_fingerprint.clone(),
            identities: self.identity.iter().map(|path| absolute(path)).collect(),
        }
    }
}

/// What the configuration says where no tmux of ours evaluates it; `named` is what `-f` says. What is
/// wrong with it is printed.
pub fn plain_settings(named: Option<&Path>) -> Settings {
    let config = Config::to_look_into(named);
    let (settings, bad) = config.settings(&config.plain_values()).unwrap_or_default();
    for bad in bad {
        eprintln!("tern: {}", config.complaint_about(&bad));
    }
    settings
}

/// An agent works somewhere else.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// As `ssh-keygen -l` prints it.
fn fingerprint(text: &str) -> Result<String, &'static str> {
    match options::is_fingerprint(text) {
        true => Ok(text.to_owned()),
        false => Err(options::FINGERPRINT_ALLOWED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_counts_where_nothing_is_said_and_its_pin_for_its_own_relay_only() {
        let settings = Settings {
            relays: vec!["configured".into()],
            fingerprints: vec!["SHA256:x".into()],
            identity: Some("/key".into()),
            ..Settings::default()
        };
        let args = RelayOptions::default().args(&settings);
        assert_eq!((args.relays, args.fingerprints.len()), (vec!["configured".to_owned()], 1));
        assert_eq!(args.identities, [PathBuf::from("/key")]);
        let named = RelayOptions { relay: vec!["named".into()], ..RelayOptions::default() };
        let args = named.args(&settings);
        assert_eq!((args.relays, args.fingerprints.len()), (vec!["named".to_owned()], 0));
        // An empty variable says nothing.
        let empty = RelayOptions { relay: vec![String::new()], ..RelayOptions::default() };
        assert_eq!(empty.args(&settings).relays, ["configured"]);
    }
}
