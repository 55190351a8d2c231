//! Whether a relay's SSH host key is the right one: pinned fingerprints, known_hosts, or trust on
//! first use. A changed key always stops it.

use russh::keys::known_hosts::{known_host_keys_path, learn_known_hosts_path};
use russh::keys::{HashAlg, PublicKey};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::{fmt, io};

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
         new key, forget the old one and try again: ssh-keygen -f '{file}' -R '{place}'"
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
        /// How that line names the relay.
        place: String,
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

/// How known_hosts names a place (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
fn place(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
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
                let in_file = |file: &PathBuf| match look_up(host, port, key, file)? {
                    Found::Same => Ok(true),
                    Found::Nothing => Ok(false),
                    Found::Other { line } => {
                        let (relay, shown) = (relay.clone(), shown.clone());
                        let file = file.display().to_string();
                        let place = place(host, port);
                        Err(HostKeyError::Changed { relay, shown, file, line, place })
                    }
                };
                for file in known_hosts.iter().chain([learn_to]) {
                    if in_file(file)? {
                        return Ok(Trusted::Known);
                    }
                }
                // Another may be learning at the same time: another `tern`, or this one, which asks a
                // relay over QUIC beside SSH. What the first one has learnt counts for the second.
                let _turn = turn_at(learn_to).map_err(|error| file_error(learn_to, &error))?;
                if in_file(learn_to)? {
                    return Ok(Trusted::Known);
                }
                learn_known_hosts_path(host, port, key, learn_to)
                    .map_err(|error| file_error(learn_to, &error))?;
                Ok(Trusted::FirstUse(format!(
                    "The relay {relay} was not known before: its host key {shown} is trusted from \
                     now on (kept in {}). Compare it with the one that its operator tells you.",
                    learn_to.display()
                )))
            }
        }
    }
}

/// What a known_hosts file has of a host.
enum Found {
    Nothing,
    Same,
    Other { line: usize },
}

fn look_up(host: &str, port: u16, key: &PublicKey, file: &Path) -> Result<Found, HostKeyError> {
    let known = known_host_keys_path(host, port, file).map_err(|error| file_error(file, &error))?;
    // Comments differ; the key itself decides.
    if known.iter().any(|(_, known)| known.key_data() == key.key_data()) {
        return Ok(Found::Same);
    }
    Ok(known.first().map_or(Found::Nothing, |&(line, _)| Found::Other { line }))
}

/// Waits for who writes the file now, and keeps others waiting until it is dropped. (For a write of one
/// line.) Where files can't be locked, nobody waits.
fn turn_at(file: &Path) -> io::Result<File> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = File::options().append(true).create(true).open(file)?;
    let _ = file.lock();
    Ok(file)
}

fn file_error(file: &Path, reason: &dyn fmt::Display) -> HostKeyError {
    HostKeyError::File { file: file.display().to_string(), reason: reason.to_string() }
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

    /// What comes of it if many ask at once.
    fn judge_at_once(learn_to: &Path, shown: &[&Identity]) -> Vec<Result<Trusted, HostKeyError>> {
        let learn_to = learn_to.to_owned();
        let policy = HostKeyPolicy::TrustOnFirstUse { known_hosts: Vec::new(), learn_to };
        let barrier = std::sync::Barrier::new(shown.len());
        let judge = |of: &Identity| {
            barrier.wait();
            policy.check("relay.example", 2200, of.ssh_key.public_key())
        };
        std::thread::scope(|scope| {
            let judging: Vec<_> = shown.iter().map(|of| scope.spawn(|| judge(of))).collect();
            judging.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    }

    #[test]
    fn who_learn_at_once_learn_one_key_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (Identity::ephemeral(), Identity::ephemeral());
        for round in 0..20 {
            let file = folder.path().join(round.to_string()).join("known_hosts");
            let judged = judge_at_once(&file, &[&one; 8]);
            let first = judged.iter().filter(|it| matches!(it, Ok(Trusted::FirstUse(_)))).count();
            let known = judged.iter().filter(|it| matches!(it, Ok(Trusted::Known))).count();
            assert_eq!((first, known), (1, 7), "{judged:?}");
            let text = std::fs::read_to_string(&file).expect("it was learnt");
            assert_eq!(text.matches("relay.example").count(), 1, "{text}");

            let file = file.with_file_name("two");
            let judged = judge_at_once(&file, &[&one, &other]);
            assert_eq!(judged.iter().filter(|it| it.is_ok()).count(), 1, "{judged:?}");
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
