//! SSH connections: accepted within bounds, each with a task of its own.

use super::admission::{ConnectionGuard, Running, Shared};
use super::handler::Handler;
use super::line::{Line, Stage};
use super::session::wait_until;
use super::socket::Socket;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::server::{self, RunningSession};
use russh::{MethodKind, MethodSet, Preferred, SshId, compression};
use socket2::{SockRef, TcpKeepalive};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How often a viewer that says nothing is asked whether it is there. After two and a half of
/// them without an answer it doesn't count for the size any more (`viewer.rs`).
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// After so many without an answer, the connection is given up: a minute, in which a train is
/// through its tunnel.
const KEEPALIVES_MAX: usize = 20;
/// TCP gives up at the same time, if it waits for an acknowledgement.
const TCP_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes that the kernel takes beyond what is on its way to the viewer.
const NOT_SENT_MAX: u32 = 16 * 1024;
/// Bytes that a viewer may send before we grant more: a page of paste. Keys beyond wait in the
/// viewer's ssh.
const WINDOW_SIZE: u32 = 64 * 1024;
/// How long the other side may take to close after everything was said.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(3);
/// Rest after an accept that failed (no file descriptors): it would fail again at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Connections at once that are told why they are refused.
const REFUSALS_MAX: usize = 64;
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);

/// russh's settings.
pub(super) fn config(key: PrivateKey) -> Arc<server::Config> {
    let methods = [MethodKind::None, MethodKind::PublicKey, MethodKind::KeyboardInteractive];
    Arc::new(server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-tern")),
        methods: MethodSet::from(methods.as_slice()),
        // Nothing is guessed by rejecting slowly: tokens are checked after authentication.
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        window_size: WINDOW_SIZE,
        channel_buffer_size: 4,
        event_buffer_size: 4,
        preferred: preferred(),
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        ..server::Config::default()
    })
}

/// No SHA-1 signatures, no compression (frames are small already, and a decompressor is one more
/// thing to attack).
fn preferred() -> Preferred {
    const KEYS: [Algorithm; 6] = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    const NO_COMPRESSION: [compression::Name; 1] = [compression::NONE];
    Preferred {
        key: Cow::Borrowed(&KEYS),
        compression: Cow::Borrowed(&NO_COMPRESSION),
        ..Preferred::DEFAULT
    }
}

/// Accepts until the relay stops.
pub(super) async fn listen(
    listener: TcpListener,
    config: Arc<server::Config>,
    shared: Arc<Shared>,
) {
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut running = shared.running.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = running.wait_for(|running| *running == Running::No) => return,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        match shared.connect(address.ip()) {
            Some(guard) => {
                tokio::spawn(serve(socket, address, guard, config.clone(), shared.clone()));
            }
            None => {
                tracing::info!(%address, "SSH connection refused: too many");
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    tokio::spawn(async move {
                        // Who doesn't listen is dropped.
                        let _ = timeout(REFUSAL_TIME_MAX, refuse(socket)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// One connection, from accept to its end.
async fn serve(
    socket: TcpStream,
    address: SocketAddr,
    guard: ConnectionGuard,
    config: Arc<server::Config>,
    shared: Arc<Shared>,
) {
    // Draining waits for it: last words must have left. (Without it, the relay is drained.)
    let _alive = shared.keep_alive();
    if let Err(error) = tune(&socket) {
        tracing::debug!(%address, %error, "cannot tune a socket");
    }
    let socket = Arc::new(socket);
    let line = Arc::new(Line::new(socket.clone()));
    let (socket, killer) = Socket::new(socket, line.clone());
    let deadline = Instant::now() + shared.limits.auth_time;
    let handler = Handler::new(address, line.clone(), shared.clone());
    let started = Box::pin(server::run_stream(config, socket, handler));
    match timeout(shared.limits.auth_time, started).await {
        Ok(Ok(session)) => supervise(session, killer, &line, deadline, guard, &shared).await,
        Ok(Err(error)) => tracing::debug!(%address, %error, "no SSH"),
        Err(_) => tracing::debug!(%address, "no SSH in time"),
    }
    tracing::debug!(%address, "SSH connection ended");
}

/// Ends a connection that stays too long in a stage. (Each connection's russh task is on its own,
/// so that a panic in it ends that connection only.)
async fn supervise(
    session: RunningSession<Handler>,
    killer: oneshot::Sender<()>,
    line: &Line,
    auth_deadline: Instant,
    mut guard: ConnectionGuard,
    shared: &Shared,
) {
    let mut stage = line.stage();
    let mut running = shared.running.clone();
    let mut deadline = Some(auth_deadline);
    let mut look = interval(KEEPALIVE_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(session);
    loop {
        let is_pending = *stage.borrow() == Stage::Pending;
        tokio::select! {
            _ = &mut session => return,
            () = wait_until(deadline) => break,
            // Who isn't read can't say goodbye. (Looked at always, as nothing tells here when the
            // line is held.)
            _ = look.tick() => {
                if line.is_held() && line.is_hung_up() {
                    break;
                }
            }
            () = stopping(&mut running, is_pending) => break,
            Ok(()) = stage.changed() => {
                guard.identify();
                deadline = match *stage.borrow_and_update() {
                    Stage::Pending => deadline,
                    Stage::Serving => None,
                    Stage::Closing => Some(Instant::now() + CLOSING_TIME_MAX),
                };
            }
        }
    }
    drop(killer);
    // russh's task ends at its next read or write. While it doesn't, the connection counts.
    if timeout(CLOSING_TIME_MAX, &mut session).await.is_err() {
        tracing::warn!("a connection outlives its end");
        let _ = session.await;
    }
}

/// When a connection should end with the relay: at once if nobody knows what it wants.
async fn stopping(running: &mut watch::Receiver<Running>, is_pending: bool) {
    let is_over = |running: &Running| match running {
        Running::Yes => false,
        Running::Draining => is_pending,
        Running::No => true,
    };
    // A relay that was dropped without a word has stopped as well.
    let _ = running.wait_for(is_over).await;
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(TCP_TIME_MAX / 2).with_interval(TCP_TIME_MAX / 6);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(TCP_TIME_MAX))?;
        socket.set_tcp_notsent_lowat(NOT_SENT_MAX)?;
    }
    Ok(())
}

/// Says, in SSH's own words before any key exchange (RFC 4253, sections 4.2, 6, 11.1), that there
/// is no room: OpenSSH shows it.
async fn refuse(socket: TcpStream) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut reader, mut writer) = socket.into_split();
    writer.write_all(&refusal_bytes("The relay has no room for another connection")).await?;
    writer.shutdown().await?;
    // What the client sent is read, else closing would reset the connection and our words with it.
    let mut sink = [0; 1024];
    while reader.read(&mut sink).await? > 0 {}
    Ok(())
}

fn refusal_bytes(text: &str) -> Vec<u8> {
    const SSH_MSG_DISCONNECT: u8 = 1;
    const TOO_MANY_CONNECTIONS: u32 = 12;
    const BLOCK_SIZE: usize = 8;
    const PADDING_MIN: usize = 4;
    let text_length = u32::try_from(text.len()).expect("our own text is short");
    let mut payload = vec![SSH_MSG_DISCONNECT];
    payload.extend(TOO_MANY_CONNECTIONS.to_be_bytes());
    payload.extend(text_length.to_be_bytes());
    payload.extend(text.as_bytes());
    payload.extend(0u32.to_be_bytes());
    let unpadded = 5 + payload.len();
    let padding = PADDING_MIN + (BLOCK_SIZE - (unpadded + PADDING_MIN) % BLOCK_SIZE) % BLOCK_SIZE;
    let length = u32::try_from(1 + payload.len() + padding).expect("our own text is short");
    let padding_byte = u8::try_from(padding).expect("at most a block and four");
    [
        b"SSH-2.0-tern\r\n".as_slice(),
        &length.to_be_bytes(),
        &[padding_byte],
        &payload,
        &vec![0; padding],
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_a_whole_ssh_packet() {
        for text in ["", "a", "abc", "The relay is full, and says so"] {
            let bytes = refusal_bytes(text);
            let packet = bytes.strip_prefix(b"SSH-2.0-tern\r\n").expect("it begins like SSH");
            assert_eq!(packet.len() % 8, 0);
            let length = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
            assert_eq!(length as usize + 4, packet.len());
            assert!(packet[4] >= 4);
        }
    }
}
