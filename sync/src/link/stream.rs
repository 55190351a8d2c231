//! A link over an ordered stream of bytes: a channel of an SSH connection, where UDP doesn't pass.
//!
//! A frame is `kind:u8 length:u32 bytes`, integers big-endian:
//!
//! ```text
//! 0  datagram  at most 2048 bytes
//! 1  message   at most MESSAGE_SIZE_MAX bytes
//! 2  close     code:u32, reason in UTF-8
//! 3  taken     count:u32, bytes of frames that were taken in so far, modulo 2^32
//! ```
//!
//! TCP and SSH would queue megabytes before a slow path. So the sender counts what the peer hasn't
//! taken yet and has no room above [`OUTSTANDING_MAX`]: a screen is never older than that.

use super::arriving::{Arriving, Share};
use super::{Incoming, LinkError, REASON_SIZE_MAX};
use crate::wire::DATAGRAM_SIZE_MAX;
use crate::{MESSAGE_SIZE_MAX, Output};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Bytes on their way above which nothing more is sent: what 1 Mbit/s carries in 0.13 s.
const OUTSTANDING_MAX: u32 = 16 * 1024;
/// Frames that wait for the writer: small ones, as [`OUTSTANDING_MAX`] bounds the rest.
const WRITES_MAX: usize = 1024;
/// Messages that wait for the endpoint's task: what arrives faster waits in the stream.
const READS_MAX: usize = 4;
/// A peer that takes nothing for this long is gone.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes that a frame adds.
const HEAD_SIZE: u32 = 5;

const DATAGRAM: u8 = 0;
const MESSAGE: u8 = 1;
const CLOSE: u8 = 2;
const TAKEN: u8 = 3;
/// Not on the wire: a message that the owner doesn't allow.
const TOO_LARGE: u8 = u8::MAX;
/// Bytes of a frame that are read before they count.
const CHUNK_SIZE_MAX: usize = 64 * 1024;

/// A stream of bytes as seen by the task that owns the endpoint. When it is dropped without
/// [`StreamLink::close`], so is the stream.
#[derive(Debug)]
pub struct StreamLink {
    incoming: mpsc::Receiver<Arrival>,
    arriving: Arc<Arriving>,
    outgoing: mpsc::Sender<Frame>,
    shared: Arc<Shared>,
    /// Somebody was told that there is no room. (Atomic for `&self`; one task uses it.)
    is_room_awaited: AtomicBool,
    /// One task, which ends with the link.
    reader: JoinSet<()>,
}

/// What the reader passes on; a message counts as arriving until it is taken.
type Arrival = Result<(Incoming, Share), LinkError>;

/// Counters modulo 2^32 of both tasks and the owner.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes given to the writer.
    sent: AtomicU32,
    /// Of these, what the peer took.
    confirmed: AtomicU32,
    /// Bytes of the peer's that were taken.
    taken: AtomicU32,
    /// There is something to confirm.
    on_taken: Notify,
    /// There may be room.
    on_confirmed: Notify,
}

impl Shared {
    fn outstanding(&self) -> u32 {
        self.sent.load(Ordering::Relaxed).wrapping_sub(self.confirmed.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    bytes: Vec<u8>,
}

impl StreamLink {
    /// Takes over an authenticated stream.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self::with_message_size_max(reader, writer, MESSAGE_SIZE_MAX)
    }

    /// As [`StreamLink::new`], and reads no message that is longer ([`Incoming::TooLarge`]).
    pub fn with_message_size_max(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        message_size_max: usize,
    ) -> Self {
        let arriving = Arc::<Arriving>::default();
        let shared = Arc::new(Shared::default());
        let (incoming_sender, incoming) = mpsc::channel(READS_MAX);
        let (outgoing, frames) = mpsc::channel(WRITES_MAX);
        let mut task = JoinSet::new();
        let source = Source { reader, message_size_max, arriving: Arc::clone(&arriving) };
        task.spawn(read_all(source, incoming_sender.clone(), Arc::clone(&shared)));
        let to_write = Arc::clone(&shared);
        // It outlives the link, so that the last words leave; then nothing holds its queue.
        tokio::spawn(async move {
            if let Err(error) = write_all(writer, frames, to_write).await {
                // If nobody waits for it, nobody needs to know.
                let _ = incoming_sender.send(Err(error.into())).await;
            }
        });
        let is_room_awaited = AtomicBool::new(false);
        Self { incoming, arriving, outgoing, shared, is_room_awaited, reader: task }
    }

    /// See [`Link::arriving_size`](super::Link::arriving_size).
    pub fn arriving_size(&self) -> usize {
        self.arriving.size()
    }

    /// The next thing that happened. Cancel-safe. An error means that the link is gone.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        let is_room_awaited = self.is_room_awaited.load(Ordering::Relaxed);
        tokio::select! {
            incoming = self.incoming.recv() => {
                match incoming {
                    Some(Ok((incoming, _share))) => Ok(incoming),
                    Some(Err(error)) => Err(error),
                    None => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
                }
            }
            () = self.arriving.grown() => Ok(Incoming::Arriving),
            () = room(&self.shared), if is_room_awaited => {
                self.is_room_awaited.store(false, Ordering::Relaxed);
                Ok(Incoming::Room)
            }
        }
    }

    /// Does what the endpoint wants, without blocking. What exceeds the queue is dropped: the
    /// endpoint sends the newest state again.
    pub fn send(&mut self, output: Output) {
        match output {
            Output::Datagram(bytes) => self.enqueue(Frame { kind: DATAGRAM, bytes }),
            Output::Stream { message, .. } => {
                self.enqueue(Frame { kind: MESSAGE, bytes: message });
            }
            // What is on its way can't be called back.
            Output::ResetStream { .. } => {}
        }
    }

    /// Whether the peer has taken most of what was sent.
    pub fn has_room(&self) -> bool {
        let has_room = self.shared.outstanding() < OUTSTANDING_MAX;
        if !has_room {
            self.is_room_awaited.store(true, Ordering::Relaxed);
        }
        has_room
    }

    /// Bytes of the largest datagram.
    pub fn datagram_size_max(&self) -> usize {
        DATAGRAM_SIZE_MAX
    }

    /// Says why, and ends. The bytes leave from a task of their own.
    pub fn close(&mut self, code: u32, reason: &str) {
        let bytes = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.enqueue(Frame { kind: CLOSE, bytes });
        self.reader.abort_all();
    }

    fn enqueue(&self, frame: Frame) {
        let size = size_of_frame(frame.bytes.len());
        // Counted before it can be confirmed.
        self.shared.sent.fetch_add(size, Ordering::Relaxed);
        if let Err(error) = self.outgoing.try_send(frame) {
            self.shared.sent.fetch_sub(size, Ordering::Relaxed);
            tracing::trace!(%error, "frame not sent");
        }
    }
}

/// Until the peer has taken enough.
async fn room(shared: &Shared) {
    loop {
        let confirmed = shared.on_confirmed.notified();
        if shared.outstanding() < OUTSTANDING_MAX {
            return;
        }
        confirmed.await;
    }
}

/// Bytes on the stream of a frame with a content of this size. (Contents are bounded far below 4 GB.)
fn size_of_frame(content: usize) -> u32 {
    u32::try_from(content).unwrap_or(u32::MAX - HEAD_SIZE) + HEAD_SIZE
}

/// Where frames come from, and what they may be.
struct Source<R> {
    reader: R,
    message_size_max: usize,
    arriving: Arc<Arriving>,
}

async fn read_all(
    mut source: Source<impl AsyncRead + Unpin>,
    incoming: mpsc::Sender<Arrival>,
    shared: Arc<Shared>,
) {
    loop {
        let (event, size) = match source.read_frame().await {
            Ok((Frame { kind: TAKEN, bytes }, _)) => match confirm(&shared, &bytes) {
                Ok(()) => continue,
                Err(error) => (Err(error), 0),
            },
            Ok((Frame { kind, bytes }, share)) => {
                let size = size_of_frame(bytes.len());
                let event = match kind {
                    DATAGRAM => Ok((Incoming::Datagram(bytes.into()), share)),
                    MESSAGE => Ok((Incoming::Stream(bytes), share)),
                    TOO_LARGE => Ok((Incoming::TooLarge, share)),
                    _ => Err(closed(&bytes)),
                };
                (event, size)
            }
            Err(error) => (Err(error), 0),
        };
        let is_over = matches!(&event, Err(_) | Ok((Incoming::TooLarge, _)));
        if incoming.send(event).await.is_err() || is_over {
            return;
        }
        shared.taken.fetch_add(size, Ordering::Relaxed);
        shared.on_taken.notify_one();
    }
}

fn confirm(shared: &Shared, count: &[u8]) -> Result<(), LinkError> {
    let Ok(count) = <[u8; 4]>::try_from(count) else {
        return Err(LinkError::Protocol("a count has four bytes"));
    };
    let count = u32::from_be_bytes(count);
    let before = shared.confirmed.load(Ordering::Relaxed);
    if count.wrapping_sub(before) > shared.outstanding() {
        return Err(LinkError::Protocol("more was taken than was sent"));
    }
    shared.confirmed.store(count, Ordering::Relaxed);
    shared.on_confirmed.notify_waiters();
    Ok(())
}

fn closed(bytes: &[u8]) -> LinkError {
    let Some((code, reason)) = bytes.split_first_chunk::<4>() else {
        return LinkError::Protocol("a close has a code");
    };
    let reason = String::from_utf8_lossy(reason).into_owned();
    LinkError::Closed { code: u32::from_be_bytes(*code), reason }
}

impl<R: AsyncRead + Unpin> Source<R> {
    async fn read_frame(&mut self) -> Result<(Frame, Share), LinkError> {
        let mut share = Share::new(&self.arriving);
        let kind = self.reader.read_u8().await?;
        let size = usize::try_from(self.reader.read_u32().await?).unwrap_or(usize::MAX);
        let size_max = match kind {
            DATAGRAM => DATAGRAM_SIZE_MAX,
            MESSAGE => MESSAGE_SIZE_MAX,
            CLOSE => 4 + REASON_SIZE_MAX,
            TAKEN => 4,
            _ => return Err(LinkError::Protocol("an unknown kind of frame")),
        };
        if size > size_max {
            return Err(LinkError::Protocol("a frame is too large"));
        }
        if kind == MESSAGE && size > self.message_size_max {
            return Ok((Frame { kind: TOO_LARGE, bytes: Vec::new() }, share));
        }
        // Grows with what arrives: a peer that only announces a large frame gets no memory.
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let before = bytes.len();
            let wanted = (size - before).min(CHUNK_SIZE_MAX);
            (&mut self.reader).take(wanted as u64).read_to_end(&mut bytes).await?;
            if bytes.len() < before + wanted {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            share.add(wanted);
        }
        Ok((Frame { kind, bytes }, share))
    }
}

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
) -> io::Result<()> {
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            () = shared.on_taken.notified() => {
                let count = shared.taken.load(Ordering::Relaxed);
                Some(Frame { kind: TAKEN, bytes: count.to_be_bytes().to_vec() })
            }
        };
        // Dropped without a word: the peer sees the end.
        let Some(frame) = frame else { return write(&mut writer, None).await };
        let is_last = frame.kind == CLOSE;
        write(&mut writer, Some(frame)).await?;
        if is_last {
            return write(&mut writer, None).await;
        }
    }
}

/// Writes a frame, or the end.
async fn write(writer: &mut (impl AsyncWrite + Unpin), frame: Option<Frame>) -> io::Result<()> {
    let written = async {
        let Some(frame) = frame else { return writer.shutdown().await };
        let size = u32::try_from(frame.bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut bytes = Vec::with_capacity(frame.bytes.len() + HEAD_SIZE as usize);
        bytes.push(frame.kind);
        bytes.extend(size.to_be_bytes());
        bytes.extend(frame.bytes);
        writer.write_all(&bytes).await?;
        writer.flush().await
    };
    timeout(WRITE_TIME_MAX, written).await.map_err(|_| io::ErrorKind::TimedOut)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex, split};

    fn link(stream: DuplexStream) -> StreamLink {
        let (reader, writer) = split(stream);
        StreamLink::new(reader, writer)
    }

    fn pair() -> (StreamLink, StreamLink) {
        let (left, right) = duplex(1024 * 1024);
        (link(left), link(right))
    }

    async fn next(link: &mut StreamLink) -> Vec<u8> {
        loop {
            match link.recv().await.expect("open") {
                Incoming::Datagram(bytes) => return bytes.to_vec(),
                Incoming::Stream(bytes) => return bytes,
                Incoming::Room | Incoming::Arriving => {}
                Incoming::TooLarge => panic!("nothing is too large"),
            }
        }
    }

    #[tokio::test]
    async fn datagrams_and_messages_arrive_in_order() {
        let (mut left, mut right) = pair();
        let message = vec![7; 3_000_000];
        left.send(Output::Datagram(b"one".to_vec()));
        left.send(Output::Stream { id: 1, message: message.clone() });
        left.send(Output::Datagram(b"three".to_vec()));
        assert_eq!(next(&mut right).await, b"one");
        assert_eq!(next(&mut right).await, message);
        assert_eq!(next(&mut right).await, b"three");
    }

    #[tokio::test]
    async fn room_comes_back_as_the_peer_takes() {
        let (mut left, mut right) = pair();
        let mut count = 0;
        while left.has_room() {
            left.send(Output::Datagram(vec![1; 1000]));
            count += 1;
        }
        assert!(count <= 17, "{count}");
        for _ in 0..count {
            assert_eq!(next(&mut right).await.len(), 1000);
        }
        assert!(matches!(left.recv().await, Ok(Incoming::Room)));
    }

    #[tokio::test]
    async fn last_words_arrive_behind_what_was_sent() {
        let (mut left, mut right) = pair();
        left.send(Output::Datagram(b"last".to_vec()));
        left.close(3, "enough");
        drop(left);
        assert_eq!(next(&mut right).await, b"last");
        let end = right.recv().await;
        assert!(
            matches!(&end, Err(LinkError::Closed { code: 3, reason }) if reason == "enough"),
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn link_that_is_dropped_ends_the_stream() {
        let (left, mut right) = pair();
        drop(left);
        assert!(matches!(right.recv().await, Err(LinkError::Io(_))));
    }

    #[tokio::test]
    async fn foreign_bytes_are_refused() {
        for bytes in [
            &[DATAGRAM, 0, 0, 0x08, 0x01][..],
            &[MESSAGE, 0xff, 0xff, 0xff, 0xff],
            &[CLOSE, 0, 0, 0, 2, 1, 2],
            &[TAKEN, 0, 0, 0, 1, 9],
            &[TAKEN, 0, 0, 0, 4, 0, 0, 0, 9],
            &[9, 0, 0, 0, 0],
        ] {
            let (left, mut right) = duplex(1024);
            let mut left = link(left);
            right.write_all(bytes).await.expect("room");
            let end = left.recv().await;
            assert!(matches!(end, Err(LinkError::Protocol(_))), "{bytes:?}: {end:?}");
        }
    }

    #[tokio::test]
    async fn message_above_the_owners_limit_is_not_read() {
        let (left, right) = duplex(1024);
        let mut left = link(left);
        let (reader, writer) = split(right);
        let mut right = StreamLink::with_message_size_max(reader, writer, 100_000);
        left.send(Output::Stream { id: 1, message: vec![7; 100_001] });
        assert!(matches!(right.recv().await, Ok(Incoming::TooLarge)));
        assert_eq!(right.arriving_size(), 0);
    }

    #[tokio::test]
    async fn message_that_is_arriving_counts() {
        let (left, mut right) = duplex(1024);
        let mut left = link(left);
        let feeding = async {
            right.write_all(&[MESSAGE, 0, 2, 0, 0]).await.expect("room");
            right.write_all(&vec![1; 70_000]).await.expect("room");
        };
        let (told, ()) = tokio::join!(left.recv(), feeding);
        assert!(matches!(told, Ok(Incoming::Arriving)), "{told:?}");
        assert!(left.arriving_size() >= CHUNK_SIZE_MAX);
    }

    #[tokio::test]
    async fn peer_that_announces_much_and_sends_little_costs_little() {
        let (left, mut right) = duplex(1024);
        let mut left = link(left);
        right.write_all(&[MESSAGE, 0, 0x40, 0, 0, 1, 2, 3]).await.expect("room");
        drop(right);
        assert!(matches!(left.recv().await, Err(LinkError::Io(_))));
    }
}
