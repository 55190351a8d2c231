//! How sessions come to be: granted to a host that asks, or had back by the ticket that a host
//! shows to a relay that was started again.

use super::admission::{SessionGuard, Shared, secret_of};
use super::session::{Message, SessionHandle, SessionTask};
use crate::core::address::AddressKey;
use crate::core::registry::NewSession;
use crate::core::text;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tern_bootstrap::grant::{Refusal, RefusalCode, Secret, SessionGrant, SessionId};
use tern_bootstrap::ticket::{Ticket, TicketContent};
use tern_bootstrap::token::{self, TokenHash};
use tern_sync::link::Link;
use tokio::sync::oneshot;
use tracing::Instrument;

/// A session with its task running, or why there is none.
pub(super) fn create(shared: &Arc<Shared>, address: IpAddr) -> Result<SessionGrant, Refusal> {
    check_machine(shared, address)?;
    let (token, token_ro) = (token::generate(), token::generate_read_only());
    let content = TicketContent {
        session: SessionId(token::random()),
        secret: Secret(token::random()),
        token: TokenHash::of(&token),
        token_ro: TokenHash::of(&token_ro),
        granted_at: SystemTime::now(),
    };
    let alive = shared.keep_alive().ok_or_else(stopping)?;
    let (task, handle) = SessionTask::new(shared);
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
    })
}

/// The session that a hello is about: one that is here, or one that its ticket gives back.
pub(super) struct Claim<'a> {
    shared: &'a Arc<Shared>,
    address: IpAddr,
    content: Option<TicketContent>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, address: IpAddr) -> Self {
        Self { shared, address, content: None }
    }

    /// What the host of `session` must prove; `None` if it is unknown and its ticket is worth
    /// nothing.
    pub(super) fn secret(&mut self, session: SessionId, ticket: &Ticket) -> Option<Secret> {
        if let Some(secret) = secret_of(self.shared, session) {
            return Some(secret);
        }
        let age_max = self.shared.limits.ticket_time;
        let opened = self.shared.ticket_key.open(ticket, SystemTime::now(), age_max);
        let content = match opened {
            Ok(content) if content.session == session => content,
            Ok(_) => return None,
            Err(error) => {
                tracing::info!(session = %short(session), %error, "unknown session");
                return None;
            }
        };
        if self.shared.registry().has_ended(session) {
            return None;
        }
        let secret = content.secret.clone();
        self.content = Some(content);
        Some(secret)
    }

    /// Hands the link of a host that has proved itself to its session. Gives whether it is resumed.
    pub(super) async fn hand_over(
        self,
        session: SessionId,
        epoch: u64,
        link: Link,
    ) -> Result<bool, Refusal> {
        let handle = self.handle(session)?;
        let (answer, on_answer) = oneshot::channel();
        // A session that ended meanwhile drops the message, and with it the answer's sender.
        let _ = handle.inbox.send(Message::Host { epoch, link, answer }).await;
        on_answer.await.map_err(|_| ended())
    }

    fn handle(self, session: SessionId) -> Result<SessionHandle, Refusal> {
        let present = self.shared.registry().handle(session);
        match (present, &self.content) {
            (Some(handle), _) => Ok(handle),
            (None, Some(content)) => resume(self.shared, content, self.address),
            (None, None) => Err(ended()),
        }
    }
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
    let (task, handle) = SessionTask::new(shared);
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
        address: AddressKey::from(address),
        handle,
    }
}

fn ended() -> Refusal {
    Refusal { code: RefusalCode::Unauthorized, text: text::JUST_ENDED.into() }
}

fn stopping() -> Refusal {
    Refusal { code: RefusalCode::Stopping, text: text::STOPPING_FOR_HOSTS.into() }
}

/// Enough of a session's id to tell sessions apart in a log. It opens nothing.
pub(super) fn short(session: SessionId) -> String {
    session.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
