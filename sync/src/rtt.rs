//! Round-trip time, and the delays that follow from it.

use std::time::Duration;

/// Assumed before the first sample: a transatlantic path. Half of what RFC 6298 would lead to, since
/// a wrong guess costs one early resend of a small datagram.
const RTT_INITIAL: Duration = Duration::from_millis(100);
/// Longest sample that is believed; a longer one comes from a suspended machine.
const RTT_SAMPLE_MAX: Duration = Duration::from_secs(5);
/// Least allowance for variation: timestamps count milliseconds, and both ends' timers are late by
/// about one.
const VARIATION_MIN: Duration = Duration::from_millis(5);
/// Longest time that an acknowledgement waits for something to ride on. An echo follows its key
/// within about 10 ms, a frame held back by pacing within [`FRAME_INTERVAL_MIN`] on a short path;
/// what waits longer delays the peer's repair for nothing.
pub(crate) const ACK_DELAY_MAX: Duration = Duration::from_millis(25);
/// Longest delay before an unacknowledged diff is sent again while the peer answers.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// Least time without an answer after which a path counts as silent, and most: four round trips in
/// between, thus three failed retries on a path without known loss.
const ACTIVE_TIME_MIN: Duration = Duration::from_millis(500);
const ACTIVE_TIME_MAX: Duration = Duration::from_secs(2);
/// Least and most time between probes of a silent path.
const PROBE_INTERVAL_MIN: Duration = Duration::from_millis(25);
const PROBE_INTERVAL_MAX: Duration = Duration::from_millis(500);
/// Least time between frames of a channel: 100 per second, more than any screen shows.
pub(crate) const FRAME_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Least time between copies of one datagram: losses of a radio come in bursts of a few
/// milliseconds.
const COPY_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// Most time between copies of one datagram.
const COPY_INTERVAL_MAX: Duration = Duration::from_millis(25);
/// Most time between frames (as mosh).
const FRAME_INTERVAL_MAX: Duration = Duration::from_millis(250);
/// Longest that a small frame delays the next, but on a path where more than
/// [`SMALL_FRAMES_IN_FLIGHT_MAX`] would be on their way: 20 a second, so that keys and their echo
/// hardly ever wait, and a flood's frames of some 50 bytes cost a kilobyte a second. What a thin line
/// can't carry the congestion window holds back.
const SMALL_FRAME_INTERVAL: Duration = Duration::from_millis(50);
/// Half of [`KEPT_STATES_MAX`](crate::kept::KEPT_STATES_MAX), as one more goes ahead after a pause:
/// acknowledgements find theirs still kept when a round trip suddenly takes nearly twice as long.
const SMALL_FRAMES_IN_FLIGHT_MAX: u32 = 8;

/// Smoothed round-trip time (RFC 6298, section 2).
#[derive(Debug, Clone, Default)]
pub(crate) struct Rtt {
    /// Smoothed time and its variation, `None` before the first sample.
    smoothed: Option<(Duration, Duration)>,
}

impl Rtt {
    /// Takes a measured round trip, without the time that the peer held its answer.
    pub(crate) fn on_sample(&mut self, sample: Duration) {
        if sample > RTT_SAMPLE_MAX {
            return;
        }
        self.smoothed = Some(match self.smoothed {
            // RFC 6298 takes half, which delays the first resends by a round trip.
            None => (sample, sample / 4),
            Some((srtt, rttvar)) => {
                (srtt * 7 / 8 + sample / 8, rttvar * 3 / 4 + srtt.abs_diff(sample) / 4)
            }
        });
    }

    /// The smoothed time, `None` before the first sample.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(srtt, _)| srtt)
    }

    /// Time between frames of one channel: half a round trip, so that about two are in flight, within
    /// [`FRAME_INTERVAL_MIN`] and [`FRAME_INTERVAL_MAX`].
    pub(crate) fn frame_interval(&self) -> Duration {
        let srtt = self.smoothed().unwrap_or(RTT_INITIAL);
        (srtt / 2).clamp(FRAME_INTERVAL_MIN, FRAME_INTERVAL_MAX)
    }

    /// What a small frame delays the next by: less than [`Self::frame_interval`] on a long path.
    pub(crate) fn small_frame_interval(&self) -> Duration {
        let srtt = self.smoothed().unwrap_or(RTT_INITIAL);
        (srtt / SMALL_FRAMES_IN_FLIGHT_MAX).max(SMALL_FRAME_INTERVAL).min(self.frame_interval())
    }

    /// How long a path may give no answer before only probes are sent.
    pub(crate) fn active_time(&self) -> Duration {
        let srtt = self.smoothed().unwrap_or(RTT_INITIAL);
        (srtt * 4).clamp(ACTIVE_TIME_MIN, ACTIVE_TIME_MAX)
    }

    /// Time between probes of a silent path: a third of a round trip, within
    /// [`PROBE_INTERVAL_MIN`] and [`PROBE_INTERVAL_MAX`].
    pub(crate) fn probe_interval(&self) -> Duration {
        let srtt = self.smoothed().unwrap_or(RTT_INITIAL);
        (srtt / 3).clamp(PROBE_INTERVAL_MIN, PROBE_INTERVAL_MAX)
    }

    /// Time between copies of one datagram on a lossy path: a sixteenth of a round trip, so that six
    /// are sent within a third, within [`COPY_INTERVAL_MIN`] and [`COPY_INTERVAL_MAX`].
    pub(crate) fn copy_interval(&self) -> Duration {
        let srtt = self.smoothed().unwrap_or(RTT_INITIAL);
        (srtt / 16).clamp(COPY_INTERVAL_MIN, COPY_INTERVAL_MAX)
    }

    /// Delay before what isn't acknowledged is sent again: `SRTT + max(4 * RTTVAR, 5 ms)` and the
    /// peer's [`ACK_DELAY_MAX`], never above [`RETRY_DELAY_MAX`]. It doesn't grow with failures:
    /// what limits the resends of a long silence is [`crate::pace`].
    pub(crate) fn retry_delay(&self) -> Duration {
        let (srtt, rttvar) = self.smoothed.unwrap_or((RTT_INITIAL, RTT_INITIAL / 4));
        (srtt + (rttvar * 4).max(VARIATION_MIN) + ACK_DELAY_MAX).min(RETRY_DELAY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sample_is_taken_as_it_is() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.smoothed(), None);
        rtt.on_sample(Duration::from_millis(80));
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(80)));
        assert_eq!(rtt.frame_interval(), Duration::from_millis(40));
        assert_eq!(rtt.retry_delay(), Duration::from_millis(80 + 80 + 25));
    }

    #[test]
    fn small_frames_wait_little_on_a_long_path() {
        for (srtt, frame, small) in [(10, 10, 10), (100, 50, 50), (600, 250, 75), (4000, 250, 250)]
        {
            let mut rtt = Rtt::default();
            rtt.on_sample(Duration::from_millis(srtt));
            assert_eq!(rtt.frame_interval(), Duration::from_millis(frame));
            assert_eq!(rtt.small_frame_interval(), Duration::from_millis(small));
        }
    }

    #[test]
    fn steady_path_is_retried_soon_after_a_round_trip() {
        let mut rtt = Rtt::default();
        for _ in 0..100 {
            rtt.on_sample(Duration::from_millis(100));
        }
        assert!(rtt.retry_delay() <= Duration::from_millis(100 + 5 + 25));
    }

    #[test]
    fn delays_keep_their_limits() {
        let mut rtt = Rtt::default();
        rtt.on_sample(Duration::ZERO);
        assert_eq!(rtt.frame_interval(), FRAME_INTERVAL_MIN);
        for _ in 0..50 {
            rtt.on_sample(Duration::from_secs(4));
        }
        assert_eq!(rtt.frame_interval(), FRAME_INTERVAL_MAX);
        assert_eq!(rtt.retry_delay(), RETRY_DELAY_MAX);
    }

    #[test]
    fn sample_of_a_suspended_machine_is_not_believed() {
        let mut rtt = Rtt::default();
        rtt.on_sample(Duration::from_secs(6));
        assert_eq!(rtt.smoothed(), None);
    }
}
