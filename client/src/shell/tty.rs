//! The user's terminal: only here is its mode changed, and it is always changed back.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, QueueSelector, Termios, isatty, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
    ttyname,
};
use std::io::{self, PipeReader, Write};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Duration;
use tern_term::{Capabilities, ColorDepth, Size};

/// How long a terminal that takes nothing is waited for when it's given back: as long as a person
/// waits for the end of a program. What waits to be written there is thrown away then.
const UNDO_TIME_MAX: Duration = Duration::from_millis(500);

/// What has to be undone: the terminal's former mode, and whether it shows our screen. Behind a
/// lock, since a panic in any thread undoes it.
static UNDO: Mutex<Option<Undo>> = Mutex::new(None);

#[derive(Debug)]
struct Undo {
    mode: Termios,
    /// Escape sequences to write first.
    leave: Vec<u8>,
}

/// Whether a person sits at standard input and output.
pub fn is_terminal() -> bool {
    isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout())
}

/// Size of the terminal, 80x24 if it doesn't know.
pub fn size() -> Size {
    match tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size::clamped(size.ws_col.into(), size.ws_row.into())
        }
        Ok(_) | Err(_) => Size { cols: 80, rows: 24 },
    }
}

/// Whether the person wants no colours, from whatever program (<https://no-color.org>).
pub fn wants_no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|wish| !wish.is_empty())
}

/// What it can do, as far as the environment tells.
pub fn capabilities() -> Capabilities {
    let variable = |name| std::env::var(name).ok();
    let term = variable("TERM").unwrap_or_else(|| "dumb".into());
    let capabilities = Capabilities::from_env(&term, variable("COLORTERM").as_deref());
    if wants_no_color() {
        Capabilities { colors: ColorDepth::Mono, ..capabilities }
    } else {
        capabilities
    }
}

/// The terminal in raw mode, until this is dropped; also a panic undoes it.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Enters it. `leave` is written when it ends.
    pub fn enter(leave: &[u8]) -> io::Result<Self> {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                undo();
                next(panic);
            }));
        });
        let mode = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = mode.clone();
        raw.make_raw();
        let mut undo = UNDO.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        *undo = Some(Undo { mode, leave: leave.to_vec() });
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        undo();
    }
}

/// Gives the terminal back as it was; at once, from wherever.
pub fn undo() {
    let undo = UNDO.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(undo) = undo {
        // The terminal may be gone: then there is nothing to give back.
        let _ = write_in_time(&undo.leave);
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &undo.mode);
    }
}

/// Writes to the terminal; if it takes nothing for [`UNDO_TIME_MAX`], in place of what waits there.
fn write_in_time(bytes: &[u8]) -> io::Result<()> {
    let output = Output::open()?;
    match output.write(bytes, None, Some(UNDO_TIME_MAX)) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            tcflush(&output.terminal, QueueSelector::OFlush)?;
            output.write(bytes, None, Some(UNDO_TIME_MAX))
        }
        done => done,
    }
}

/// A way of its own to the terminal at standard output, which can be left while the terminal takes
/// nothing. Standard output itself can't: its mode (to block or not) is shared with other programs.
#[derive(Debug)]
pub struct Output {
    terminal: OwnedFd,
}

impl Output {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let name = ttyname(rustix::stdio::stdout(), Vec::new())?;
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(Self { terminal: rustix::fs::open(name, flags, Mode::empty())? })
    }

    /// Writes what the terminal takes at once; gives the number of bytes.
    pub fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::write(&self.terminal, &bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => written += size,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// Writes all, unless the other end of `stop` is closed, or the terminal takes nothing for
    /// `time_max`.
    pub fn write(
        &self,
        mut bytes: &[u8],
        stop: Option<&PipeReader>,
        time_max: Option<Duration>,
    ) -> io::Result<()> {
        let timeout = time_max.map(|time| Timespec::try_from(time).expect("a short time"));
        loop {
            bytes = &bytes[self.write_some(bytes)?..];
            if bytes.is_empty() {
                return Ok(());
            }
            let mut ready = vec![PollFd::new(&self.terminal, PollFlags::OUT)];
            ready.extend(stop.map(|stop| PollFd::new(stop, PollFlags::IN)));
            let is_stopped =
                |ready: &[PollFd<'_>]| ready.get(1).is_some_and(|stop| !stop.revents().is_empty());
            match poll(&mut ready, timeout.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) if is_stopped(&ready) => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes to the terminal, all of it.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
