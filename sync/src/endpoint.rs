//! One end of a connection: its channels, what it owes the peer, and what it heard.
//!
//! What comes in is dealt with in [`crate::input`], what goes out decided in [`crate::output`].

use crate::attention::Attention;
use crate::log::{Entry, Log};
use crate::narrow::Narrow;
use crate::pace::{Pace, Patience};
use crate::receiver::{AnyReceiver, Receiver};
use crate::sender::Sender;
use crate::sending::AnySender;
use crate::shard::Run;
use crate::{Channel, Event, State};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most channels in one direction: four times what a session with a few subscribed panes needs.
pub const CHANNELS_MAX: usize = 64;
/// A timestamp held longer isn't echoed: the peer's path may be another one by then.
pub(crate) const ECHO_HOLD_MAX: Duration = Duration::from_secs(1);

/// Keeps a set of channels in step with one peer; survives changes of connection.
///
/// Whoever drives it does, whenever something happened: `handle_*`, then [`Endpoint::poll_output`]
/// and [`Endpoint::poll_event`] until they give nothing, then waits for the link or for
/// [`Endpoint::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) started_at: Instant,
    /// The latest time that was told.
    pub(crate) now: Instant,
    random: u64,
    /// By channel number.
    pub(crate) senders: Vec<Box<dyn AnySender>>,
    /// By channel number.
    pub(crate) receivers: Vec<Incoming>,
    pub(crate) pace: Pace,
    pub(crate) peer_clock: Option<PeerClock>,
    pub(crate) last_heard: Option<Instant>,
    /// Whether the peer is at work.
    pub(crate) attention: Attention,
    /// When to answer the peer, if nothing else goes out before.
    pub(crate) answer_at: Option<Instant>,
    /// How many more packets shall carry the latest acknowledgements, on a lossy path.
    pub(crate) ack_copies_left: u32,
    /// Whether only small packets pass.
    pub(crate) narrow: Narrow,
    /// When to ask a peer that says nothing and owes nothing.
    pub(crate) heartbeat_at: Instant,
    /// The path is new: the next packet is a large one, see [`Endpoint::poll_output`].
    pub(crate) is_widening_due: bool,
    /// When the peer was last sent something that it must answer.
    pub(crate) asked_at: Instant,
    /// Diffs on their way in shards, at most one per channel.
    pub(crate) runs: Vec<Run>,
    pub(crate) runs_count: u32,
    pub(crate) streams_count: u64,
    /// Streams to be reset, at most one per sender.
    pub(crate) resets: VecDeque<u64>,
    /// Each kind at most once per channel.
    pub(crate) events: VecDeque<Event>,
}

/// A receiving channel and what its sender isn't known to know.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) receiver: Box<dyn AnyReceiver>,
    /// An acknowledgement must go out.
    pub(crate) is_owed: bool,
    /// When there was last something new to acknowledge.
    pub(crate) changed_at: Option<Instant>,
    /// A state that came without its base.
    pub(crate) unusable: Option<u64>,
}

/// The peer's clock as last heard, to be echoed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerClock {
    pub(crate) clock: u16,
    pub(crate) at: Instant,
    pub(crate) is_echoed: bool,
}

impl Endpoint {
    /// `seed` drives every random choice, so that a run can be replayed.
    pub fn new(seed: u64, now: Instant) -> Self {
        Self {
            started_at: now,
            now,
            random: seed,
            senders: Vec::new(),
            receivers: Vec::new(),
            pace: Pace::default(),
            peer_clock: None,
            last_heard: None,
            attention: Attention::default(),
            answer_at: None,
            ack_copies_left: 0,
            narrow: Narrow::default(),
            heartbeat_at: now,
            is_widening_due: false,
            asked_at: now,
            runs: Vec::new(),
            runs_count: 0,
            streams_count: 0,
            resets: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// How long it probes a silent path at full pace. [`Patience::Eager`] unless told.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.pace.patience = patience;
        self
    }

    /// Opens a channel to the peer. Both ends must give the same `initial`: it is state 0. Panics if
    /// the channel is open already or [`CHANNELS_MAX`] are (ours to get right).
    pub fn open_sender<S: State>(&mut self, channel: Channel<S>, initial: S) {
        assert!(self.senders.len() < CHANNELS_MAX, "too many channels");
        match self.senders.binary_search_by_key(&channel.id, |sender| sender.id()) {
            Ok(_) => panic!("channel {} is open already", channel.id),
            Err(at) => self.senders.insert(at, Box::new(Sender::new(channel.id, initial))),
        }
    }

    /// Opens a channel from the peer. See [`Endpoint::open_sender`].
    pub fn open_receiver<S: State>(&mut self, channel: Channel<S>, initial: S) {
        assert!(self.receivers.len() < CHANNELS_MAX, "too many channels");
        let Err(at) = self.receivers.binary_search_by_key(&channel.id, |i| i.receiver.id()) else {
            panic!("channel {} is open already", channel.id)
        };
        let receiver = Box::new(Receiver::new(channel.id, initial));
        let incoming = Incoming { receiver, is_owed: false, changed_at: None, unusable: None };
        self.receivers.insert(at, incoming);
    }

    /// The newest state of ours. Panics if the channel was not opened (ours to get right).
    pub fn current<S: State>(&self, channel: Channel<S>) -> &S {
        let at = self.sender_index(channel.id).expect("the caller opened the channel");
        let sender = self.senders[at].as_any().downcast_ref::<Sender<S>>();
        sender.expect("a channel number has one type").current()
    }

    /// Replaces the newest state of ours; sent as soon as pacing allows.
    pub fn set<S: State>(&mut self, channel: Channel<S>, state: S, now: Instant) {
        self.update(channel, now, |current| *current = state);
    }

    /// Changes the newest state of ours in place.
    pub fn update<S: State>(
        &mut self,
        channel: Channel<S>,
        now: Instant,
        change: impl FnOnce(&mut S),
    ) {
        self.now = self.now.max(now);
        let at = self.sender_index(channel.id).expect("the caller opened the channel");
        let sender = self.senders[at].as_any_mut().downcast_mut::<Sender<S>>();
        sender.expect("a channel number has one type").update(now, change);
    }

    /// The newest state that arrived. Panics if the channel was not opened.
    pub fn received<S: State>(&self, channel: Channel<S>) -> &S {
        let at = self.receiver_index(channel.id).expect("the caller opened the channel");
        let receiver = self.receivers[at].receiver.as_any().downcast_ref::<Receiver<S>>();
        receiver.expect("a channel number has one type").newest()
    }

    /// Entries of a log that arrived and were not taken yet, in order, each once. Call it at every
    /// [`Event::Received`] of the channel: a log that nobody takes from grows until it is refused.
    pub fn take<E: Entry>(&mut self, channel: Channel<Log<E>>) -> Vec<E> {
        let at = self.receiver_index(channel.id).expect("the caller opened the channel");
        let receiver = self.receivers[at].receiver.as_any_mut();
        let receiver = receiver.downcast_mut::<Receiver<Log<E>>>();
        let receiver = receiver.expect("a channel number has one type");
        let entries = receiver.newest().entries_from(receiver.taken);
        receiver.taken = receiver.newest().end();
        receiver.forget();
        entries
    }

    /// Whether the peer is known to hold the newest state of this channel of ours.
    pub fn is_acknowledged<S: State>(&self, channel: Channel<S>) -> bool {
        let at = self.sender_index(channel.id).expect("the caller opened the channel");
        self.senders[at].is_acknowledged()
    }

    /// The same of all channels of ours but this one.
    pub fn are_others_acknowledged<S: State>(&self, channel: Channel<S>) -> bool {
        let mut others = self.senders.iter().filter(|sender| sender.id() != channel.id);
        others.all(|sender| sender.is_acknowledged())
    }

    /// When the peer was last heard (an authentic datagram or stream), `None` before the first. A
    /// peer that lives is heard at least every 6 s and a round trip.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Since when the peer owes an answer, `None` if it owes none.
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.pace.unanswered_since()
    }

    /// The smoothed round-trip time on the present path, `None` before the first sample.
    pub fn rtt(&self) -> Option<Duration> {
        self.pace.rtt.smoothed()
    }

    /// How much is kept, for limits and for operators.
    pub fn load(&self) -> Load {
        let sent = self.senders.iter().map(|sender| sender.load());
        let received = self.receivers.iter().map(|incoming| incoming.receiver.load());
        sent.chain(received).fold(Load::default(), |load, more| Load {
            states_count: load.states_count + more.states_count,
            states_size: load.states_size.saturating_add(more.states_size),
            pending_size: load.pending_size + more.pending_size,
        })
    }

    /// Bytes that are kept, where what others keep as well is divided among them: see
    /// [`State::share`].
    pub fn memory_share(&self) -> usize {
        let sent = self.senders.iter().map(|sender| sender.share());
        let received = self.receivers.iter().map(|incoming| incoming.receiver.share());
        sent.chain(received).fold(0, usize::saturating_add)
    }

    /// How much work the peer's diffs have made since this was last asked, in the unit of
    /// [`State::work`]: for whoever bounds what a peer may make it do.
    pub fn take_work(&mut self) -> usize {
        let work = self.receivers.iter_mut().map(|incoming| incoming.receiver.take_work());
        work.fold(0, usize::saturating_add)
    }

    /// The connection was replaced: all in flight is lost, streams are gone, timing starts anew,
    /// states remain. What the peer lacks is sent at once.
    pub fn handle_new_path(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.pace.on_new_path();
        self.resets.clear();
        for sender in &mut self.senders {
            sender.on_bulk_lost();
        }
        self.resend_all(now);
    }

    /// The connection stays, but its path is another one: the peer's address changed, or an interface
    /// here did. What is in flight is presumed lost and the round trip unknown, so all that isn't
    /// acknowledged is sent again at once, with a question that the peer answers at once. Streams
    /// live on: they are the connection's. A wrong hint costs those bytes.
    pub fn handle_path_change(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.pace.on_path_change();
        self.resend_all(now);
        self.is_widening_due = self.pace.patience == Patience::Eager;
    }

    fn resend_all(&mut self, now: Instant) {
        self.narrow.on_new_path();
        self.peer_clock = None;
        self.runs.clear();
        for sender in &mut self.senders {
            sender.on_all_lost(now);
        }
        self.answer_at = Some(now);
        self.owe_all_acks();
        self.heartbeat_at = now;
    }

    /// What the connection counted since it began: packets sent, and those that were lost (QUIC's
    /// path statistics). Call it whenever the endpoint is dealt with, if the transport counts: above
    /// 2 % of loss, small diffs and acknowledgements are sent several times, a few milliseconds
    /// apart. A transport without loss needs no call.
    pub fn handle_path_stats(&mut self, sent_packets: u64, lost_packets: u64, now: Instant) {
        self.now = self.now.max(now);
        self.pace.loss.on_stats(sent_packets, lost_packets, self.now);
    }

    /// The part of packets that is presently lost on the way to the peer, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.pace.loss.estimate(self.now)
    }

    /// Time passed. [`Endpoint::poll_output`] then gives what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn sender_index(&self, id: u16) -> Option<usize> {
        self.senders.binary_search_by_key(&id, |sender| sender.id()).ok()
    }

    pub(crate) fn receiver_index(&self, id: u16) -> Option<usize> {
        self.receivers.binary_search_by_key(&id, |incoming| incoming.receiver.id()).ok()
    }

    pub(crate) fn clock(&self, now: Instant) -> u16 {
        let millis = now.saturating_duration_since(self.started_at).as_millis();
        u16::try_from(millis & u128::from(u16::MAX)).expect("masked")
    }

    /// A random part of `whole` (splitmix64).
    pub(crate) fn random(&mut self, whole: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        whole * u32::from((mixed & 0xff) as u8) / 256
    }
}

/// What an [`Endpoint`] keeps for its peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// States of all channels, sent and received.
    pub states_count: usize,
    /// Bytes that these states hold, see [`State::size`].
    pub states_size: usize,
    /// Bytes of diffs that miss a piece.
    pub pending_size: usize,
}
