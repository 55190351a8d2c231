//! Whether a relay's SSH host key is the right one: pinned fingerprints, known_hosts, or trust on
//! first use. A changed key always stops it.

use russh::keys::known_hosts::{known_host_keys_path, learn_known_hosts_path};
use russh::keys::{HashAlg, PublicKey};
use std::path::PathBuf;

/// How the relay's host key is checked.
#[derive(Debug, Clone)]
pub enum HostKeyPolicy {
    /// Only these, `SHA256:...`; nothing else is trusted.
    Pinned(Vec<String>),
    /// The known_hosts files are asked; a key of a host that none of them knows is learnt into
    /// `learn_to`, with a notice.
    TrustOnFirstUse {
        /// Files to ask besides `learn_to`; only read.
        known_hosts: Vec<PathBuf>,
        /// Where to learn to.
        learn_to: PathBuf,
    },
}

/// A host key that is trusted.
#[derive(Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Pinned, or found in a known_hosts file.
    Known,
    /// Trusted because nothing was known; the text tells the person so.
    FirstUse(String),
}

/// A host key that is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// It isn't among the pinned ones.
    #[error(
        "the relay {relay} shows the host key {shown}, which is not the pinned one ({pinned}): \
         either the fingerprint was copied wrong, or this is not your relay"
    )]
    NotPinned {
        /// Name and port.
        relay: String,
        /// Fingerprint shown.
        shown: String,
        /// Fingerprints expected.
        pinned: String,
    },
    /// A file knows another key.
    #[error(
        "the host key of the relay {relay} has CHANGED: it shows {shown}, but {file} has another \
         one in line {line}. Somebody may be impersonating the relay. If its operator confirms the \
         new key, delete that line and try again"
    )]
    Changed {
        /// Name and port.
        relay: String,
        /// Fingerprint shown.
        shown: String,
        /// known_hosts file.
        file: String,
        /// Line in it.
        line: usize,
    },
    /// A known_hosts file can't be read or written.
    #[error("cannot use the known_hosts file {file}: {reason}")]
    File {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
}

impl HostKeyPolicy {
    /// Judges the key that `host`, `port` shows; learns it where the policy says so.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Result<Trusted, HostKeyError> {
        let relay = format!("{host}:{port}");
        let shown = key.fingerprint(HashAlg::Sha256).to_string();
        match self {
            Self::Pinned(pinned) if pinned.contains(&shown) => Ok(Trusted::Known),
            Self::Pinned(pinned) => {
                Err(HostKeyError::NotPinned { relay, shown, pinned: pinned.join(", ") })
            }
            Self::TrustOnFirstUse { known_hosts, learn_to } => {
                let file_error = |file: &PathBuf, error: russh::keys::Error| HostKeyError::File {
                    file: file.display().to_string(),
                    reason: error.to_string(),
                };
                for file in known_hosts.iter().chain([learn_to]) {
                    let known = known_host_keys_path(host, port, file)
                        .map_err(|error| file_error(file, error))?;
                    // Comments differ; the key itself decides.
                    if known.iter().any(|(_, known)| known.key_data() == key.key_data()) {
                        return Ok(Trusted::Known);
                    }
                    if let Some(&(line, _)) = known.first() {
                        let file = file.display().to_string();
                        return Err(HostKeyError::Changed { relay, shown, file, line });
                    }
                }
                learn_known_hosts_path(host, port, key, learn_to)
                    .map_err(|error| file_error(learn_to, error))?;
                Ok(Trusted::FirstUse(format!(
                    "The relay {relay} was not known before: its host key {shown} is trusted from \
                     now on (kept in {}). Compare it with the one that its operator tells you.",
                    learn_to.display()
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn pinned_key_is_trusted_and_no_other() {
        let (right, wrong) = (Identity::ephemeral(), Identity::ephemeral());
        let policy = HostKeyPolicy::Pinned(vec![right.ssh_fingerprint()]);
        let judge = |of: &Identity| policy.check("relay.example", 2200, of.ssh_key.public_key());
        assert_eq!(judge(&right), Ok(Trusted::Known));
        assert!(matches!(judge(&wrong), Err(HostKeyError::NotPinned { .. })));
    }

    #[test]
    fn first_key_is_learnt_and_a_changed_one_stops_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = HostKeyPolicy::TrustOnFirstUse {
            known_hosts: vec![folder.path().join("absent")],
            learn_to: folder.path().join("new/known_hosts"),
        };
        let (first, second) = (Identity::ephemeral(), Identity::ephemeral());
        let judge = |of: &Identity| policy.check("relay.example", 2200, of.ssh_key.public_key());
        match judge(&first) {
            Ok(Trusted::FirstUse(notice)) => assert!(notice.contains(&first.ssh_fingerprint())),
            other => panic!("expected first use, got {other:?}"),
        }
        assert_eq!(judge(&first), Ok(Trusted::Known));
        match judge(&second) {
            Err(error @ HostKeyError::Changed { .. }) => {
                let text = error.to_string();
                assert!(text.contains("CHANGED") && text.contains("known_hosts"), "{text}");
            }
            other => panic!("expected a changed key, got {other:?}"),
        }
    }

    #[test]
    fn key_that_the_user_s_ssh_knows_is_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        let known = folder.path().join("known_hosts");
        let relay = Identity::ephemeral();
        let line = relay.ssh_key.public_key().to_openssh().expect("it has a text form");
        std::fs::write(&known, format!("[relay.example]:2200 {line}\n")).expect("written");
        let policy = HostKeyPolicy::TrustOnFirstUse {
            known_hosts: vec![known],
            learn_to: folder.path().join("never"),
        };
        let trusted = policy.check("relay.example", 2200, relay.ssh_key.public_key());
        assert_eq!(trusted, Ok(Trusted::Known));
        assert!(!folder.path().join("never").exists());
    }
}
