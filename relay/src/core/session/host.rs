//! A session's host: its link comes, is silent, goes, comes back.

use super::{EXIT_LOST, Phase, Session};
use crate::core::session::Output;
use crate::core::text;
use std::time::{Duration, Instant};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    HOST_EVENTS, HostStanding, SCROLLBACK, SETTINGS, Settings, TOPOLOGY, Topology, VIEWER_EVENTS,
    WEBHOOK, WEBHOOK_REPORT, WebhookReport,
};
use tern_sync::{Endpoint, Patience, PeerError};
use tern_term::{SCREEN, Shown};

/// How long a host that was granted a session may take to connect by QUIC: a retry of everything
/// on a bad path. (Its tokens are known to nobody but it.)
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(60);
/// Silence after which viewers are told. A host that lives is heard every 6 s and a round trip.
pub(super) const SILENCE_SHOWN_AFTER: Duration = Duration::from_secs(8);
/// Silence after which viewers are told if the connection is gone, too: a host that roams is back
/// before.
pub(super) const LOSS_SHOWN_AFTER: Duration = Duration::from_secs(2);

const _: () = assert!(SILENCE_SHOWN_AFTER.as_secs() > 6);

/// Why the relay closed a host's link: QUIC's application error code, and the same over SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The session ended; everything that the host said about it arrived.
    Ended = 0,
    /// The relay is stopping.
    Stopping = 0x10,
    /// A newer connection of the same host took over.
    Replaced = 0x11,
    /// The host broke the protocol.
    Protocol = 0x12,
    /// The host's session exceeds one of the relay's limits.
    Limit = 0x13,
    /// Nothing was heard over this connection for very long; a new one is welcome.
    Silent = 0x14,
    /// A newer session of the same owner has this one's names.
    Superseded = 0x15,
}

impl CloseCode {
    /// On the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// Where the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// Never seen yet.
    Awaited { since: Instant },
    /// Connected; what it says counts for this epoch.
    Connected { epoch: u64, heard_at: Instant },
    /// Away. With an epoch, its endpoint and ours still fit.
    Away { epoch: Option<u64>, heard_at: Instant, lost_at: Instant },
}

impl Host {
    pub(super) fn awaited(now: Instant) -> Self {
        Self::Awaited { since: now }
    }

    pub(super) fn is_connected(self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    fn epoch(self) -> Option<u64> {
        match self {
            Self::Awaited { .. } => None,
            Self::Connected { epoch, .. } => Some(epoch),
            Self::Away { epoch, .. } => epoch,
        }
    }

    fn heard_at(self) -> Instant {
        match self {
            Self::Awaited { since } => since,
            Self::Connected { heard_at, .. } | Self::Away { heard_at, .. } => heard_at,
        }
    }
}

/// Both ends' state 0.
pub(super) fn new_endpoint(seed: u64, now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(seed, now).with_patience(Patience::Sparing);
    endpoint.open_receiver(SCREEN, Shown::default());
    endpoint.open_receiver(TOPOLOGY, Whole(Topology::default()));
    endpoint.open_receiver(HOST_EVENTS, Log::new());
    endpoint.open_receiver(SCROLLBACK, Log::new());
    endpoint.open_receiver(SETTINGS, Whole(Settings::default()));
    endpoint.open_receiver(WEBHOOK, Whole(None));
    endpoint.open_sender(VIEWER_EVENTS, Log::new());
    endpoint.open_sender(WEBHOOK_REPORT, Whole(WebhookReport::default()));
    endpoint
}

impl Session {
    /// The host came, over a new link that replaces the former one, and proved that it is the host.
    /// Gives whether the endpoint of its `epoch` is still here; else both begin with state 0, and
    /// `seed` is for ours. `None`: the session is over.
    pub fn handle_host(&mut self, epoch: u64, seed: u64, now: Instant) -> Option<bool> {
        if self.phase != Phase::Live {
            return None;
        }
        let is_known = self.host.epoch() == Some(epoch);
        // A host speaks when it has read its welcome. One that wasn't heard since may have missed
        // it, and hold states of an endpoint that is gone: it begins with state 0 in any case,
        // which is what ours, that has heard nothing, expects.
        let is_resumed = is_known && self.endpoint.last_heard().is_some();
        if is_known {
            self.endpoint.handle_new_path(now);
        } else {
            self.endpoint = new_endpoint(seed, now);
        }
        self.host = Host::Connected { epoch, heard_at: now };
        if !is_known {
            self.scrollback.handle_host_anew();
            self.tell_webhook_report(now);
            self.announce_all(now);
        }
        self.update(now);
        Some(is_resumed)
    }

    /// The link broke, or the host closed it.
    pub fn handle_link_lost(&mut self, now: Instant) {
        if let Host::Connected { epoch, heard_at } = self.host {
            self.host = Host::Away { epoch: Some(epoch), heard_at, lost_at: now };
        }
        if let Phase::Ending { .. } = self.phase {
            self.finish(now);
        }
        self.update(now);
    }

    /// The present link goes over another path: the host's address changed. What it has not
    /// confirmed, keys above all, may have gone to the former one, and is sent again at once.
    pub fn handle_path_changed(&mut self, now: Instant) {
        if self.host.is_connected() {
            self.endpoint.handle_path_change(now);
            self.update(now);
        }
    }

    /// The present link has sent so many packets, and lost so many, since it began.
    pub fn handle_path_stats(&mut self, sent: u64, lost: u64, now: Instant) {
        self.endpoint.handle_path_stats(sent, lost, now);
    }

    /// A datagram came over the present link.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        let result = self.endpoint.handle_datagram(datagram, now);
        self.work.spend(self.endpoint.take_work(), now);
        self.on_heard(result, now);
    }

    /// A stream message came over the present link.
    pub fn handle_stream(&mut self, message: &[u8], now: Instant) {
        if message.len() > self.limits.message_size {
            return self.handle_too_large(now);
        }
        let result = self.endpoint.handle_stream(message, now);
        self.work.spend(self.endpoint.take_work(), now);
        self.on_heard(result, now);
    }

    /// A message comes over the present link that is longer than the relay allows.
    pub fn handle_too_large(&mut self, now: Instant) {
        let reason = format!(
            "a message is larger than {} bytes, this relay's limit",
            self.limits.message_size
        );
        self.abandon(CloseCode::Limit, reason, now);
        self.update(now);
    }

    fn on_heard(&mut self, result: Result<(), PeerError>, now: Instant) {
        match (result, &mut self.host) {
            (Ok(()), Host::Connected { heard_at, .. }) => {
                *heard_at = now;
                self.update(now);
            }
            (Ok(()), Host::Awaited { .. } | Host::Away { .. }) => {}
            (Err(error), _) => self.abandon(CloseCode::Protocol, error.to_string(), now),
        }
    }

    /// Closes the link and forgets the endpoint, which fits nothing any more: the host may come
    /// back, and both begin anew.
    pub(super) fn abandon(&mut self, code: CloseCode, reason: String, now: Instant) {
        self.close_link(code, reason, now);
        let heard_at = self.host.heard_at();
        if !matches!(self.host, Host::Awaited { .. }) {
            self.host = Host::Away { epoch: None, heard_at, lost_at: now };
        }
        self.endpoint = new_endpoint(0, now);
        self.scrollback.handle_host_anew();
        if let Phase::Ending { .. } = self.phase {
            self.finish(now);
        }
    }

    pub(super) fn close_link(&mut self, code: CloseCode, reason: String, now: Instant) {
        if let Host::Connected { epoch, heard_at } = self.host {
            self.outputs.push_back(Output::CloseLink { code, reason });
            self.host = Host::Away { epoch: Some(epoch), heard_at, lost_at: now };
        }
    }

    /// Bytes that the session holds for its host, about. (Rows that screens share count each time:
    /// an upper bound.)
    pub fn memory(&self) -> usize {
        let load = self.endpoint.load();
        load.states_size + load.pending_size + self.scrollback.size()
    }

    /// The relay has no memory for what the session has grown to. What scrolled off goes first.
    pub fn handle_no_memory(&mut self, reason: &str, now: Instant) {
        if self.scrollback.give_up() {
            return self.update(now);
        }
        self.abandon(CloseCode::Limit, reason.into(), now);
        self.update(now);
    }

    /// Until when the link shouldn't be read, `None` if it may be: the host has made the relay work
    /// enough. What it sends waits in QUIC's windows, or SSH's.
    pub fn deaf_until(&self, now: Instant) -> Option<Instant> {
        self.work.ready_at(now)
    }

    /// Whether what the host makes the relay hold is within bounds.
    pub(super) fn check_load(&mut self, now: Instant) {
        let memory = self.memory();
        if memory > self.limits.session_memory {
            let reason = format!(
                "the session holds {memory} bytes, this relay allows {}",
                self.limits.session_memory
            );
            self.abandon(CloseCode::Limit, reason, now);
        }
    }

    /// Ends a session whose host stays away, and links that are dead.
    pub(super) fn check_host(&mut self, now: Instant) {
        if self.host_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let silence = now.saturating_duration_since(self.host.heard_at());
        if self.host.is_connected() && silence < self.limits.host_away {
            let reason = format!("nothing heard for {} s", silence.as_secs());
            return self.close_link(CloseCode::Silent, reason, now);
        }
        self.close_link(CloseCode::Silent, text::HOST_GONE.into(), now);
        self.end(text::HOST_GONE, EXIT_LOST, now);
    }

    /// When [`Session::check_host`] has something to do.
    pub(super) fn host_deadline(&self) -> Option<Instant> {
        let away_max = self.limits.host_away;
        let limit = match self.host {
            Host::Awaited { .. } => away_max.min(CONNECT_TIME_MAX),
            Host::Connected { .. } => away_max.min(tern_sync::link::SILENCE_MAX),
            Host::Away { .. } => away_max,
        };
        self.host.heard_at().checked_add(limit)
    }

    /// How it is with the host, and when that changes.
    pub(super) fn standing(&self, now: Instant) -> (HostStanding, Option<Instant>) {
        let shown_at = match self.host {
            Host::Awaited { .. } => return (HostStanding::Awaited, None),
            Host::Connected { heard_at, .. } => heard_at + SILENCE_SHOWN_AFTER,
            Host::Away { lost_at, .. } => lost_at + LOSS_SHOWN_AFTER,
        };
        if now < shown_at {
            return (HostStanding::Present, Some(shown_at));
        }
        let heard_at = self.host.heard_at();
        let seconds = now.saturating_duration_since(heard_at).as_secs();
        let next = heard_at + Duration::from_secs(seconds + 1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        (HostStanding::Silent { seconds }, Some(next))
    }
}
