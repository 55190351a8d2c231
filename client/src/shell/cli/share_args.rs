//! What can be said about a sharing that starts.

use crate::core::drop_in::options::Settings;
use crate::core::wishes::{Forges, Wishes, webhook_secret, webhook_url, webhook_userdata};
use crate::shell::completing;
use crate::shell::relay_options::{RelayOptions, absolute, plain_settings};
use crate::shell::sharing::RelayArgs;
use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use tern_help::completions::ArgValueCompleter;

const API_KEY_VARIABLE: &str = "TERN_API_KEY";
const WEBHOOK_SECRET_VARIABLE: &str = "TERN_WEBHOOK_SECRET";
/// Of the environment; no program in the session gets them, since whoever types there could read them.
pub const SECRET_VARIABLES: [&str; 2] = [API_KEY_VARIABLE, WEBHOOK_SECRET_VARIABLE];

/// How long notices stay if nothing is said: tmate's time.
const DISPLAY_TIME_MS: u64 = 15_000;

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
    /// Take back what was said before of who may join this tmux session. Without it, a session that is
    /// shared again keeps to --authorized-keys, --github-user and the like and --approve as they were
    /// given last.
    #[arg(long)]
    pub forget_access: bool,
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
    /// `https://codeberg.org/{user}.keys`. May be repeated.
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
    /// What the matches say, and which of it the command line itself did.
    pub(super) fn read(matches: &ArgMatches) -> Self {
        let mut share = Self::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
        let is_named = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        share.is_relay_named = is_named("relay");
        share.are_fingerprints_named = is_named("relay_fingerprint");
        share
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        share: ShareArgs,
    }

    #[test]
    fn relay_of_before_is_meant_unless_one_is_named() {
        let before = RelayArgs {
            relays: vec!["before".into()],
            fingerprints: vec!["SHA256:x".into()],
            identities: vec!["/before".into()],
        };
        let mut share = Line::try_parse_from(["tern"]).expect("it is right").share;
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
}
