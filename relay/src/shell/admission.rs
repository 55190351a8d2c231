//! What every task of a relay shares, and the guards by which everybody is counted out again,
//! also when their task panics.

use super::session::SessionHandle;
use crate::core::address::AddressKey;
use crate::core::limits::Limits;
use crate::core::registry::{Denied, NewSession, Registry};
use crate::core::token::TokenHash;
use crate::shell::relay::Advertised;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tern_bootstrap::grant::{CertificatePin, Refusal, Secret, SessionId};
use tern_sync::session::Role;
use tokio::sync::{mpsc, watch};

/// Whether the relay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    Yes,
    /// Sessions end, viewers are told; nobody comes in.
    Draining,
    /// Connections end now.
    No,
}

/// Shared by all tasks of a relay.
pub(super) struct Shared {
    /// A lock, as every connection asks it; held for a look-up, never over an await.
    registry: Mutex<Registry<SessionHandle>>,
    pub(super) limits: Limits,
    pub(super) advertised: Advertised,
    pub(super) certificate: CertificatePin,
    pub(super) authorized_hosts: Option<PathBuf>,
    pub(super) is_for_this_machine: bool,
    pub(super) running: watch::Receiver<Running>,
    /// Held by every task that draining waits for.
    alive: mpsc::WeakSender<()>,
}

impl Shared {
    pub(super) fn new(
        limits: Limits,
        advertised: Advertised,
        certificate: CertificatePin,
        authorized_hosts: Option<PathBuf>,
        is_for_this_machine: bool,
        running: watch::Receiver<Running>,
        alive: mpsc::WeakSender<()>,
    ) -> Self {
        let registry = Mutex::new(Registry::new(limits.clone()));
        Self {
            registry,
            limits,
            advertised,
            certificate,
            authorized_hosts,
            is_for_this_machine,
            running,
            alive,
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry<SessionHandle>> {
        // The registry is whole at every point where its methods could panic.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While it is held, draining waits. `None`: drained already.
    pub(super) fn keep_alive(&self) -> Option<mpsc::Sender<()>> {
        self.alive.upgrade()
    }

    /// Lets a connection in, or not.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionGuard> {
        let address = AddressKey::from(address);
        let is_allowed = self.registry().connect(address, Instant::now());
        is_allowed.then(|| ConnectionGuard { shared: Arc::clone(self), address, is_pending: true })
    }
}

/// One connection that counts.
pub(super) struct ConnectionGuard {
    shared: Arc<Shared>,
    address: AddressKey,
    is_pending: bool,
}

impl ConnectionGuard {
    /// It has a role now.
    pub(super) fn identify(&mut self) {
        if std::mem::take(&mut self.is_pending) {
            self.shared.registry().identify();
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.shared.registry().disconnect(self.address, self.is_pending);
    }
}

/// One viewer that counts.
pub(super) struct ViewerGuard {
    shared: Arc<Shared>,
    session: SessionId,
}

impl ViewerGuard {
    /// Lets a viewer in, or says why not.
    pub(super) fn join(
        shared: &Arc<Shared>,
        token: TokenHash,
        address: IpAddr,
    ) -> Result<(Self, Role, SessionHandle), Denied> {
        let joined = shared.registry().join(token, address.into(), Instant::now());
        joined.map(|(session, role, handle)| {
            (Self { shared: Arc::clone(shared), session }, role, handle)
        })
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.shared.registry().leave(self.session);
    }
}

/// One session that counts.
pub(super) struct SessionGuard {
    shared: Arc<Shared>,
    id: SessionId,
}

impl SessionGuard {
    /// Enters a session, or says why not.
    pub(super) fn insert(
        shared: &Arc<Shared>,
        session: NewSession<SessionHandle>,
    ) -> Result<Self, Refusal> {
        let id = session.id;
        let mut registry = shared.registry();
        registry.may_create(session.address, Instant::now())?;
        registry.insert(session);
        drop(registry);
        Ok(Self { shared: Arc::clone(shared), id })
    }

    /// The session's tokens are dead.
    pub(super) fn retire(&self) {
        self.shared.registry().retire(self.id);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.shared.registry().remove(self.id);
    }
}

/// What the host of a session must prove.
pub(super) fn secret_of(shared: &Shared, session: SessionId) -> Option<Secret> {
    shared.registry().secret(session)
}
