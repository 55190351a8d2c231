//! Hosts' QUIC connections: accepted within bounds, proven, handed to their session's task.

use super::admission::{ConnectionGuard, Shared};
use super::grants::Claim;
use super::host;
use super::relay::StartError;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;
use tern_bootstrap::grant::{WireError, write_answer};
use tern_bootstrap::identity::Identity;
use tern_bootstrap::{direct, hello};
use tern_sync::link::{QuicLink, QuicRuntime};
use tokio::time::timeout;

/// Connections that have not proven themselves, above which newcomers must first show that their
/// address is theirs (RFC 9000, section 8.1.2). It costs them a round trip.
const RETRY_ABOVE: usize = 20;
/// Connections that quinn holds until they are accepted here.
const INCOMING_MAX: usize = 1024;
/// Bytes that quinn holds for each and for all of them: a first flight with a padded second.
const INCOMING_BUFFER_SIZE: u64 = 16 * 1024;
const INCOMING_BUFFERS_SIZE: u64 = 8 * 1024 * 1024;
/// How long a host may take to read its welcome.
const WELCOME_TIME_MAX: Duration = Duration::from_secs(10);

/// An endpoint on `socket`.
pub(super) fn open(identity: &Identity, socket: UdpSocket) -> Result<quinn::Endpoint, StartError> {
    let mut config = identity
        .quic_server_config(tern_sync::link::transport_config())
        .map_err(|error| StartError::Certificate(error.to_string()))?;
    config
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BUFFER_SIZE)
        .incoming_buffer_size_total(INCOMING_BUFFERS_SIZE);
    let runtime = Arc::new(QuicRuntime);
    let settings = identity.quic_endpoint_config();
    Ok(quinn::Endpoint::new(settings, Some(config), socket, runtime)?)
}

/// Accepts until the endpoint is closed.
pub(super) async fn listen(endpoint: quinn::Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let is_busy = shared.registry().pending() >= RETRY_ABOVE;
        if is_busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Fails only where a retry isn't allowed, which was asked.
            let _ = incoming.retry();
            continue;
        }
        match shared.connect(incoming.remote_address().ip()) {
            Some(guard) => {
                tokio::spawn(serve(incoming, guard, Arc::clone(&shared)));
            }
            None => incoming.refuse(),
        }
    }
}

/// One connection, from its first packet to its end.
async fn serve(incoming: quinn::Incoming, mut guard: ConnectionGuard, shared: Arc<Shared>) {
    let remote = incoming.remote_address();
    // Boxed: what the handshake needs isn't kept as long as the connection lives.
    let connected = Box::pin(timeout(shared.limits.auth_time, introduce(incoming, &shared))).await;
    match connected {
        Ok(Ok(connection)) => {
            guard.identify();
            // The session's task has the connection; here it only counts.
            connection.closed().await;
        }
        Ok(Err(error)) => tracing::info!(%remote, %error, "QUIC connection refused"),
        Err(_) => tracing::info!(%remote, "QUIC connection took too long to introduce itself"),
    }
}

async fn introduce(
    incoming: quinn::Incoming,
    shared: &Arc<Shared>,
) -> Result<quinn::Connection, WireError> {
    let connection = incoming.accept()?.await?;
    if direct::is_for_grant(&connection) {
        serve_grant(&connection, shared).await?;
        return Ok(connection);
    }
    let mut claim = Claim::new(shared, connection.remote_address().ip());
    let introduction =
        hello::accept(&connection, |session, ticket| claim.secret(session, ticket)).await?;
    let link =
        QuicLink::new(connection.clone()).with_message_size_max(claim.message_size_max()).into();
    let handed_over = claim.hand_over(introduction.session, introduction.epoch, link).await;
    let is_resumed = match handed_over {
        Ok(is_resumed) => is_resumed,
        Err(refusal) => {
            introduction.refuse(refusal.clone()).await?;
            return Err(WireError::Refused(refusal));
        }
    };
    let welcomed = timeout(WELCOME_TIME_MAX, introduction.welcome(is_resumed)).await;
    match welcomed {
        Ok(Ok(())) => Ok(connection),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(WireError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// A host that asks for a session. Where hosts have to show a key first, SSH is for that.
async fn serve_grant(
    connection: &quinn::Connection,
    shared: &Arc<Shared>,
) -> Result<(), WireError> {
    if shared.authorized_hosts.is_some() {
        direct::refuse(connection);
        return Ok(());
    }
    let (request, mut writer) = direct::read_request(connection).await?;
    let answer = host::answer(shared, connection.remote_address().ip(), &request).await;
    write_answer(&mut writer, &answer).await?;
    direct::finish(connection, writer).await;
    Ok(())
}
