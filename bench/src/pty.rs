//! A terminal without an emulator: a pty whose output is read at once, with the time of reading.

use crate::glyphs::Glyphs;
use anyhow::Context as _;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long anything may take before the benchmark gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Columns and rows of every terminal here.
pub(crate) const SIZE: (u16, u16) = (80, 24);
/// Output that is kept for searching.
const KEPT_SIZE_MAX: usize = 64 * 1024;

/// Starts a program: here, or on a host of a described network.
pub(crate) type Starter<'a> = &'a dyn Fn(Command) -> io::Result<Child>;

/// A program in a terminal of its own.
pub(crate) struct Pty {
    master: File,
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    recent: Vec<u8>,
    glyphs: Glyphs,
    total: u64,
    is_closed: bool,
    /// Looked for in what comes after it was set.
    wanted: Option<(Vec<u8>, usize)>,
    found_at: Option<Instant>,
    /// All output since [`Pty::record`], with the time of reading.
    recorded: Option<Vec<(Instant, Vec<u8>)>>,
}

impl Pty {
    /// Starts a command in a terminal. `setsid --ctty` makes it the session's leader, as a login
    /// does.
    pub(crate) fn spawn(command: &Command) -> anyhow::Result<Self> {
        Self::spawn_by(&|mut command| command.spawn(), command, SIZE)
    }

    /// The same, started by `starter` in a terminal of `size` (columns and rows).
    pub(crate) fn spawn_by(
        starter: Starter<'_>,
        command: &Command,
        size: (u16, u16),
    ) -> anyhow::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let slave = OpenOptions::new().read(true).write(true).open(path)?;
        let size = Winsize { ws_col: size.0, ws_row: size.1, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size)?;
        let mut leader = Command::new("setsid");
        leader.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            leader.current_dir(folder);
        }
        leader.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let child = starter(leader).with_context(|| format!("cannot start {command:?}"))?;
        let output = Arc::<Output>::default();
        let (mut reader, shared) = (File::from(master.try_clone()?), Arc::clone(&output));
        std::thread::spawn(move || read_all(&mut reader, &shared));
        Ok(Self { master: File::from(master), child, output })
    }

    /// Types.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.master.write_all(bytes)?)
    }

    /// Bytes that the program has written so far.
    pub(crate) fn total(&self) -> u64 {
        self.state().total
    }

    /// From now on all output is kept, for [`Self::recorded_since`].
    pub(crate) fn record(&self) {
        self.state().recorded = Some(Vec::new());
    }

    /// What was recorded, without the first `known` pieces.
    pub(crate) fn recorded_since(&self, known: usize) -> Vec<(Instant, Vec<u8>)> {
        let state = self.state();
        let all = state.recorded.as_deref().unwrap_or_default();
        all.get(known..).unwrap_or_default().to_vec()
    }

    /// Waits for output, for so long at most; `false` if none came.
    pub(crate) fn wait_for_output(&self, since: u64, time: Duration) -> bool {
        self.wait_until_state(time, |state| state.total > since)
    }

    /// The side of the terminal at which a person sits.
    pub(crate) fn master(&self) -> &File {
        &self.master
    }

    /// Its program's process: `setsid` becomes it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote last, as text.
    pub(crate) fn recent(&self) -> String {
        String::from_utf8_lossy(&self.state().recent).into_owned()
    }

    /// When this ideograph came out first.
    pub(crate) fn first_seen(&self, glyph: char) -> Option<Instant> {
        self.state().glyphs.first_seen(glyph)
    }

    /// Whether the program has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits until output has made `condition` true; `false` if it doesn't within `patience`, or the
    /// program has ended.
    pub(crate) fn wait_until(
        &self,
        patience: Duration,
        mut condition: impl FnMut(&Glyphs) -> bool,
    ) -> bool {
        self.wait_until_state(patience, |state| condition(&state.glyphs))
    }

    fn wait_until_state(
        &self,
        patience: Duration,
        mut condition: impl FnMut(&State) -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if condition(&state) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.is_closed || left.is_zero() {
                return false;
            }
            state = self.output.changed.wait_timeout(state, left).expect("as in `state`").0;
        }
    }

    /// Types `key` and waits until `glyph` comes out; the time in between.
    pub(crate) fn time_of_echo(&mut self, key: &str, glyph: &str) -> anyhow::Result<Duration> {
        self.want(glyph);
        let start = Instant::now();
        self.write(key.as_bytes())?;
        let found = self.wait(glyph)?;
        Ok(found.saturating_duration_since(start))
    }

    /// Waits until `text` comes out, if it hasn't yet.
    pub(crate) fn wait_for(&self, text: &str) -> anyhow::Result<()> {
        if self.recent().contains(text) {
            return Ok(());
        }
        self.want(text);
        // It may have come in between.
        if self.recent().contains(text) {
            return Ok(());
        }
        self.wait(text).map(|_| ())
    }

    fn want(&self, text: &str) {
        let mut state = self.state();
        let from = state.recent.len();
        state.wanted = Some((text.as_bytes().to_vec(), from));
        state.found_at = None;
    }

    fn wait(&self, text: &str) -> anyhow::Result<Instant> {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(found_at) = state.found_at {
                return Ok(found_at);
            }
            if state.is_closed || start.elapsed() > PATIENCE {
                let recent = String::from_utf8_lossy(&state.recent).into_owned();
                anyhow::bail!("{text:?} did not come; the terminal got {recent:?}");
            }
            let waited = self.output.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.expect("the reader doesn't panic").0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.output.state.lock().expect("the reader doesn't panic")
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(reader: &mut File, output: &Output) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // The end of the program shows as an error (EIO) on Linux.
        let read = reader.read(&mut buffer).unwrap_or(0);
        let now = Instant::now();
        let mut state = output.state.lock().expect("nobody panics while holding this");
        state.handle_output(&buffer[..read], now);
        state.is_closed = read == 0;
        output.changed.notify_all();
        if read == 0 {
            return;
        }
    }
}

impl State {
    fn handle_output(&mut self, bytes: &[u8], now: Instant) {
        self.total += bytes.len() as u64;
        self.glyphs.handle_output(bytes, now);
        self.recent.extend(bytes);
        if let Some(recorded) = &mut self.recorded {
            recorded.push((now, bytes.to_vec()));
        }
        if let Some((wanted, from)) = &self.wanted
            && self.found_at.is_none()
            && self.recent[*from..].windows(wanted.len()).any(|part| part == wanted)
        {
            self.found_at = Some(now);
        }
        if self.recent.len() > KEPT_SIZE_MAX {
            let cut = self.recent.len() - KEPT_SIZE_MAX / 2;
            self.recent.drain(..cut);
            if let Some((_, from)) = &mut self.wanted {
                *from = from.saturating_sub(cut);
            }
        }
    }
}

/// Lets time pass: between keys, as a person does.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    while !condition() {
        anyhow::ensure!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        pause(Duration::from_millis(20));
    }
    Ok(())
}
