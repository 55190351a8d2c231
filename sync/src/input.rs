//! What an [`Endpoint`] makes of what it hears.

use crate::attention::ATTENTIVE_INTERVAL;
use crate::endpoint::{Endpoint, PeerClock};
use crate::pace::{HEARTBEAT_INTERVAL, HEARTBEAT_TURN, Patience};
use crate::reader::Reader;
use crate::receiver::Outcome;
use crate::rtt::ACK_DELAY_MAX;
use crate::wire::{ACK_SIZE_MAX, DATAGRAM_SIZE_MAX, Item, MESSAGE_SIZE_MAX};
use crate::{Event, PeerError};
use std::time::{Duration, Instant};

/// A 16-bit clock in milliseconds can be compared with one that is at most this old.
const CLOCK_COMPARABLE: Duration = Duration::from_secs(30);

/// Clocks count milliseconds.
const CLOCK_STEP: Duration = Duration::from_millis(1);

impl Endpoint {
    /// A datagram came from the peer.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), PeerError> {
        if datagram.len() > DATAGRAM_SIZE_MAX {
            return Err(PeerError("datagram too large".to_owned()));
        }
        let mut reader = Reader::new(datagram)?;
        self.on_heard(now);
        self.on_clock(reader.clock, reader.echo, now);
        self.handle_items(&mut reader, now, ACK_DELAY_MAX)
    }

    /// A whole stream message came from the peer.
    pub fn handle_stream(&mut self, message: &[u8], now: Instant) -> Result<(), PeerError> {
        if message.len() > MESSAGE_SIZE_MAX {
            return Err(PeerError("stream message too large".to_owned()));
        }
        // Its clock is useless: how long the message took depends on its length.
        let mut reader = Reader::new(message)?;
        self.on_heard(now);
        self.handle_items(&mut reader, now, Duration::ZERO)
    }

    fn on_heard(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.last_heard = Some(self.now);
        let interval = self.heartbeat_interval();
        self.heartbeat_at = self.now + interval + self.random(HEARTBEAT_TURN.min(interval / 2));
        if self.pace.probe_at().is_some() && self.pace.on_contact(self.now) {
            // The path is back. Whatever was sent into the hole is lost.
            self.write_off();
        }
    }

    fn write_off(&mut self) {
        for sender in &mut self.senders {
            sender.on_all_lost(self.now);
        }
    }

    fn on_clock(&mut self, clock: u16, echo: Option<u16>, now: Instant) {
        let is_reordered = self.peer_clock.is_some_and(|last| {
            clock.wrapping_sub(last.clock) > u16::MAX / 2
                && now.saturating_duration_since(last.at) < CLOCK_COMPARABLE
        });
        if is_reordered {
            return;
        }
        self.peer_clock = Some(PeerClock { clock, at: now, is_echoed: false });
        if let Some(echo) = echo {
            let round_trip = Duration::from_millis(self.clock(now).wrapping_sub(echo).into());
            // The peer may have been heard all the time, with only our direction down.
            if now
                .checked_sub(round_trip + CLOCK_STEP)
                .is_some_and(|at| self.pace.is_written_off(at))
            {
                self.write_off();
            }
            self.pace.rtt.on_sample(round_trip);
            self.pace.on_answered();
            self.narrow.on_answered();
        }
    }

    /// A peer that is at work is asked more often: should this end's address change
    /// without its knowing (a NAT), what the peer sends is lost until it hears from here.
    fn heartbeat_interval(&self) -> Duration {
        match self.pace.patience {
            Patience::Eager if self.attention.is_due(self.now) => ATTENTIVE_INTERVAL,
            Patience::Eager | Patience::Sparing => HEARTBEAT_INTERVAL,
        }
    }

    fn handle_items(
        &mut self,
        reader: &mut Reader<'_>,
        now: Instant,
        ack_delay: Duration,
    ) -> Result<(), PeerError> {
        while let Some(item) = reader.item()? {
            match item {
                Item::Ping { wants_acks } => {
                    self.heartbeat_at = self.now + self.heartbeat_interval();
                    self.owe_answer(now);
                    if wants_acks {
                        self.owe_all_acks();
                    }
                }
                Item::Ack { channel, num } => self.on_ack(channel, num)?,
                Item::Nack { channel, num } => {
                    let at = self.sender_index(channel).ok_or_else(|| unknown(channel))?;
                    self.senders[at].on_nack(num, now)?;
                }
                Item::Diff(head, body) => {
                    let at = self.receiver_index(head.channel);
                    let at = at.ok_or_else(|| unknown(head.channel))?;
                    let outcome = self.receivers[at].receiver.handle_diff(head, body)?;
                    self.on_outcome(at, head.num, outcome, now, ack_delay);
                }
                Item::Fragment(head, place, body) => {
                    let at = self.receiver_index(head.channel);
                    let at = at.ok_or_else(|| unknown(head.channel))?;
                    let receiver = &mut self.receivers[at].receiver;
                    match receiver.handle_fragment(head, place, body, self.now)? {
                        // The shards behind the last that was needed: one answer will do.
                        Outcome::Known => {
                            self.receivers[at].is_owed = true;
                            self.owe_answer(now + self.pace.rtt.copy_interval());
                        }
                        // A lossy peer sends no more before it knows.
                        Outcome::Newer => {
                            self.on_outcome(at, head.num, Outcome::Newer, now, Duration::ZERO);
                        }
                        outcome => self.on_outcome(at, head.num, outcome, now, ack_delay),
                    }
                }
            }
        }
        Ok(())
    }

    fn on_ack(&mut self, channel: u16, num: u64) -> Result<(), PeerError> {
        let at = match self.sender_index(channel) {
            Some(at) => at,
            // A newer peer listens on a channel that is not known here, and says that it holds what
            // all channels begin with.
            None if num == 0 => return Ok(()),
            None => return Err(unknown(channel)),
        };
        let acked = self.senders[at].on_ack(num, self.now)?;
        if acked.is_news {
            self.pace.on_answered();
            self.narrow.on_news(channel);
        }
        if acked.is_first_attempt {
            self.pace.loss.on_arrival(self.now);
        }
        if acked.is_newest {
            self.tell(Event::Acknowledged(channel));
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        at: usize,
        num: u64,
        outcome: Outcome,
        now: Instant,
        ack_delay: Duration,
    ) {
        let ack_copies = self.pace.copies(ACK_SIZE_MAX, now);
        let incoming = &mut self.receivers[at];
        let id = incoming.receiver.id();
        match outcome {
            Outcome::Newer => {
                incoming.is_owed = true;
                incoming.changed_at = Some(now);
                incoming.unusable = None;
                self.attention.on_news(incoming.receiver.is_log(), now);
                let wait = if incoming.receiver.is_echoed() { ack_delay } else { Duration::ZERO };
                self.ack_copies_left = ack_copies;
                self.tell(Event::Received(id));
                // At once, it costs no wake-up and no acknowledgement of QUIC's apart.
                self.owe_answer(now + wait);
            }
            // The sender missed the acknowledgement, or it is a copy, which others follow.
            Outcome::Known => {
                incoming.is_owed = true;
                let is_lossy = ack_copies > 1;
                let wait = if is_lossy { self.pace.rtt.copy_interval() } else { Duration::ZERO };
                self.owe_answer(now + wait);
            }
            Outcome::Unusable => {
                incoming.is_owed = true;
                incoming.unusable = incoming.unusable.max(Some(num));
                self.owe_answer(now);
            }
            Outcome::Incomplete => self.owe_answer(now + ack_delay),
        }
    }

    pub(crate) fn owe_all_acks(&mut self) {
        for incoming in &mut self.receivers {
            incoming.is_owed = true;
        }
    }

    fn owe_answer(&mut self, at: Instant) {
        self.answer_at = Some(self.answer_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn tell(&mut self, event: Event) {
        if !self.events.contains(&event) {
            self.events.push_back(event);
        }
    }
}

fn unknown(channel: u16) -> PeerError {
    PeerError(format!("channel {channel} is not open"))
}
