//! What a tmux session was shared over, kept with it in user options of tmux: `tern` in a session
//! whose sharing failed, or whose agent died, means the same relay as before.

use crate::shell::sharing::RelayArgs;
use crate::shell::tmux::Tmux;
use std::path::PathBuf;

const RELAY: &str = "@tern-relay";
const FINGERPRINT: &str = "@tern-relay-fingerprint";
const IDENTITY: &str = "@tern-identity";

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
    let value = |name| tmux.run(&["show-options", "-qv", "-t", session, name]).unwrap_or_default();
    let relay = Some(value(RELAY)).filter(|relay| !relay.is_empty())?;
    Some(parse(relay, &value(FINGERPRINT), &value(IDENTITY)))
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
