//! The receiving side of a channel: the states held so far.

use crate::body::unpack;
use crate::kept::KEPT_STATES_MAX;
use crate::shard::Assembly;
use crate::wire::{Body, Head, Place};
use crate::{Load, PeerError, State};
use std::any::Any;
use std::time::Instant;

/// What a diff did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The newest state is another one now.
    Newer,
    /// A state between others was filled in, or was held already.
    Known,
    /// Its base is not held: it was lost, or comes later.
    Unusable,
    /// A shard of a diff; others are missing.
    Incomplete,
}

/// A [`Receiver`] of any state.
pub(crate) trait AnyReceiver: std::fmt::Debug + Send + Sync {
    fn id(&self) -> u16;
    /// Whether events arrive on it: somebody's doing.
    fn is_log(&self) -> bool;
    /// See [`State::IS_ECHOED`].
    fn is_echoed(&self) -> bool;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// Number of the newest state held.
    fn newest_num(&self) -> u64;
    fn handle_diff(&mut self, head: Head, body: Body<'_>) -> Result<Outcome, PeerError>;
    fn handle_fragment(
        &mut self,
        head: Head,
        place: Place,
        body: Body<'_>,
        now: Instant,
    ) -> Result<Outcome, PeerError>;
    fn load(&self) -> Load;
    /// See [`State::share`], of all that is held, and of what is in pieces.
    fn share(&self) -> usize;
    /// What was done since it was last asked, see [`State::work`].
    fn take_work(&mut self) -> usize;
}

/// Holds the states that the sender may use as bases: its front and the [`KEPT_STATES_MAX`] latest.
///
/// The sender keeps no others (see [`crate::sender`]), so what is dropped here is never asked for,
/// and what was acknowledged is held until the sender says that it has a newer front.
pub(crate) struct Receiver<S> {
    id: u16,
    /// By number, ascending; never empty.
    held: Vec<(u64, S)>,
    /// The newest state that the sender named as its front.
    front: u64,
    /// The newest state that the sender named.
    named: u64,
    assembly: Assembly,
    /// For logs: how many entries were handed out.
    pub(crate) taken: u64,
    work: usize,
}

impl<S: State> Receiver<S> {
    pub(crate) fn new(id: u16, initial: S) -> Self {
        let assembly = Assembly::default();
        Self { id, held: vec![(0, initial)], front: 0, named: 0, assembly, taken: 0, work: 0 }
    }

    pub(crate) fn newest(&self) -> &S {
        let (_, state) = self.held.last().expect("never empty");
        state
    }

    /// Lets go of what was handed out from all states.
    pub(crate) fn forget(&mut self) {
        let newest = self.newest().clone();
        for (_, state) in &mut self.held {
            state.forget(&newest);
        }
    }

    fn apply(&mut self, head: Head, body: Body<'_>) -> Result<Outcome, PeerError> {
        let newest = self.newest_num();
        let at = match self.held.binary_search_by_key(&head.num, |(num, _)| *num) {
            Ok(_) => return Ok(Outcome::Known),
            Err(at) => at,
        };
        if head.num < newest && !self.is_wanted(head.num) {
            return Ok(Outcome::Known);
        }
        let Ok(base) = self.held.binary_search_by_key(&head.base, |(num, _)| *num) else {
            // An older state would help as a base only, and the sender has newer ones.
            let is_old = head.num < newest;
            return Ok(if is_old { Outcome::Known } else { Outcome::Unusable });
        };
        let state = self.held[base]
            .1
            .apply(&unpack(body)?)
            .map_err(|e| PeerError(format!("channel {}: {e}", self.id)))?;
        self.work = self.work.saturating_add(state.work());
        self.held.insert(at, (head.num, state));
        self.assembly.on_held(self.newest_num());
        Ok(if head.num > newest { Outcome::Newer } else { Outcome::Known })
    }

    fn is_wanted(&self, num: u64) -> bool {
        num == self.front || num.saturating_add(KEPT_STATES_MAX) > self.named
    }

    /// Drops what the sender, by what it named, will never use again.
    fn prune(&mut self, head: Head) {
        self.front = self.front.max(head.front);
        self.named = self.named.max(head.num);
        let (newest, front) = (self.newest_num(), self.front);
        let named = self.named;
        self.held.retain(|(num, _)| {
            *num == newest
                || *num == front
                || (*num > front && num.saturating_add(KEPT_STATES_MAX) > named)
        });
    }
}

impl<S: State> AnyReceiver for Receiver<S> {
    fn id(&self) -> u16 {
        self.id
    }

    fn is_log(&self) -> bool {
        S::IS_LOG
    }

    fn is_echoed(&self) -> bool {
        S::IS_ECHOED
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn newest_num(&self) -> u64 {
        self.held.last().expect("never empty").0
    }

    fn handle_diff(&mut self, head: Head, body: Body<'_>) -> Result<Outcome, PeerError> {
        let outcome = self.apply(head, body)?;
        self.prune(head);
        Ok(outcome)
    }

    fn handle_fragment(
        &mut self,
        head: Head,
        place: Place,
        body: Body<'_>,
        now: Instant,
    ) -> Result<Outcome, PeerError> {
        if head.num <= self.newest_num() {
            self.prune(head);
            return Ok(Outcome::Known);
        }
        match self.assembly.handle(head, place, body, now)? {
            None => Ok(Outcome::Incomplete),
            Some(whole) => self.handle_diff(whole.head, whole.body()),
        }
    }

    fn load(&self) -> Load {
        Load {
            states_count: self.held.len(),
            states_size: self.held.iter().map(|(_, state)| state.size()).sum(),
            pending_size: self.assembly.byte_count(),
        }
    }

    fn share(&self) -> usize {
        let states = self.held.iter().map(|(_, state)| state.share());
        states.sum::<usize>() + self.assembly.byte_count()
    }

    fn take_work(&mut self) -> usize {
        std::mem::take(&mut self.work)
    }
}

impl<S> std::fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nums: Vec<u64> = self.held.iter().map(|(num, _)| *num).collect();
        f.debug_struct("Receiver")
            .field("id", &self.id)
            .field("held", &nums)
            .field("front", &self.front)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::session::{ViewerEvent, ViewerId};

    type Events = Log<ViewerEvent>;

    #[test]
    fn state_between_others_is_kept_but_not_shown() {
        let mut receiver = Receiver::new(1, Events::new());
        assert_eq!(apply(&mut receiver, 2, 0, 0), Outcome::Newer);
        assert_eq!(apply(&mut receiver, 1, 0, 0), Outcome::Known);
        assert_eq!((receiver.newest_num(), receiver.load().states_count), (2, 3));
        assert_eq!(apply(&mut receiver, 3, 0, 1), Outcome::Newer);
    }

    #[test]
    fn diff_without_its_base_changes_nothing() {
        let mut receiver = Receiver::new(1, Events::new());
        assert_eq!(apply(&mut receiver, 2, 0, 1), Outcome::Unusable);
        assert_eq!(receiver.newest_num(), 0);
    }

    #[test]
    fn front_is_held_however_many_states_follow() {
        let mut receiver = Receiver::new(1, Events::new());
        assert_eq!(apply(&mut receiver, 1, 0, 0), Outcome::Newer);
        for num in 2..100 {
            assert_eq!(apply(&mut receiver, num, 1, 1), Outcome::Newer);
        }
        assert_eq!(
            receiver.load().states_count,
            1 + usize::try_from(KEPT_STATES_MAX).expect("few")
        );
        assert_eq!(apply(&mut receiver, 100, 99, 99), Outcome::Newer);
        assert_eq!(receiver.load().states_count, 2);
    }

    #[test]
    fn numbers_at_the_end_of_the_range_do_no_harm() {
        let mut receiver = Receiver::new(1, Events::new());
        assert_eq!(apply(&mut receiver, u64::MAX, 0, 0), Outcome::Newer);
        assert_eq!(apply(&mut receiver, u64::MAX - 1, 0, 0), Outcome::Known);
        assert_eq!(apply(&mut receiver, u64::MAX, u64::MAX - 2, u64::MAX - 1), Outcome::Known);
        assert!(receiver.load().states_count <= 3);
    }

    /// State `num` with one entry more than `base`.
    fn apply(receiver: &mut Receiver<Events>, num: u64, front: u64, base: u64) -> Outcome {
        let mut log = Events::new();
        assert!(log.push(ViewerEvent::Left { viewer: ViewerId(1) }));
        let diff = log.diff(&Events::new());
        let head = Head { channel: 1, num, front, base };
        receiver.handle_diff(head, Body::Plain(&diff)).expect("own diff")
    }
}
