//! Congestion control that lets go when a path is dead, around [`Copa`], which keeps queues short.
//!
//! What was sent into a dead path stays in flight for QUIC until something newer is acknowledged,
//! which fills the congestion window: when the path comes back nothing may be sent but QUIC's own
//! loss probes, whose interval has doubled with every one since. So the window opens when nothing
//! was acknowledged for [`SILENCE_MAX`] and closes with the first acknowledgement of what was sent
//! since. (One of what was sent before the hole may come first, and frees none of what was sent into
//! it: closed by that, the window was full for another round trip or two.) Meanwhile the endpoint
//! limits itself to small probes at a steady pace (`pace.rs`), and streams are limited by their
//! window.
//!
//! Measured over a hole of 60 s on a path of 50 ms with 20 datagrams per second: 2.5 to 10 s from the
//! path's return to the next datagram without the valve, 27 ms with it.

use crate::copa::Copa;
use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time without an acknowledgement, while something is in flight, that is still congestion
/// and not a dead path: more than a round trip over any network in use with its queues.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Large, and harmless in sums.
const WINDOW_OPEN: u64 = u64::MAX / 4;

/// Makes valves around [`Copa`].
#[derive(Debug, Default)]
pub(crate) struct ValveConfig {}

impl ControllerFactory for ValveConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Valve::new(now, current_mtu))
    }
}

#[derive(Clone)]
struct Valve {
    inner: Copa,
    /// When the first packet after the last acknowledgement was sent.
    unanswered_since: Option<Instant>,
    /// Since when it is open, if it is.
    opened_at: Option<Instant>,
    /// When the newest packet of the present acknowledgement was sent.
    newest_acked: Option<Instant>,
    /// When it closed. Losses of what was sent before say nothing about the path since.
    closed_at: Instant,
}

impl Valve {
    fn new(now: Instant, mtu: u16) -> Self {
        Self {
            inner: Copa::new(mtu),
            unanswered_since: None,
            opened_at: None,
            newest_acked: None,
            closed_at: now,
        }
    }

    /// A packet that was sent then is acknowledged.
    fn on_acked(&mut self, sent: Instant) {
        self.newest_acked = self.newest_acked.max(Some(sent));
    }
}

impl Controller for Valve {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        // QUIC's loss probes pass a full window (at 0.1, 0.3, 0.7, 1.5 s), so this is called even
        // when nothing else may be sent.
        let since = *self.unanswered_since.get_or_insert(now);
        if now.saturating_duration_since(since) > SILENCE_MAX {
            self.opened_at.get_or_insert(now);
        }
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.on_acked(sent);
        // What was sent into a hole, and found the path again at its end, took no round trip.
        if sent >= self.closed_at {
            self.inner.on_ack(now, sent, bytes, rtt.get(), app_limited);
        }
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        _app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        let newest_acked = self.newest_acked.take();
        if let Some(opened_at) = self.opened_at {
            if newest_acked.is_none_or(|sent| sent < opened_at) && in_flight != 0 {
                return;
            }
            (self.opened_at, self.closed_at) = (None, now);
        }
        self.unanswered_since = (in_flight != 0).then_some(now);
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        sent: Instant,
        _is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        if sent >= self.closed_at {
            self.inner.on_lost(lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.opened_at.is_some() { WINDOW_OPEN } else { self.inner.window() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valve_opens_after_silence_and_closes_on_an_answer() {
        let start = Instant::now();
        let mut valve = Valve::new(start, 1200);
        let window = valve.window();
        valve.on_sent(start, 1200, 0);
        valve.on_sent(start + SILENCE_MAX, 1200, 1);
        assert_eq!(valve.window(), window);
        let late = start + SILENCE_MAX + Duration::from_millis(500);
        valve.on_sent(late, 1200, 2);
        assert_eq!(valve.window(), WINDOW_OPEN);
        // What was sent before the silence arrived; its acknowledgement comes now.
        acknowledge(&mut valve, start, late, 2400);
        assert_eq!(valve.window(), WINDOW_OPEN);
        acknowledge(&mut valve, late, late, 1200);
        assert_ne!(valve.window(), WINDOW_OPEN);
    }

    #[test]
    fn valve_closes_when_nothing_is_in_flight() {
        let start = Instant::now();
        let mut valve = Valve::new(start, 1200);
        valve.on_sent(start, 1200, 0);
        let late = start + 2 * SILENCE_MAX;
        valve.on_sent(late, 1200, 1);
        assert_eq!(valve.window(), WINDOW_OPEN);
        acknowledge(&mut valve, start, late, 0);
        assert_ne!(valve.window(), WINDOW_OPEN);
    }

    /// An acknowledgement comes `now`, of a packet sent at `sent`; so much is in flight then.
    fn acknowledge(valve: &mut Valve, sent: Instant, now: Instant, in_flight: u64) {
        valve.on_acked(sent);
        valve.on_end_acks(now, in_flight, false, Some(0));
    }

    #[test]
    fn pause_of_ours_is_not_silence_of_the_path() {
        let start = Instant::now();
        let mut valve = Valve::new(start, 1200);
        let window = valve.window();
        valve.on_sent(start, 1200, 0);
        valve.on_end_acks(start, 0, false, Some(0));
        valve.on_sent(start + 10 * SILENCE_MAX, 1200, 1);
        assert_eq!(valve.window(), window);
    }
}
