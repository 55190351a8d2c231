//! What every task of a relay shares, and the guards by which everybody is counted out again,
//! also when their task panics.

use super::places::Places;
use super::session::{Message, SessionHandle};
use crate::core::address::AddressKey;
use crate::core::limits::Limits;
use crate::core::registry::{Denied, NewSession, RETURN_TIME_MAX, Registry, Seat, Seated};
use crate::core::text;
use crate::shell::relay::Advertised;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tern_accounts::{Owners, Registrar};
use tern_bootstrap::grant::{CertificatePin, Refusal, RefusalCode, Secret, SessionId};
use tern_bootstrap::identity::Identity;
use tern_bootstrap::ticket::TicketKey;
use tern_bootstrap::token::TokenHash;
use tern_sync::session::Role;
use tern_web::core::address::Reach;
use tern_web::shell::courier::Post;
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

/// Whom the operator lets do what.
pub(super) struct Policy {
    pub(super) authorized_hosts: Option<PathBuf>,
    pub(super) is_for_this_machine: bool,
    pub(super) accounts: Option<Arc<dyn Owners>>,
    pub(super) registrar: Option<Arc<dyn Registrar>>,
    pub(super) webhooks: Option<Reach>,
}

/// Shared by all tasks of a relay.
pub(super) struct Shared {
    /// A lock, as every connection asks it; held for a look-up, never over an await.
    registry: Mutex<Registry<SessionHandle>>,
    pub(super) limits: Limits,
    pub(super) advertised: Advertised,
    pub(super) certificate: CertificatePin,
    /// Of the SSH host key.
    pub(super) ssh_fingerprint: String,
    pub(super) ticket_key: TicketKey,
    pub(super) authorized_hosts: Option<PathBuf>,
    pub(super) is_for_this_machine: bool,
    /// Who may name sessions.
    pub(super) accounts: Option<Arc<dyn Owners>>,
    /// Who takes new users in.
    pub(super) registrar: Option<Arc<dyn Registrar>>,
    /// By which webhooks are sent; `None`: none are.
    pub(super) post: Option<Arc<Post>>,
    pub(super) running: watch::Receiver<Running>,
    pub(super) places: Places,
    /// Held by every task that draining waits for.
    alive: mpsc::WeakSender<()>,
    /// Told when a session came: viewers may be waiting for it.
    arrivals: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new(
        limits: Limits,
        advertised: Advertised,
        identity: &Identity,
        policy: Policy,
        running: watch::Receiver<Running>,
        alive: mpsc::WeakSender<()>,
    ) -> Self {
        // Nobody can come back to a relay that has never granted anything.
        let returns_until = identity.has_granted().then(|| Instant::now() + RETURN_TIME_MAX);
        Self {
            registry: Mutex::new(Registry::new(limits.clone(), returns_until)),
            limits,
            advertised,
            certificate: identity.certificate_pin(),
            ssh_fingerprint: identity.ssh_fingerprint(),
            ticket_key: identity.ticket_key(),
            authorized_hosts: policy.authorized_hosts,
            is_for_this_machine: policy.is_for_this_machine,
            accounts: policy.accounts,
            registrar: policy.registrar,
            post: policy.webhooks.map(|reach| Arc::new(Post::new(reach))),
            running,
            places: Places::default(),
            alive,
            arrivals: watch::Sender::new(()),
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
            self.shared.registry().identify(self.address);
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
    pub(super) seat: Seat,
}

impl ViewerGuard {
    /// Lets a viewer in, or says why not.
    pub(super) fn join(
        shared: &Arc<Shared>,
        token: TokenHash,
        address: IpAddr,
    ) -> Result<(Self, Role, SessionHandle), Denied> {
        let joined = shared.registry().join(token, address.into(), Instant::now());
        let Seated { seat, role, handle, yielded } = joined?;
        if let Some(seat) = yielded {
            tracing::info!(seat = seat.number, "seat of a silent viewer is given to another");
            shared.places.take_away(seat);
        }
        Ok((Self { shared: Arc::clone(shared), seat }, role, handle))
    }

    /// Nothing is heard from the viewer from now on, or it is heard again.
    pub(super) fn set_silent(&self, is_silent: bool) {
        let since = is_silent.then(Instant::now);
        self.shared.registry().set_silent(self.seat, since);
    }

    /// The viewer's link holds so many bytes now. An error says why they are too many.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), String> {
        self.shared.registry().hold_for_viewer(self.seat, bytes)
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.shared.registry().leave(self.seat);
    }
}

/// A viewer that is kept waiting, since its session's host may be on its way back.
pub(super) struct WaitGuard {
    shared: Arc<Shared>,
    token: TokenHash,
    arrivals: watch::Receiver<()>,
    /// When it has waited long enough.
    pub(super) until: Instant,
}

impl WaitGuard {
    /// `None`: there is nothing to wait for.
    pub(super) fn begin(shared: &Arc<Shared>, token: TokenHash, address: IpAddr) -> Option<Self> {
        // Before the look-up, so that no arrival is missed.
        let arrivals = shared.arrivals.subscribe();
        let until = shared.registry().begin_wait(token, address.into(), Instant::now())?;
        Some(Self { shared: Arc::clone(shared), token, arrivals, until })
    }

    /// When the session is here.
    pub(super) async fn arrival(&mut self) {
        // The sender lives as long as `shared`.
        while self.arrivals.changed().await.is_ok() {
            if self.shared.registry().is_known(self.token) {
                return;
            }
        }
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.shared.registry().end_wait();
    }
}

/// One session that counts.
pub(super) struct SessionGuard {
    shared: Arc<Shared>,
    id: SessionId,
}

impl SessionGuard {
    /// Enters a session that was asked for, or says why not. (That it was asked for counts already.)
    pub(super) fn create(
        shared: &Arc<Shared>,
        session: NewSession<SessionHandle>,
    ) -> Result<Self, Refusal> {
        let id = session.id;
        let mut registry = shared.registry();
        registry.may_resume(session.address)?;
        let superseded = registry.insert(session);
        drop(registry);
        tell_superseded(superseded);
        Ok(Self::of(shared, id))
    }

    /// Enters a session by its ticket, unless it is there meanwhile, or says why not.
    pub(super) fn resume(
        shared: &Arc<Shared>,
        session: NewSession<SessionHandle>,
    ) -> Result<(Option<Self>, SessionHandle), Refusal> {
        let (id, handle) = (session.id, session.handle.clone());
        let mut registry = shared.registry();
        if let Some(present) = registry.handle(id) {
            return Ok((None, present));
        }
        if registry.is_superseded(&session) {
            let text = text::SUPERSEDED.into();
            return Err(Refusal { code: RefusalCode::Superseded, text });
        }
        registry.may_resume(session.address)?;
        let superseded = registry.insert(session);
        drop(registry);
        tell_superseded(superseded);
        Ok((Some(Self::of(shared, id)), handle))
    }

    fn of(shared: &Arc<Shared>, id: SessionId) -> Self {
        shared.arrivals.send_replace(());
        Self { shared: Arc::clone(shared), id }
    }

    /// The session holds so many bytes now. An error says why they are too many.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), String> {
        self.shared.registry().hold(self.id, bytes)
    }

    /// The session's host ended it: no ticket brings it back.
    pub(super) fn bury(&self) {
        self.shared.registry().bury(self.id);
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

/// Sessions whose names another has now end.
fn tell_superseded(sessions: Vec<SessionHandle>) {
    for session in sessions {
        // Its inbox may be full for a moment; nobody waits for it here.
        tokio::spawn(async move { session.inbox.send(Message::Superseded).await });
    }
}

/// What the host of a session must prove.
pub(super) fn secret_of(shared: &Shared, session: SessionId) -> Option<Secret> {
    shared.registry().secret(session)
}
