//! The terminal of `tern join` and `tern play`. What it takes at once is written at once; the rest, if it is slow or
//! somebody stopped it with Ctrl-S, by a thread of its own, so that it holds up nothing else, and skips what it has no
//! time for.

use crate::shell::tty::{Output, RawMode};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{PipeWriter, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tern_term::{Capabilities, Frame, Renderer};
use tokio::sync::Notify;

/// How long the terminal may take what is on its way to it, when it's given back.
const FINISH_TIME_MAX: Duration = Duration::from_millis(500);

/// Draws frames.
pub struct ScreenWriter {
    capabilities: Capabilities,
    renderer: Renderer,
    /// The terminal is ours as long as it lives.
    raw: Option<RawMode>,
    writer: Option<Writer>,
}

/// A way to the terminal, and the thread for what it doesn't take at once.
struct Writer {
    output: Arc<Output>,
    bytes: SyncSender<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    on_idle: Arc<Notify>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
    /// Closed, it ends the thread also while the terminal takes nothing.
    stop: PipeWriter,
}

impl ScreenWriter {
    /// Takes the terminal over.
    pub fn start(capabilities: Capabilities) -> std::io::Result<Self> {
        let renderer = Renderer::new(capabilities.clone());
        let mut screen = Self { capabilities, renderer, raw: None, writer: None };
        screen.resume()?;
        Ok(screen)
    }

    /// Takes the terminal over again.
    pub fn resume(&mut self) -> std::io::Result<()> {
        self.renderer = Renderer::new(self.capabilities.clone());
        self.raw = Some(RawMode::enter(&leave(&self.capabilities))?);
        let writer = Writer::start()?;
        writer.write(self.renderer.enter());
        self.writer = Some(writer);
        Ok(())
    }

    /// Gives the terminal back as it was. What it is being written meanwhile comes first, if it
    /// takes it; says whether it did.
    pub fn suspend(&mut self) -> bool {
        let has_taken_all = self.writer.take().is_none_or(Writer::finish);
        self.raw = None;
        has_taken_all
    }

    /// Gives the terminal back, and stops this process until somebody continues it.
    pub fn stop_until_continued(&mut self) -> std::io::Result<()> {
        self.suspend();
        kill_process(getpid(), Signal::STOP)?;
        // Continued.
        self.resume()
    }

    /// Whether the terminal has taken everything.
    pub fn is_idle(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.is_busy.load(Ordering::Acquire))
    }

    /// Notified when the terminal has taken everything.
    pub fn on_idle(&self) -> Arc<Notify> {
        self.writer.as_ref().map(|writer| writer.on_idle.clone()).unwrap_or_default()
    }

    /// The terminal changed its size: what it shows is unknown.
    pub fn forget(&mut self) {
        self.renderer.forget();
    }

    /// Tells the terminal something that changes nothing of what it shows. Only while it is idle.
    pub fn tell(&self, bytes: &[u8]) {
        if let Some(writer) = &self.writer {
            writer.write(bytes.to_vec());
        }
    }

    /// Draws a frame. Only while it is idle.
    pub fn draw(&mut self, frame: &Frame) {
        let bytes = self.renderer.render(frame);
        if let Some(writer) = &self.writer
            && !bytes.is_empty()
        {
            writer.write(bytes);
        }
    }
}

impl Drop for ScreenWriter {
    /// What is on its way to the terminal must not come after what gives it back.
    fn drop(&mut self) {
        self.suspend();
    }
}

impl Writer {
    fn start() -> std::io::Result<Self> {
        let (output, (stopped, stop)) = (Arc::new(Output::open()?), pipe()?);
        let (bytes, to_write) = sync_channel::<Vec<u8>>(2);
        let (is_busy, on_idle) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let (busy, idle) = (is_busy.clone(), on_idle.clone());
        let (end, ended) = sync_channel(0);
        let way = output.clone();
        std::thread::spawn(move || {
            let _end: SyncSender<()> = end;
            while let Ok(bytes) = to_write.recv() {
                // As when it takes all at once: the end of a terminal is told otherwise.
                let _ = way.write(&bytes, Some(&stopped), None);
                busy.store(false, Ordering::Release);
                idle.notify_one();
            }
        });
        Ok(Self { output, bytes, is_busy, on_idle, ended, stop })
    }

    /// Without waiting. (Waking the thread, and being woken by it, costs more than what it writes.)
    fn write(&self, mut bytes: Vec<u8>) {
        if !self.is_busy.load(Ordering::Acquire) {
            // A terminal that is gone is told by SIGHUP, and by the end of its input.
            let Ok(size) = self.output.write_some(&bytes) else { return };
            bytes.drain(..size);
        }
        if bytes.is_empty() {
            return;
        }
        self.is_busy.store(true, Ordering::Release);
        match self.bytes.try_send(bytes) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            // Only while it is idle, and there is room for what enters the terminal besides.
            Err(TrySendError::Full(_)) => tracing::error!("a frame was drawn too early"),
        }
    }

    /// Waits until the terminal has taken what was given to it; not if it takes nothing. Says which.
    fn finish(self) -> bool {
        let Self { bytes, ended, stop, .. } = self;
        drop(bytes);
        let has_ended =
            || ended.recv_timeout(FINISH_TIME_MAX) == Err(RecvTimeoutError::Disconnected);
        if has_ended() {
            return true;
        }
        // What it was writing must not come after what gives the terminal back.
        drop(stop);
        has_ended();
        false
    }
}

/// Bytes that leave the terminal as it was, whatever was drawn, also when this process panics.
fn leave(capabilities: &Capabilities) -> Vec<u8> {
    let mut out = b"\x18\x1b[m\x1b[?1l\x1b>".to_vec();
    if capabilities.has_sync {
        out.extend(b"\x1b[?2026l");
    }
    if capabilities.is_input_wanted {
        out.extend(b"\x1b[?9;1000;1002;1003;1005;1006;1004;2004l");
    }
    if capabilities.has_osc {
        out.extend(b"\x1b]8;;\x1b\\\x1b[0 q");
    }
    out.extend(Renderer::new(capabilities.clone()).leave());
    out
}
