//! A link over a QUIC connection.
//!
//! Datagrams go as they are. A stream message is one unidirectional stream, whole. Sending never
//! waits: a stream is written by a task of its own, which a reset or the connection's end stops.

use super::Incoming;
use super::arriving::{Arriving, Share};
use crate::valve::ValveConfig;
use crate::{CHANNELS_MAX, MESSAGE_SIZE_MAX, Output};
use quinn::{AckFrequencyConfig, ConnectionError, MtuDiscoveryConfig, RecvStream};
use quinn::{SendStream, VarInt};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A relay should close a connection over which nothing was heard for this long: the endpoint's
/// states stay, and the host makes a new connection. Until then QUIC keeps about 250 bytes for each
/// probe sent (`pace.rs`), thus 2 MB.
pub const SILENCE_MAX: Duration = Duration::from_secs(2 * 3600);
/// Streams that the peer may have open at once; further ones wait. A session has three channels that
/// may need one. A hostile host makes a relay hold this many messages: 16 MB, which a relay counts.
pub const STREAMS_MAX: u32 = 4;
/// Bytes of a message that are read at once.
const CHUNK_SIZE_MAX: usize = 64 * 1024;
/// Largest QUIC payload on the Internet: 1500 bytes without IPv6 and UDP headers.
const MTU_MAX: u16 = 1452;
/// What quinn counts for a queued datagram beside its bytes.
const DATAGRAM_COST: usize = 64;
/// Bytes of datagrams that wait for QUIC's pacing. More would only hold back newer states; fewer
/// would leave the path idle while the endpoint is asked for the next.
const DATAGRAM_QUEUE_SIZE: usize = 2 * (MTU_MAX as usize + DATAGRAM_COST);
/// Bytes of datagrams that arrived and were not read yet: several flights of a path with a full
/// second of delay. quinn drops the oldest.
const DATAGRAM_READ_SIZE: usize = 256 * 1024;
/// Bytes of streams in flight: 5 Mbit/s at 100 ms. Screens are tens of kilobytes, so a larger window
/// would hardly be used; and it is what QUIC may send at once into a path that seems dead
/// (`valve.rs`).
const STREAM_WINDOW: u32 = 64 * 1024;
/// Assumed before the first sample, as in the endpoint.
const RTT_INITIAL: Duration = Duration::from_millis(100);
/// QUIC acknowledges after this time, unless the endpoint answers before: pictures at once, keys with
/// their echo. It is part of the interval after which a lost stream frame is sent again.
const QUIC_ACK_DELAY: Duration = Duration::from_millis(10);
/// Bytes of handshake that may arrive out of order.
const CRYPTO_BUFFER_SIZE: usize = 8 * 1024;
/// QUIC error code of a connection whose peer sent a message above [`MESSAGE_SIZE_MAX`].
const TOO_LARGE: VarInt = VarInt::from_u32(2);
/// QUIC error code of a stream whose message is superseded.
const SUPERSEDED: VarInt = VarInt::from_u32(1);

const _: () = assert!(STREAMS_MAX as usize <= CHANNELS_MAX);

/// One QUIC connection as seen by the task that owns the endpoint. When it is dropped, so are its
/// streams; the connection stays.
#[derive(Debug)]
pub struct QuicLink {
    connection: quinn::Connection,
    /// Messages that are arriving.
    reads: JoinSet<Read>,
    arriving: Arc<Arriving>,
    /// Longest message that is read.
    message_size_max: usize,
    /// Messages that are being sent.
    writes: JoinSet<()>,
    /// By stream id of the endpoint; dropping one lets the stream finish.
    resets: BTreeMap<u64, oneshot::Sender<()>>,
    /// Waits for QUIC to have room for one more datagram, which it then sends.
    held: Option<Held>,
}

struct Held(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held(..)")
    }
}

impl QuicLink {
    /// Takes over an authenticated connection.
    pub fn new(connection: quinn::Connection) -> Self {
        Self {
            connection,
            reads: JoinSet::new(),
            arriving: Arc::default(),
            message_size_max: MESSAGE_SIZE_MAX,
            writes: JoinSet::new(),
            resets: BTreeMap::new(),
            held: None,
        }
    }

    /// Reads no message that is longer ([`Incoming::TooLarge`]).
    pub fn with_message_size_max(mut self, size: usize) -> Self {
        self.message_size_max = size.min(MESSAGE_SIZE_MAX);
        self
    }

    /// See [`Link::arriving_size`](super::Link::arriving_size).
    pub fn arriving_size(&self) -> usize {
        self.arriving.size()
    }

    /// The next thing that happened. Cancel-safe. An error means that the connection is gone.
    pub async fn recv(&mut self) -> Result<Incoming, ConnectionError> {
        loop {
            let has_room = self.reads.len() < STREAMS_MAX as usize;
            tokio::select! {
                // In a fixed order, so that a run in virtual time can be replayed. Datagrams are
                // last, as of those there may always be one more; streams are few.
                biased;
                Some(read) = self.reads.join_next() => {
                    match read {
                        Ok(Read::Whole(message, share)) => {
                            drop(share);
                            return Ok(Incoming::Stream(message));
                        }
                        Ok(Read::TooLarge) if self.message_size_max < MESSAGE_SIZE_MAX => {
                            return Ok(Incoming::TooLarge);
                        }
                        Ok(Read::TooLarge) => {
                            self.connection.close(TOO_LARGE, b"stream message too large");
                        }
                        Ok(Read::Reset) | Err(_) => {}
                    }
                }
                () = self.arriving.grown() => return Ok(Incoming::Arriving),
                () = wait(&mut self.held), if self.held.is_some() => {
                    self.held = None;
                    return Ok(Incoming::Room);
                }
                stream = self.connection.accept_uni(), if has_room => {
                    let share = Share::new(&self.arriving);
                    self.reads.spawn(read_message(stream?, self.message_size_max, share));
                }
                datagram = self.connection.read_datagram() => {
                    return Ok(Incoming::Datagram(datagram?));
                }
            }
        }
    }

    /// Does what the endpoint wants, without blocking. A datagram for which there is no room waits;
    /// one that the path doesn't take is dropped: the endpoint sends the newest state again.
    pub fn send(&mut self, output: Output) {
        match output {
            Output::Datagram(datagram) => self.send_datagram(datagram),
            Output::Stream { id, message } => {
                while self.writes.try_join_next().is_some() {}
                self.resets.retain(|_, reset| !reset.is_closed());
                let (reset, on_reset) = oneshot::channel();
                self.resets.insert(id, reset);
                self.writes.spawn(write_message(self.connection.clone(), message, on_reset));
            }
            Output::ResetStream { id } => {
                if let Some(reset) = self.resets.remove(&id) {
                    // A write that is over has nothing to reset.
                    let _ = reset.send(());
                }
            }
        }
    }

    /// For [`Endpoint::poll_output`](crate::Endpoint::poll_output). It may change at any time: ask
    /// before each call. 0 if the peer takes no datagrams.
    pub fn datagram_size_max(&self) -> usize {
        self.connection.max_datagram_size().unwrap_or(0)
    }

    /// Whether nothing waits for QUIC's pacing and congestion control but what its short queue holds.
    pub fn has_room(&self) -> bool {
        self.held.is_none()
    }

    /// Packets sent and lost since the connection began. Packets that hold only acknowledgements are
    /// never known to be lost, so they aren't counted as sent either: on a path with traffic in both
    /// directions they would halve the loss.
    pub fn path_stats(&self) -> (u64, u64) {
        let stats = self.connection.stats();
        let frames = stats.frame_tx;
        let eliciting = frames.datagram + frames.stream + frames.ping + frames.crypto;
        (stats.path.sent_packets.min(eliciting), stats.path.lost_packets)
    }

    /// The connection itself.
    pub fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    fn send_datagram(&mut self, datagram: Vec<u8>) {
        let size = datagram.len();
        if self.connection.datagram_send_buffer_space() < size + DATAGRAM_COST {
            // At most one waits, as the driver asks for no more; a second one takes its place.
            let connection = self.connection.clone();
            self.held = Some(Held(Box::pin(async move {
                if let Err(error) = connection.send_datagram_wait(datagram.into()).await {
                    tracing::trace!(size, %error, "datagram not sent");
                }
            })));
        } else if let Err(error) = self.connection.send_datagram(datagram.into()) {
            // If the path shrank since the endpoint asked, it cuts smaller when it sends again.
            tracing::trace!(size, %error, "datagram not sent");
        }
    }
}

async fn wait(held: &mut Option<Held>) {
    if let Some(held) = held {
        held.0.as_mut().await;
    }
}

/// What became of a message.
#[derive(Debug)]
enum Read {
    /// It is here, and counts until it is taken.
    Whole(Vec<u8>, Share),
    Reset,
    TooLarge,
}

/// One whole message. No time limit: the peer has [`STREAMS_MAX`] of them at
/// most, each bounded, and the message of a host that is away for an hour goes on when it returns.
async fn read_message(mut stream: RecvStream, size_max: usize, mut share: Share) -> Read {
    let mut message = Vec::new();
    // Copied in order and at once: a chunk that is kept keeps the packet that it came in.
    loop {
        match stream.read_chunk(CHUNK_SIZE_MAX, true).await {
            Ok(Some(chunk)) if message.len() + chunk.bytes.len() > size_max => {
                return Read::TooLarge;
            }
            Ok(Some(chunk)) => {
                share.add(chunk.bytes.len());
                message.extend_from_slice(&chunk.bytes);
            }
            Ok(None) => return Read::Whole(message, share),
            Err(_) => return Read::Reset,
        }
    }
}

/// Writes `message` on a stream of its own, unless it is superseded first.
async fn write_message(
    connection: quinn::Connection,
    message: Vec<u8>,
    mut on_reset: oneshot::Receiver<()>,
) {
    let stream = tokio::select! {
        biased;
        _ = &mut on_reset => return,
        stream = connection.open_uni() => stream,
    };
    let Ok(stream) = stream else {
        return;
    };
    let mut guard = ResetOnDrop(Some(stream));
    tokio::select! {
        biased;
        _ = &mut on_reset => {}
        () = guard.deliver(message) => {}
    }
}

/// A stream that is reset unless its message was delivered: quinn would finish it, and the peer take
/// the beginning for the whole.
struct ResetOnDrop(Option<SendStream>);

impl ResetOnDrop {
    /// Ends when the peer has acknowledged every byte, so that until then a reset frees the path.
    async fn deliver(&mut self, message: Vec<u8>) {
        let Some(stream) = &mut self.0 else {
            return;
        };
        if stream.write_all(&message).await.is_err() {
            return;
        }
        drop(message);
        if stream.finish().is_ok() && stream.stopped().await.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if let Some(mut stream) = self.0.take() {
            // A stream that is gone needs no reset.
            let _ = stream.reset(SUPERSEDED);
        }
    }
}

/// Transport settings that both sides of a link need.
///
/// Liveness is the endpoint's business, so there is no idle timeout and no keep-alive of QUIC's.
/// Queues are short, for what is newer replaces what waits. Segmentation offload is off: a terminal
/// sends single packets, and some drivers lose the first batch when they refuse it.
///
/// Measured: two connected ends in one process, each with a socket of its own, after messages of
/// 50 kB in both directions, take 257 kB together. At worst the queue of
/// datagrams that arrived (256 kB) and three stream windows of 64 kB come to that.
pub fn transport_config() -> quinn::TransportConfig {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.max_ack_delay(Some(QUIC_ACK_DELAY));
    let mut mtu_discovery = MtuDiscoveryConfig::default();
    mtu_discovery.upper_bound(MTU_MAX);
    let mut config = quinn::TransportConfig::default();
    config
        .max_idle_timeout(None)
        .keep_alive_interval(None)
        .initial_rtt(RTT_INITIAL)
        .mtu_discovery_config(Some(mtu_discovery))
        .ack_frequency_config(Some(ack_frequency))
        .congestion_controller_factory(Arc::new(ValveConfig::default()))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(2 * STREAM_WINDOW))
        .send_window(u64::from(STREAM_WINDOW))
        .crypto_buffer_size(CRYPTO_BUFFER_SIZE)
        .datagram_receive_buffer_size(Some(DATAGRAM_READ_SIZE))
        .datagram_send_buffer_size(DATAGRAM_QUEUE_SIZE)
        .enable_segmentation_offload(false);
    config
}
