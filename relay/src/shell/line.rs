//! What a viewer's task and its connection know of each other: bytes on their way, when the other
//! side was last heard, how far the connection is.

use crate::core::gauge::{Room, WindowGauge, room};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How far a connection is; it decides how long it may stay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody knows yet who this is.
    Pending,
    /// A viewer or a host at work.
    Serving,
    /// Everything was said; the other side should close.
    Closing,
}

/// One TCP connection, as seen by all who have to do with it.
#[derive(Debug)]
pub(super) struct Line {
    socket: Arc<TcpStream>,
    started_at: Instant,
    /// Bytes that russh wrote and the kernel has not taken.
    queued: AtomicUsize,
    /// Milliseconds from `started_at` to the last byte that was read.
    heard_at: AtomicU64,
    /// We are the ones who don't read.
    is_held: AtomicBool,
    /// Who reads when it is let go. A lock, held for a move.
    reader: Mutex<Option<Waker>>,
    stage: watch::Sender<Stage>,
    /// A lock, as russh's task and the viewer's both write it; held for a few additions.
    window: Mutex<WindowGauge>,
}

impl Line {
    pub(super) fn new(socket: Arc<TcpStream>) -> Self {
        Self {
            socket,
            started_at: Instant::now(),
            queued: AtomicUsize::new(0),
            heard_at: AtomicU64::new(0),
            is_held: AtomicBool::new(false),
            reader: Mutex::new(None),
            stage: watch::Sender::new(Stage::Pending),
            window: Mutex::new(WindowGauge::new(b"")),
        }
    }

    pub(super) fn set_queued(&self, byte_count: usize) {
        self.queued.store(byte_count, Ordering::Relaxed);
    }

    pub(super) fn on_heard(&self) {
        let elapsed = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_at.store(elapsed, Ordering::Relaxed);
    }

    /// While the viewer's keys have no room, its connection isn't read: its silence is our doing.
    pub(super) fn set_held(&self, is_held: bool) {
        self.on_heard();
        self.is_held.store(is_held, Ordering::Relaxed);
        if !is_held && let Some(waker) = self.reader().take() {
            waker.wake();
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Ready while the connection may be read.
    pub(super) fn poll_unheld(&self, cx: &Context<'_>) -> Poll<()> {
        // Kept first: who lets go meanwhile finds it.
        *self.reader() = Some(cx.waker().clone());
        if self.is_held() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether the peer has closed the connection, as far as can be seen without reading.
    pub(super) fn is_hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        #[cfg(target_os = "linux")]
        let wanted = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        let wanted = PollFlags::HUP;
        let mut watched = [PollFd::new(&*self.socket, wanted)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut watched, Some(&at_once)), Ok(count) if count > 0)
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing was heard.
    pub(super) fn silence(&self) -> Duration {
        if self.is_held.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let heard_at = Duration::from_millis(self.heard_at.load(Ordering::Relaxed));
        self.started_at.elapsed().saturating_sub(heard_at)
    }

    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Stages only go forward.
    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.send_if_modified(|present| {
            let is_later = *present != stage && *present != Stage::Closing;
            if is_later {
                *present = stage;
            }
            is_later
        });
    }

    pub(super) fn start_window(&self, client: &[u8]) {
        *self.window() = WindowGauge::new(client);
    }

    pub(super) fn on_sent(&self, byte_count: usize) {
        self.window().on_sent(byte_count);
    }

    pub(super) fn on_adjusted(&self, size: u32) {
        self.window().on_adjusted(size);
    }

    /// Whether there is room for another frame.
    pub(super) fn room(&self) -> Room {
        let backlog = self.queued.load(Ordering::Relaxed) + unacknowledged(&self.socket);
        room(backlog, self.window().outstanding())
    }

    fn window(&self) -> MutexGuard<'_, WindowGauge> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that the kernel holds for the peer: not sent, or sent and not acknowledged. 0 where the
/// system doesn't tell; then `TCP_NOTSENT_LOWAT` and our own queue must do.
#[cfg(target_os = "linux")]
fn unacknowledged(socket: &TcpStream) -> usize {
    use rustix::ioctl::{Getter, ioctl};
    use std::ffi::c_int;
    /// `SIOCOUTQ` (tcp(7)), the same number as `TIOCOUTQ` (asm-generic/ioctls.h).
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: SIOCOUTQ on a TCP socket writes one int, which is what the getter makes room for.
    #[allow(unsafe_code)]
    let count = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
    // A socket that is gone holds nothing.
    count.map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged(_socket: &TcpStream) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn bytes_that_the_peer_does_not_read_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (ours, _theirs) = (Arc::new(ours.expect("connected")), theirs.expect("accepted"));
        let line = Line::new(ours.clone());
        assert_eq!(line.room(), Room::Open);
        while line.room() == Room::Open {
            ours.writable().await.expect("writable");
            let _ = ours.try_write(&[0; 4096]);
        }
        assert_eq!(line.room(), Room::Full);
    }

    #[tokio::test]
    async fn stages_only_go_forward() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let socket = TcpStream::connect(listener.local_addr().expect("bound")).await;
        let line = Line::new(Arc::new(socket.expect("connected")));
        line.set_stage(Stage::Closing);
        line.set_stage(Stage::Serving);
        assert_eq!(*line.stage().borrow(), Stage::Closing);
    }
}
