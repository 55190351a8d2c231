//! A stream that can be held: nothing is read from the network while it is closed.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Opens and closes a [`Gated`], and counts what came through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    held: Mutex<Held>,
    byte_count: AtomicUsize,
    /// The connection's, kept open.
    socket: OnceLock<std::net::TcpStream>,
}

#[derive(Debug, Default)]
struct Held {
    is_closed: bool,
    reader: Option<Waker>,
}

impl Gate {
    /// From now on nothing is read.
    pub(crate) fn close(&self) {
        self.0.held.lock().expect("not poisoned").is_closed = true;
    }

    /// Reading goes on.
    pub(crate) fn open(&self) {
        let mut held = self.0.held.lock().expect("not poisoned");
        held.is_closed = false;
        if let Some(reader) = held.reader.take() {
            reader.wake();
        }
    }

    /// Keeps `socket`, so that it can be hung up.
    pub(crate) fn keep(&self, socket: &TcpStream) {
        let socket = socket.as_fd().try_clone_to_owned().expect("a descriptor");
        let _ = self.0.socket.set(socket.into());
    }

    /// Says that nothing more will come; the connection stays, so that what comes is no error.
    pub(crate) fn hang_up(&self) {
        let socket = self.0.socket.get().expect("connected");
        socket.shutdown(Shutdown::Write).expect("connected");
    }

    /// Bytes read so far.
    pub(crate) fn byte_count(&self) -> usize {
        self.0.byte_count.load(Ordering::Relaxed)
    }
}

/// A connection behind a [`Gate`].
pub(crate) struct Gated {
    pub(crate) socket: TcpStream,
    pub(crate) gate: Gate,
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut held = self.gate.0.held.lock().expect("not poisoned");
            if held.is_closed {
                held.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let byte_count = buffer.filled().len() - before;
        self.gate.0.byte_count.fetch_add(byte_count, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
