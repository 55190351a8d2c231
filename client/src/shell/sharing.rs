//! What every kind of sharing needs: a relay (somebody's or an embedded one) and the way there.

use crate::core::join_target::SSH_PORT;
use crate::core::wishes::{WebhookWish, Wishes};
use crate::shell::board::{Board, software};
use crate::shell::embedded::Embedded;
use crate::shell::link::{Relays, Uplink};
use crate::shell::paths::{home, state_folder};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tern_bootstrap::client::{HostKeyPolicy, Options, RelayAddress};
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_sync::session::Settings;
use tokio::sync::watch;

/// What the command line and the environment say about the relay.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RelayArgs {
    /// `HOST` or `HOST:PORT` each; none: an embedded one.
    pub relays: Vec<String>,
    /// Host keys that are trusted, and no others.
    pub fingerprints: Vec<String>,
    /// Private keys.
    pub identities: Vec<PathBuf>,
}

/// A relay to share over.
pub struct Sharing {
    options: Options,
    is_access_limited: bool,
    relays: Relays,
    embedded: Option<Embedded>,
}

impl Sharing {
    /// Finds the relay, or starts one.
    pub async fn start(args: &RelayArgs, wishes: &Wishes) -> anyhow::Result<Self> {
        let (relay, host_key, embedded) = match args.relays.first() {
            Some(text) => (parse_relay(text)?, host_key_policy(args)?, None),
            None => {
                let embedded = Embedded::start(&state_folder()?).await?;
                let pinned = HostKeyPolicy::Pinned(vec![embedded.fingerprint.clone()]);
                (embedded.address.clone(), pinned, Some(embedded))
            }
        };
        let relays = match embedded {
            Some(_) => Relays { turns: vec![vec![relay.clone()]] },
            None => named_relays(args)?,
        };
        let options = Options {
            relay,
            host_key,
            identities: identities(args)?,
            use_agent: embedded.is_none(),
            software: software(),
            claim: wishes.claim(),
        };
        Ok(Self { options, relays, is_access_limited: wishes.is_access_limited(), embedded })
    }

    /// For people.
    pub fn relay_name(&self) -> String {
        match &self.embedded {
            Some(embedded) => format!("{}:{} (embedded)", embedded.host, self.options.relay.port),
            None => {
                let first = self.relays.turns.first().into_iter().flatten();
                first.map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// What the person should know.
    pub fn notices(&self) -> Vec<String> {
        match &self.embedded {
            Some(embedded) if embedded.is_local_only() => {
                vec!["This machine has no network address: only people on it can join".into()]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Starts the link.
    pub fn link(
        &self,
        board: Board,
        settings: watch::Receiver<Settings>,
        webhook: watch::Receiver<Option<WebhookWish>>,
    ) -> Uplink {
        let shown_host = self.embedded.as_ref().map(|embedded| embedded.host.to_string());
        let (options, relays) = (self.options.clone(), self.relays.clone());
        let is_access_limited = self.is_access_limited;
        Uplink::start(options, relays, shown_host, is_access_limited, board, settings, webhook)
    }

    /// After the link has ended.
    pub async fn finish(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// All that were named. Where keys are pinned, a relay without a port may also be at SSH's own, where
/// tmate's are; without a pin, whatever SSH server is there would be shown our keys.
fn named_relays(args: &RelayArgs) -> anyhow::Result<Relays> {
    let first = args.relays.iter().map(|text| parse_relay(text)).collect::<Result<Vec<_>, _>>()?;
    let mut turns = vec![first];
    if !args.fingerprints.is_empty() {
        let second: Vec<_> = args
            .relays
            .iter()
            .zip(&turns[0])
            .filter(|(text, relay)| !text.ends_with(&format!(":{}", relay.port)))
            .map(|(_, relay)| RelayAddress { port: SSH_PORT, ..relay.clone() })
            .collect();
        turns.extend((!second.is_empty()).then_some(second));
    }
    Ok(Relays { turns })
}

/// Reads `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or an IPv6 address.
pub fn parse_relay(text: &str) -> anyhow::Result<RelayAddress> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':').map(Some).unwrap_or(Some(rest))),
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte) || byte >= 0x80;
    if host.is_empty() || host.starts_with('-') || !host.bytes().all(is_host) {
        bail!("'{text}' names no relay: it is HOST or HOST:PORT");
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => bail!("'{port}' is no port (1 to 65535)"),
            Ok(port) => port,
        },
    };
    Ok(RelayAddress { host: host.to_owned(), port })
}

/// Keys that were named are trusted alone; else those of ssh, and a new one on first use.
pub fn host_key_policy(args: &RelayArgs) -> anyhow::Result<HostKeyPolicy> {
    if !args.fingerprints.is_empty() {
        return Ok(HostKeyPolicy::Pinned(args.fingerprints.clone()));
    }
    let known_hosts =
        vec![home()?.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")];
    Ok(HostKeyPolicy::TrustOnFirstUse {
        known_hosts,
        learn_to: state_folder()?.join("known_hosts"),
    })
}

/// Those that were named, or the usual ones. They are only needed by a relay that asks for keys.
pub fn identities(args: &RelayArgs) -> anyhow::Result<Vec<PathBuf>> {
    if args.identities.is_empty() {
        let folder = home()?.join(".ssh");
        return Ok(["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| folder.join(name)).to_vec());
    }
    for path in &args.identities {
        std::fs::metadata(path).with_context(|| format!("no key at {}", path.display()))?;
    }
    Ok(args.identities.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<(String, u16)> {
        parse_relay(text).ok().map(|relay| (relay.host, relay.port))
    }

    #[test]
    fn relays_are_read_with_and_without_a_port() {
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parsed("relay.example"), is("relay.example", 2200));
        assert_eq!(parsed("relay.example:22"), is("relay.example", 22));
        assert_eq!(parsed("2001:db8::1"), is("2001:db8::1", 2200));
        assert_eq!(parsed("[2001:db8::1]:22"), is("2001:db8::1", 22));
        assert_eq!(parsed("[::1]"), is("::1", 2200));
        for nonsense in ["", ":22", "a:0", "a:65536", "a:b", "a b", "-oProxyCommand=x", "[::1]22x"]
        {
            assert_eq!(parsed(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn pinned_relay_without_a_port_may_be_at_sshs_own() {
        let mut args =
            RelayArgs { relays: vec!["a".into(), "b:99".into()], ..RelayArgs::default() };
        let turns = |args: &RelayArgs| {
            let relays = named_relays(args).expect("they are right");
            let turn = |turn: &Vec<RelayAddress>| turn.iter().map(ToString::to_string).collect();
            relays.turns.iter().map(turn).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(turns(&args), [["a:2200", "b:99"]]);
        args.fingerprints.push("SHA256:x".into());
        assert_eq!(turns(&args), [vec!["a:2200", "b:99"], vec!["a:22"]]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            let _ = parse_relay(&text);
        }
    }
}
