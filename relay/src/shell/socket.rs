//! The stream that russh gets: a TCP socket that never makes it wait for a slow viewer. russh's
//! task writes before it reads again; were it to wait, a slow viewer's Ctrl-C would wait, too. So
//! what the kernel doesn't take is queued here (bounded), and goes out while russh reads.

use super::line::Line;
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Bytes queued for a viewer, above which russh waits after all. Frames are begun only while
/// under 8 KiB are on their way, and their parts are given in turn, so this is for key
/// exchanges, and for what is said while the connection isn't read.
pub(super) const QUEUE_SIZE_MAX: usize = 256 * 1024;
/// A queue that held more gives its memory back when it is empty.
const QUEUE_SIZE_KEPT: usize = 4 * 1024;

/// A TCP connection with a queue.
pub(super) struct Socket {
    socket: Arc<TcpStream>,
    line: Arc<Line>,
    queue: VecDeque<u8>,
    /// When it fires (or is dropped), reading fails and the connection ends.
    kill: Option<oneshot::Receiver<()>>,
}

impl Socket {
    /// The socket, and what ends it.
    pub(super) fn new(socket: Arc<TcpStream>, line: Arc<Line>) -> (Self, oneshot::Sender<()>) {
        let (killer, kill) = oneshot::channel();
        (Self { socket, line, queue: VecDeque::new(), kill: Some(kill) }, killer)
    }

    /// Gives the kernel what it takes. Ready when nothing is queued.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            ready!(self.socket.poll_write_ready(cx))?;
            let (front, _) = self.queue.as_slices();
            match self.socket.try_write(front) {
                Ok(count) => {
                    self.queue.drain(..count);
                    self.line.set_queued(self.queue.len());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.queue.capacity() > QUEUE_SIZE_KEPT {
            self.queue.shrink_to(0);
        }
        Poll::Ready(Ok(()))
    }

    fn is_killed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(kill) = &mut self.kill else { return true };
        let is_killed = Pin::new(kill).poll(cx).is_ready();
        if is_killed {
            self.kill = None;
        }
        is_killed
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_killed(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        ready!(self.line.poll_unheld(cx));
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            match self.socket.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    self.line.on_heard();
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_killed(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        let room = QUEUE_SIZE_MAX - self.queue.len().min(QUEUE_SIZE_MAX);
        if room == 0 {
            // `poll_drain` has registered this task for when the kernel takes more.
            return Poll::Pending;
        }
        let count = bytes.len().min(room);
        self.queue.extend(&bytes[..count]);
        let drained = self.poll_drain(cx);
        self.line.set_queued(self.queue.len());
        match drained {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is queued goes out while russh reads.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_killed(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.poll_drain(cx))?;
        Poll::Ready(socket2::SockRef::from(&*self.socket).shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (Socket, oneshot::Sender<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let ours = Arc::new(ours.expect("connected"));
        let line = Arc::new(Line::new(ours.clone()));
        let (socket, killer) = Socket::new(ours, line);
        (socket, killer, theirs.expect("accepted").0)
    }

    #[tokio::test]
    async fn keys_are_read_while_the_viewer_takes_nothing() {
        let (mut socket, _killer, mut viewer) = pair().await;
        socket.write_all(&vec![b'x'; QUEUE_SIZE_MAX]).await.expect("queued");
        viewer.write_all(b"\x03").await.expect("sent");
        assert_eq!(socket.read_u8().await.expect("read"), 3);
    }

    #[tokio::test]
    async fn queued_bytes_arrive_while_nothing_else_is_written() {
        let (mut socket, _killer, mut viewer) = pair().await;
        let sent: Vec<u8> = (0..QUEUE_SIZE_MAX).map(|index| index as u8).collect();
        socket.write_all(&sent).await.expect("queued");
        let mut got = vec![0; sent.len()];
        tokio::select! {
            read = viewer.read_exact(&mut got) => { read.expect("read"); }
            _ = socket.read_u8() => panic!("the viewer sent nothing"),
        }
        assert!(got == sent);
    }

    #[tokio::test]
    async fn killed_connection_ends_what_waits_for_it() {
        let (mut socket, killer, _viewer) = pair().await;
        let reading = tokio::spawn(async move { socket.read_u8().await.map_err(|e| e.kind()) });
        drop(killer);
        assert_eq!(reading.await.expect("no panic"), Err(io::ErrorKind::ConnectionAborted));
    }
}
