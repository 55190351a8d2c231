//! `sync` keeps numbered states in step between two ends of an unreliable path.
//!
//! Its core ([`Endpoint`]) knows no socket, no clock and no terminal: datagrams, stream messages
//! and the time go in; datagrams, stream messages, events and the next deadline come out.
//! [`link`] carries it over QUIC. [`session`] names what a shared terminal session keeps in step.

mod attention;
mod body;
mod bulk;
mod copa;
mod copies;
mod endpoint;
mod erasure;
mod input;
mod kept;
pub mod link;
pub mod log;
mod loss;
mod narrow;
mod output;
mod pace;
mod reader;
mod receiver;
mod rival;
mod rtt;
pub mod scrollback;
mod sender;
mod sending;
pub mod session;
mod shard;
mod valve;
mod wire;
mod writer;

pub use endpoint::{CHANNELS_MAX, Endpoint, Load};
pub use pace::Patience;
pub use wire::{DIFF_SIZE_MAX, MESSAGE_SIZE_MAX};

use std::marker::PhantomData;

/// A diff that could not be applied: the peer is broken or hostile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad diff: {0}")]
pub struct BadDiff(pub &'static str);

/// Something that an [`Endpoint`] keeps in step: cheap to clone, diffed against what the peer has.
pub trait State: Clone + Send + Sync + 'static {
    /// Whether it is a log of events: what somebody did, while a picture may change by itself.
    const IS_LOG: bool = false;
    /// Whether this end soon has something to tell for what comes, as a key has an echo: an
    /// acknowledgement waits for it, to ride on it. Others go at once.
    const IS_ECHOED: bool = false;
    /// What turns `base` into `self`. May be empty only if both are the same.
    fn diff(&self, base: &Self) -> Vec<u8>;
    /// `self` changed by `diff`. Must bound its work and memory whatever the bytes are.
    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff>;
    /// Whether a peer that holds `other` needs nothing.
    fn is_same(&self, other: &Self) -> bool;
    /// Bytes of memory that it holds, about; what it shares with others counts in full, so that a sum
    /// is an upper bound. Asked for each state that arrives, so cheap beside [`State::apply`].
    fn size(&self) -> usize;
    /// Its part of the memory: what it shares with others is divided among all that hold it, so that a
    /// sum over all is what they hold together. Looks at what it shares: for now and then.
    fn share(&self) -> usize {
        self.size()
    }
    /// How much work [`State::apply`] may have had in making it, in cells of a screen or bytes.
    fn work(&self) -> usize {
        self.size()
    }
    /// Lets go of what the peer is known to hold for ever (the acknowledged part of a log).
    fn forget(&mut self, _known: &Self) {}
}

/// One direction's typed channel of an [`Endpoint`]; its number is part of the protocol.
pub struct Channel<S> {
    /// Number on the wire.
    pub id: u16,
    state: PhantomData<fn() -> S>,
}

impl<S> Channel<S> {
    /// Channel number `id`, carrying states of type `S`.
    pub const fn new(id: u16) -> Self {
        Self { id, state: PhantomData }
    }
}
impl<S> Clone for Channel<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Channel<S> {}

/// A peer broke the protocol; its connection must be closed.
#[derive(Debug, thiserror::Error)]
#[error("peer broke the protocol: {0}")]
pub struct PeerError(pub String);

/// What an endpoint wants done.
#[derive(Debug)]
pub enum Output {
    /// Send it as one unreliable datagram.
    Datagram(Vec<u8>),
    /// Send it as a whole, reliably, on a new unidirectional stream, known to the endpoint as `id`.
    Stream {
        /// Named by a later [`Output::ResetStream`]; never used twice.
        id: u64,
        /// At most [`MESSAGE_SIZE_MAX`] bytes.
        message: Vec<u8>,
    },
    /// Stream `id` is superseded: reset it if it isn't finished.
    ResetStream {
        /// As in [`Output::Stream`].
        id: u64,
    },
}

/// What an endpoint reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A newer state arrived on this channel number: see [`Endpoint::received`].
    Received(u16),
    /// The peer acknowledged the newest state of this channel number.
    Acknowledged(u16),
}
