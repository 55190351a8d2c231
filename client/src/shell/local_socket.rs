//! The agent's unix socket: answers `tern status`, `tern stop`, `tern approve`, `tern show-messages`
//! and the start view. Only the same user gets an answer.

use crate::core::decisions::{Deciding, Undecided};
use crate::core::messages::Message;
use crate::shell::board::{Board, Content};
use crate::shell::protocol::{
    self, Answer, Chosen, Connection, FrameError, Request, Status, VIEWERS_LISTED_MAX,
};
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use rustix::process::getuid;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Most askers at the same time.
const CONNECTIONS_MAX: usize = 64;
/// How long an asker may take to ask.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// Somebody asked for the sharing's end; the sender is dropped when it has ended.
pub type StopRequest = oneshot::Sender<()>;

/// What the session's task is to do for somebody who asked.
#[derive(Debug)]
pub enum Errand {
    /// End the sharing.
    Stop(StopRequest),
    /// Carry out a decision, and tell what was done.
    Decide(Deciding, oneshot::Sender<Result<Vec<String>, Undecided>>),
    /// Something was chosen from a menu.
    Chosen(Chosen),
}

/// The socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    path: PathBuf,
    /// Held as long as the socket is ours.
    _lock: File,
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // It may be gone already; there is nothing to do about other failures.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(self.path.with_extension("lock"));
    }
}

/// Listens at `path` and answers from the board, until the process ends. Replaces a file that
/// nobody listens at.
pub fn serve(
    path: &Path,
    board: Board,
    errands: mpsc::Sender<Errand>,
) -> anyhow::Result<LocalSocket> {
    let context = || format!("cannot listen at {}", path.display());
    let Some(lock) = lock(&path.with_extension("lock")).with_context(context)? else {
        anyhow::bail!("it is shared already ({} answers)", path.display());
    };
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(context)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(context)?;
    tokio::spawn(accept(listener, board, errands));
    Ok(LocalSocket { path: path.to_owned(), _lock: lock })
}

/// Whoever holds this file's lock is the one that listens, however many begin at the same time.
/// `None`: somebody else does.
fn lock(path: &Path) -> std::io::Result<Option<File>> {
    loop {
        let file =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // Its last holder may have removed it after it was opened here.
        let is_there = std::fs::metadata(path).is_ok_and(|there| {
            file.metadata().is_ok_and(|here| here.ino() == there.ino() && here.dev() == there.dev())
        });
        if is_there {
            return Ok(Some(file));
        }
    }
}

async fn accept(listener: UnixListener, board: Board, errands: mpsc::Sender<Errand>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                tokio::time::sleep(REQUEST_TIME_MAX).await;
                continue;
            }
        };
        let is_same_user = stream.peer_cred().is_ok_and(|peer| peer.uid() == getuid().as_raw());
        if !is_same_user {
            tracing::warn!("another user knocked at the agent's socket");
            continue;
        }
        let (board, errands) = (board.clone(), errands.clone());
        tokio::spawn(async move {
            if let Err(error) = answer(stream, board, errands).await {
                tracing::debug!(%error, "a local connection broke");
            }
            drop(permit);
        });
    }
}

async fn answer(
    mut stream: UnixStream,
    board: Board,
    errands: mpsc::Sender<Errand>,
) -> Result<(), FrameError> {
    let request = match tokio::time::timeout(REQUEST_TIME_MAX, read_request(&mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => {
            return send(&mut stream, &Answer::Refused(error.to_string())).await;
        }
        Err(_) => return Ok(()),
    };
    match request {
        Request::Status => {
            let mut status = board.subscribe().borrow().status.clone();
            status.viewers.truncate(VIEWERS_LISTED_MAX);
            status.away.truncate(VIEWERS_LISTED_MAX);
            status.round_trip_ms = board.round_trip_ms();
            send(&mut stream, &Answer::Status(Box::new(status))).await
        }
        Request::Stop => {
            let (sender, ended) = oneshot::channel();
            // If the agent is ending already, the answer is the same.
            let _ = errands.send(Errand::Stop(sender)).await;
            let _ = ended.await;
            send(&mut stream, &Answer::Stopped).await
        }
        Request::Messages => {
            for message in messages_since(&board.subscribe(), 0).0 {
                send(&mut stream, &Answer::Message(message)).await?;
            }
            send(&mut stream, &Answer::End).await
        }
        Request::Follow => follow(stream, board).await,
        Request::AwaitReady => {
            let answer = tokio::select! {
                answer = await_ready(board) => answer,
                // Who asked has gone.
                _ = stream.read_u8() => return Ok(()),
            };
            send(&mut stream, &answer).await
        }
        Request::PaneDied => {
            board.pane_died().notify_one();
            send(&mut stream, &Answer::End).await
        }
        Request::Decide(deciding) => {
            let (sender, decided) = oneshot::channel();
            let _ = errands.send(Errand::Decide(deciding, sender)).await;
            let answer = match decided.await {
                Ok(Ok(told)) => Answer::Done(told),
                Ok(Err(undecided)) => Answer::Undone(undecided.to_string()),
                Err(_) => Answer::Undone("the sharing is ending".into()),
            };
            send(&mut stream, &answer).await
        }
        Request::Chosen(chosen) => {
            let _ = errands.send(Errand::Chosen(chosen)).await;
            send(&mut stream, &Answer::End).await
        }
        Request::ReadOptions => {
            board.options_changed().notify_one();
            send(&mut stream, &Answer::End).await
        }
    }
}

/// Until scripts find the join lines, or nobody ever will.
async fn await_ready(board: Board) -> Answer {
    let mut content = board.subscribe();
    let decided = content.wait_for(|content| {
        let status = &content.status;
        status.is_ready || matches!(status.connection, Connection::Failed(_))
    });
    match decided.await.map(|content| content.status.clone()) {
        Ok(Status { is_ready: true, .. }) => Answer::Ready,
        Ok(Status { connection: Connection::Failed(reason), .. }) => Answer::Refused(reason),
        Ok(_) | Err(_) => Answer::End,
    }
}

async fn follow(mut stream: UnixStream, board: Board) -> Result<(), FrameError> {
    let mut content = board.subscribe();
    let mut next = 0;
    loop {
        let (messages, has_lines) = messages_since(&content, next);
        for message in messages {
            next = message.number + 1;
            send(&mut stream, &Answer::Message(message)).await?;
        }
        if has_lines {
            board.set_lines_shown(true);
        }
        tokio::select! {
            changed = content.changed() => {
                if changed.is_err() {
                    return send(&mut stream, &Answer::End).await;
                }
            }
            // Nothing more is expected: this is the view's end.
            _ = stream.read_u8() => return Ok(()),
        }
    }
}

/// Messages from `next` on, and whether join lines are known.
fn messages_since(content: &watch::Receiver<Content>, next: u64) -> (Vec<Message>, bool) {
    let content = content.borrow();
    (content.messages.since(next).cloned().collect(), content.status.lines.is_some())
}

async fn read_request(stream: &mut UnixStream) -> Result<Request, FrameError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut bytes = vec![0; protocol::frame_size(head)?];
    stream.read_exact(&mut bytes).await?;
    protocol::decode(&bytes)
}

async fn send(stream: &mut UnixStream, answer: &Answer) -> Result<(), FrameError> {
    Ok(stream.write_all(&protocol::encode(answer)?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_of_two_that_begin_at_once_listens_and_its_socket_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.agent");
        let board = || Board::new("a shell".into(), None, None, "relay".into());
        let (errands, _asked) = mpsc::channel(1);
        let first = serve(&path, board(), errands.clone()).expect("nobody else is there");
        let error = serve(&path, board(), errands.clone()).expect_err("it is taken");
        assert!(error.to_string().contains("shared already"), "{error}");
        assert!(path.exists());
        drop(first);
        assert!(serve(&path, board(), errands).is_ok());
    }
}
