//! The viewer's terminal: drawn by a thread of its own, so that a slow one (or one that somebody
//! stopped with Ctrl-S) holds up nothing else, and skips what it has no time for.

use crate::shell::tty::{self, RawMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tern_term::{Capabilities, Frame, Renderer};
use tokio::sync::Notify;

/// How long the terminal may take what is on its way to it, when it's given back.
const FINISH_TIME_MAX: Duration = Duration::from_millis(500);

/// Draws frames.
pub(super) struct ScreenWriter {
    capabilities: Capabilities,
    renderer: Renderer,
    /// The terminal is ours as long as it lives.
    raw: Option<RawMode>,
    writer: Option<Writer>,
}

/// The thread, and what it is doing.
struct Writer {
    bytes: SyncSender<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    on_idle: Arc<Notify>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl ScreenWriter {
    /// Takes the terminal over.
    pub(super) fn start(capabilities: Capabilities) -> std::io::Result<Self> {
        let renderer = Renderer::new(capabilities.clone());
        let mut screen = Self { capabilities, renderer, raw: None, writer: None };
        screen.resume()?;
        Ok(screen)
    }

    /// Takes the terminal over again.
    pub(super) fn resume(&mut self) -> std::io::Result<()> {
        self.renderer = Renderer::new(self.capabilities.clone());
        self.raw = Some(RawMode::enter(&leave(&self.capabilities))?);
        let writer = Writer::start();
        writer.write(self.renderer.enter());
        self.writer = Some(writer);
        Ok(())
    }

    /// Gives the terminal back as it was. What it is being written meanwhile comes first, if it
    /// takes it.
    pub(super) fn suspend(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
        self.raw = None;
    }

    /// Whether the terminal has taken everything.
    pub(super) fn is_idle(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.is_busy.load(Ordering::Acquire))
    }

    /// Notified when the terminal has taken everything.
    pub(super) fn on_idle(&self) -> Arc<Notify> {
        self.writer.as_ref().map(|writer| writer.on_idle.clone()).unwrap_or_default()
    }

    /// The terminal changed its size: what it shows is unknown.
    pub(super) fn forget(&mut self) {
        self.renderer.forget();
    }

    /// Draws a frame. Only while it is idle.
    pub(super) fn draw(&mut self, frame: &Frame) {
        let bytes = self.renderer.render(frame);
        if let Some(writer) = &self.writer
            && !bytes.is_empty()
        {
            writer.write(bytes);
        }
    }
}

impl Writer {
    fn start() -> Self {
        let (bytes, to_write) = sync_channel::<Vec<u8>>(2);
        let (is_busy, on_idle) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let (busy, idle) = (is_busy.clone(), on_idle.clone());
        let (end, ended) = sync_channel(0);
        std::thread::spawn(move || {
            let _end: SyncSender<()> = end;
            while let Ok(bytes) = to_write.recv() {
                // A terminal that is gone is told by SIGHUP, and by the end of its input.
                let _ = tty::write(&bytes);
                busy.store(false, Ordering::Release);
                idle.notify_one();
            }
        });
        Self { bytes, is_busy, on_idle, ended }
    }

    fn write(&self, bytes: Vec<u8>) {
        self.is_busy.store(true, Ordering::Release);
        match self.bytes.try_send(bytes) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            // Only while it is idle, and there is room for what enters the terminal besides.
            Err(TrySendError::Full(_)) => tracing::error!("a frame was drawn too early"),
        }
    }

    /// Waits until the terminal has taken what was given to it; not if it takes nothing.
    fn finish(self) {
        let Self { bytes, ended, .. } = self;
        drop(bytes);
        let _ = ended.recv_timeout(FINISH_TIME_MAX);
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
