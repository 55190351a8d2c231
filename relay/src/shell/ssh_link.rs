//! A host's link inside its SSH connection, where UDP doesn't pass: the hello, then the sync
//! endpoint's frames, on a channel.

use super::admission::Shared;
use super::grants::Claim;
use super::line::{Line, Stage};
use russh::server::Msg;
use russh::{Channel, ChannelStream};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tern_bootstrap::grant::WireError;
use tern_bootstrap::hello::accept_over;
use tern_sync::link::StreamLink;
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::oneshot;
use tokio::time::timeout;

type Writer = WriteHalf<ChannelStream<Msg>>;

/// A host's channel, on which the subsystem was started.
pub(super) struct NewLinkTask {
    pub(super) address: IpAddr,
    pub(super) channel: Channel<Msg>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl NewLinkTask {
    /// Until the link is its session's, or refused. The connection's time to authenticate bounds
    /// it, too.
    pub(super) async fn run(self) {
        let line = LineGuard(self.line);
        let time_max = self.shared.limits.auth_time;
        let stream = self.channel.into_stream();
        match timeout(time_max, introduce(stream, line, self.address, &self.shared)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(address = %self.address, %error, "link over SSH refused");
            }
            Err(_) => {
                tracing::info!(address = %self.address, "link over SSH took too long to introduce itself")
            }
        }
    }
}

async fn introduce(
    mut stream: ChannelStream<Msg>,
    line: LineGuard,
    address: IpAddr,
    shared: &Arc<Shared>,
) -> Result<(), WireError> {
    let mut claim = Claim::new(shared, address);
    let introduced = accept_over(&mut stream, &shared.ssh_fingerprint, |session, ticket| {
        claim.secret(session, ticket)
    })
    .await;
    let introduction = match introduced {
        Ok(introduction) => introduction,
        Err(error) => {
            // Whatever was said is followed by the end.
            let _ = stream.shutdown().await;
            return Err(error);
        }
    };
    line.0.set_stage(Stage::Serving);
    let (reader, writer): (ReadHalf<_>, Writer) = split(stream);
    let (answer, on_answer) = oneshot::channel();
    let writer = AnswerFirst { writer, answer: Answer::Awaited(on_answer), _line: line };
    let message_size_max = claim.message_size_max();
    let link = StreamLink::with_message_size_max(reader, writer, message_size_max).into();
    let handed_over = claim.hand_over(introduction.session(), introduction.epoch(), link).await;
    let mut bytes = Vec::new();
    introduction.write_answer(&mut bytes, &handed_over).await?;
    // A link that is gone meanwhile needs no answer.
    let _ = answer.send(bytes);
    handed_over.map(drop).map_err(WireError::Refused)
}

/// The connection's last task: when it is gone, so may be the connection.
struct LineGuard(Arc<Line>);

impl Drop for LineGuard {
    fn drop(&mut self) {
        self.0.set_stage(Stage::Closing);
    }
}

/// What stands before everything else on a stream.
enum Answer {
    Awaited(oneshot::Receiver<Vec<u8>>),
    /// From this byte on it is still to be written.
    Begun(Vec<u8>, usize),
}

/// A writer that lets nothing pass before the answer to the hello: the session begins to send as
/// soon as it has the link, which is before the answer is known.
struct AnswerFirst {
    writer: Writer,
    answer: Answer,
    _line: LineGuard,
}

impl AnswerFirst {
    /// Ready when the answer was written.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.answer {
                Answer::Awaited(answer) => {
                    let bytes = ready!(Pin::new(answer).poll(cx));
                    let bytes = bytes.map_err(|_| io::ErrorKind::BrokenPipe)?;
                    self.answer = Answer::Begun(bytes, 0);
                }
                Answer::Begun(bytes, written) => {
                    let Some(rest @ [_, ..]) = bytes.get(*written..) else {
                        return Poll::Ready(Ok(()));
                    };
                    *written += ready!(Pin::new(&mut self.writer).poll_write(cx, rest))?;
                }
            }
        }
    }
}

impl AsyncWrite for AnswerFirst {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
