//! Events on their way: one after the other, each tried again until it is taken or given up.

use super::event::{Event, Kind};
use super::rate::Rate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Events that wait. At some 300 bytes each, 20 kB for a session whose receiver is out of order.
pub const WAITING_MAX: usize = 64;
/// Rest after the first try that failed (tmate's); it doubles from one to the next.
pub const RETRY_DELAY: Duration = Duration::from_millis(300);
/// The longest rest.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(300);
/// Tries of one event; the last is some ten minutes after the first: a receiver may be restarted, or
/// somebody called. (tmate's server tried for hours, and all that came behind waited.)
pub const TRIES_MAX: u32 = 12;
/// A session sends so often in the long run: more than people come and go.
const SEND_INTERVAL: Duration = Duration::from_millis(500);
/// And so often at once, after a rest: a team that joins.
const SEND_BURST: u32 = 20;

/// The events of one session.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<Event>,
    /// Of the first one; it failed so often.
    tries: u32,
    is_trying: bool,
    /// Not before.
    next_at: Option<Instant>,
    rate: Rate,
    dropped_count: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            tries: 0,
            is_trying: false,
            next_at: None,
            rate: Rate::new(SEND_INTERVAL, SEND_BURST),
            dropped_count: 0,
        }
    }
}

impl Queue {
    /// Adds an event. If there is no place, the oldest that is about a viewer makes one, or else the
    /// oldest; it is given back.
    pub fn push(&mut self, event: Event) -> Option<Event> {
        let given_up = if self.waiting.len() >= WAITING_MAX {
            let first = usize::from(self.is_trying);
            let of_viewer = |at: &usize| self.waiting[*at].kind.is_of_viewer();
            let victim = (first..self.waiting.len()).find(of_viewer).unwrap_or(first);
            if victim == 0 {
                self.begin_next();
            }
            self.dropped_count += 1;
            self.waiting.remove(victim)
        } else {
            None
        };
        self.waiting.push_back(event);
        given_up
    }

    /// The next try is due: this event is to be sent now, and its fate told by
    /// [`Self::handle_taken`] or [`Self::handle_failed`].
    pub fn poll(&mut self, now: Instant) -> Option<&Event> {
        if self.poll_timeout(now)? > now {
            return None;
        }
        self.is_trying = true;
        self.rate.spend(now);
        self.waiting.front()
    }

    /// When the next try is due; `None`: nothing waits, or one is under way.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.is_trying || self.waiting.is_empty() {
            return None;
        }
        let ready_at = self.rate.ready_at(now).unwrap_or(now);
        Some(self.next_at.map_or(ready_at, |next_at| next_at.max(ready_at)))
    }

    /// The event was taken.
    pub fn handle_taken(&mut self) {
        if self.is_trying {
            self.waiting.pop_front();
            self.begin_next();
        }
    }

    /// It was not. Gives it back if it is given up.
    pub fn handle_failed(&mut self, now: Instant) -> Option<Event> {
        if !self.is_trying {
            return None;
        }
        self.is_trying = false;
        self.tries += 1;
        if self.tries < TRIES_MAX {
            let delay = RETRY_DELAY.saturating_mul(1 << (self.tries - 1));
            self.next_at = Some(now + delay.min(RETRY_DELAY_MAX));
            return None;
        }
        self.begin_next();
        self.dropped_count += 1;
        self.waiting.pop_front()
    }

    /// Gives up everything; gives the kinds of what waited.
    pub fn clear(&mut self) -> Vec<Kind> {
        self.begin_next();
        let kinds: Vec<_> = self.waiting.drain(..).map(|event| event.kind).collect();
        self.dropped_count += kinds.len() as u64;
        kinds
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were given up.
    pub fn dropped_count(&self) -> u64 {
        self.dropped_count
    }

    fn begin_next(&mut self) {
        (self.is_trying, self.tries, self.next_at) = (false, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Uuid;
    use super::*;
    use proptest::prelude::*;

    fn event(sequence: u64, kind: Kind) -> Event {
        let (id, at_micros, generation) = (Uuid::of([0; 16]), 0, 1);
        Event { id, sequence, at_micros, generation, kind }
    }

    fn left(sequence: u64) -> Event {
        event(sequence, Kind::Left { id: Uuid::of([0; 16]) })
    }

    #[test]
    fn event_is_tried_later_and_later_and_given_up_at_last() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.push(left(0));
        queue.push(left(1));
        let (mut now, mut tries) = (start, Vec::new());
        loop {
            now = queue.poll_timeout(now).expect("it waits");
            assert_eq!(queue.poll(now).map(|event| event.sequence), Some(0));
            assert_eq!(queue.poll_timeout(now), None, "one at a time");
            tries.push(now - start);
            if let Some(given_up) = queue.handle_failed(now) {
                assert_eq!(given_up.sequence, 0);
                break;
            }
        }
        assert_eq!(tries.len() as u32, TRIES_MAX);
        let expected = [0, 300, 900, 2100].map(Duration::from_millis);
        assert_eq!(tries[..4], expected);
        let last = tries.last().expect("there were some");
        assert!((Duration::from_secs(540)..Duration::from_secs(660)).contains(last), "{last:?}");
        assert_eq!(queue.poll_timeout(now), Some(now), "the next one is not held up");
        assert_eq!(queue.dropped_count(), 1);
    }

    #[test]
    fn full_queue_gives_up_viewers_first_and_never_what_is_under_way() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(event(0, Kind::Disconnect));
        assert!(queue.poll(now).is_some());
        for sequence in 1..WAITING_MAX as u64 {
            let kind = if sequence == 5 { left(5).kind } else { Kind::Disconnect };
            assert_eq!(queue.push(event(sequence, kind)), None);
        }
        assert_eq!(queue.push(event(100, Kind::Close)).map(|event| event.sequence), Some(5));
        assert_eq!(queue.push(event(101, Kind::Close)).map(|event| event.sequence), Some(1));
        queue.handle_taken();
        assert_eq!(queue.poll(now).map(|event| event.sequence), Some(2));
    }

    #[test]
    fn flood_is_sent_at_a_bounded_rate() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let (mut now, mut sent) = (start, 0);
        while now < start + Duration::from_secs(60) {
            queue.push(left(sent));
            now = queue.poll_timeout(now).expect("one waits");
            assert!(queue.poll(now).is_some());
            queue.handle_taken();
            sent += 1;
        }
        assert!((120..150).contains(&sent), "{sent}");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_in_order_and_bounded(steps in prop::collection::vec(0u8..4, 0..400)) {
            let (mut queue, mut now, mut pushed) = (Queue::default(), Instant::now(), 0);
            let (mut last, mut taken) = (None, 0);
            for step in steps {
                match step {
                    0 | 1 => {
                        let kind = if step == 0 { Kind::Disconnect } else { left(0).kind };
                        queue.push(event(pushed, kind));
                        pushed += 1;
                    }
                    _ => {
                        now = queue.poll_timeout(now).unwrap_or(now);
                        if let Some(event) = queue.poll(now) {
                            prop_assert!(last <= Some(event.sequence));
                            last = Some(event.sequence);
                            if step == 2 {
                                queue.handle_taken();
                                taken += 1;
                            } else {
                                queue.handle_failed(now);
                            }
                        }
                    }
                }
                prop_assert!(queue.waiting.len() <= WAITING_MAX);
                let count = taken + queue.dropped_count() + queue.waiting.len() as u64;
                prop_assert_eq!(count, pushed);
            }
        }
    }
}
