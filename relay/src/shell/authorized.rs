//! Who may share terminals, if not everybody: an OpenSSH `authorized_keys` file, read anew for
//! each who asks, so that a change counts at once.

use super::doors::unix_time;
use std::net::IpAddr;
use std::path::Path;
use tern_bootstrap::authorized_keys::{Credential, PublicKey, Rules};

/// Largest file that is read: 10,000 Ed25519 keys with their comments.
const FILE_SIZE_MAX: u64 = 1024 * 1024;

/// Whether somebody who offers this key should prove that it is theirs.
pub(super) async fn may_accept(path: &Path, key: &PublicKey) -> bool {
    let key = key.clone();
    look(path, move |rules| rules.may_accept(&key)).await
}

/// Whether what somebody at `address` has shown is in the file. Whatever can't be read or honoured
/// lets nobody in.
pub(super) async fn is_authorized(path: &Path, shown: &Credential, address: IpAddr) -> bool {
    let shown = shown.clone();
    look(path, move |rules| rules.admit(&shown, address, unix_time()).is_some()).await
}

async fn look(path: &Path, is_it: impl FnOnce(Rules) -> bool + Send + 'static) -> bool {
    let is_small = tokio::fs::metadata(path).await.is_ok_and(|file| file.len() <= FILE_SIZE_MAX);
    let text = if is_small { tokio::fs::read_to_string(path).await.ok() } else { None };
    let Some(text) = text else {
        tracing::warn!(path = %path.display(), "cannot read who may share terminals");
        return false;
    };
    // Thousands of keys take their time, which isn't the connections'.
    let looking = tokio::task::spawn_blocking(move || is_it(Rules::parse(&text).0));
    looking.await.unwrap_or(false)
}
