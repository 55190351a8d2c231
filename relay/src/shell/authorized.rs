//! Who may share terminals, if not everybody: an OpenSSH `authorized_keys` file, read anew for
//! each who asks, so that a change counts at once.

use russh::keys::PublicKey;
use std::path::Path;

/// Largest file that is read: 10,000 Ed25519 keys with their comments.
const FILE_SIZE_MAX: u64 = 1024 * 1024;
/// Options that only take away what nobody gets here anyway.
const HARMLESS_OPTIONS: [&str; 6] = [
    "restrict",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-user-rc",
    "no-x11-forwarding",
];

/// Whether `key` is in the file. Whatever can't be read or honoured lets nobody in.
pub(super) async fn is_authorized(path: &Path, key: &PublicKey) -> bool {
    let is_small = tokio::fs::metadata(path).await.is_ok_and(|file| file.len() <= FILE_SIZE_MAX);
    let text = if is_small { tokio::fs::read_to_string(path).await.ok() } else { None };
    let Some(text) = text else {
        tracing::warn!(path = %path.display(), "cannot read who may share terminals");
        return false;
    };
    // Thousands of keys take their time, which isn't the connections'.
    let key = key.clone();
    let looking = tokio::task::spawn_blocking(move || is_listed(&text, &key));
    looking.await.unwrap_or(false)
}

fn is_listed(text: &str, key: &PublicKey) -> bool {
    // Line by line: one that doesn't parse must not hide those behind it.
    text.lines().filter_map(parse).any(|listed| listed.key_data() == key.key_data())
}

/// `[OPTIONS] TYPE KEY [COMMENT]`, the options being harmless.
fn parse(line: &str) -> Option<PublicKey> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    if let Ok(key) = PublicKey::from_openssh(line) {
        return Some(key);
    }
    let (options, key) = line.split_once(char::is_whitespace)?;
    let are_harmless = options.split(',').all(|option| HARMLESS_OPTIONS.contains(&option));
    are_harmless.then(|| PublicKey::from_openssh(key.trim_start()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    fn key(seed: u8) -> (PublicKey, String) {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
        let key = key.public_key().clone();
        let line = key.to_openssh().expect("a key can be written");
        (key, line)
    }

    #[test]
    fn listed_key_is_authorized_and_others_are_not() {
        let ((first, line), (second, _)) = (key(1), key(2));
        let text = format!("# who\n\nnonsense here\n{line} alice@home\n");
        assert!(is_listed(&text, &first));
        assert!(!is_listed(&text, &second));
        assert!(!is_listed("", &first));
    }

    #[test]
    fn option_that_is_not_honoured_refuses_its_key() {
        let (key, line) = key(1);
        assert!(is_listed(&format!("restrict,no-pty {line}"), &key));
        for option in ["from=\"10.0.0.1\"", "expiry-time=\"20200101\"", "command=\"x\""] {
            assert!(!is_listed(&format!("{option} {line}"), &key), "{option}");
        }
    }
}
