//! What became of each key: when its effect was shown, and what was shown that never came true.
//!
//! As in the mosh paper (section 4): a key counts as shown when the terminal shows its effect, be it
//! foretold or true; and what was shown is wrong if it had to be repaired, that is, if the program's
//! own terminal never showed it.

use super::recording::Recording;
use super::view::{Eye, View};
use std::time::{Duration, Instant};

/// What is shown sooner feels like one's own machine: less than a frame of any screen.
const AT_ONCE: Duration = Duration::from_millis(5);
/// What stands shorter than this, nobody sees: a screen that is drawn in several parts.
const SEEN_TIME_MIN: Duration = Duration::from_millis(20);

/// What one key came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    /// It shows as the character that it is: who types expects to see it at once.
    pub is_echoed: bool,
    /// From the key to its effect; `None`: it never showed.
    pub delay: Option<Duration>,
    /// Something was shown, when it was the newest key, that never came true.
    pub is_wrong: bool,
}

impl Fate {
    /// Whether its effect was shown as soon as anybody can see.
    pub(crate) fn is_at_once(&self) -> bool {
        self.delay.is_some_and(|delay| delay < AT_ONCE)
    }
}

/// What a terminal showed, from when on.
pub(crate) type Sight = (Instant, View);

/// Reads a terminal's recorded output; what only repeats is left out.
pub(crate) fn sights(pieces: &[(Instant, Vec<u8>)], rows: u16) -> Vec<Sight> {
    let mut eye = Eye::new(rows);
    let mut sights: Vec<Sight> = Vec::new();
    for (at, bytes) in pieces {
        let view = eye.handle_output(bytes);
        if sights.last().is_none_or(|(_, last)| *last != view) {
            sights.push((*at, view));
        }
    }
    sights
}

/// What became of the first keys of `recording`, typed at `typed`, and in words what was wrong
/// and what late. No true echo can be faster than `round_trip`.
pub(crate) fn judge(
    recording: &Recording,
    typed: &[Instant],
    sights: &[Sight],
    round_trip: Duration,
) -> (Vec<Fate>, Vec<String>) {
    let mut fates: Vec<Fate> = (0..typed.len())
        .map(|key| Fate { is_echoed: recording.is_echoed(key), delay: None, is_wrong: false })
        .collect();
    let mut notes = Vec::new();
    // Moments up to this one were seen.
    let mut seen = 0;
    for (number, (at, view)) in sights.iter().enumerate() {
        let count = typed.partition_point(|key| key <= at);
        let may_be = |moment: &usize| recording.moments[*moment].view == *view;
        let mut candidates = (seen + 1..=count).filter(may_be);
        let first = candidates.next();
        // If several fit, the newest that can be true; a prediction is of the first.
        let is_due = |moment: &usize| *at >= typed[moment - 1] + round_trip;
        let found = candidates.rfind(is_due).or(first);
        if let Some(found) = found {
            for key in seen..found {
                fates[key].delay = Some(at.saturating_duration_since(typed[key]));
            }
            seen = found;
        }
        let end = sights.get(number + 1).map_or(*at + SEEN_TIME_MIN, |(end, _)| *end);
        if count > 0 && end - *at >= SEEN_TIME_MIN && !recording.has_passed(view, count) {
            fates[count - 1].is_wrong = true;
            notes.push(explanation(recording, count, view, end - *at));
        }
    }
    let late = fates.iter().enumerate().filter(|(_, fate)| fate.is_echoed && !fate.is_at_once());
    notes.extend(late.map(|(key, fate)| {
        let keys = recording.keys[key.saturating_sub(3)..=key].iter();
        let keys: Vec<_> = keys.map(|key| String::from_utf8_lossy(&key.bytes)).collect();
        format!(
            "late: key {} of {keys:?}, {:?}; {:?}",
            key + 1,
            fate.delay,
            recording.moments[key].view
        )
    }));
    (fates, notes)
}

fn explanation(recording: &Recording, count: usize, view: &View, time: Duration) -> String {
    let (key, truth) = (&recording.keys[count - 1].bytes, &recording.moments[count].view);
    let key = String::from_utf8_lossy(key);
    format!("wrong: key {count} {key:?}: {view:?} for {time:?}; the truth then: {truth:?}")
}
