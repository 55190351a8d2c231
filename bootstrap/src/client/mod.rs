//! A host's way to a session: SSH to the relay, its key checked, the user authenticated, then the
//! grant, and the SSH connection is gone; or, faster, the same over QUIC ([`request_session`]); or, where UDP doesn't pass, the
//! session's link itself, which stays ([`open_link`]).

mod link;
mod race;
mod ssh;

pub use crate::host_key::{HostKeyError, HostKeyPolicy};
pub use link::{LinkStream, OpenedLink, open_link};
pub use race::request_session_of;

use crate::direct;
use crate::grant::{
    self, HOST_USER, NameClaim, SUBSYSTEM, SessionGrant, SessionRequest, WireError,
};
use crate::register::{self, REGISTER_SUBSYSTEM, RegisterAnswer, RegisterRequest, Wish};
use crate::view::{self, VIEW_SUBSYSTEM, ViewGrant, ViewRequest};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for TCP to answer, over all addresses.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
/// How long QUIC is asked for a session before SSH is, too: twice what a path within a continent
/// takes. Where UDP is blocked it is lost, once a session. (RFC 8305, section 5, has the same value.)
pub const HEAD_START: Duration = Duration::from_millis(250);
/// Longest time for everything after that: key exchange, authentication, grant.
pub const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(30);

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
    /// The names that a host wants for its session, if any.
    pub claim: Option<NameClaim>,
}

/// A session, and where it is.
#[derive(Debug)]
pub struct Granted {
    /// The grant.
    pub grant: SessionGrant,
    /// The address that was reached; QUIC goes to its `grant.quic_port`.
    pub address: SocketAddr,
    /// Things that the person should be told (a key trusted on first use, a key file passed over).
    pub notices: Vec<String>,
    /// Whether it came over QUIC, so that UDP is known to pass.
    pub is_over_quic: bool,
}

/// A place in somebody's session, and where it is.
#[derive(Debug)]
pub struct GrantedView {
    /// The grant.
    pub grant: ViewGrant,
    /// The address that SSH reached; QUIC goes to its `grant.quic_port`.
    pub address: SocketAddr,
}

/// What a relay says to somebody who registers.
#[derive(Debug)]
pub struct Registered {
    /// The answer.
    pub answer: RegisterAnswer,
    /// As in [`Granted`].
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
    /// The session's host lets only some people join, and none of our keys is theirs.
    #[error(
        "this session lets in only people whose SSH keys its host has listed, and none of yours is \
         ({tried}): ask its host to add yours, or name the right one with -i"
    )]
    KeyRefused {
        /// What was tried.
        tried: String,
    },
    /// It is an SSH server, but not a relay.
    #[error(
        "{relay} is an SSH server but not a tern relay (it has none of tern's subsystems): check \
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
    /// The relay lets nobody in with this token, or says something that makes no sense.
    #[error("{error}")]
    View {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        error: WireError,
    },
    /// The relay registers nobody, or not so, or says something that makes no sense.
    #[error("the relay {relay} gives no account: {error}")]
    Register {
        /// Name and port.
        relay: RelayAddress,
        /// Why.
        error: WireError,
    },
    /// It doesn't know the session (any more), or something that makes no sense.
    #[error("the relay {relay} takes no link over SSH: {error}")]
    Link {
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

impl Options {
    /// What a host asks for.
    pub(crate) fn session_request(&self) -> SessionRequest {
        SessionRequest { software: self.software.clone(), claim: self.claim.clone() }
    }
}

/// Asks for a session: over QUIC ([`direct`]), which takes two round trips where UDP
/// passes, and, if nothing came of that within [`HEAD_START`], over SSH beside it. The first answer
/// counts.
pub async fn request_session(options: &Options) -> Result<Granted, BootstrapError> {
    let mut by_quic = std::pin::pin!(direct::request(options));
    let is_quic_done = match tokio::time::timeout(HEAD_START, &mut by_quic).await {
        Ok(Some(answer)) => return answer,
        Ok(None) => true,
        Err(_) => false,
    };
    let by_ssh = request_session_by_ssh(options);
    if is_quic_done {
        return by_ssh.await;
    }
    let mut by_ssh = std::pin::pin!(by_ssh);
    tokio::select! {
        biased;
        Some(answer) = &mut by_quic => answer,
        answer = &mut by_ssh => answer,
        else => Err(BootstrapError::Timeout { relay: options.relay.clone() }),
    }
}

/// Connects (to all addresses of the name at once, the first that is the relay is kept), checks,
/// authenticates, asks for a session. The SSH connection is closed before it returns.
async fn request_session_by_ssh(options: &Options) -> Result<Granted, BootstrapError> {
    ask_for_session(options, race::connect(options).await?).await
}

/// Asks for a session over this connection, and closes it.
async fn ask_for_session(options: &Options, ssh: ssh::Ssh) -> Result<Granted, BootstrapError> {
    ssh::in_time(options, async {
        let channel = ssh.subsystem(options, SUBSYSTEM).await?;
        let grant = grant::ask(&mut channel.into_stream(), &options.session_request())
            .await
            .map_err(|error| BootstrapError::Grant { relay: options.relay.clone(), error })?;
        let (address, notices) = ssh.close().await;
        Ok(Granted { grant, address, notices, is_over_quic: false })
    })
    .await
}

/// As [`request_session`], for a place in the session that `token` stands for.
/// [`BootstrapError::View`] with a refusal is the relay's word about the token. `notices` get what
/// the person should be told (as in [`Granted`]), whatever comes of it: a key may have been learnt.
pub async fn request_view(
    options: &Options,
    token: &str,
    notices: &mut Vec<String>,
) -> Result<GrantedView, BootstrapError> {
    let dialled = ssh::dial(&options.relay).await?;
    ssh::in_time(options, async {
        let mut ssh = match ssh::connect(options, &view::asking_user(token), dialled).await {
            Err(BootstrapError::Denied { tried, .. }) => {
                return Err(BootstrapError::KeyRefused { tried });
            }
            connected => connected?,
        };
        notices.append(ssh.notices_mut());
        let channel = ssh.subsystem(options, VIEW_SUBSYSTEM).await?;
        let request = ViewRequest { software: options.software.clone(), token: token.to_owned() };
        let grant = view::ask(&mut channel.into_stream(), &request)
            .await
            .map_err(|error| BootstrapError::View { relay: options.relay.clone(), error })?;
        let (address, _) = ssh.close().await;
        Ok(GrantedView { grant, address })
    })
    .await
}

/// As [`request_session`], for an account.
pub async fn register(options: &Options, wish: Wish) -> Result<Registered, BootstrapError> {
    let dialled = ssh::dial(&options.relay).await?;
    ssh::in_time(options, async {
        let ssh = ssh::connect(options, HOST_USER, dialled).await?;
        let channel = ssh.subsystem(options, REGISTER_SUBSYSTEM).await?;
        let request = RegisterRequest { software: options.software.clone(), wish };
        let answer = register::ask(&mut channel.into_stream(), &request)
            .await
            .map_err(|error| BootstrapError::Register { relay: options.relay.clone(), error })?;
        let (_, notices) = ssh.close().await;
        Ok(Registered { answer, notices })
    })
    .await
}
