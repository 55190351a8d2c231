//! What happens when: the next event of a timetable, repeated ones included.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::description::{Action, Scheduled};

/// Events yet to come, in order; those of the same moment in the order of the description.
#[derive(Debug)]
pub(crate) struct Timetable {
    coming: BTreeMap<(Duration, usize), Scheduled>,
}

impl Timetable {
    pub(crate) fn new(events: &[Scheduled]) -> Self {
        let place = |(place, event): (usize, &Scheduled)| ((event.at, place), event.clone());
        let is_ever = |event: &Scheduled| event.until.is_none_or(|until| event.at <= until);
        let coming =
            events.iter().enumerate().filter(|(_, event)| is_ever(event)).map(place).collect();
        Self { coming }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.coming.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next event that is due by `now`.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<(Duration, Action)> {
        let first = self.coming.first_entry()?;
        let (at, place) = *first.key();
        if at > now {
            return None;
        }
        let event = first.remove();
        if let Some(next) = event.every.and_then(|period| at.checked_add(period))
            && event.until.is_none_or(|until| next <= until)
        {
            self.coming.insert((next, place), event.clone());
        }
        Some((at, event.action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Description;

    #[test]
    fn events_come_in_order_and_again() {
        let s = Duration::from_secs;
        let mut network = Description::new()
            .at(s(5), Action::up("b"))
            .every(s(2), s(1), Action::down("a"))
            .at(s(5), Action::up("c"));
        network.timetable[1].until = Some(s(5));
        let mut timetable = Timetable::new(&network.timetable);
        let all: Vec<_> = std::iter::from_fn(|| timetable.poll(s(100)))
            .map(|(at, action)| format!("{} {action}", at.as_secs()))
            .collect();
        assert_eq!(all, ["1 down a", "3 down a", "5 up b", "5 down a", "5 up c"]);
        assert_eq!(timetable.poll_timeout(), None);
    }
}
