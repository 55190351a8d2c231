//! The local terminal of a shared plain pty: one thread takes what the program writes, hands it
//! to the terminal as it is, and then to the screen model, which makes frames of it.
//!
//! While the pty is smaller than the terminal (a viewer's is smaller still), bytes as they are
//! would leave rubbish beside and below: then the terminal shows the frames, as a viewer's does.

use crate::core::notice::printable;
use crate::core::plain_history::PlainHistory;
use crate::core::sequence::SequenceTracker;
use crate::shell::key_report::target_of;
use crate::shell::tty;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tern_sync::scrollback::Scrollback;
use tern_sync::session::ViewerId;
use tern_term::{Clusters, KeyReport, Modes, Renderer, Screen, Shown, Size, Viewport};
use tokio::sync::watch;

/// Bytes of one read.
const READ_SIZE: usize = 64 * 1024;
/// Longest answer to a program's queries; terminals' are shorter.
const REPLY_SIZE_MAX: usize = 1024;
/// Under a flood, a frame is made this often.
const FRAME_INTERVAL: Duration = Duration::from_millis(10);
/// Once the program has ended, what it wrote is read for so long: a process that it left behind
/// may keep the pty open.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(200);

/// Most notices that wait to be shown.
const NOTICES_MAX: usize = 20;

/// What the thread is told and did not do yet.
#[derive(Debug, Default)]
struct Orders {
    /// Size of the pty and of the terminal, the newest.
    sizes: Option<(Size, Size)>,
    notices: Vec<String>,
    marks: Option<Vec<(ViewerId, u32)>>,
    wants_scrollback: Option<bool>,
    /// Nobody watches any more, for good.
    is_sharing_over: bool,
    /// The program has ended.
    is_finished: bool,
}

/// Gives orders to the thread.
#[derive(Debug, Clone)]
pub struct Commander {
    /// Locked only to write down or take an order: both sides are threads that must not wait.
    orders: Arc<Mutex<Orders>>,
    wake: Arc<UnixStream>,
}

impl Commander {
    /// The pty has this size now, and the terminal that.
    pub fn resize(&self, pty: Size, local: Size) {
        self.order(|orders| orders.sizes = Some((pty, local)));
    }

    /// Shows a notice, as unobtrusively as can be.
    pub fn notice(&self, text: String) {
        self.order(|orders| {
            if orders.notices.len() < NOTICES_MAX {
                orders.notices.push(text);
            }
        });
    }

    /// The screen shows the effect of what viewers typed, up to these marks.
    pub fn answered(&self, marks: Vec<(ViewerId, u32)>) {
        self.order(|orders| orders.marks = Some(marks));
    }

    /// Whether viewers want what scrolls off.
    pub fn scrollback_wanted(&self, is_wanted: bool) {
        self.order(|orders| orders.wants_scrollback = Some(is_wanted));
    }

    /// Nobody watches any more, for good.
    pub fn stop_sharing(&self) {
        self.order(|orders| orders.is_sharing_over = true);
    }

    /// The program has ended.
    pub fn finish(&self) {
        self.order(|orders| orders.is_finished = true);
    }

    fn order(&self, write_down: impl FnOnce(&mut Orders)) {
        use std::io::Write;
        write_down(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        // A full pipe wakes as well as one byte more.
        let _ = (&*self.wake).write(b"!");
    }
}

/// The thread's state.
pub struct Passthrough {
    master: Arc<OwnedFd>,
    orders: Arc<Mutex<Orders>>,
    wake: UnixStream,
    shown: watch::Sender<Shown>,
    scrollback: watch::Sender<Scrollback>,
    history: PlainHistory,
    /// What viewers typed that shows; empty while nobody wants to know.
    marks: Vec<(ViewerId, u32)>,
    /// `None` when nobody watches any more (or the model failed, which costs only the viewers).
    screen: Option<Screen>,
    display: Display,
    tracker: SequenceTracker,
    notices: Vec<String>,
    local: Size,
    framed_at: Instant,
    is_frame_due: bool,
    finish_at: Option<Instant>,
}

/// How the terminal shows the program.
enum Display {
    /// Byte for byte.
    Through,
    /// Frame for frame.
    Composed { renderer: Box<Renderer>, viewport: Viewport },
}

impl Passthrough {
    /// For a pty and a terminal of this size.
    pub fn new(
        master: Arc<OwnedFd>,
        shown: watch::Sender<Shown>,
        scrollback: watch::Sender<Scrollback>,
        size: Size,
    ) -> std::io::Result<(Self, Commander)> {
        let orders = Arc::new(Mutex::new(Orders::default()));
        // The program's own terminal decides how wide a character is, and programs count by it.
        let mut screen = Screen::new(size);
        screen.set_clusters(Clusters::ByWidth);
        screen.keep_scrolled_off();
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let passthrough = Self {
            master,
            orders: orders.clone(),
            wake,
            shown,
            scrollback,
            history: PlainHistory::new(Instant::now()),
            marks: Vec::new(),
            screen: Some(screen),
            display: Display::Through,
            tracker: SequenceTracker::default(),
            notices: Vec::new(),
            local: size,
            framed_at: Instant::now(),
            is_frame_due: false,
            finish_at: None,
        };
        Ok((passthrough, Commander { orders, wake: Arc::new(waker) }))
    }

    /// Until the program has closed its terminal.
    pub fn run(mut self) {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let (has_output, is_woken) = self.wait();
            if is_woken {
                self.obey();
            }
            if has_output {
                match rustix::io::read(&*self.master, &mut buffer) {
                    Ok(0) => break,
                    Ok(size) => self.handle_output(&buffer[..size]),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // Nobody has the other side open any more.
                    Err(_) => break,
                }
            }
            let is_late = self.framed_at.elapsed() >= FRAME_INTERVAL;
            if self.is_frame_due && (is_late || !has_output) {
                self.make_frame();
            }
            if self.history.poll_timeout().is_some_and(|at| at <= Instant::now()) {
                self.take_scrolled_off();
            }
            if self.finish_at.is_some_and(|at| at <= Instant::now()) {
                break;
            }
        }
        self.make_frame();
        self.go_through();
    }

    /// Waits for output or orders: whether there is some of each.
    fn wait(&mut self) -> (bool, bool) {
        let now = Instant::now();
        // A frame that is due is made as soon as nothing more comes.
        let frame_due = self.is_frame_due.then_some(now);
        let screen_due = self.screen.as_ref().and_then(Screen::poll_timeout);
        let due = [frame_due, screen_due, self.history.poll_timeout(), self.finish_at];
        let due = due.into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_duration_since(now)).map(|wait| Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(1),
            tv_nsec: wait.subsec_nanos().into(),
        });
        let mut watched =
            [PollFd::new(&*self.master, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        let ready = poll(&mut watched, timeout.as_ref());
        let is_ready = |at: usize| ready.is_ok() && !watched[at].revents().is_empty();
        let (has_output, is_woken) = (is_ready(0), is_ready(1));
        if screen_due.is_some_and(|due| due <= Instant::now()) {
            self.with_screen(|screen| screen.handle_timeout(Instant::now()));
            self.is_frame_due = true;
        }
        (has_output, is_woken)
    }

    fn obey(&mut self) {
        // The bytes only wake us; the orders are in the channel.
        let _ = self.wake.read(&mut [0; 64]);
        let orders = {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *orders)
        };
        if let Some((pty, local)) = orders.sizes {
            self.resize(pty, local);
        }
        if let Some(marks) = orders.marks {
            self.marks = marks;
            self.is_frame_due = true;
        }
        if let Some(is_wanted) = orders.wants_scrollback {
            self.history.handle_wanted(is_wanted);
        }
        self.notices.extend(orders.notices);
        self.notices.truncate(NOTICES_MAX);
        if orders.is_sharing_over {
            self.go_through();
            self.screen = None;
        }
        if orders.is_finished {
            self.finish_at = Some(Instant::now() + DRAIN_TIME_MAX);
        }
        self.show_notices();
    }

    fn handle_output(&mut self, output: &[u8]) {
        if let Display::Through = self.display {
            // The terminal is first served; if it is gone, SIGHUP comes, too.
            let _ = tty::write(output);
            self.tracker.handle_bytes(output);
            self.show_notices();
        }
        let mut replies = Vec::new();
        self.with_screen(|screen| {
            screen.handle_output(output, Instant::now());
            replies.extend(std::iter::from_fn(|| screen.poll_reply()).flatten());
        });
        // Byte for byte the local terminal answers the program's queries, and two answers would
        // be one too many. A program that doesn't read what it asked for must not stop us: a
        // pty's buffer takes a short answer, or the answer is lost.
        if let Display::Composed { .. } = self.display
            && !replies.is_empty()
        {
            self.reply(&replies);
        }
        self.is_frame_due = true;
        self.history.handle_drawn();
    }

    fn take_scrolled_off(&mut self) {
        let mut taken = None;
        self.with_screen(|screen| taken = Some((screen.take_scrolled_off(), screen.frame())));
        match taken {
            Some((scrolled, frame)) => {
                let kept = self.history.handle_scrolled_off(&scrolled, &frame, Instant::now());
                self.scrollback.send_replace(kept);
            }
            None => self.history.handle_wanted(false),
        }
    }

    fn reply(&self, bytes: &[u8]) {
        let mut master = [PollFd::new(&*self.master, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if matches!(poll(&mut master, Some(&now)), Ok(1)) && bytes.len() <= REPLY_SIZE_MAX {
            let _ = rustix::io::write(&*self.master, bytes);
        }
    }

    fn make_frame(&mut self) {
        self.is_frame_due = false;
        self.framed_at = Instant::now();
        let mut made = None;
        self.with_screen(|screen| made = Some(screen.frame()));
        let Some(frame) = made else { return };
        if let Display::Composed { renderer, viewport } = &mut self.display {
            let composed = viewport.compose(&frame, self.local, None);
            let _ = tty::write(&renderer.render(&composed));
        }
        // Nobody asks the kernel for what nobody wants to know.
        let keys = if self.marks.is_empty() {
            KeyReport::default()
        } else {
            let target = target_of(&*self.master);
            KeyReport { target, prefixes: Vec::new(), marks: self.marks.clone() }
        };
        self.shown.send_replace(Shown { frame, keys: Arc::new(keys) });
    }

    fn resize(&mut self, pty: Size, local: Size) {
        self.local = local;
        self.with_screen(|screen| screen.resize(pty));
        self.history.handle_drawn();
        let is_smaller = pty != local && self.screen.is_some();
        match (&mut self.display, is_smaller) {
            (Display::Through, true) => {
                let mut renderer = Box::new(Renderer::new(tty::capabilities()));
                let _ = tty::write(&renderer.enter());
                self.display = Display::Composed { renderer, viewport: Viewport::default() };
            }
            (Display::Composed { renderer, .. }, true) => renderer.forget(),
            (Display::Composed { .. }, false) => self.go_through(),
            (Display::Through, false) => {}
        }
        self.make_frame();
    }

    /// Back to bytes as they are: the terminal is brought to what the program believes it shows.
    fn go_through(&mut self) {
        let display = std::mem::replace(&mut self.display, Display::Through);
        let Display::Composed { mut renderer, .. } = display else { return };
        let _ = tty::write(&renderer.leave());
        let mut frame = None;
        self.with_screen(|screen| frame = Some(screen.frame()));
        let Some(frame) = frame else { return };
        if frame.modes().contains(Modes::ALT_SCREEN) {
            let _ = tty::write(b"\x1b[?1049h");
        }
        let _ = tty::write(&renderer.render(&frame));
        // The renderer draws without autowrap; programs expect it.
        let _ = tty::write(b"\x1b[?7h");
        self.tracker = SequenceTracker::default();
    }

    /// Notices go out as desktop notifications (OSC 9), which leave the screen alone; terminals
    /// that know none pass over them.
    fn show_notices(&mut self) {
        let may_insert = match self.display {
            Display::Through => self.tracker.is_between(),
            Display::Composed { .. } => true,
        };
        if may_insert {
            for text in self.notices.drain(..) {
                let text = printable(&text);
                let _ = tty::write(format!("\x1b]9;{text}\x07").as_bytes());
            }
        }
    }

    /// A failure of the model ends the sharing of the picture, not the session.
    fn with_screen(&mut self, work: impl FnOnce(&mut Screen)) {
        let Some(screen) = &mut self.screen else { return };
        if catch_unwind(AssertUnwindSafe(|| work(screen))).is_err() {
            tracing::error!("the screen model failed: viewers see nothing new");
            self.screen = None;
        }
    }
}
