//! Carries an [`Endpoint`] to its peer: over a QUIC connection, or, where UDP
//! doesn't pass, over any ordered stream of bytes.
//!
//! Both take what the endpoint gives without blocking, and say when they have room for more. Whoever
//! drives them asks the endpoint for output only while there is room, so that what is sent is always
//! made from the newest state: nothing of ours queues up before a slow path.

mod arriving;
mod quic;
mod runtime;
mod stream;

pub use quic::{QuicLink, SILENCE_MAX, STREAMS_MAX, transport_config};
pub use runtime::QuicRuntime;
pub use stream::StreamLink;

use crate::{Endpoint, Output, PeerError};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

/// What happened on a link.
#[derive(Debug)]
pub enum Incoming {
    /// For [`Endpoint::handle_datagram`](crate::Endpoint::handle_datagram).
    Datagram(bytes::Bytes),
    /// For [`Endpoint::handle_stream`](crate::Endpoint::handle_stream).
    Stream(Vec<u8>),
    /// There is room again, see [`Link::has_room`].
    Room,
    /// More of a message has arrived that isn't whole yet, see [`Link::arriving_size`].
    Arriving,
    /// A message is larger than the owner allows.
    TooLarge,
}

impl Incoming {
    /// Hands it to the endpoint.
    pub fn feed(self, endpoint: &mut Endpoint, now: Instant) -> Result<(), PeerError> {
        match self {
            Self::Datagram(datagram) => endpoint.handle_datagram(&datagram, now),
            Self::Stream(message) => endpoint.handle_stream(&message, now),
            Self::Room | Self::Arriving => Ok(()),
            Self::TooLarge => Err(PeerError("a message is too large".into())),
        }
    }
}

/// Why a link is gone.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The QUIC connection ended.
    #[error("{}", describe(.0))]
    Quic(#[from] quinn::ConnectionError),
    /// The peer closed the stream, and said why.
    #[error("{reason}")]
    Closed {
        /// As QUIC's application error codes.
        code: u32,
        /// For people; at most [`REASON_SIZE_MAX`] bytes, whatever they are.
        reason: String,
    },
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The peer said something that can't be.
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
}

/// Longest reason that is said or heard when a link is closed.
pub const REASON_SIZE_MAX: usize = 256;

/// How a QUIC connection ended, for people: QUIC's own words have codes in them.
fn describe(error: &quinn::ConnectionError) -> String {
    use quinn::ConnectionError as Error;
    match error {
        Error::ApplicationClosed(close) if !close.reason.is_empty() => {
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        Error::ApplicationClosed(_) | Error::ConnectionClosed(_) => {
            "the other side closed the connection".into()
        }
        Error::TimedOut => "the other side does not answer".into(),
        Error::Reset => "the other side has restarted".into(),
        Error::VersionMismatch => "the other side speaks another version of QUIC".into(),
        Error::TransportError(_) | Error::LocallyClosed | Error::CidsExhausted => {
            "the connection failed".into()
        }
    }
}

/// One way to the peer, as seen by the task that owns the endpoint.
#[derive(Debug)]
pub enum Link {
    /// Over QUIC.
    Quic(QuicLink),
    /// Over a stream of bytes.
    Stream(StreamLink),
}

impl Link {
    /// The next thing that happened. Cancel-safe. An error means that the link is gone.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        match self {
            Self::Quic(link) => link.recv().await.map_err(LinkError::Quic),
            Self::Stream(link) => link.recv().await,
        }
    }

    /// Does what the endpoint wants, without blocking.
    pub fn send(&mut self, output: Output) {
        match self {
            Self::Quic(link) => link.send(output),
            Self::Stream(link) => link.send(output),
        }
    }

    /// Whether the endpoint should be asked for output now. If not, [`Incoming::Room`] follows.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Quic(link) => link.has_room(),
            Self::Stream(link) => link.has_room(),
        }
    }

    /// For [`Endpoint::poll_output`](crate::Endpoint::poll_output). It may change at any time: ask
    /// before each call. 0 if the peer takes no datagrams.
    pub fn datagram_size_max(&self) -> usize {
        match self {
            Self::Quic(link) => link.datagram_size_max(),
            Self::Stream(link) => link.datagram_size_max(),
        }
    }

    /// Sends what the endpoint has due, as far as there is room.
    pub fn pump(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let (sent, lost) = self.path_stats();
        endpoint.handle_path_stats(sent, lost, now);
        while self.has_room() {
            let Some(output) = endpoint.poll_output(now, self.datagram_size_max()) else { return };
            self.send(output);
        }
    }

    /// When to [`Link::pump`] next if nothing happens before; `None` until there is room.
    pub fn poll_timeout(&self, endpoint: &Endpoint) -> Option<Instant> {
        endpoint.poll_timeout().filter(|_| self.has_room())
    }

    /// Packets sent and lost since the link began; the stream loses none.
    pub fn path_stats(&self) -> (u64, u64) {
        match self {
            Self::Quic(link) => link.path_stats(),
            Self::Stream(_) => (0, 0),
        }
    }

    /// Bytes of messages that are on their way in: not whole yet, or not taken.
    pub fn arriving_size(&self) -> usize {
        match self {
            Self::Quic(link) => link.arriving_size(),
            Self::Stream(link) => link.arriving_size(),
        }
    }

    /// Where the peer is now, if the link knows: it may move.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Quic(link) => Some(link.connection().remote_address()),
            Self::Stream(_) => None,
        }
    }

    /// Says why, and ends. The bytes leave from a task of their own.
    pub fn close(&mut self, code: u32, reason: &str) {
        let mut end = reason.len().min(REASON_SIZE_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        match self {
            Self::Quic(link) => link.connection().close(code.into(), &reason.as_bytes()[..end]),
            Self::Stream(link) => link.close(code, &reason[..end]),
        }
    }
}

/// What the link runs over, for people: `QUIC` or `SSH`.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic(_) => "QUIC",
            Self::Stream(_) => "SSH",
        })
    }
}

impl From<QuicLink> for Link {
    fn from(link: QuicLink) -> Self {
        Self::Quic(link)
    }
}

impl From<StreamLink> for Link {
    fn from(link: StreamLink) -> Self {
        Self::Stream(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::{ApplicationClose, ConnectionError, VarInt};

    #[test]
    fn close_is_told_in_its_own_words_without_a_code() {
        let close = ApplicationClose { error_code: VarInt::from_u32(16), reason: "bye".into() };
        let error = LinkError::from(ConnectionError::ApplicationClosed(close));
        assert_eq!(error.to_string(), "bye");
    }
}
