//! Attempts to reach the relay, several at once: over QUIC at every address that its name has, each
//! with a socket of its own, and inside an SSH connection. The first that the relay welcomes wins.

use crate::core::dialling::Carrier;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tern_bootstrap::client::{BootstrapError, Options, open_link};
use tern_bootstrap::credentials::Credentials;
use tern_bootstrap::grant::{RefusalCode, WireError};
use tern_bootstrap::hello::{SERVER_NAME, introduce, is_wrong_certificate, quic_client_config};
use tern_sync::link::{Link, QuicLink, QuicRuntime, StreamLink, transport_config};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A handshake that isn't through after this time won't be: 3 round trips of a satellite path with
/// some losses.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(6);
/// The same for the hello, a round trip. Until it is over no other connection says hello, or each
/// would replace the one before.
const HELLO_TIME_MAX: Duration = Duration::from_secs(5);
/// Most addresses that are tried.
const ADDRESSES_MAX: usize = 8;
/// Most attempts at the same time: those that begin within [`HANDSHAKE_TIME_MAX`], at two addresses.
const ATTEMPTS_MAX: usize = 48;

/// A link that the relay has welcomed.
pub struct Welcomed {
    /// Ready for use.
    pub link: Link,
    /// What carries it.
    pub carrier: Carrier,
    /// The relay still has the states of our epoch.
    pub is_resumed: bool,
    /// What the person should know.
    pub notices: Vec<String>,
    /// Nobody else says hello until this is taken up.
    _turn: Option<OwnedMutexGuard<()>>,
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Another one may do better. The reason is for the log.
    Unreachable(String),
    /// What answers at the address that SSH reached shows another certificate.
    WrongCertificate(SocketAddr),
    /// The relay doesn't know the session; what it says.
    Unknown(String),
    /// The relay knows the session, but its host isn't there; what it says.
    NotYet(String),
    /// The relay and this program don't understand each other.
    Refused(String),
}

/// All attempts for what one grant gave.
pub(super) struct Ways {
    options: Options,
    who: Credentials,
    /// Where SSH reached the relay, with QUIC's port.
    first: SocketAddr,
    addresses: Vec<SocketAddr>,
    lookups: JoinSet<Vec<SocketAddr>>,
    attempts: JoinSet<Result<Welcomed, Failure>>,
    /// Held by the attempt that says hello.
    turn: Arc<Mutex<()>>,
    is_introducing: Arc<AtomicBool>,
    is_trying_ssh: Arc<AtomicBool>,
}

impl Ways {
    /// Nothing is tried yet.
    pub(super) fn new(options: &Options, who: &Credentials, mut first: SocketAddr) -> Self {
        first.set_port(who.quic_port);
        Self {
            options: options.clone(),
            who: who.clone(),
            first,
            addresses: vec![first],
            lookups: JoinSet::new(),
            attempts: JoinSet::new(),
            turn: Arc::default(),
            is_introducing: Arc::default(),
            is_trying_ssh: Arc::default(),
        }
    }

    /// Begins an attempt. `epoch` names the states that the relay may still have. A connection waits
    /// for `deference` before it says hello.
    pub(super) fn attempt(&mut self, carrier: Carrier, epoch: u64, deference: Duration) {
        match carrier {
            Carrier::Quic => self.attempt_quic(epoch, deference),
            Carrier::Ssh => self.attempt_ssh(epoch),
        }
    }

    /// Whatever comes next: a link, or why there is none. Cancel-safe; never ends while nothing is
    /// tried.
    pub(super) async fn next(&mut self) -> Result<Welcomed, Failure> {
        loop {
            tokio::select! {
                Some(Ok(found)) = self.lookups.join_next() => self.take_addresses(found),
                Some(Ok(outcome)) = self.attempts.join_next() => return outcome,
                else => std::future::pending().await,
            }
        }
    }

    /// A link is there: no attempt goes on.
    pub(super) fn stop(&mut self) {
        self.attempts.abort_all();
        self.attempts = JoinSet::new();
        self.turn = Arc::default();
        self.is_introducing = Arc::default();
        self.is_trying_ssh = Arc::default();
    }

    /// The old link answers again: attempts end, unless one has said hello already, for then the
    /// relay may have taken it for the session's.
    pub(super) fn relax(&mut self) {
        if !self.is_introducing.load(Ordering::Relaxed) {
            self.stop();
        }
    }

    fn attempt_quic(&mut self, epoch: u64, deference: Duration) {
        if self.lookups.is_empty() {
            self.lookups.spawn(look_up(self.options.relay.host.clone(), self.first.port()));
        }
        for &address in &self.addresses {
            if self.attempts.len() >= ATTEMPTS_MAX {
                return;
            }
            let attempt = QuicAttempt {
                who: self.who.clone(),
                address,
                is_first: address == self.first,
                epoch,
                deference,
                turn: self.turn.clone(),
                is_introducing: self.is_introducing.clone(),
            };
            self.attempts.spawn(attempt.run());
        }
    }

    fn attempt_ssh(&mut self, epoch: u64) {
        if self.is_trying_ssh.swap(true, Ordering::Relaxed) {
            return;
        }
        let (options, who) = (self.options.clone(), self.who.clone());
        let is_trying = self.is_trying_ssh.clone();
        self.attempts.spawn(async move {
            let opened = open_link(&options, &who, epoch).await;
            is_trying.store(false, Ordering::Relaxed);
            let opened = opened.map_err(|error| ssh_failure(&error))?;
            let (reader, writer) = tokio::io::split(opened.stream);
            Ok(Welcomed {
                link: StreamLink::new(reader, writer).into(),
                carrier: Carrier::Ssh,
                is_resumed: opened.welcome.is_resumed,
                notices: opened.notices,
                _turn: None,
            })
        });
    }

    fn take_addresses(&mut self, found: Vec<SocketAddr>) {
        let others = found.into_iter().filter(|&address| address != self.first);
        self.addresses = [self.first].into_iter().chain(others).take(ADDRESSES_MAX).collect();
    }
}

struct QuicAttempt {
    who: Credentials,
    address: SocketAddr,
    is_first: bool,
    epoch: u64,
    deference: Duration,
    turn: Arc<Mutex<()>>,
    is_introducing: Arc<AtomicBool>,
}

impl QuicAttempt {
    async fn run(self) -> Result<Welcomed, Failure> {
        let connection = self.dial().await?;
        sleep(self.deference).await;
        let turn = self.turn.clone().lock_owned().await;
        self.is_introducing.store(true, Ordering::Relaxed);
        let hello = timeout(HELLO_TIME_MAX, introduce(&connection, &self.who, self.epoch)).await;
        let welcome = match hello {
            Ok(Ok(welcome)) => welcome,
            failed => {
                self.is_introducing.store(false, Ordering::Relaxed);
                return Err(match failed {
                    Ok(Err(error)) => hello_failure(&error),
                    Ok(Ok(_)) | Err(_) => Failure::Unreachable("no welcome in time".into()),
                });
            }
        };
        Ok(Welcomed {
            link: QuicLink::new(connection).into(),
            carrier: Carrier::Quic,
            is_resumed: welcome.is_resumed,
            notices: Vec::new(),
            _turn: Some(turn),
        })
    }

    async fn dial(&self) -> Result<quinn::Connection, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Unreachable(error.to_string());
        let local: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // A socket of its own for each attempt: the network may be another one.
        let endpoint = UdpSocket::bind((local, 0)).and_then(|socket| {
            let runtime = Arc::new(QuicRuntime);
            quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime)
        });
        let endpoint = endpoint.map_err(|error| failed(&error))?;
        let config = quic_client_config(self.who.certificate, transport_config());
        let connecting = endpoint
            .connect_with(config, self.address, SERVER_NAME)
            .map_err(|error| failed(&error))?;
        match timeout(HANDSHAKE_TIME_MAX, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            // Another of the name's addresses may be another machine's.
            Ok(Err(error)) if is_wrong_certificate(&error) && self.is_first => {
                Err(Failure::WrongCertificate(self.address))
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&"no answer in time")),
        }
    }
}

fn hello_failure(error: &WireError) -> Failure {
    match error {
        WireError::Refused(refusal) => match refusal.code {
            RefusalCode::Unauthorized => Failure::Unknown(refusal.text.clone()),
            RefusalCode::Returning => Failure::NotYet(refusal.text.clone()),
            RefusalCode::Version | RefusalCode::Malformed | RefusalCode::Superseded => {
                Failure::Refused(refusal.text.clone())
            }
            RefusalCode::Full
            | RefusalCode::Stopping
            | RefusalCode::TooManyTries
            | RefusalCode::Unavailable
            | RefusalCode::Other => Failure::Unreachable(refusal.text.clone()),
        },
        WireError::Version { .. } => Failure::Refused(error.to_string()),
        WireError::Malformed(_) | WireError::Impostor | WireError::Io(_) | WireError::Quic(_) => {
            Failure::Unreachable(error.to_string())
        }
    }
}

fn ssh_failure(error: &BootstrapError) -> Failure {
    match error {
        BootstrapError::Link { error, .. } => hello_failure(error),
        other => Failure::Unreachable(other.to_string()),
    }
}

async fn look_up(name: String, port: u16) -> Vec<SocketAddr> {
    match tokio::net::lookup_host((name, port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => Vec::new(),
    }
}
