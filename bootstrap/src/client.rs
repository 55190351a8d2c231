//! A host's way to a session: SSH to the relay, its key checked, the user authenticated, then the
//! grant. The SSH connection is gone afterwards.

use crate::grant::{self, HOST_USER, SUBSYSTEM, SessionGrant, SessionRequest, WireError};
use crate::host_key::Trusted;
pub use crate::host_key::{HostKeyError, HostKeyPolicy};
use russh::ChannelMsg;
use russh::client::{self, AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest time for TCP to answer, over all addresses.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
/// Longest time for everything after that: key exchange, authentication, grant.
pub const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(30);
/// Most keys of an agent that are tried; servers hang up after a few more.
const AGENT_KEYS_MAX: usize = 5;

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    /// Name or address.
    pub host: String,
    /// TCP port of SSH.
    pub port: u16,
}

impl std::fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Everything a bootstrap needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which relay.
    pub relay: RelayAddress,
    /// How its key is checked.
    pub host_key: HostKeyPolicy,
    /// Private keys to try after `none` and the agent's; files that don't exist are passed over.
    pub identities: Vec<PathBuf>,
    /// Whether to ask an agent (`SSH_AUTH_SOCK`).
    pub use_agent: bool,
    /// e.g. `tern 0.1.0`; for the relay's log.
    pub software: String,
}

/// A session, and where it is.
#[derive(Debug)]
pub struct Granted {
    /// The grant.
    pub grant: SessionGrant,
    /// The address that SSH reached; QUIC goes to its `grant.quic_port`.
    pub address: SocketAddr,
    /// Things that the person should be told (a key trusted on first use, a key file passed over).
    pub notices: Vec<String>,
}

/// What goes wrong, each with a way out in its text.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The name has no address.
    #[error("cannot find the relay {relay}: {error}. Check the name and the network")]
    Lookup {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        error: std::io::Error,
    },
    /// No address answers.
    #[error(
        "cannot reach the relay {relay}: {reason}. Is it running, and is TCP to that port open?"
    )]
    Connect {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        reason: String,
    },
    /// Its key is not trusted.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// It isn't an SSH server that we can talk to.
    #[error("the SSH connection to the relay {relay} failed: {reason}")]
    Ssh {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        reason: String,
    },
    /// It lets only some people host, and none of our keys is theirs.
    #[error(
        "the relay {relay} accepts none of your SSH keys ({tried}): ask its operator to add yours, \
         or name the right one with -i"
    )]
    Denied {
        /// Name and port.
        relay: RelayAddress,
        /// What was tried.
        tried: String,
    },
    /// It is an SSH server, but not a relay.
    #[error(
        "{relay} is an SSH server but not a tern relay (it has no '{SUBSYSTEM}' subsystem): check \
         host and port"
    )]
    NotARelay {
        /// Name and port.
        relay: RelayAddress,
    },
    /// The relay says no, or something that makes no sense.
    #[error("the relay {relay} grants no session: {error}")]
    Grant {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        error: WireError,
    },
    /// It stopped answering.
    #[error("the relay {relay} did not answer within {} seconds", EXCHANGE_TIME_MAX.as_secs())]
    Timeout {
        /// Name and port.
        relay: RelayAddress,
    },
}

/// Connects (to all addresses of the name at once, the first that answers is kept), checks,
/// authenticates, asks. The SSH connection is closed before it returns.
pub async fn request_session(options: &Options) -> Result<Granted, BootstrapError> {
    let relay = options.relay.clone();
    let (stream, address) = connect(&relay).await?;
    match tokio::time::timeout(EXCHANGE_TIME_MAX, exchange(options, stream, address)).await {
        Ok(granted) => granted,
        Err(_) => Err(BootstrapError::Timeout { relay }),
    }
}

async fn connect(relay: &RelayAddress) -> Result<(TcpStream, SocketAddr), BootstrapError> {
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
}

struct KeyCheck {
    relay: RelayAddress,
    policy: HostKeyPolicy,
    /// Shared with [`exchange`]: russh owns the handler, and its error type can't carry ours.
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

async fn exchange(
    options: &Options,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<Granted, BootstrapError> {
    let relay = &options.relay;
    let failed = |error: russh::Error| BootstrapError::Ssh {
        relay: relay.clone(),
        reason: error.to_string(),
    };
    // Several small messages follow each other, each waiting for an answer.
    stream.set_nodelay(true).map_err(|error| failed(error.into()))?;
    let findings = Arc::new(Mutex::new(Findings::default()));
    let check = KeyCheck {
        relay: relay.clone(),
        policy: options.host_key.clone(),
        findings: findings.clone(),
    };
    let connected = client::connect_stream(Arc::default(), stream, check).await;
    let mut found = std::mem::take(&mut *findings.lock().expect("no panic while it is held"));
    if let Some(error) = found.refused {
        return Err(error.into());
    }
    let mut session = connected.map_err(failed)?;
    authenticate(&mut session, options, &mut found.notices).await?;

    let channel = session.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, SUBSYSTEM).await.map_err(failed)?;
    let mut channel = channel;
    match channel.wait().await {
        Some(ChannelMsg::Success) => {}
        _ => return Err(BootstrapError::NotARelay { relay: relay.clone() }),
    }
    let request = SessionRequest { software: options.software.clone() };
    let grant = grant::ask(&mut channel.into_stream(), &request)
        .await
        .map_err(|error| BootstrapError::Grant { relay: relay.clone(), error })?;
    // The grant is what counts; a relay that is gone already has said goodbye, too.
    let _ = session.disconnect(russh::Disconnect::ByApplication, "", "").await;
    Ok(Granted { grant, address, notices: found.notices })
}

async fn authenticate(
    session: &mut Handle<KeyCheck>,
    options: &Options,
    notices: &mut Vec<String>,
) -> Result<(), BootstrapError> {
    let failed = |error: russh::Error| BootstrapError::Ssh {
        relay: options.relay.clone(),
        reason: error.to_string(),
    };
    let mut tried = Vec::new();
    if is_success(&session.authenticate_none(HOST_USER).await.map_err(failed)?) {
        return Ok(());
    }
    // Also for RSA keys, which must not be signed with SHA-1.
    let rsa_hash = session.best_supported_rsa_hash().await.map_err(failed)?.flatten();
    if options.use_agent && authenticate_with_agent(session, rsa_hash, &mut tried).await {
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
                continue;
            }
        };
        let key = PrivateKeyWithHashAlg::new(key, rsa_hash);
        if is_success(&session.authenticate_publickey(HOST_USER, key).await.map_err(failed)?) {
            return Ok(());
        }
        tried.push(path.display().to_string());
    }
    let tried = if tried.is_empty() { "there are none".into() } else { tried.join(", ") };
    Err(BootstrapError::Denied { relay: options.relay.clone(), tried })
}

/// Whether a key of the agent was accepted. An agent that isn't there or fails is no error: the
/// key files follow.
async fn authenticate_with_agent(
    session: &mut Handle<KeyCheck>,
    rsa_hash: Option<russh::keys::HashAlg>,
    tried: &mut Vec<String>,
) -> bool {
    let Ok(mut agent) = AgentClient::connect_env().await else { return false };
    let Ok(identities) = agent.request_identities().await else { return false };
    for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
        let AgentIdentity::PublicKey { key, comment } = identity else { continue };
        let hash = if key.algorithm().is_rsa() { rsa_hash } else { None };
        match session.authenticate_publickey_with(HOST_USER, key, hash, &mut agent).await {
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
