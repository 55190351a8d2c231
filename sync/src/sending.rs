//! What the endpoint and its [`crate::sender::Sender`]s say to each other.

use crate::body::Packed;
use crate::pace::Pace;
use crate::wire::Head;
use crate::{Load, PeerError};
use std::any::Any;
use std::time::Instant;

/// How a diff was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// In one datagram.
    Datagram,
    /// In shards, a datagram each.
    Shards,
    /// On this stream.
    Stream { id: u64 },
}

/// What a diff may be taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// What the peer is known to hold.
    Front,
    /// What it is known or presumed to hold, whichever is better.
    Any,
}

/// A diff that could be sent now.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) head: Head,
    pub(crate) packed: Packed,
    /// Why it is sent.
    pub(crate) cause: Cause,
}

/// Why a diff is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It makes a state that was never sent.
    New,
    /// The path is lossy, so one datagram is sent several times.
    Copy,
    /// It is known or presumed to be lost, as often as it was sent.
    Retry {
        /// Copies of the last attempt.
        lost_count: u32,
    },
    /// All that was in flight was written off, which says nothing about the path.
    Resumed,
}

/// What an acknowledgement did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// The peer holds a newer state than it was known to.
    pub(crate) is_news: bool,
    /// The peer holds the newest state.
    pub(crate) is_newest: bool,
    /// The newest state arrived without being sent again, but for copies.
    pub(crate) is_first_attempt: bool,
}

/// A [`Sender`](crate::sender::Sender) of any state.
pub(crate) trait AnySender: std::fmt::Debug + Send + Sync {
    fn id(&self) -> u16;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn is_acknowledged(&self) -> bool;
    /// When [`AnySender::prepare`] has something; `None` if the peer needs nothing.
    fn due_at(&self, pace: &Pace) -> Option<Instant>;
    /// The diff to send now, `None` if there is none worth sending. On a stream only one from the
    /// front will do: nothing repairs it if its base was lost.
    fn prepare(&mut self, now: Instant, pace: &Pace, from: From) -> Option<Prepared>;
    /// What was prepared is sent. Gives the stream that it replaces.
    fn on_sent(&mut self, sent: &Prepared, via: Via, now: Instant, pace: &Pace) -> Option<u64>;
    /// What was prepared as a copy is not worth sending.
    fn on_copy_dropped(&mut self);
    /// The shards of state `num` cannot be sent after all.
    fn on_unsent(&mut self, num: u64, now: Instant);
    /// The state whose shards may be needed.
    fn shards_num(&self) -> Option<u64>;
    /// When more shards of it are due.
    fn more_at(&self, pace: &Pace) -> Option<Instant>;
    /// More shards are going to be sent; gives how many times that was.
    fn on_more(&mut self) -> u32;
    /// The shards that were going to be sent are.
    fn on_batch_sent(&mut self, now: Instant);
    fn on_ack(&mut self, num: u64, now: Instant) -> Result<Acked, PeerError>;
    /// State `num` arrived, but the peer lacks its base.
    fn on_nack(&mut self, num: u64, now: Instant) -> Result<(), PeerError>;
    /// Nothing in flight can be relied on.
    fn on_all_lost(&mut self, now: Instant);
    /// Streams are gone with their connection, and shards are to be cut anew.
    fn on_bulk_lost(&mut self);
    /// Whether a stream is on its way.
    fn is_streaming(&self) -> bool;
    fn load(&self) -> Load;
    /// See [`State::share`](crate::State::share), of all that is kept.
    fn share(&self) -> usize;
}
