//! What happened in a world: a digest always, and lines to read where they are wanted.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::description::Action;
use crate::packet::{Content, Packet};

/// Lines that are kept; later ones only count in the digest.
pub(super) const LINES_MAX: usize = 1_000_000;

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    digest: Digest,
    lines: Option<Vec<TraceLine>>,
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A host sent a datagram.
    Sent,
    /// A socket got one.
    Arrived,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceLine {
    /// A datagram was sent or arrived.
    Datagram {
        /// When.
        at: Duration,
        /// Which of both.
        what: What,
        /// From where, as seen there.
        from: SocketAddr,
        /// To where, as seen there.
        to: SocketAddr,
        /// Bytes of its payload.
        bytes: usize,
        /// The payload's digest.
        digest: u64,
    },
    /// An event happened.
    Event {
        /// When.
        at: Duration,
        /// Its text.
        action: String,
    },
}

impl Trace {
    /// One number for all that happened: every time, address and byte.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.0
    }

    /// The lines kept so far.
    #[must_use]
    pub fn lines(&self) -> &[TraceLine] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub(super) fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn note(&mut self, at: Duration, what: What, packet: &Packet) {
        let Content::Bytes(payload) = &packet.content else { return };
        let mut own = Digest::default();
        own.add(payload);
        let (from, to) = (packet.flow.source, packet.flow.destination);
        let (bytes, digest) = (payload.len(), own.0);
        self.add(TraceLine::Datagram { at, what, from, to, bytes, digest });
    }

    pub(super) fn note_event(&mut self, at: Duration, action: &Action) {
        self.add(TraceLine::Event { at, action: action.to_string() });
    }

    fn add(&mut self, line: TraceLine) {
        self.digest.add(line.to_string().as_bytes());
        if let Some(lines) = self.lines.as_mut().filter(|lines| lines.len() < LINES_MAX) {
            lines.push(line);
        }
    }
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram { at, what, from, to, bytes, digest } => {
                let sign = match what {
                    What::Sent => ">",
                    What::Arrived => "<",
                };
                write!(f, "{:.9} {sign} {from} {to} {bytes} B {digest:016x}", at.as_secs_f64())
            }
            Self::Event { at, action } => write!(f, "{:.9} ! {action}", at.as_secs_f64()),
        }
    }
}

/// FNV-1a, 64 bits: enough to tell runs apart.
#[derive(Clone, Copy, Debug)]
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
