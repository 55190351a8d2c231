//! The truth: what a program shows after each key, recorded at a terminal of this machine, without
//! any network, key by key.

use super::programs::{Program, SIZE};
use super::session::Key;
use super::view::{Eye, View};
use crate::pty::{PATIENCE, Pty};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tern_client::shell::key_report::target_of;
use tern_term::{Frame, KeyTarget, Screen, Size};
use tern_tests::World;

/// How long a key's answer may take to begin, on a busy machine; most keys have one at once.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(250);
/// Silence after which a program has answered a key, and one that starts others (Enter in a shell).
const QUIET_TIME: Duration = Duration::from_millis(30);
const LONG_QUIET_TIME: Duration = Duration::from_millis(250);

/// What a program shows.
pub(crate) struct Moment {
    /// Where somebody types.
    pub view: View,
    /// All of it, as Tern's host sees it.
    pub frame: Frame,
    /// Where keys go, by the terminal's settings.
    pub target: KeyTarget,
}

/// A session.
pub(crate) struct Recording {
    /// Into what.
    pub program: Program,
    /// What was typed.
    pub keys: Vec<Key>,
    /// Before the first key, and after each.
    pub moments: Vec<Moment>,
    /// Every view that the program's terminal went through, byte by byte: after which key first.
    passed: HashMap<View, usize>,
}

impl Recording {
    /// Types `keys` into `program`, waiting for each one's answer.
    pub(crate) fn make(world: &World, program: Program, keys: Vec<Key>) -> anyhow::Result<Self> {
        let home = world.home(&world.unique("truth"));
        let mut command = world.command("sh", &home);
        command.arg("-c").arg(program.command(&home.join("files"))?);
        let mut pty = Pty::spawn_by(&|mut command| command.spawn(), &command, SIZE)?;
        pty.wait_for("ready-")?;
        pty.record();
        pty.write(b"\r")?;
        let mut recorder = Recorder::new();
        let mut recording = Self { program, keys, moments: Vec::new(), passed: HashMap::new() };
        recorder.settle(&pty, LONG_QUIET_TIME, 0, &mut recording)?;
        for number in 0..recording.keys.len() {
            let key = recording.keys[number].bytes.clone();
            pty.write(&key)?;
            let is_long = matches!(key.as_slice(), b"\r" | b"\x1b" | b"\x04");
            let quiet = if is_long { LONG_QUIET_TIME } else { QUIET_TIME };
            recorder.settle(&pty, quiet, number + 1, &mut recording)?;
        }
        Ok(recording)
    }

    /// Whether a key shows as the character that it is.
    pub(crate) fn is_echoed(&self, key: usize) -> bool {
        let (before, after) = (&self.moments[key].view, &self.moments[key + 1].view);
        after.echoes(&self.keys[key].bytes, before)
    }

    /// Whether the program's terminal showed this at some time before it got key `typed`, counted
    /// from 0.
    pub(crate) fn has_passed(&self, view: &View, typed: usize) -> bool {
        self.passed.get(view).is_some_and(|first| *first <= typed)
    }
}

/// Reads what the program writes.
struct Recorder {
    eye: Eye,
    screen: Screen,
    read: usize,
    total: u64,
}

impl Recorder {
    fn new() -> Self {
        let size = Size { cols: SIZE.0, rows: SIZE.1 };
        Self { eye: Eye::new(SIZE.1), screen: Screen::new(size), read: 0, total: 0 }
    }

    /// Waits until the program is quiet, and adds what it shows then.
    fn settle(
        &mut self,
        pty: &Pty,
        quiet: Duration,
        typed: usize,
        recording: &mut Recording,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        pty.wait_for_output(self.total, ANSWER_TIME_MAX);
        while pty.wait_for_output(self.total, quiet) {
            anyhow::ensure!(start.elapsed() < PATIENCE, "the program never stops writing");
            self.total = pty.total();
        }
        anyhow::ensure!(
            !pty.is_closed(),
            "{} has ended: {}",
            recording.program.name(),
            pty.recent()
        );
        for (at, bytes) in pty.recorded_since(self.read) {
            self.read += 1;
            self.screen.handle_output(&bytes, at);
            for byte in bytes {
                let view = self.eye.handle_output(&[byte]);
                recording.passed.entry(view).or_insert(typed);
            }
        }
        let view = self.eye.view();
        recording.passed.entry(view.clone()).or_insert(typed);
        let target = target_of(pty.master());
        recording.moments.push(Moment { view, frame: self.screen.frame(), target });
        Ok(())
    }
}
