//! What an [`Endpoint`] sends, and when.

use crate::Output;
use crate::endpoint::{ECHO_HOLD_MAX, Endpoint, Incoming};
use crate::sending::{Cause, From, Prepared, Via};
use crate::shard::Run;
use crate::wire::{
    ACK_SIZE_MAX, Body, DATAGRAM_SIZE_MAX, DATAGRAM_SIZE_MIN, FRAGMENT_HEAD_SIZE_MAX,
    HEAD_SIZE_MAX, HEADER_SIZE_MAX,
};
use crate::writer::Writer;
use std::time::{Duration, Instant};

/// How long an acknowledgement is repeated on whatever goes out: it costs four bytes there, and its
/// loss a resend.
const ACK_REPEAT: Duration = Duration::from_secs(1);
/// Bytes before a sized diff at their longest.
const SIZED_HEAD_SIZE_MAX: usize = HEAD_SIZE_MAX + 3;

impl Endpoint {
    /// The next thing to do, `None` when there is nothing now. `datagram_size_max` in bytes; it may
    /// change from call to call. (On a path for datagrams below 128 bytes, all goes on streams.)
    pub fn poll_output(&mut self, now: Instant, datagram_size_max: usize) -> Option<Output> {
        self.now = self.now.max(now);
        let now = self.now;
        self.pace.on_time(now);
        if let Some(id) = self.resets.pop_front() {
            return Some(Output::ResetStream { id });
        }
        let size_max = self.narrow.limit(datagram_size_max.min(DATAGRAM_SIZE_MAX));
        if std::mem::take(&mut self.is_widening_due) && size_max >= DATAGRAM_SIZE_MIN {
            return Some(self.widening(now, size_max));
        }
        self.begin_batches(now);
        self.poll_packet(now, size_max)
            .or_else(|| self.poll_run(now, size_max))
            .or_else(|| self.poll_packet(now, size_max))
    }

    /// When [`Endpoint::handle_timeout`] is due. After [`Endpoint::poll_output`] gave nothing, later
    /// than the time given there.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_sending = self.is_run_sending() || !self.resets.is_empty();
        let at_once = is_sending.then_some(self.now);
        let more = self.senders.iter().filter_map(|sender| sender.more_at(&self.pace));
        let more = more.filter(|_| self.pace.probe_at().is_none());
        let senders = self.senders.iter().filter_map(|sender| sender.due_at(&self.pace));
        let own = [at_once, self.answer_at, Some(self.ping_at())];
        senders.chain(more).chain(own.into_iter().flatten()).min()
    }

    fn is_run_sending(&self) -> bool {
        self.pace.probe_at().is_none() && self.runs.iter().any(Run::is_sending)
    }

    /// Drops runs that are of no use any more, and sends more of those that didn't suffice.
    fn begin_batches(&mut self, now: Instant) {
        let senders = &self.senders;
        self.runs.retain(|run| {
            let at = senders.binary_search_by_key(&run.channel(), |sender| sender.id());
            at.is_ok_and(|at| senders[at].shards_num() == Some(run.num()))
        });
        if self.pace.probe_at().is_some() {
            return;
        }
        for run in &mut self.runs {
            let at = self.senders.binary_search_by_key(&run.channel(), |sender| sender.id());
            let Ok(at) = at else {
                continue;
            };
            let sender = &mut self.senders[at];
            if sender.more_at(&self.pace).is_some_and(|at| at <= now) {
                self.pace.loss.on_retry(1, now);
                let retries_count = sender.on_more() - 1;
                let delay = self.pace.rtt.retry_delay();
                self.narrow.on_sent(run.channel(), run.shard_size(), now, delay);
                run.add(self.pace.loss.more_parity(run.count(), retries_count, now));
            }
        }
    }

    /// A question, filled up to a datagram's full size. Until an address is validated QUIC sends it no
    /// more than three times what came from there (RFC 9000, section 9.3): after a small packet, what
    /// the peer has for us would wait for another round trip.
    fn widening(&mut self, now: Instant, size_max: usize) -> Output {
        let mut writer = self.writer(now);
        let acked = self.write_acks(&mut writer, size_max, now);
        writer.ping(true);
        while writer.len() < size_max {
            writer.ping(false);
        }
        self.on_asked(now);
        Output::Datagram(self.finish(writer, &acked, now))
    }

    /// The next shard of a diff that is being sent in shards.
    fn poll_run(&mut self, now: Instant, size_max: usize) -> Option<Output> {
        if !self.is_run_sending() {
            return None;
        }
        let sending = self.runs.iter().enumerate().filter(|(_, run)| run.is_sending());
        let (at, _) = sending.min_by_key(|(_, run)| run.channel())?;
        let (channel, size) = (self.runs[at].channel(), self.runs[at].shard_size());
        let sender = self.sender_index(channel)?;
        if size > fragment_room(size_max) {
            // The path takes less than when the diff was cut; it will be cut anew.
            let run = self.runs.swap_remove(at);
            self.senders[sender].on_unsent(run.num(), now);
            return None;
        }
        let mut writer = self.writer(now);
        let room = size_max - FRAGMENT_HEAD_SIZE_MAX - size;
        let acked = self.write_acks(&mut writer, room, now);
        self.pad(&mut writer, FRAGMENT_HEAD_SIZE_MAX + size, size_max);
        let (head, place, body) = self.runs[at].next()?;
        writer.fragment(head, place, body);
        if !self.runs[at].is_sending() {
            self.senders[sender].on_batch_sent(now);
        }
        self.on_asked(now);
        Some(Output::Datagram(self.finish(writer, &acked, now)))
    }

    fn poll_packet(&mut self, now: Instant, size_max: usize) -> Option<Output> {
        let is_ping_due = self.ping_at() <= now;
        let is_answer_due = self.answer_at.is_some_and(|at| at <= now);
        // An answer to a silent peer's probe is the first thing that it may hear: as good as ours.
        let is_probe = is_answer_due && self.pace.probe_at().is_some();
        let is_due = |at: Instant| at <= now || is_probe;
        let is_diff_due = |at: usize| self.senders[at].due_at(&self.pace).is_some_and(is_due);
        let due: Vec<usize> = (0..self.senders.len()).filter(|at| is_diff_due(*at)).collect();
        if !is_ping_due && due.is_empty() && (!is_answer_due || self.is_run_sending()) {
            // An answer rides on the next shard.
            return None;
        }
        let mut writer = self.writer(now);
        let acked = self.write_acks(&mut writer, size_max.max(DATAGRAM_SIZE_MIN), now);
        let is_streaming = self.senders.iter().any(|sender| sender.is_streaming());
        if is_ping_due && is_streaming {
            writer.ping(true);
        }
        let mut has_diff = false;
        for (i, at) in due.iter().enumerate() {
            let Some(prepared) = self.senders[*at].prepare(now, &self.pace, From::Any) else {
                continue;
            };
            let size = prepared.packed.len();
            if writer.len() + SIZED_HEAD_SIZE_MAX + size <= size_max {
                self.pad(&mut writer, SIZED_HEAD_SIZE_MAX + size, size_max);
                match prepared.packed.body() {
                    Body::Plain(diff) if i + 1 < due.len() => {
                        writer.diff_sized(prepared.head, diff);
                    }
                    body => writer.diff_last(prepared.head, body),
                }
                self.on_sent(*at, &prepared, Via::Datagram, now);
                self.on_size_tried(prepared.head.channel, size, now);
                has_diff = true;
            } else if prepared.cause == Cause::Copy {
                self.senders[*at].on_copy_dropped();
            } else if !has_diff && self.pace.probe_at().is_none() {
                return self.send_large(*at, prepared, now, size_max);
            }
            if writer.is_closed() {
                break;
            }
        }
        if !has_diff && !is_ping_due && !is_answer_due {
            return None;
        }
        if !has_diff && is_ping_due && !is_streaming {
            writer.ping(self.senders.iter().any(|sender| !sender.is_acknowledged()));
        }
        if has_diff || is_ping_due {
            self.on_asked(now);
        }
        let message = self.finish(writer, &acked, now);
        if size_max < DATAGRAM_SIZE_MIN {
            return Some(Output::Stream { id: self.stream_id(), message });
        }
        Some(Output::Datagram(message))
    }

    /// Sends what one datagram doesn't hold: in shards, or on a stream.
    fn send_large(
        &mut self,
        at: usize,
        prepared: Prepared,
        now: Instant,
        size_max: usize,
    ) -> Option<Output> {
        let head = prepared.head;
        self.runs_count = self.runs_count.wrapping_add(1);
        match Run::new(head, self.runs_count, &prepared.packed, fragment_room(size_max)) {
            Some(mut run) => {
                let run_size = run.shard_size();
                run.add(self.pace.loss.parity(run.count(), now));
                self.runs.retain(|other| other.channel() != head.channel);
                self.runs.push(run);
                self.on_sent(at, &prepared, Via::Shards, now);
                self.on_size_tried(head.channel, run_size, now);
                self.poll_run(now, size_max)
            }
            None if head.base != head.front => {
                let prepared = self.senders[at].prepare(now, &self.pace, From::Front)?;
                self.send_large(at, prepared, now, size_max)
            }
            None => {
                let id = self.stream_id();
                let mut writer = Writer::new(self.clock(now), None);
                writer.diff_last(head, prepared.packed.body());
                self.on_sent(at, &prepared, Via::Stream { id }, now);
                self.on_asked(now);
                Some(Output::Stream { id, message: writer.finish() })
            }
        }
    }

    fn on_sent(&mut self, at: usize, prepared: &Prepared, via: Via, now: Instant) {
        let replaced = self.senders[at].on_sent(prepared, via, now, &self.pace);
        self.resets.extend(replaced);
        if let (Cause::Retry { lost_count }, None) = (prepared.cause, self.pace.probe_at()) {
            self.pace.loss.on_retry(lost_count, now);
        }
    }

    /// Fills a packet up before the last `size` bytes are put into it, where that must be.
    fn pad(&self, writer: &mut Writer, size: usize, size_max: usize) {
        for _ in 0..self.narrow.padding(writer.len() + size, size_max) {
            writer.ping(false);
        }
    }

    /// A diff goes in datagrams of that size.
    fn on_size_tried(&mut self, channel: u16, size: usize, now: Instant) {
        // What is lost on a silent path says nothing about sizes.
        if self.pace.probe_at().is_none() {
            self.narrow.on_sent(channel, size, now, self.pace.rtt.retry_delay());
        }
    }

    /// A packet with the header.
    fn writer(&self, now: Instant) -> Writer {
        let echo = self.peer_clock.filter(|peer| !peer.is_echoed).and_then(|peer| {
            let held = now.saturating_duration_since(peer.at);
            let millis = u16::try_from(held.as_millis()).ok()?;
            (held < ECHO_HOLD_MAX).then(|| peer.clock.wrapping_add(millis))
        });
        Writer::new(self.clock(now), echo)
    }

    /// Writes the acknowledgements that are owed, then those that may have been lost, while they
    /// fit. Gives the receivers whose are written.
    fn write_acks(&self, writer: &mut Writer, size_max: usize, now: Instant) -> Vec<usize> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < ACK_REPEAT;
        let is_repeated = |incoming: &Incoming| incoming.changed_at.is_some_and(is_recent);
        let owed = self.receivers.iter().enumerate().filter(|(_, incoming)| incoming.is_owed);
        let others = self.receivers.iter().enumerate();
        let others = others.filter(|(_, incoming)| !incoming.is_owed && is_repeated(incoming));
        let mut written = Vec::new();
        for (at, incoming) in owed.chain(others) {
            if writer.len() + 2 * ACK_SIZE_MAX + 1 > size_max {
                break;
            }
            let (id, num) = (incoming.receiver.id(), incoming.receiver.newest_num());
            writer.ack(id, num);
            if let Some(unusable) = incoming.unusable {
                writer.nack(id, unusable);
            }
            written.push(at);
        }
        written
    }

    /// Closes a packet: what it holds is no longer owed.
    fn finish(&mut self, writer: Writer, acked: &[usize], now: Instant) -> Vec<u8> {
        for at in acked {
            self.receivers[*at].is_owed = false;
            self.receivers[*at].unusable = None;
        }
        if let Some(peer) = &mut self.peer_clock {
            peer.is_echoed = true;
        }
        if !acked.is_empty() {
            self.ack_copies_left = self.ack_copies_left.saturating_sub(1);
        }
        let is_owing = self.receivers.iter().any(|incoming| incoming.is_owed);
        self.answer_at = match (is_owing, self.ack_copies_left) {
            (true, _) => Some(now),
            (false, 0) => None,
            (false, _) => Some(now + self.pace.rtt.copy_interval()),
        };
        writer.finish()
    }

    fn on_asked(&mut self, now: Instant) {
        self.pace.on_asked(now);
        self.asked_at = now;
    }

    fn stream_id(&mut self) -> u64 {
        self.streams_count += 1;
        self.streams_count
    }

    /// When to ask the peer for an answer if nothing else does.
    fn ping_at(&self) -> Instant {
        let at = self.pace.ask_again_at().unwrap_or(self.heartbeat_at);
        let is_streaming = self.senders.iter().any(|sender| sender.is_streaming());
        if is_streaming && self.pace.probe_at().is_none() {
            return at.min(self.pace.stream_ping_at(self.asked_at));
        }
        at
    }
}

/// Bytes of a diff that a datagram takes as a fragment, beside one acknowledgement. 0: none.
fn fragment_room(size_max: usize) -> usize {
    if size_max < DATAGRAM_SIZE_MIN {
        return 0;
    }
    size_max - HEADER_SIZE_MAX - 2 * ACK_SIZE_MAX - 1 - FRAGMENT_HEAD_SIZE_MAX
}

const _: () = assert!(
    HEADER_SIZE_MAX + 2 * ACK_SIZE_MAX + 1 + FRAGMENT_HEAD_SIZE_MAX < DATAGRAM_SIZE_MIN,
    "the smallest datagram holds a piece of a diff"
);
