//! When to try which way to the relay.
//!
//! A link that falls silent is not given up: what it carries goes on over it if the path comes back,
//! while new connections are tried beside it, and whichever answers first goes on. Attempts follow
//! each other at a steady pace, whatever became of those before: no delay grows with an outage.

use std::time::{Duration, Instant};

/// Shortest time that an answer may be overdue before another way is tried.
const OVERDUE_MIN: Duration = Duration::from_millis(500);
/// The same in round trips: two are lost, with some jitter.
const OVERDUE_ROUND_TRIPS: u32 = 3;
/// Assumed where no round trip was measured yet.
const ROUND_TRIP_ASSUMED: Duration = Duration::from_millis(200);
/// How long a new connection waits for a silent link's answer before it says hello: half a round
/// trip, thus the time between two of the link's probes and some. Where both pass again at the same
/// moment, the link is ready a round trip sooner, unless the hello has taken the session from it.
const DEFERENCE_MIN: Duration = Duration::from_millis(40);
const DEFERENCE_MAX: Duration = Duration::from_millis(750);
/// How long after the loss of a link attempts follow each other at [`INTERVAL_EAGER`].
const EAGER_TIME: Duration = Duration::from_secs(10);
/// Time between attempts just after a link was lost: a relay that restarts is back soon.
const INTERVAL_EAGER: Duration = Duration::from_millis(250);
/// Time between attempts without a link, from then on. An attempt costs some packets of 1200 bytes.
const INTERVAL_ALONE: Duration = Duration::from_secs(1);
/// Time between attempts beside a silent link at first. Its own probes are faster and smaller, so
/// attempts only win where a network or the relay forgot the connection.
const INTERVAL_BESIDE: Duration = Duration::from_millis(500);
/// The same when it has been silent for [`EAGER_TIME`].
const INTERVAL_BESIDE_LATER: Duration = Duration::from_secs(5);
/// Time between attempts over QUIC while the link runs over SSH and works.
const INTERVAL_BETTER: Duration = Duration::from_secs(10);
/// How long QUIC may fail before the session is carried inside SSH: some losses of the handshake.
const SSH_AFTER: Duration = Duration::from_millis(2500);
/// Time between attempts over SSH, each of which may take as long.
const SSH_INTERVAL: Duration = Duration::from_secs(10);

/// How a link is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Over UDP.
    Quic,
    /// Inside an SSH connection, where UDP doesn't pass.
    Ssh,
}

/// What is known of how a link's peer answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers {
    /// Since when it owes one; `None`: it doesn't.
    pub asked_at: Option<Instant>,
    /// When it was last heard.
    pub heard_at: Option<Instant>,
    /// How long one takes.
    pub round_trip: Option<Duration>,
}

/// What there is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    /// No link since then.
    Alone { since: Instant },
    /// A link that answers, or has not been asked.
    Linked { carrier: Carrier },
    /// A link whose answer is overdue since then.
    Silent { carrier: Carrier, since: Instant },
}

/// The machine.
#[derive(Debug)]
pub struct Dialling {
    now: Now,
    /// When the next attempt of each kind may begin.
    quic_at: Instant,
    ssh_at: Instant,
}

impl Dialling {
    /// Nothing was tried yet.
    pub fn new(now: Instant) -> Self {
        Self { now: Now::Alone { since: now }, quic_at: now, ssh_at: now }
    }

    /// A link was taken up.
    pub fn handle_linked(&mut self, carrier: Carrier, now: Instant) {
        self.now = Now::Linked { carrier };
        self.quic_at = now + INTERVAL_BETTER;
        self.ssh_at = now;
    }

    /// The link is gone for good.
    pub fn handle_lost(&mut self, now: Instant) {
        let since = match self.now {
            Now::Alone { since } | Now::Silent { since, .. } => since,
            Now::Linked { .. } => now,
        };
        self.now = Now::Alone { since };
        self.quic_at = now;
    }

    /// How the link is. Tells whether it has just answered again.
    pub fn handle_answers(&mut self, answers: Answers, now: Instant) -> bool {
        let Answers { asked_at, heard_at, .. } = answers;
        match (self.now, self.overdue_at(answers)) {
            (Now::Linked { carrier }, Some(at)) if at <= now => {
                self.now = Now::Silent { carrier, since: asked_at.unwrap_or(now) };
                self.quic_at = now;
                false
            }
            (Now::Silent { carrier, since }, _)
                if heard_at.is_some_and(|at| at > since)
                    && asked_at.is_none_or(|at| at > since) =>
            {
                self.now = Now::Linked { carrier };
                self.quic_at = now + INTERVAL_BETTER;
                true
            }
            _ => false,
        }
    }

    /// When an answer is overdue, if that isn't known already.
    pub fn overdue_at(&self, answers: Answers) -> Option<Instant> {
        match self.now {
            Now::Linked { .. } => answers.asked_at.map(|at| at + overdue_after(answers.round_trip)),
            Now::Alone { .. } | Now::Silent { .. } => None,
        }
    }

    /// The network changed, or the machine woke up: if the link doesn't answer, a new connection
    /// is tried at once.
    pub fn handle_hint(&mut self, now: Instant) {
        if self.wants_quic() {
            self.quic_at = now;
        }
        self.ssh_at = self.ssh_at.min(now + SSH_AFTER);
    }

    /// The next attempt to begin now.
    pub fn poll_attempt(&mut self, now: Instant) -> Option<Carrier> {
        if self.wants_quic() && self.quic_at <= now {
            self.quic_at = now + self.quic_interval(now);
            return Some(Carrier::Quic);
        }
        if self.ssh_due().is_some_and(|at| at <= now) {
            self.ssh_at = now + SSH_INTERVAL;
            return Some(Carrier::Ssh);
        }
        None
    }

    /// When [`Self::poll_attempt`] has something next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let quic = self.wants_quic().then_some(self.quic_at);
        [quic, self.ssh_due()].into_iter().flatten().min()
    }

    /// Since when nothing answers, if so.
    pub fn silent_since(&self) -> Option<Instant> {
        match self.now {
            Now::Alone { since } | Now::Silent { since, .. } => Some(since),
            Now::Linked { .. } => None,
        }
    }

    /// How long a connection made now waits before its hello: whether the link answers, too.
    pub fn deference(&self, round_trip: Option<Duration>) -> Duration {
        match self.now {
            Now::Silent { .. } => {
                (round_trip.unwrap_or(ROUND_TRIP_ASSUMED) / 2).clamp(DEFERENCE_MIN, DEFERENCE_MAX)
            }
            Now::Alone { .. } | Now::Linked { .. } => Duration::ZERO,
        }
    }

    fn wants_quic(&self) -> bool {
        !matches!(self.now, Now::Linked { carrier: Carrier::Quic })
    }

    fn quic_interval(&self, now: Instant) -> Duration {
        let is_early = |since| now.saturating_duration_since(since) < EAGER_TIME;
        match self.now {
            Now::Alone { since } if is_early(since) => INTERVAL_EAGER,
            Now::Alone { .. } => INTERVAL_ALONE,
            Now::Silent { since, .. } if is_early(since) => INTERVAL_BESIDE,
            Now::Silent { .. } => INTERVAL_BESIDE_LATER,
            Now::Linked { .. } => INTERVAL_BETTER,
        }
    }

    fn ssh_due(&self) -> Option<Instant> {
        Some(self.ssh_at.max(self.silent_since()? + SSH_AFTER))
    }
}

fn overdue_after(round_trip: Option<Duration>) -> Duration {
    (round_trip.unwrap_or(ROUND_TRIP_ASSUMED) * OVERDUE_ROUND_TRIPS).max(OVERDUE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn owed(since: Instant) -> Answers {
        Answers { asked_at: Some(since), heard_at: None, round_trip: Some(100 * MS) }
    }

    /// Attempts from `start` on, in milliseconds.
    fn attempts(dialling: &mut Dialling, start: Instant, time: Duration) -> Vec<(u128, Carrier)> {
        let (mut now, mut all) = (start, Vec::new());
        loop {
            while let Some(carrier) = dialling.poll_attempt(now) {
                all.push(((now - start).as_millis(), carrier));
            }
            match dialling.poll_timeout() {
                Some(due) if due <= start + time => now = due.max(now),
                _ => return all,
            }
        }
    }

    #[test]
    fn answering_link_is_left_alone() {
        let now = Instant::now();
        let mut dialling = Dialling::new(now);
        dialling.handle_linked(Carrier::Quic, now);
        assert!(!dialling.handle_answers(owed(now), now + 400 * MS));
        assert_eq!(dialling.poll_timeout(), None);
        dialling.handle_hint(now);
        assert_eq!(attempts(&mut dialling, now, Duration::from_secs(3600)), []);
    }

    #[test]
    fn silent_link_has_others_beside_it_until_it_answers() {
        let now = Instant::now();
        let mut dialling = Dialling::new(now);
        dialling.handle_linked(Carrier::Quic, now);
        let overdue = dialling.overdue_at(owed(now)).expect("something is owed");
        assert_eq!(overdue, now + 500 * MS);
        assert!(!dialling.handle_answers(owed(now), overdue));
        let seen = attempts(&mut dialling, overdue, 2400 * MS);
        let quic: Vec<_> = seen.iter().filter(|(_, carrier)| *carrier == Carrier::Quic).collect();
        assert_eq!(quic.len(), 5, "{seen:?}");
        assert!(seen.contains(&(2000, Carrier::Ssh)), "{seen:?}");
        let heard = Answers { heard_at: Some(now + 3000 * MS), ..Answers::default() };
        assert!(dialling.handle_answers(heard, now + 3000 * MS));
        assert_eq!(dialling.poll_timeout(), None);
    }

    #[test]
    fn new_connection_defers_to_a_silent_link_only() {
        let now = Instant::now();
        let mut dialling = Dialling::new(now);
        assert_eq!(dialling.deference(Some(100 * MS)), Duration::ZERO);
        dialling.handle_linked(Carrier::Quic, now);
        dialling.handle_answers(owed(now), now + 500 * MS);
        assert_eq!(dialling.deference(Some(100 * MS)), 50 * MS);
        assert_eq!(dialling.deference(Some(MS)), DEFERENCE_MIN);
        assert_eq!(dialling.deference(Some(5000 * MS)), DEFERENCE_MAX);
        dialling.handle_lost(now + 600 * MS);
        assert_eq!(dialling.deference(Some(100 * MS)), Duration::ZERO);
    }

    #[test]
    fn lost_link_is_replaced_at_once_and_ever_after() {
        let now = Instant::now();
        let mut dialling = Dialling::new(now);
        dialling.handle_linked(Carrier::Quic, now);
        dialling.handle_lost(now);
        let seen = attempts(&mut dialling, now, Duration::from_secs(60));
        assert_eq!(seen[0], (0, Carrier::Quic));
        let quic: Vec<_> = seen.iter().filter(|(_, carrier)| *carrier == Carrier::Quic).collect();
        assert!(quic.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 1000), "{seen:?}");
        let later = attempts(&mut dialling, now + Duration::from_secs(86_400), 10_000 * MS);
        assert!(later.len() >= 10, "{later:?}");
    }

    #[test]
    fn link_inside_ssh_is_improved_upon_slowly() {
        let now = Instant::now();
        let mut dialling = Dialling::new(now);
        dialling.handle_linked(Carrier::Ssh, now);
        let seen = attempts(&mut dialling, now, Duration::from_secs(35));
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen.iter().all(|(_, carrier)| *carrier == Carrier::Quic));
    }

    #[derive(Debug, Clone)]
    enum Happens {
        Linked(bool),
        Lost,
        Asked,
        Answered,
        Hint,
        Time(u64),
    }

    proptest! {
        /// However things went, the pace is bounded, and a way that is needed is tried.
        #[test]
        fn pace_is_steady_whatever_happens(
            happenings in prop::collection::vec(
                prop_oneof![
                    any::<bool>().prop_map(Happens::Linked),
                    Just(Happens::Lost),
                    Just(Happens::Asked),
                    Just(Happens::Answered),
                    Just(Happens::Hint),
                    (0..30_000_u64).prop_map(Happens::Time),
                ],
                0..60,
            ),
        ) {
            let mut now = Instant::now();
            let mut dialling = Dialling::new(now);
            let mut asked = None;
            for happening in happenings {
                match happening {
                    Happens::Linked(is_ssh) => {
                        asked = None;
                        let carrier = if is_ssh { Carrier::Ssh } else { Carrier::Quic };
                        dialling.handle_linked(carrier, now);
                    }
                    Happens::Lost => dialling.handle_lost(now),
                    Happens::Asked => asked = asked.or(Some(now)),
                    Happens::Answered => asked = None,
                    Happens::Hint => dialling.handle_hint(now),
                    Happens::Time(millis) => now += Duration::from_millis(millis),
                }
                let heard_at = asked.is_none().then_some(now);
                let answers = Answers { asked_at: asked, heard_at, round_trip: None };
                dialling.handle_answers(answers, now);
                let mut count = 0;
                while dialling.poll_attempt(now).is_some() {
                    count += 1;
                }
                prop_assert!(count <= 2);
                if dialling.silent_since().is_some() {
                    let due = dialling.poll_timeout().expect("there is no way, so one is tried");
                    prop_assert!(due > now && due <= now + INTERVAL_BESIDE_LATER);
                }
            }
        }
    }
}
