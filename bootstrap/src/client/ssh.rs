//! An SSH connection to the relay, up to the point where something can be asked of it.

use super::{BootstrapError, CONNECT_TIME_MAX, EXCHANGE_TIME_MAX, HostKeyError, HostKeyPolicy};
use super::{Options, RelayAddress};
use crate::host_key::Trusted;
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    Certificate, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key,
};
use russh::{Channel, ChannelMsg};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most keys of an agent that are tried; servers hang up after a few more.
const AGENT_KEYS_MAX: usize = 5;
/// How often a relay that says nothing is asked whether it is there. The session's endpoint says
/// and hears something more often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After so many without an answer the connection is given up: a minute, as on the relay.
const KEEPALIVES_MAX: usize = 6;
/// Bytes that the relay may send before we grant more: four times what a link has on its way.
const WINDOW_SIZE: u32 = 64 * 1024;

/// One that is authenticated.
pub(super) struct Ssh {
    handle: Handle<KeyCheck>,
    address: SocketAddr,
    notices: Vec<String>,
    /// Of the relay's host key, `SHA256:...`.
    pub(super) fingerprint: String,
}

/// Bounds what happens after TCP has answered by [`EXCHANGE_TIME_MAX`].
pub(super) async fn in_time<T>(
    options: &Options,
    exchange: impl Future<Output = Result<T, BootstrapError>>,
) -> Result<T, BootstrapError> {
    match tokio::time::timeout(EXCHANGE_TIME_MAX, exchange).await {
        Ok(done) => done,
        Err(_) => Err(BootstrapError::Timeout { relay: options.relay.clone() }),
    }
}

/// Checks who is at the other end, and authenticates as `user`.
pub(super) async fn connect(
    options: &Options,
    user: &str,
    (stream, address): (TcpStream, SocketAddr),
) -> Result<Ssh, BootstrapError> {
    let relay = &options.relay;
    // Several small messages follow each other, each waiting for an answer.
    stream.set_nodelay(true).map_err(|error| failed(options, error.into()))?;
    let findings = Arc::new(Mutex::new(Findings::default()));
    let check = KeyCheck {
        relay: relay.clone(),
        policy: options.host_key.clone(),
        findings: findings.clone(),
    };
    let config = client::Config {
        window_size: WINDOW_SIZE,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVES_MAX,
        ..client::Config::default()
    };
    let connected = client::connect_stream(Arc::new(config), stream, check).await;
    let found = std::mem::take(&mut *findings.lock().expect("no panic while it is held"));
    if let Some(error) = found.refused {
        return Err(error.into());
    }
    let mut handle = connected.map_err(|error| failed(options, error))?;
    let mut notices = found.notices;
    authenticate(&mut handle, options, user, &mut notices).await?;
    Ok(Ssh { handle, address, notices, fingerprint: found.fingerprint })
}

impl Ssh {
    /// A channel with the relay's subsystem of this name on it.
    pub(super) async fn subsystem(
        &self,
        options: &Options,
        name: &str,
    ) -> Result<Channel<Msg>, BootstrapError> {
        let failed = |error| failed(options, error);
        let mut channel = self.handle.channel_open_session().await.map_err(failed)?;
        channel.request_subsystem(true, name).await.map_err(failed)?;
        match channel.wait().await {
            Some(ChannelMsg::Success) => Ok(channel),
            _ => Err(BootstrapError::NotARelay { relay: options.relay.clone() }),
        }
    }

    /// What the person should be told.
    pub(super) fn notices_mut(&mut self) -> &mut Vec<String> {
        &mut self.notices
    }

    /// Says goodbye. Gives where the relay is, and what the person should be told.
    pub(super) async fn close(self) -> (SocketAddr, Vec<String>) {
        // What was asked for is what counts; a relay that is gone already has said goodbye, too.
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
        (self.address, self.notices)
    }

    /// What keeps the connection, and what the person should be told.
    pub(super) fn into_parts(self) -> (Handle<KeyCheck>, Vec<String>) {
        (self.handle, self.notices)
    }
}

fn failed(options: &Options, error: russh::Error) -> BootstrapError {
    BootstrapError::Ssh { relay: options.relay.clone(), reason: error.to_string() }
}

/// All addresses of the name at once; the first that answers is kept.
pub(super) async fn dial(relay: &RelayAddress) -> Result<(TcpStream, SocketAddr), BootstrapError> {
    let unreachable = |reason: String| BootstrapError::Connect { relay: relay.clone(), reason };
    let race = async {
        let addresses = tokio::net::lookup_host((relay.host.as_str(), relay.port))
            .await
            .map_err(|error| BootstrapError::Lookup { relay: relay.clone(), error })?;
        let mut attempts = JoinSet::new();
        for address in addresses {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let mut reasons = Vec::new();
        while let Some(attempt) = attempts.join_next().await {
            match attempt.expect("connecting doesn't panic and isn't cancelled") {
                (address, Ok(stream)) => return Ok((stream, address)),
                (address, Err(error)) => reasons.push(format!("{}: {error}", address.ip())),
            }
        }
        Err(unreachable(reasons.join(", ")))
    };
    match tokio::time::timeout(CONNECT_TIME_MAX, race).await {
        Ok(connected) => connected,
        Err(_) => Err(unreachable(format!("no answer in {} s", CONNECT_TIME_MAX.as_secs()))),
    }
}

/// What the key check found, for the caller of the handshake.
#[derive(Default)]
struct Findings {
    refused: Option<HostKeyError>,
    notices: Vec<String>,
    fingerprint: String,
}

pub(super) struct KeyCheck {
    relay: RelayAddress,
    policy: HostKeyPolicy,
    /// Shared with [`connect`]: russh owns the handler, and its error type can't carry ours.
    findings: Arc<Mutex<Findings>>,
}

impl client::Handler for KeyCheck {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let judged = self.policy.check(&self.relay.host, self.relay.port, key);
        let mut findings = self.findings.lock().expect("no panic while it is held");
        findings.fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        match judged {
            Ok(Trusted::Known) => Ok(true),
            Ok(Trusted::FirstUse(notice)) => {
                findings.notices.push(notice);
                Ok(true)
            }
            Err(error) => {
                findings.refused = Some(error);
                Ok(false)
            }
        }
    }
}

async fn authenticate(
    session: &mut Handle<KeyCheck>,
    options: &Options,
    user: &str,
    notices: &mut Vec<String>,
) -> Result<(), BootstrapError> {
    let failed = |error| failed(options, error);
    let mut tried = Vec::new();
    if is_success(&session.authenticate_none(user).await.map_err(failed)?) {
        return Ok(());
    }
    // Also for RSA keys, which must not be signed with SHA-1.
    let rsa_hash = session.best_supported_rsa_hash().await.map_err(failed)?.flatten();
    if options.use_agent && authenticate_with_agent(session, user, rsa_hash, &mut tried).await {
        return Ok(());
    }
    for path in options.identities.iter().filter(|path| path.exists()) {
        let key = match load_secret_key(path, None) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                notices.push(format!(
                    "The key {} was passed over ({error}); a key with a passphrase works through \
                     ssh-agent.",
                    path.display()
                ));
                tried.push(format!("{}, which can't be read: {error}", path.display()));
                continue;
            }
        };
        if let Some(certificate) = certificate_of(path) {
            let sent = session.authenticate_openssh_cert(user, key.clone(), certificate).await;
            if is_success(&sent.map_err(failed)?) {
                return Ok(());
            }
        }
        let key = PrivateKeyWithHashAlg::new(key, rsa_hash);
        if is_success(&session.authenticate_publickey(user, key).await.map_err(failed)?) {
            return Ok(());
        }
        tried.push(path.display().to_string());
    }
    let tried = if tried.is_empty() { "there are none".into() } else { tried.join(", ") };
    Err(BootstrapError::Denied { relay: options.relay.clone(), tried })
}

/// The certificate beside a key, where ssh looks for it.
fn certificate_of(key: &Path) -> Option<Certificate> {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    Certificate::read_file(Path::new(&name)).ok()
}

/// Whether a key of the agent was accepted. An agent that isn't there or fails is no error: the
/// key files follow.
async fn authenticate_with_agent(
    session: &mut Handle<KeyCheck>,
    user: &str,
    rsa_hash: Option<russh::keys::HashAlg>,
    tried: &mut Vec<String>,
) -> bool {
    let Ok(mut agent) = AgentClient::connect_env().await else { return false };
    let Ok(identities) = agent.request_identities().await else { return false };
    for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
        let (result, comment) = match identity {
            AgentIdentity::PublicKey { key, comment } => {
                let hash = if key.algorithm().is_rsa() { rsa_hash } else { None };
                (session.authenticate_publickey_with(user, key, hash, &mut agent).await, comment)
            }
            AgentIdentity::Certificate { certificate, comment } => {
                let hash = if certificate.algorithm().is_rsa() { rsa_hash } else { None };
                let sent =
                    session.authenticate_certificate_with(user, certificate, hash, &mut agent);
                (sent.await, comment)
            }
        };
        match result {
            Ok(result) if is_success(&result) => return true,
            _ => tried.push(format!("{comment} of the agent")),
        }
    }
    false
}

fn is_success(result: &AuthResult) -> bool {
    match result {
        AuthResult::Success => true,
        AuthResult::Failure { .. } => false,
    }
}
