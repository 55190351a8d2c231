//! The states that a sender keeps, as bases for diffs.

use crate::State;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// States kept beside the front. About two are in flight per round trip, of small ones about eight; this
/// many cover a path whose round trip suddenly takes eight times as long, or nearly twice. Part of the
/// protocol.
pub(crate) const KEPT_STATES_MAX: u64 = 16;

/// A state that was sent.
pub(crate) struct Sent<S> {
    pub(crate) num: u64,
    pub(crate) state: S,
    /// When the oldest datagram that this state depends on was sent: its own, or that of its base.
    /// `None` if it cannot be presumed to have arrived.
    pub(crate) presumed_since: Option<Instant>,
    /// Whether the last diff sent for it was against the front of that time.
    pub(crate) is_self_contained: bool,
}

/// The front (the newest state that the peer acknowledged) and the [`KEPT_STATES_MAX`] latest.
pub(crate) struct Kept<S>(VecDeque<Sent<S>>);

impl<S: State> Kept<S> {
    /// State 0, which the peer has from the start.
    pub(crate) fn new(state: S) -> Self {
        let front = Sent { num: 0, state, presumed_since: None, is_self_contained: true };
        Self(VecDeque::from([front]))
    }

    pub(crate) fn front(&self) -> &Sent<S> {
        self.0.front().expect("never empty")
    }

    pub(crate) fn last(&self) -> &Sent<S> {
        self.0.back().expect("never empty")
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes that all of them hold.
    pub(crate) fn size(&self) -> usize {
        self.0.iter().map(|sent| sent.state.size()).sum()
    }

    /// See [`State::share`].
    pub(crate) fn share(&self) -> usize {
        self.0.iter().map(|sent| sent.state.share()).sum()
    }

    pub(crate) fn find_mut(&mut self, num: u64) -> Option<&mut Sent<S>> {
        self.0.iter_mut().find(|sent| sent.num == num)
    }

    /// The newest state before `num` that the peer presumably holds, beside the front.
    pub(crate) fn presumed(&self, num: u64, now: Instant, delay: Duration) -> Option<&Sent<S>> {
        let front = self.front().num;
        self.0.iter().rev().find(|sent| {
            sent.num != front
                && sent.num < num
                && sent.presumed_since.is_some_and(|since| since + delay > now)
        })
    }

    /// A state was sent, for the first time or again.
    pub(crate) fn on_sent(&mut self, sent: Sent<S>) {
        let num = sent.num;
        match self.find_mut(num) {
            Some(again) => *again = sent,
            None => self.0.push_back(sent),
        }
        while self.0.get(1).is_some_and(|old| old.num + KEPT_STATES_MAX <= num) {
            self.0.remove(1);
        }
    }

    /// State `num` becomes the front: whether it is one that is kept, and news. What it lets go of is
    /// forgotten by all others.
    pub(crate) fn on_ack(&mut self, num: u64) -> bool {
        if num == self.front().num || !self.0.iter().any(|sent| sent.num == num) {
            return false;
        }
        self.0.retain(|sent| sent.num >= num);
        let front = self.front().state.clone();
        for sent in &mut self.0 {
            sent.state.forget(&front);
        }
        true
    }

    /// Nothing but the front can be presumed to have arrived.
    pub(crate) fn write_off(&mut self) {
        for sent in &mut self.0 {
            sent.presumed_since = None;
        }
    }
}

impl<S> std::fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|sent| sent.num)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::session::ViewerEvent;

    #[test]
    fn front_and_the_latest_are_kept() {
        let mut kept = Kept::new(Log::<ViewerEvent>::new());
        for num in 1..100 {
            kept.on_sent(sent(num));
        }
        assert_eq!((kept.front().num, kept.last().num), (0, 99));
        assert_eq!(kept.len(), 17);
        assert!(!kept.on_ack(50), "it was let go of");
        assert!(kept.on_ack(98));
        assert!(!kept.on_ack(98), "no news");
        assert_eq!((kept.front().num, kept.len()), (98, 2));
    }

    #[test]
    fn presumption_ends_with_time_or_loss() {
        let delay = Duration::from_millis(100);
        let mut kept = Kept::new(Log::<ViewerEvent>::new());
        let first = sent(1);
        let at = first.presumed_since.expect("sent");
        kept.on_sent(first);
        assert_eq!(kept.presumed(2, at, delay).map(|sent| sent.num), Some(1));
        assert!(kept.presumed(1, at, delay).is_none());
        assert!(kept.presumed(2, at + delay, delay).is_none());
        kept.write_off();
        assert!(kept.presumed(2, at, delay).is_none());
    }

    fn sent(num: u64) -> Sent<Log<ViewerEvent>> {
        let presumed_since = Some(Instant::now());
        Sent { num, state: Log::new(), presumed_since, is_self_contained: true }
    }
}
