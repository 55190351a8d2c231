//! How sessions come to be, and places in them: granted to who asks, or had back by the ticket that
//! they show to a relay that was started again.

use super::admission::{SessionGuard, Shared, ViewerGuard, secret_of};
use super::doors::{self, unix_time};
use super::naming;
use super::places::PlaceHandle;
use super::replica::{self, NewLink, Place, ReplicaTask};
use super::session::{Message, SessionHandle, SessionTask};
use crate::core::address::AddressKey;
use crate::core::doors::Caller;
use crate::core::registry::{Denied, NewSession};
use crate::core::text;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tern_bootstrap::authorized_keys::Credential;
use tern_bootstrap::credentials::Kind;
use tern_bootstrap::grant::{NameClaim, Refusal, RefusalCode, Secret, SessionGrant, SessionId};
use tern_bootstrap::ticket::{Ticket, TicketContent, ViewContent};
use tern_bootstrap::token::{self, TokenHash};
use tern_bootstrap::view::ViewGrant;
use tern_sync::link::Link;
use tern_sync::session::Role;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

/// Longest message of a viewer: four times the keys that one may have on their way.
const VIEWER_MESSAGE_SIZE_MAX: usize = 256 * 1024;

/// A session with its task running, or why there is none.
pub(super) async fn create(
    shared: &Arc<Shared>,
    address: IpAddr,
    claim: Option<&NameClaim>,
) -> Result<SessionGrant, Refusal> {
    check_machine(shared, address)?;
    // Before anything is looked up: a key that is tried counts.
    shared.registry().may_create(AddressKey::from(address), Instant::now())?;
    let named = naming::name(shared, claim).await?;
    let token = named.token.unwrap_or_else(token::generate);
    let token_ro = named.token_ro.unwrap_or_else(token::generate_read_only);
    let content = TicketContent {
        session: SessionId(token::random()),
        secret: Secret(token::random()),
        token: TokenHash::of(&token),
        token_ro: TokenHash::of(&token_ro),
        granted_at: SystemTime::now(),
        owner: named.owner,
    };
    let alive = shared.keep_alive().ok_or_else(stopping)?;
    let (task, handle) = SessionTask::new(shared, content.session, false);
    let guard = SessionGuard::create(shared, new_session(&content, address, handle))?;
    let span = tracing::info_span!("session", id = %short(content.session));
    tokio::spawn(task.run(guard, alive).instrument(span));
    Ok(SessionGrant {
        session: content.session,
        secret: content.secret.clone(),
        token,
        token_ro,
        ssh_host: shared.advertised.host.clone(),
        ssh_port: shared.advertised.ssh_port,
        quic_port: shared.advertised.quic_port,
        certificate: shared.certificate,
        ticket: shared.ticket_key.seal(&content),
        notices: named.notice.into_iter().collect(),
    })
}

/// A viewer's place in the session that its token stands for, or why there is none.
/// Waits for what the session's host has to say.
pub(super) async fn create_view(
    shared: &Shared,
    token: &str,
    address: IpAddr,
    credential: &Credential,
) -> Result<ViewGrant, Denied> {
    let hash = TokenHash::of(token);
    let found = shared.registry().look_up(hash, address.into(), Instant::now());
    let (session, role) = found?;
    let handle = shared.registry().handle(session).ok_or(Denied::WrongToken)?;
    let doors = doors::said(&handle).await?;
    let viewer = SessionId(token::random());
    let caller = Caller { role, address, credential, place: Some(viewer.0) };
    let admission = doors.admit(&caller, unix_time())?;
    let content = ViewContent {
        viewer,
        session,
        secret: Secret(token::random()),
        token: hash,
        granted_at: SystemTime::now(),
        bearer: admission.bearer,
    };
    Ok(ViewGrant {
        viewer: content.viewer,
        secret: content.secret.clone(),
        may_type: admission.who.role == Role::ReadWrite,
        quic_port: shared.advertised.quic_port,
        certificate: shared.certificate,
        ticket: shared.ticket_key.seal_view(&content),
    })
}

/// What a hello is about.
enum Found {
    /// A session that is here.
    Session,
    /// One that its ticket gives back.
    SessionByTicket(TicketContent),
    /// A viewer whose task is here.
    Place(PlaceHandle),
    /// One whose ticket tells what it may have.
    PlaceByTicket(ViewContent),
}

/// The session or the viewer's place that a hello is about: one that is here, or one that its ticket
/// gives back.
pub(super) struct Claim<'a> {
    shared: &'a Arc<Shared>,
    address: IpAddr,
    found: Option<Found>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, address: IpAddr) -> Self {
        Self { shared, address: address.to_canonical(), found: None }
    }

    /// What the host or viewer of this id must prove; `None` if it is unknown and its ticket is worth
    /// nothing.
    pub(super) fn secret(&mut self, id: SessionId, ticket: &Ticket) -> Option<(Kind, Secret)> {
        let (found, kind, secret) = self.find(id, ticket)?;
        self.found = Some(found);
        Some((kind, secret))
    }

    fn find(&self, id: SessionId, ticket: &Ticket) -> Option<(Found, Kind, Secret)> {
        if let Some(secret) = secret_of(self.shared, id) {
            return Some((Found::Session, Kind::Host, secret));
        }
        if let Some(place) = self.shared.places.find(id) {
            let secret = place.secret.clone();
            return Some((Found::Place(place), Kind::Viewer, secret));
        }
        let (key, now) = (&self.shared.ticket_key, SystemTime::now());
        let age_max = self.shared.limits.ticket_time;
        if let Ok(content) = key.open_view(ticket, now, age_max) {
            let secret = content.secret.clone();
            let is_same = content.viewer == id;
            return is_same.then_some((Found::PlaceByTicket(content), Kind::Viewer, secret));
        }
        let content = match key.open(ticket, now, age_max) {
            Ok(content) if content.session == id => content,
            Ok(_) => return None,
            Err(error) => {
                tracing::info!(session = %short(id), %error, "unknown session");
                return None;
            }
        };
        if self.shared.registry().has_ended(id) {
            return None;
        }
        let secret = content.secret.clone();
        Some((Found::SessionByTicket(content), Kind::Host, secret))
    }

    /// The longest message that the peer who proved itself may send.
    pub(super) fn message_size_max(&self) -> usize {
        let configured = self.shared.limits.message_size;
        match self.found {
            Some(Found::Place(_) | Found::PlaceByTicket(_)) => {
                configured.min(VIEWER_MESSAGE_SIZE_MAX)
            }
            Some(Found::Session | Found::SessionByTicket(_)) | None => configured,
        }
    }

    /// Hands the link of a peer that has proved itself to its task. Gives whether it is resumed.
    pub(super) async fn hand_over(
        self,
        id: SessionId,
        epoch: u64,
        link: Link,
    ) -> Result<bool, Refusal> {
        let (answer, on_answer) = oneshot::channel();
        let address = self.address;
        // A task that ended meanwhile drops the message, and with it the answer's sender.
        match self.found {
            Some(Found::Session) => {
                let handle = self.shared.registry().handle(id);
                let handle = handle.ok_or_else(|| ended(self.shared, id))?;
                let _ = handle.inbox.send(Message::Host { epoch, address, link, answer }).await;
            }
            Some(Found::SessionByTicket(content)) => {
                naming::check_owner(self.shared, content.owner).await?;
                let handle = resume(self.shared, &content, self.address)?;
                let _ = handle.inbox.send(Message::Host { epoch, address, link, answer }).await;
            }
            Some(Found::Place(place)) => {
                let _ = place.inbox.send(NewLink { epoch, link, answer }).await;
            }
            Some(Found::PlaceByTicket(content)) => {
                let place = take_place(self.shared, &content, self.address)?;
                let _ = place.inbox.send(NewLink { epoch, link, answer }).await;
            }
            None => return Err(ended(self.shared, id)),
        }
        on_answer.await.map_err(|_| ended(self.shared, id))
    }
}

/// A viewer's place by its ticket, its task running, or why there is none. Two connections of one
/// viewer may come at once; then it is one place.
fn take_place(
    shared: &Arc<Shared>,
    content: &ViewContent,
    address: IpAddr,
) -> Result<PlaceHandle, Refusal> {
    if shared.registry().has_ended(content.session) {
        let text = text::JUST_ENDED_FOR_VIEWERS.to_owned();
        return Err(Refusal { code: RefusalCode::Unauthorized, text });
    }
    if !shared.registry().is_known(content.token) {
        // The ticket is a true one: its session's host is away, and may come back.
        return Err(returning());
    }
    let (guard, role, handle) =
        ViewerGuard::join(shared, content.token, address).map_err(refusal)?;
    let Some(doors) = handle.doors.borrow().clone() else {
        // It is back, but has not said yet who may join.
        return Err(returning());
    };
    let credential = content.bearer.map_or(Credential::Nothing, Credential::Kept);
    let place = Some(content.viewer.0);
    let caller = Caller { role, address, credential: &credential, place };
    let admission = doors.admit(&caller, unix_time()).map_err(refusal)?;
    let (inbox, on_link) = mpsc::channel(replica::INBOX_SIZE);
    let seat = guard.seat;
    let place = PlaceHandle { secret: content.secret.clone(), inbox, seat };
    let (place, is_new) = shared.places.take(content.viewer, place);
    if is_new {
        let held = Place { shared: Arc::clone(shared), viewer: content.viewer, seat };
        let task = ReplicaTask::new(held, guard, admission, handle, on_link);
        let viewer = short(content.viewer);
        let session = short(content.session);
        let span = tracing::info_span!("replica", %viewer, %session, %address);
        tokio::spawn(task.run().instrument(span));
    }
    Ok(place)
}

/// A session's host is not there, or has not said yet who may join.
pub(super) fn returning() -> Refusal {
    Refusal { code: RefusalCode::Returning, text: text::RETURNING.to_owned() }
}

/// Why a viewer may not come in, for its program.
pub(super) fn refusal(denied: Denied) -> Refusal {
    let code = match denied {
        Denied::WrongToken => RefusalCode::Unauthorized,
        Denied::TooManyTries => RefusalCode::TooManyTries,
        Denied::ViewersFull => RefusalCode::Full,
        Denied::Stopping => RefusalCode::Stopping,
        Denied::KeyWanted | Denied::Refused => RefusalCode::Unauthorized,
    };
    Refusal { code, text: denied.text().to_owned() }
}

/// A session by its ticket: its task running, or why not. Two connections of one host may come at
/// once; then it is one session.
fn resume(
    shared: &Arc<Shared>,
    content: &TicketContent,
    address: IpAddr,
) -> Result<SessionHandle, Refusal> {
    check_machine(shared, address)?;
    let alive = shared.keep_alive().ok_or_else(stopping)?;
    let (task, handle) = SessionTask::new(shared, content.session, true);
    let session = new_session(content, address, handle);
    let (guard, handle) = SessionGuard::resume(shared, session)?;
    if let Some(guard) = guard {
        let span = tracing::info_span!("session", id = %short(content.session));
        span.in_scope(|| tracing::info!(%address, "session is back, by its ticket"));
        tokio::spawn(task.run(guard, alive).instrument(span));
    }
    Ok(handle)
}

/// Whether hosts at `address` may have sessions here.
fn check_machine(shared: &Shared, address: IpAddr) -> Result<(), Refusal> {
    if shared.is_for_this_machine && !address.to_canonical().is_loopback() {
        let text = text::THIS_MACHINE_ONLY.to_owned();
        return Err(Refusal { code: RefusalCode::Unauthorized, text });
    }
    Ok(())
}

fn new_session(
    content: &TicketContent,
    address: IpAddr,
    handle: SessionHandle,
) -> NewSession<SessionHandle> {
    NewSession {
        id: content.session,
        secret: content.secret.clone(),
        token: content.token,
        token_ro: content.token_ro,
        owner: content.owner,
        granted_at: content.granted_at,
        address: AddressKey::from(address),
        handle,
    }
}

/// Why a session that was known has no place for its host.
fn ended(shared: &Shared, id: SessionId) -> Refusal {
    if shared.registry().was_superseded(id) {
        return Refusal { code: RefusalCode::Superseded, text: text::SUPERSEDED.into() };
    }
    Refusal { code: RefusalCode::Unauthorized, text: text::JUST_ENDED.into() }
}

fn stopping() -> Refusal {
    Refusal { code: RefusalCode::Stopping, text: text::STOPPING_FOR_HOSTS.into() }
}

/// Enough of a session's id to tell sessions apart in a log. It opens nothing.
pub(super) fn short(session: SessionId) -> String {
    session.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
