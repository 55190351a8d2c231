//! Who types a session at a viewer's terminal, at a person's pace, looking where a person looks.

use super::recording::Recording;
use super::score::{Fate, judge, sights};
use super::stage::Place;
use super::view::{Eye, View};
use crate::pty::{Pty, pause};
use std::time::{Duration, Instant};

/// How long a program may take to begin before the viewer's eyes: through a queue of seconds.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(30);
/// How long somebody waits for a result before typing on all the same.
const LOOK_TIME_MAX: Duration = Duration::from_secs(15);

/// Types all of `recording`; `pause_max` cuts pauses short.
pub(crate) fn type_session(
    pty: &mut Pty,
    rows: u16,
    recording: &Recording,
    place: &Place,
    pause_max: Duration,
) -> anyhow::Result<(Vec<Fate>, Vec<String>)> {
    let mut watch = Watch { eye: Eye::new(rows), known: 0, total: 0 };
    pty.write(b"\r")?;
    let first = &recording.moments[0].view;
    let has_begun = watch.wait_for(pty, first, BEGIN_TIME_MAX);
    anyhow::ensure!(
        has_begun,
        "{} does not begin: {:?}",
        recording.program.name(),
        watch.eye.view()
    );
    let mut typed = Vec::new();
    let mut next = Instant::now();
    for (number, key) in recording.keys.iter().enumerate() {
        if key.looks {
            watch.wait_for(pty, &recording.moments[number].view, LOOK_TIME_MAX);
            next = Instant::now();
        }
        next += key.pause.min(pause_max);
        pause(next.saturating_duration_since(Instant::now()));
        typed.push(Instant::now());
        pty.write(&key.bytes)?;
    }
    watch.wait_for(pty, &recording.moments[typed.len()].view, LOOK_TIME_MAX);
    let sights = sights(&pty.recorded_since(0), rows);
    Ok(judge(recording, &typed, &sights, place.round_trip))
}

/// Looks at a terminal while it is typed at.
struct Watch {
    eye: Eye,
    known: usize,
    total: u64,
}

impl Watch {
    /// Waits until it shows `view`; `false` if it doesn't in time.
    fn wait_for(&mut self, pty: &Pty, view: &View, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            self.total = pty.total();
            for (_, bytes) in pty.recorded_since(self.known) {
                self.known += 1;
                self.eye.handle_output(&bytes);
            }
            if self.eye.view() == *view {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || pty.is_closed() {
                return false;
            }
            pty.wait_for_output(self.total, left);
        }
    }
}
