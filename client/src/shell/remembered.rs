//! What a tmux session was shared over and who might join, kept with it in user options of tmux: `tern`
//! in a session whose sharing was stopped or failed, or whose agent died, means the same relay as before,
//! and lets in nobody else.

use crate::core::drop_in::options;
use crate::core::said_access::{APPROVE_OPTION, KEYS_OPTIONS, SaidAccess};
use crate::shell::sharing::RelayArgs;
use crate::shell::tmux::Tmux;
use anyhow::Context;
use std::path::PathBuf;

const RELAY: &str = "@tern-relay";
const FINGERPRINT: &str = "@tern-relay-fingerprint";
const IDENTITY: &str = "@tern-identity";
const ACCESS: &str = "@tern-access";

/// Keeps it; a failure costs only the convenience.
pub fn remember(tmux: &Tmux, session: &str, args: &RelayArgs) {
    let identities: Vec<_> = args.identities.iter().filter_map(|path| path.to_str()).collect();
    let values = [
        (RELAY, args.relays.join(",")),
        (FINGERPRINT, args.fingerprints.join(",")),
        (IDENTITY, identities.join(":")),
    ];
    for (name, value) in values {
        if let Err(error) = tmux.run(&["set-option", "-t", session, name, &value]) {
            tracing::debug!(%error, name, "tmux does not keep an option");
        }
    }
}

/// `None` if it was never shared, or over no relay but this machine's own.
pub fn recall(tmux: &Tmux, session: &str) -> Option<RelayArgs> {
    let value = |name| show(tmux, session, name).unwrap_or_default();
    let relay = Some(value(RELAY)).filter(|relay| !relay.is_empty())?;
    Some(parse(relay, &value(FINGERPRINT), &value(IDENTITY)))
}

/// Keeps who may join. An error means that it must not be shared: the next time it would be open.
pub fn remember_access(tmux: &Tmux, session: &str, said: &SaidAccess) -> anyhow::Result<()> {
    let text = said.to_text().context("the path of the keys is not UTF-8")?;
    let kept = match text.as_str() {
        "" => unset(tmux, session, ACCESS),
        text => tmux.run(&["set-option", "-t", session, ACCESS, text]).map(drop),
    };
    kept.context("tmux does not keep who may join")
}

/// What command lines said before of who may join. An error means that nobody may.
pub fn recall_access(tmux: &Tmux, session: &str) -> anyhow::Result<SaidAccess> {
    let text = show(tmux, session, ACCESS).context("tmux does not tell who may join")?;
    SaidAccess::parse(&text).context(
        "nobody may join before you say anew who may: tern --forget-access, with -a FILE, --approve \
         or whatever shall count",
    )
}

/// Takes back all that was said for this session, by command lines or by its own options, of who may
/// join. What the configuration says stays.
pub fn forget_access(tmux: &Tmux, session: &str) -> anyhow::Result<()> {
    let options =
        KEYS_OPTIONS.iter().chain([&APPROVE_OPTION]).map(|name| options::user_option(name));
    for name in options.chain([ACCESS.to_owned()]) {
        unset(tmux, session, &name)?;
    }
    Ok(())
}

fn show(tmux: &Tmux, session: &str, name: &str) -> anyhow::Result<String> {
    tmux.run(&["show-options", "-qv", "-t", session, name])
}

fn unset(tmux: &Tmux, session: &str, name: &str) -> anyhow::Result<()> {
    tmux.run(&["set-option", "-qu", "-t", session, name]).map(drop)
}

fn parse(relay: String, fingerprints: &str, identities: &str) -> RelayArgs {
    let parts = |text: &str, separator| -> Vec<String> {
        text.split(separator).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    RelayArgs {
        relays: parts(&relay, ','),
        fingerprints: parts(fingerprints, ','),
        identities: parts(identities, ':').into_iter().map(PathBuf::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_given_is_not_there() {
        let args = parse("relay.example".into(), "", "/a b:/c");
        assert_eq!(args.relays, ["relay.example"]);
        assert!(args.fingerprints.is_empty());
        assert_eq!(args.identities, [PathBuf::from("/a b"), PathBuf::from("/c")]);
    }
}
