//! Starts and stops a relay.

use super::admission::{Policy, Running, Shared};
use super::{bind, naming, quic, ssh};
use crate::core::limits::Limits;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tern_accounts::{Owners, Registrar};
use tern_bootstrap::grant::CertificatePin;
use tern_bootstrap::identity::Identity;
use tern_web::core::address::Reach;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long [`Relay::stop`] waits for viewers to take their last words: a screen of 50 kB over
/// 200 kbit/s, and a round trip.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(4);

/// Everything that a relay needs to start.
pub struct Config {
    /// TCP address of SSH; port 0 for any. `[::]` is IPv4, too, and falls back to it.
    pub listen: SocketAddr,
    /// UDP address of QUIC, if it isn't the same.
    pub quic_listen: Option<SocketAddr>,
    /// Host name in join lines; `None`: the one that the host itself used.
    pub host: Option<String>,
    /// Port in join lines, if viewers come through another than the one listened on.
    pub ssh_port_advertised: Option<u16>,
    /// Who may share terminals (`authorized_keys`); `None`: everybody.
    pub authorized_hosts: Option<PathBuf>,
    /// Whether only this machine may share terminals; anybody may still join them.
    pub is_for_this_machine: bool,
    /// Who may name sessions; `None`: nobody.
    pub accounts: Option<Arc<dyn Owners>>,
    /// Who takes new users in; `None`: nobody.
    pub registrar: Option<Arc<dyn Registrar>>,
    /// Which servers webhooks may reach; `None`: none are sent.
    pub webhooks: Option<Reach>,
    /// The relay's keys.
    pub identity: Identity,
    /// What it allows.
    pub limits: Limits,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("cannot listen on {address}: {error} (another relay, or another --listen?)")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The certificate and its key don't fit each other.
    #[error("the QUIC certificate in the data folder is damaged ({0}): delete its two files")]
    Certificate(String),
    /// Who may share terminals can't be read.
    #[error("cannot read {path}: {error}")]
    AuthorizedHosts {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The system refuses something.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// What hosts are told about where the relay is.
#[derive(Debug, Clone)]
pub(super) struct Advertised {
    pub(super) host: Option<String>,
    pub(super) ssh_port: u16,
    pub(super) quic_port: u16,
}

/// A relay at work. Dropped, it ends without a word.
pub struct Relay {
    ssh_address: SocketAddr,
    quic_address: SocketAddr,
    ssh_fingerprint: String,
    certificate: CertificatePin,
    shared: Arc<Shared>,
    running: watch::Sender<Running>,
    alive: Option<mpsc::Sender<()>>,
    drained: mpsc::Receiver<()>,
    quic: quinn::Endpoint,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("ssh", &self.ssh_address).finish_non_exhaustive()
    }
}

impl Relay {
    /// Listens, and serves from then on. Needs a tokio runtime with time and I/O.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if let Some(path) = &config.authorized_hosts {
            let read = tokio::fs::read(path).await;
            read.map_err(|error| StartError::AuthorizedHosts { path: path.clone(), error })?;
        }
        let address = config.listen;
        let bound = bind::bind(address, config.quic_listen)
            .map_err(|error| StartError::Listen { address, error })?;
        let (ssh_address, quic_address) = (bound.tcp.local_addr()?, bound.udp.local_addr()?);
        let (running, on_running) = watch::channel(Running::Yes);
        let (alive, drained) = mpsc::channel(1);
        let shared = Arc::new(Shared::new(
            config.limits,
            Advertised {
                host: config.host,
                ssh_port: config.ssh_port_advertised.unwrap_or(ssh_address.port()),
                quic_port: quic_address.port(),
            },
            &config.identity,
            Policy {
                authorized_hosts: config.authorized_hosts,
                is_for_this_machine: config.is_for_this_machine,
                accounts: config.accounts.clone(),
                registrar: config.registrar,
                webhooks: config.webhooks,
            },
            on_running,
            alive.downgrade(),
        ));
        let quic = quic::open(&config.identity, bound.udp)?;
        let ssh_fingerprint = config.identity.ssh_fingerprint();
        let certificate = config.identity.certificate_pin();
        let listener = tokio::net::TcpListener::from_std(bound.tcp)?;
        tokio::spawn(ssh::listen(listener, ssh::config(config.identity.ssh_key), shared.clone()));
        tokio::spawn(quic::listen(quic.clone(), shared.clone()));
        if let Some(accounts) = config.accounts {
            tokio::spawn(naming::watch_owners(shared.clone(), accounts));
        }
        tracing::info!(ssh = %ssh_address, quic = %quic_address, "listening");
        let alive = Some(alive);
        Ok(Self {
            ssh_address,
            quic_address,
            ssh_fingerprint,
            certificate,
            shared,
            running,
            alive,
            drained,
            quic,
        })
    }

    /// Where SSH listens.
    pub fn ssh_address(&self) -> SocketAddr {
        self.ssh_address
    }

    /// Where QUIC listens.
    pub fn quic_address(&self) -> SocketAddr {
        self.quic_address
    }

    /// `SHA256:...` of the SSH host key.
    pub fn fingerprint(&self) -> &str {
        &self.ssh_fingerprint
    }

    /// What hosts pin.
    pub fn certificate_pin(&self) -> CertificatePin {
        self.certificate
    }

    /// Sessions and viewers that there are.
    pub fn counts(&self) -> (usize, usize) {
        self.shared.registry().counts()
    }

    /// Tells everybody, waits until they know ([`DRAIN_TIME_MAX`] at most), ends.
    pub async fn stop(mut self) {
        let (sessions, viewers) = self.counts();
        tracing::info!(sessions, viewers, "stopping");
        self.shared.registry().stop();
        self.running.send_replace(Running::Draining);
        self.alive = None;
        if timeout(DRAIN_TIME_MAX, self.drained.recv()).await.is_err() {
            tracing::info!("some viewers or hosts did not answer in time");
        }
        self.running.send_replace(Running::No);
        self.quic
            .close(crate::core::session::CloseCode::Stopping.number().into(), b"the relay stopped");
        let _ = timeout(DRAIN_TIME_MAX, self.quic.wait_idle()).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.running.send_replace(Running::No);
        self.quic
            .close(crate::core::session::CloseCode::Stopping.number().into(), b"the relay stopped");
    }
}
