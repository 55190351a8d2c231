//! The hidden client: an ordinary tmux client on a pty of ours, whose screen is what viewers see.

use crate::core::backlog::{Admission, BACKLOG_SIZE_MAX, Backlog};
use crate::core::flood_pictures::{FloodPictures, RESUME_TIME};
use crate::core::leaving::{Departure, LeavingWatch};
use crate::core::pace::Pace;
use crate::core::sizes::Decision;
use crate::shell::orphan;
use crate::shell::pty::{self, Pty};
use crate::shell::tmux::Tmux;
use rustix::io::Errno;
use rustix::termios::Action;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_term::{Frame, Screen, Size};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::time::sleep_until;

/// What the hidden terminal can do: everything, since our screen can. Names that an older tmux
/// doesn't know are passed over by it.
const FEATURES: &str = "256,RGB,strikethrough,usstyle,overline,hyperlinks,sync,title,bpaste,\
                        ccolour,cstyle,clipboard,focus,mouse,extkeys";
/// In every terminfo, and near to what our screen is.
const TERM: &str = "xterm-256color";
/// A tmux that can't be told a terminal's features reads them from its terminfo; this one has
/// underlines of several kinds.
const RICHER_TERM: &str = "tmux-256color";
/// Where terminfo is, by the first letter of a terminal's name or by its code.
const TERMINFO_FOLDERS: [&str; 5] = [
    "/etc/terminfo/t",
    "/lib/terminfo/t",
    "/usr/share/terminfo/t",
    "/usr/share/terminfo/74",
    "/usr/local/share/terminfo/t",
];
/// Most bytes that are read before a frame is made of them.
const BATCH_SIZE_MAX: usize = 256 * 1024;
/// Bytes of one read; Linux gives at most 4 KiB of a pty.
const READ_SIZE: usize = 16 * 1024;
/// A client that left its terminal has gone after this time; one that hasn't was suspended or
/// locked, which nobody at the hidden terminal could undo.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Debug)]
pub enum Activity {
    /// The picture changed.
    Frame(Frame),
    /// There is more output than is read, and nothing is read for a while.
    Flooded,
    /// The client is gone.
    Exited(Departure),
}

/// A running hidden client. It ends when this is dropped.
#[derive(Debug)]
pub struct HiddenClient {
    master: Master,
    pty_name: String,
    /// Killed on drop.
    _child: Child,
    pid: u32,
    screen: ScreenBox,
    pace: Pace,
    /// Nothing is read for a while, which is told.
    rest: Option<Rest>,
    /// When reading went on last.
    resumed_at: Instant,
    pictures: FloodPictures,
    /// The screen is another one than was shown.
    is_drawn: bool,
    /// What was drawn last before the end, to be shown.
    last_picture: Option<Frame>,
    has_ended: bool,
    leaving: LeavingWatch,
    /// When it left its terminal.
    left_at: Option<Instant>,
    buffer: Vec<u8>,
    /// The pace ended the last batch: there may be more to read, of which we won't be told again.
    has_more: bool,
    to_write: VecDeque<u8>,
    backlog: Backlog,
}

/// [`Screen`] says nothing about itself.
struct ScreenBox(Screen);

impl std::fmt::Debug for ScreenBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

impl HiddenClient {
    /// Attaches to the session `id`.
    pub fn start(tmux: &Tmux, id: &str, decision: Decision, now: Instant) -> io::Result<Self> {
        let mut command = tmux.command();
        command.arg("-u");
        let has_features = tmux.version.has_terminal_features();
        if has_features {
            command.args(["-T", FEATURES]);
        }
        command.args(["attach-session", "-E", "-t", id]);
        if tmux.version.has_client_flags() && !decision.counts {
            command.args(["-f", "ignore-size"]);
        }
        command
            .env("TERM", if has_features { TERM } else { richest_term() })
            .env_remove("COLORTERM");
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        orphan::dies_with_us(&mut command);
        let (pty, child) = Pty::spawn(command, decision.size)?;
        rustix::io::ioctl_fionbio(&pty.master, true)?;
        let mut screen = Screen::new(decision.size);
        screen.set_clusters(tmux.version.clusters());
        Ok(Self {
            master: Master { fd: Arc::new(pty.master), watch: None },
            pty_name: pty.name,
            pid: child.id().unwrap_or_default(),
            _child: child,
            screen: ScreenBox(screen),
            pace: Pace::new(now),
            rest: None,
            resumed_at: now,
            pictures: FloodPictures::default(),
            is_drawn: false,
            last_picture: None,
            has_ended: false,
            leaving: LeavingWatch::default(),
            left_at: None,
            buffer: vec![0; READ_SIZE],
            has_more: false,
            to_write: VecDeque::new(),
            backlog: Backlog::default(),
        })
    }

    /// Its terminal, by which tmux knows it.
    pub fn tty(&self) -> &str {
        &self.pty_name
    }

    /// Its process, by which tmux knows it, too.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Types `bytes`; [`Self::recv`] writes what doesn't go at once. Whether some were dropped just
    /// now, and none before.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let admission = self.backlog.admit(bytes, self.to_write.len());
        match admission {
            Admission::Waits => self.to_write.extend(bytes),
            Admission::DroppedFirst(instead) => self.to_write.extend(instead),
            Admission::Dropped => return false,
        }
        self.pace.handle_input(Instant::now());
        self.flush();
        admission != Admission::Waits
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, size: Size) {
        self.screen.0.resize(size);
        if let Err(error) = pty::set_size(&*self.master.fd, size) {
            tracing::warn!(%error, "the hidden terminal keeps its size");
        }
    }

    /// The next thing that happens. Cancel-safe.
    pub async fn recv(&mut self) -> Activity {
        loop {
            if let Some(picture) = self.last_picture.take() {
                return Activity::Frame(picture);
            }
            if self.has_ended {
                return Activity::Exited(self.leaving.departure());
            }
            let now = Instant::now();
            self.pace.fill(now);
            let read_after = self.pace.poll_timeout();
            let given_up_at = self.left_at.map(|at| at + LEAVING_TIME_MAX);
            match (read_after, &self.rest) {
                (None, None) => {}
                (None, Some(_)) => {
                    (self.rest, self.resumed_at) = (None, now);
                    self.pictures.handle_resumed(now);
                }
                (Some(_), None) => {
                    self.master.rest();
                    self.rest = Some(Rest::start(&self.pty_name));
                    self.leaving.handle_stopped();
                    self.pictures.handle_rest(now);
                    return Activity::Flooded;
                }
                (Some(_), Some(_)) => {}
            }
            // The end of what is withheld can't come in a rest.
            let screen_due = self.screen.0.poll_timeout().filter(|_| self.rest.is_none());
            let screen_due = screen_due.map(|due| due.max(self.resumed_at + RESUME_TIME));
            let own = [read_after, screen_due, given_up_at, self.pictures.poll_timeout()];
            let due = own.into_iter().flatten().min();
            let wanted = match (read_after, self.to_write.is_empty()) {
                (None, true) => Some(Interest::READABLE),
                (None, false) => Some(Interest::READABLE | Interest::WRITABLE),
                // Little is written, and the kernel has room for it, if not at once then after this.
                (Some(_), _) => None,
            };
            tokio::select! {
                is_changed = self.read_and_write(wanted) => match is_changed {
                    Ok(true) if self.pace.is_flooded() => {
                        self.pictures.handle_drawn(Instant::now());
                    }
                    Ok(true) => return self.picture(),
                    Ok(false) => {}
                    Err(_) => self.end(),
                },
                () = sleep_until(due.unwrap_or(now).into()), if due.is_some() => {
                    let now = Instant::now();
                    if given_up_at.is_some_and(|at| at <= now) {
                        return Activity::Exited(self.leaving.departure());
                    }
                    if screen_due.is_some_and(|at| at <= now) {
                        self.screen.0.handle_timeout(now);
                        return self.picture();
                    }
                    if self.pictures.poll_timeout().is_some_and(|at| at <= now) {
                        if self.rest.is_some() && self.read(BATCH_SIZE_MAX, now).is_err() {
                            self.end();
                        } else if self.left_at.is_none() {
                            let picture = self.screen.0.frame();
                            if self.pictures.handle_due(&picture, now) {
                                return self.show(picture);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Its terminal is closed. What waits to be shown is.
    fn end(&mut self) {
        self.has_ended = true;
        if std::mem::take(&mut self.is_drawn) {
            self.last_picture = Some(self.screen.0.frame());
        }
    }

    fn picture(&mut self) -> Activity {
        let picture = self.screen.0.frame();
        self.show(picture)
    }

    fn show(&mut self, picture: Frame) -> Activity {
        self.is_drawn = false;
        self.pictures.handle_shown(&picture);
        Activity::Frame(picture)
    }

    /// Waits until the pty is ready for what is wanted, and does it. Whether the picture may have
    /// changed. Cancel-safe: it waits only at first.
    async fn read_and_write(&mut self, wanted: Option<Interest>) -> io::Result<bool> {
        let Some(wanted) = wanted else { return std::future::pending().await };
        if self.has_more && wanted.is_readable() {
            return self.read_batch();
        }
        let mut guard = self.master.watch()?.ready(wanted).await?;
        let ready = guard.ready();
        // The bits are cleared first: what becomes ready from here on wakes us again.
        guard.clear_ready();
        drop(guard);
        if ready.is_writable() {
            self.flush();
        }
        if ready.is_readable() { self.read_batch() } else { Ok(false) }
    }

    /// Reads what is there, as far as the pace allows. Whether the picture may have changed.
    fn read_batch(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        let size = self.read(self.pace.allowance().min(BATCH_SIZE_MAX), now)?;
        self.pace.handle_read(size, now);
        self.flush();
        Ok(size > 0 && self.is_drawn)
    }

    /// Reads what is there, about `allowance` bytes at most; gives how many they were.
    fn read(&mut self, allowance: usize, now: Instant) -> io::Result<usize> {
        let mut size = 0;
        self.has_more = true;
        while size < allowance {
            match rustix::io::read(&*self.master.fd, &mut self.buffer) {
                // The other side is closed: Linux says so with an error, others with an end.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    size += read;
                    self.handle_output(read, now);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.has_more = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(size)
    }

    /// Feeds the first `size` bytes of the buffer to the screen.
    fn handle_output(&mut self, size: usize, now: Instant) {
        let output = &self.buffer[..size];
        if self.left_at.is_some() {
            self.leaving.handle_farewell(output);
            return;
        }
        let output = match self.leaving.handle_bytes(output) {
            Some(end) => {
                self.left_at = Some(now);
                // What is drawn before leaving is half a farewell.
                if std::mem::take(&mut self.is_drawn) {
                    self.last_picture = Some(self.screen.0.frame());
                }
                &output[..end]
            }
            None => output,
        };
        self.screen.0.handle_output(output, now);
        while let Some(reply) = self.screen.0.poll_reply() {
            if self.to_write.len() + reply.len() <= BACKLOG_SIZE_MAX {
                self.to_write.extend(&reply);
            }
        }
        self.is_drawn |= self.left_at.is_none();
    }

    fn flush(&mut self) {
        while !self.to_write.is_empty() {
            match rustix::io::write(&*self.master.fd, self.to_write.as_slices().0) {
                Ok(size) => drop(self.to_write.drain(..size)),
                Err(Errno::INTR) => {}
                // Writable again, or gone: both are seen by `recv`.
                Err(_) => return,
            }
        }
    }
}

/// A while in which nothing is read. The terminal is stopped meanwhile (as by Ctrl-S), or the
/// kernel's buffers would take several redraws and more, and tmux would go on making output until
/// they are full.
#[derive(Debug)]
struct Rest {
    stopped: Option<OwnedFd>,
}

impl Rest {
    fn start(pty_name: &str) -> Self {
        let stop = || {
            let terminal = pty::open(pty_name)?;
            rustix::termios::tcflow(&terminal, Action::OOff)?;
            Ok(terminal)
        };
        let stopped: rustix::io::Result<OwnedFd> = stop();
        if let Err(error) = &stopped {
            tracing::debug!(%error, "the hidden terminal is not stopped");
        }
        Self { stopped: stopped.ok() }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(terminal) = &self.stopped {
            let _ = rustix::termios::tcflow(terminal, Action::OOn);
        }
    }
}

/// Our side of the pty. While the pace forbids to read, nobody asks the kernel about it, or each
/// of the thousands of pieces that tmux writes would wake us for nothing.
#[derive(Debug)]
struct Master {
    fd: Arc<OwnedFd>,
    watch: Option<AsyncFd<Arc<OwnedFd>>>,
}

impl Master {
    #[allow(unsafe_code)]
    fn watch(&mut self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
        match &mut self.watch {
            Some(watch) => Ok(watch),
            empty => {
                // SAFETY: the Arc keeps the descriptor open as long as the watch lives, and always
                // gives the same one.
                let watch = unsafe { AsyncFd::register(self.fd.clone()) };
                Ok(empty.insert(watch.map_err(io::Error::from)?))
            }
        }
    }

    fn rest(&mut self) {
        self.watch = None;
    }
}

/// The terminal to call the hidden one for a tmux that is told no features.
fn richest_term() -> &'static str {
    let mut paths = TERMINFO_FOLDERS.iter().map(|folder| Path::new(folder).join(RICHER_TERM));
    if paths.any(|path| path.exists()) { RICHER_TERM } else { TERM }
}
