//! The sending side of a channel: which state goes when, against which base.
//!
//! A state gets its number when it is first sent. Kept are the front (the newest state that the
//! peer acknowledged) and the latest ([`crate::kept`]); the receiver keeps the same by the same rule,
//! so any base that is used here is held there or was lost on the way. A diff is taken from
//! the newest state that the peer presumably has; should that prove wrong, from the front.

use crate::body::Packed;
use crate::bulk::{Batches, Bulk};
use crate::copies::Copies;
use crate::kept::{Kept, Sent};
use crate::pace::Pace;
use crate::rtt::FRAME_INTERVAL_MIN;
use crate::sending::{Acked, AnySender, Cause, From, Prepared, Via};
use crate::wire::{DATAGRAM_SIZE_MAX, DIFF_SIZE_MAX, Head};
use crate::{Load, PeerError, State};
use std::any::Any;
use std::time::{Duration, Instant};

/// A diff from the front is preferred if it is at most this much longer than one from a presumed
/// base (as mosh), for then any one datagram repairs the loss of all before it.
const SELF_CONTAINED_COST_MAX: usize = 100;
/// Longest diff to which that applies: still one datagram.
const SELF_CONTAINED_SIZE_MAX: usize = 1000;
/// Longest diff that is sent several times on a lossy path, or ahead of its frame time in place of
/// a copy of an older one, or as a probe of a silent path.
const COPY_SIZE_MAX: usize = 1000;
/// A frame of this size delays the next by less: a line of text, or what an echo or a scrolled line
/// takes.
const SMALL_SIZE_MAX: usize = 200;
/// Frame intervals by which frames that went ahead of their time may delay the next.
const DEBT_MAX: u32 = 2;

/// Sends states of one type.
pub(crate) struct Sender<S> {
    id: u16,
    current: S,
    /// Set by [`Sender::update`], until `current` is sent.
    changed_at: Option<Instant>,
    /// `current` cannot be sent: its diff is too large.
    is_stuck: bool,
    /// The diff from the front to `current` is too large for a probe.
    is_too_large_to_probe: bool,
    sent: Kept<S>,
    last_sent_at: Option<Instant>,
    /// When the frames sent so far are paid for at one per frame interval, and the last one's price.
    paid_at: Option<Instant>,
    last_price: Duration,
    /// Something is known to be lost since then.
    lost_at: Option<Instant>,
    bulk: Option<Bulk>,
    copies: Copies,
    /// Whether the last state sent was sent again because it seemed lost.
    is_retried: bool,
    /// Whether all that was sent was written off, and nothing sent since.
    is_written_off: bool,
}

impl<S: State> Sender<S> {
    pub(crate) fn new(id: u16, initial: S) -> Self {
        Self {
            id,
            sent: Kept::new(initial.clone()),
            current: initial,
            changed_at: None,
            is_stuck: false,
            is_too_large_to_probe: false,
            last_sent_at: None,
            paid_at: None,
            last_price: Duration::ZERO,
            lost_at: None,
            bulk: None,
            copies: Copies::default(),
            is_retried: false,
            is_written_off: false,
        }
    }

    pub(crate) fn current(&self) -> &S {
        &self.current
    }

    /// Replaces the newest state.
    pub(crate) fn update(&mut self, now: Instant, change: impl FnOnce(&mut S)) {
        change(&mut self.current);
        self.is_stuck = false;
        self.is_too_large_to_probe = false;
        if self.current.is_same(&self.sent.last().state) {
            self.changed_at = None;
        } else {
            self.changed_at = self.changed_at.or(Some(now));
        }
    }

    /// The next frame's time by pacing: after a pause two may go close together, for output often
    /// comes in two gulps, then one per frame interval.
    fn frame_at(&self) -> Option<Instant> {
        let last = self.last_sent_at? + FRAME_INTERVAL_MIN;
        let paid = self.paid_at?.checked_sub(self.last_price);
        Some(paid.map_or(last, |paid| paid.max(last)))
    }

    fn wanted_at(&self, pace: &Pace) -> Option<Instant> {
        self.copies.due_at().into_iter().chain(self.frame_wanted_at(pace)).min()
    }

    /// When something other than a copy should go.
    fn frame_wanted_at(&self, pace: &Pace) -> Option<Instant> {
        let frame_at = self.frame_at();
        let after_frame = |at: Instant| frame_at.map_or(at, |frame_at| frame_at.max(at));
        if let (Some(bulk), None) = (&self.bulk, self.lost_at) {
            let at = after_frame(self.changed_at?);
            return Some(if bulk.is_blocking() { at.max(bulk.consider_at(pace)) } else { at });
        }
        if let Some(at) = self.lost_at.into_iter().chain(self.changed_at).min() {
            return Some(after_frame(at));
        }
        let last = self.sent.last();
        if last.num == self.sent.front().num {
            return None;
        }
        let since = last.presumed_since.or(self.last_sent_at)?;
        Some(after_frame(since + pace.rtt.retry_delay()))
    }

    /// Number of the state that would be sent now.
    fn next_num(&self) -> u64 {
        self.sent.last().num + u64::from(self.changed_at.is_some())
    }

    fn cause(&self, now: Instant, pace: &Pace) -> Cause {
        if self.changed_at.is_some() {
            return Cause::New;
        }
        match self.frame_wanted_at(pace) {
            Some(at) if at <= now && self.is_written_off => Cause::Resumed,
            Some(at) if at <= now => Cause::Retry { lost_count: self.copies.sent_count() },
            _ => Cause::Copy,
        }
    }

    /// The better of the diffs from the front and from the presumed state.
    fn diff(&self, now: Instant, pace: &Pace, from: From, cause: Cause) -> (u64, Vec<u8>) {
        let front = self.sent.front();
        let own = self.checked_diff(front);
        let may_presume = matches!(cause, Cause::New | Cause::Copy)
            && self.bulk.as_ref().is_none_or(|bulk| !bulk.is_blocking());
        let delay = pace.rtt.retry_delay();
        let presumed = match self.sent.presumed(self.next_num(), now, delay) {
            Some(presumed) if may_presume && from == From::Any && pace.probe_at().is_none() => {
                presumed
            }
            _ => return (front.num, own),
        };
        let short = self.checked_diff(presumed);
        let is_cheap = own.len() < SELF_CONTAINED_SIZE_MAX
            && (own.len() < short.len() + SELF_CONTAINED_COST_MAX || pace.loss.is_notable(now));
        if own.len() <= short.len() || is_cheap { (front.num, own) } else { (presumed.num, short) }
    }

    fn checked_diff(&self, base: &Sent<S>) -> Vec<u8> {
        let diff = self.current.diff(&base.state);
        debug_assert!(
            diff.len() > DIFF_SIZE_MAX
                || base.state.apply(&diff).is_ok_and(|made| made.is_same(&self.current)),
            "channel {}: a diff must make the state it was taken from",
            self.id
        );
        diff
    }
}

impl<S: State> AnySender for Sender<S> {
    fn id(&self) -> u16 {
        self.id
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn is_acknowledged(&self) -> bool {
        self.changed_at.is_none() && self.sent.front().num == self.sent.last().num
    }

    fn due_at(&self, pace: &Pace) -> Option<Instant> {
        if self.is_stuck || self.is_acknowledged() {
            return None;
        }
        match pace.probe_at() {
            // Each probe brings the news: no one knows which is the first to pass.
            Some(probe_at) => (!self.is_too_large_to_probe).then_some(probe_at),
            None => self.wanted_at(pace),
        }
    }

    fn prepare(&mut self, now: Instant, pace: &Pace, from: From) -> Option<Prepared> {
        let cause = self.cause(now, pace);
        let is_ahead = self.frame_wanted_at(pace).is_none_or(|at| at > now);
        let (base, diff) = self.diff(now, pace, from, cause);
        if diff.len() > DIFF_SIZE_MAX {
            tracing::error!(channel = self.id, size = diff.len(), "state is too large to send");
            self.is_stuck = true;
            return None;
        }
        let packed = Packed::new(diff);
        if pace.probe_at().is_some() && packed.len() > COPY_SIZE_MAX {
            self.is_too_large_to_probe = true;
            return None;
        }
        if is_ahead && packed.len() > COPY_SIZE_MAX {
            self.copies.stop();
            return None;
        }
        if let (Some(bulk), None) = (&mut self.bulk, self.lost_at)
            && !bulk.yields_to(packed.len(), now)
        {
            return None;
        }
        let num = self.next_num();
        let head = Head { channel: self.id, num, front: self.sent.front().num, base };
        Some(Prepared { head, packed, cause })
    }

    fn on_copy_dropped(&mut self) {
        self.copies.stop();
    }

    fn on_sent(&mut self, sent: &Prepared, via: Via, now: Instant, pace: &Pace) -> Option<u64> {
        let head = sent.head;
        self.copies.on_sent(sent, via, now, pace);
        let is_self_contained = head.base == head.front;
        let presumed_since = match via {
            Via::Stream { .. } => None,
            Via::Datagram | Via::Shards if is_self_contained => Some(now),
            Via::Datagram | Via::Shards => {
                self.sent.find_mut(head.base).and_then(|base| base.presumed_since)
            }
        };
        let (num, state) = (head.num, self.current.clone());
        self.sent.on_sent(Sent { num, state, presumed_since, is_self_contained });
        if sent.cause == Cause::Copy {
            return None;
        }
        self.is_retried = sent.cause != Cause::New;
        self.is_written_off = false;
        self.changed_at = None;
        self.lost_at = None;
        self.last_sent_at = Some(now);
        let size = sent.packed.len();
        let is_small = size <= SMALL_SIZE_MAX;
        let rtt = &pace.rtt;
        let price = if is_small { rtt.small_frame_interval() } else { rtt.frame_interval() };
        let paid_at = self.paid_at.map_or(now, |at| at.max(now)) + price;
        self.paid_at = Some(paid_at.min(now + DEBT_MAX * rtt.frame_interval()));
        self.last_price = price;
        let bulk = match via {
            Via::Stream { id } => Some(Bulk::stream(head.num, size, id, now)),
            Via::Shards => Some(Bulk::shards(head.num, size, now, pace)),
            Via::Datagram if is_self_contained => None,
            // It relies on what is on its way.
            Via::Datagram => return None,
        };
        let replaced = std::mem::replace(&mut self.bulk, bulk);
        replaced.and_then(|bulk| bulk.stream_id())
    }

    fn on_unsent(&mut self, num: u64, now: Instant) {
        if let Some(sent) = self.sent.find_mut(num) {
            sent.presumed_since = None;
        }
        self.bulk = None;
        self.lost_at = self.lost_at.or(Some(now));
    }

    fn shards_num(&self) -> Option<u64> {
        self.bulk.as_ref().filter(|bulk| bulk.stream_id().is_none()).map(|bulk| bulk.num)
    }

    fn more_at(&self, pace: &Pace) -> Option<Instant> {
        self.bulk.as_ref()?.more_at(pace)
    }

    fn on_more(&mut self) -> u32 {
        let Some(batches) = self.bulk.as_mut().and_then(Bulk::batches) else {
            return 0;
        };
        batches.on_more();
        batches.retries_count
    }

    fn on_batch_sent(&mut self, now: Instant) {
        let Some(bulk) = &mut self.bulk else {
            return;
        };
        if let Some(batches) = bulk.batches() {
            batches.on_sent(now);
        }
        let num = bulk.num;
        if let Some(sent) = self.sent.find_mut(num)
            && sent.is_self_contained
        {
            sent.presumed_since = Some(now);
        }
    }

    fn on_ack(&mut self, num: u64, now: Instant) -> Result<Acked, PeerError> {
        if num > self.sent.last().num {
            return Err(PeerError(format!("channel {}: never sent {num}", self.id)));
        }
        let is_first_attempt = !self.is_retried && self.sent.last().num == num;
        if !self.sent.on_ack(num) {
            return Ok(Acked::default());
        }
        self.current.forget(&self.sent.front().state);
        self.is_too_large_to_probe = false;
        if num == self.sent.last().num {
            self.copies.stop();
        }
        let is_missed =
            |bulk: &mut Bulk| bulk.batches().is_some_and(|b: &mut Batches| b.is_missed());
        if let Some(mut bulk) = self.bulk.take_if(|bulk| bulk.num <= num)
            && is_missed(&mut bulk)
        {
            // What was sent meanwhile could not be used.
            self.lost_at = Some(self.last_sent_at.unwrap_or(now));
        }
        if self.sent.front().num == self.sent.last().num {
            self.lost_at = None;
        }
        Ok(Acked { is_news: true, is_newest: self.is_acknowledged(), is_first_attempt })
    }

    fn on_nack(&mut self, num: u64, now: Instant) -> Result<(), PeerError> {
        if num > self.sent.last().num {
            return Err(PeerError(format!("channel {}: never sent {num}", self.id)));
        }
        // A newest state that depends on nothing uncertain is its own repair.
        if self.sent.last().is_self_contained || num <= self.sent.front().num {
            return Ok(());
        }
        if let Some(batches) =
            self.bulk.as_mut().filter(|bulk| bulk.num < num).and_then(Bulk::batches)
        {
            batches.on_missed();
            return Ok(());
        }
        self.sent.write_off();
        self.lost_at = self.lost_at.or(Some(now));
        Ok(())
    }

    fn on_all_lost(&mut self, now: Instant) {
        self.sent.write_off();
        self.copies.stop();
        self.is_written_off = true;
        self.last_sent_at = None;
        self.paid_at = None;
        self.bulk.take_if(|bulk| bulk.stream_id().is_none());
        self.lost_at = (!self.is_acknowledged() && self.bulk.is_none()).then_some(now);
    }

    fn on_bulk_lost(&mut self) {
        self.bulk = None;
    }

    fn is_streaming(&self) -> bool {
        self.bulk.as_ref().is_some_and(|bulk| bulk.stream_id().is_some())
    }

    fn load(&self) -> Load {
        let states_size = self.sent.size() + self.current.size();
        Load { states_count: self.sent.len(), states_size, pending_size: 0 }
    }

    fn share(&self) -> usize {
        self.sent.share() + self.current.share()
    }
}

impl<S> std::fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("id", &self.id)
            .field("sent", &self.sent)
            .field("changed_at", &self.changed_at)
            .field("lost_at", &self.lost_at)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(SELF_CONTAINED_SIZE_MAX < DATAGRAM_SIZE_MAX);
