//! Recorded sessions, typed again in virtual time: the predictor of `tern join` on the far side of a
//! network that is only counted, over as many seeds as one likes.
//!
//! The network is a model: a key takes half the round trip, more by chance, and where it is lost the
//! time until it is sent again; keys arrive in order; of pictures the newest counts. The host answers
//! with what the program showed after that key when it was recorded, so what a program does with
//! keys that come in a heap isn't in it.

use super::recording::Recording;
use super::score::{Fate, Sight, judge};
use super::view::View;
use crate::chance::Chance;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tern_client::core::marks::Marks;
use tern_client::core::prediction::Predictor;
use tern_client::core::prediction::display::Mode;
use tern_sync::session::ViewerId;
use tern_term::{KeyReport, Shown};

/// A path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// For tables.
    pub name: &'static str,
    /// Without jitter.
    pub round_trip: Duration,
    /// Up to so much more, each way.
    pub jitter: Duration,
    /// Share of packets that are lost, each way.
    pub loss: f64,
}

/// netsim's networks, as far as they matter here.
pub(crate) const PATHS: [Path; 5] = [
    path("lan", 1, 1, 0.0),
    path("wifi", 38, 8, 0.006),
    path("lossy", 100, 1, 0.29),
    path("lte", 400, 400, 0.001),
    path("satellite", 600, 10, 0.005),
];

const fn path(name: &'static str, round_trip_ms: u64, jitter_ms: u64, loss: f64) -> Path {
    let round_trip = Duration::from_millis(round_trip_ms);
    Path { name, round_trip, jitter: Duration::from_millis(jitter_ms), loss }
}

/// What a program takes to answer a key.
const PROGRAM_TIME: Duration = Duration::from_millis(2);
/// The pace differs by seed: standard deviation of the logarithm of each pause's factor.
const PACE_SIGMA: f64 = 0.3;
/// How long somebody waits for a result before typing on all the same.
const LOOK_TIME_MAX: Duration = Duration::from_secs(15);
/// The multiplexer's prefix, as tmux has it.
const PREFIX: u8 = 0x02;

/// What happens next.
enum Due {
    /// Keys so far reach the program.
    Typed(usize),
    /// A picture reaches the viewer.
    Shown(Box<Shown>),
}

/// A session in virtual time.
struct Replay<'a> {
    recording: &'a Recording,
    path: Path,
    chance: Chance,
    now: Instant,
    predictor: Predictor,
    marks: Marks,
    /// Keys that the program got.
    reached: usize,
    key_arrives_at: Instant,
    picture_arrives_at: Instant,
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
    sights: Vec<Sight>,
}

/// Types `recording` over `path`; what came of each key, and in words what was wrong and what
/// late.
pub(crate) fn replay(
    recording: &Recording,
    path: Path,
    mode: Mode,
    seed: u64,
) -> (Vec<Fate>, Vec<String>) {
    let start = Instant::now();
    let mut predictor = Predictor::new(mode);
    predictor.handle_rtt(path.round_trip);
    let mut replay = Replay {
        recording,
        path,
        chance: Chance::new(seed),
        now: start,
        predictor,
        marks: Marks::default(),
        reached: 0,
        key_arrives_at: start,
        picture_arrives_at: start,
        due: BTreeMap::new(),
        count: 0,
        sights: Vec::new(),
    };
    replay.show();
    replay.pass(2 * path.round_trip + Duration::from_secs(1), |_| false);
    let mut typed = Vec::new();
    for (number, key) in recording.keys.iter().enumerate() {
        if key.looks {
            let view = &recording.moments[number].view;
            replay.pass(LOOK_TIME_MAX, |shown| shown == view);
        }
        let factor = replay.chance.log_normal(1.0, PACE_SIGMA);
        replay.pass(key.pause.mul_f64(factor), |_| false);
        typed.push(replay.now);
        let mark = u32::try_from(number + 1).expect("a session is short");
        replay.predictor.handle_keys(&key.bytes, mark, replay.now);
        let arrives = replay.now + replay.one_way();
        replay.key_arrives_at = replay.key_arrives_at.max(arrives);
        replay.later(replay.key_arrives_at, Due::Typed(number + 1));
        replay.see();
    }
    replay.pass(LOOK_TIME_MAX, |_| false);
    judge(recording, &typed, &replay.sights, path.round_trip)
}

impl Replay<'_> {
    fn later(&mut self, at: Instant, due: Due) {
        self.count += 1;
        self.due.insert((at, self.count), due);
    }

    fn one_way(&mut self) -> Duration {
        let jitter = self.path.jitter.as_micros() as u64;
        let mut time =
            self.path.round_trip / 2 + Duration::from_micros(self.chance.below(jitter + 1));
        while self.chance.happens(self.path.loss) {
            // It is sent again when no answer has come.
            time += self.path.round_trip;
        }
        time
    }

    /// Time passes until `is_enough` of what is shown, `time` at most.
    fn pass(&mut self, time: Duration, is_enough: impl Fn(&View) -> bool) {
        let end = self.now + time;
        while !self.sights.last().is_some_and(|(_, view)| is_enough(view)) {
            let event = self.due.first_key_value().map(|((at, _), _)| *at);
            let timeouts = [event, self.predictor.poll_timeout(), self.marks.poll_timeout()];
            let Some(next) = timeouts.into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if event == Some(next) {
                let (_, due) = self.due.pop_first().expect("it was there");
                self.happens(due);
            }
            if self.marks.handle_timeout(self.now) {
                self.show();
            }
            if self.predictor.poll_timeout().is_some_and(|due| due <= self.now) {
                self.predictor.handle_timeout(self.now);
            }
            self.see();
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Typed(count) => {
                self.reached = count;
                let mark = u32::try_from(count).expect("a session is short");
                self.marks.handle_input(ViewerId(0), mark);
                self.marks.handle_typed(self.now);
                self.now += PROGRAM_TIME;
                self.show();
            }
            Due::Shown(shown) => self.predictor.handle_shown(&shown, self.now),
        }
    }

    /// The host sends what it sees.
    fn show(&mut self) {
        let moment = &self.recording.moments[self.reached];
        let keys = KeyReport {
            target: moment.target,
            prefixes: vec![vec![PREFIX]],
            marks: self.marks.answered(),
        };
        let shown = Shown { frame: moment.frame.clone(), keys: keys.into() };
        let arrives = self.now + self.one_way();
        self.picture_arrives_at = self.picture_arrives_at.max(arrives);
        self.later(self.picture_arrives_at, Due::Shown(Box::new(shown)));
    }

    fn see(&mut self) {
        let view = View::of_frame(&self.predictor.overlay());
        if self.sights.last().is_none_or(|(_, last)| *last != view) {
            self.sights.push((self.now, view));
        }
    }
}
