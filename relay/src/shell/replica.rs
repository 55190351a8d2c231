//! The task of a viewer that keeps a replica of the screen: owns its machine and its link, and
//! speaks with its session.

use super::admission::{Running, Shared, ViewerGuard};
use super::session::{
    Message, NewViewer, Place as Standing, Release, SessionHandle, ViewerPort, wait_until,
};
use crate::core::doors::Admission;
use crate::core::input::VIEWER_BACKLOG_MAX;
use crate::core::registry::Seat;
use crate::core::replica::{Output, Replica, Typed};
use crate::core::session::{CloseCode, EXIT_LOST};
use crate::core::text;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_bootstrap::grant::SessionId;
use tern_bootstrap::token::random;
use tern_sync::link::{Incoming, Link, LinkError};
use tern_sync::session::ViewerId;
use tern_term::Size;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Links that wait for a viewer's task.
pub(super) const INBOX_SIZE: usize = 4;

/// How often it is looked what is held for a viewer. Between, it can grow by the keys and messages that
/// a link brings in that time, which are bounded by themselves, and by the session's frames.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);
/// Change of it that is told to the registry, which is behind a lock.
const MEMORY_STEP: usize = 16 * 1024;

/// The viewer connected and proved itself. The answer: is it resumed; none if it's too late.
pub(super) struct NewLink {
    pub(super) epoch: u64,
    pub(super) link: Link,
    pub(super) answer: oneshot::Sender<bool>,
}

/// Where the viewer is in its session.
struct Joined {
    id: ViewerId,
    /// Bytes that it may still type.
    credit: Arc<Semaphore>,
    /// While it waits at the door.
    on_admit: Option<oneshot::Receiver<()>>,
    on_release: oneshot::Receiver<Release>,
}

/// Its place in the session, given up at the end, also when the task panics.
pub(super) struct Place {
    pub(super) shared: Arc<Shared>,
    pub(super) viewer: SessionId,
    pub(super) seat: Seat,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.places.give_up(self.viewer, self.seat);
    }
}

/// A viewer's task before it runs.
pub(super) struct ReplicaTask {
    core: Replica,
    place: Place,
    guard: ViewerGuard,
    admission: Admission,
    handle: SessionHandle,
    inbox: mpsc::Receiver<NewLink>,
    link: Option<Link>,
    remote: Option<SocketAddr>,
    joined: Option<Joined>,
    /// No view comes any more.
    is_session_gone: bool,
    running: watch::Receiver<Running>,
    /// Bytes that the registry knows of.
    memory: usize,
    measured_at: Instant,
}

impl ReplicaTask {
    /// Of a viewer whom the doors let in.
    pub(super) fn new(
        place: Place,
        guard: ViewerGuard,
        admission: Admission,
        mut handle: SessionHandle,
        inbox: mpsc::Receiver<NewLink>,
    ) -> Self {
        let view = handle.view.borrow_and_update().clone();
        let now = Instant::now();
        let core = Replica::new(view, place.shared.limits.host_away, now);
        let running = place.shared.running.clone();
        let (link, remote, joined) = (None, None, None);
        Self {
            core,
            place,
            guard,
            admission,
            handle,
            inbox,
            link,
            remote,
            joined,
            is_session_gone: false,
            running,
            memory: 0,
            measured_at: now,
        }
    }

    /// Until the viewer has gone or was let go.
    pub(super) async fn run(mut self) {
        while self.carry_out().await {
            let deadline = self.core.poll_timeout();
            let credit = self.joined.as_ref().map(|joined| Arc::clone(&joined.credit));
            let wanted = credit.zip(self.core.typed_len());
            if !self.is_memory_granted() {
                continue;
            }
            tokio::select! {
                incoming = receive(&mut self.link) => self.on_incoming(incoming),
                new = self.inbox.recv() => match new {
                    Some(new) => self.on_link(new),
                    None => {
                        self.close_link(CloseCode::Silent, "a newcomer has the viewer's place");
                        break;
                    }
                },
                changed = self.handle.view.changed(), if !self.is_session_gone => {
                    // A session without a view is gone, and its release tells why.
                    if changed.is_ok() {
                        let view = self.handle.view.borrow_and_update().clone();
                        self.core.handle_view(view, Instant::now());
                    } else {
                        self.is_session_gone = true;
                        self.on_session_gone().await;
                    }
                }
                word = word(&mut self.joined) => match word {
                    Word::Admitted => self.on_admitted(),
                    Word::Released(release) => self.on_release(release),
                },
                () = credited(wanted) => self.pass_on().await,
                () = wait_until(deadline) => self.core.handle_timeout(Instant::now()),
                () = stopped(&mut self.running) => self.core.handle_stop(text::STOPPING),
            }
        }
        if let Some(joined) = self.joined.take() {
            // A session that is gone needs not be told.
            let viewer = joined.id;
            for Typed { bytes, mark } in self.core.take_last_typed() {
                let typed = Message::Input { viewer, bytes, mark, offset: (0, 0) };
                let _ = self.handle.inbox.send(typed).await;
            }
            let _ = self.handle.inbox.send(Message::Leave(joined.id)).await;
        }
        tracing::info!("viewer gone");
    }

    /// Does what the machine wants. `false`: it is over.
    async fn carry_out(&mut self) -> bool {
        let now = Instant::now();
        if let Some(link) = &self.link {
            let (sent, lost) = link.path_stats();
            self.core.handle_path_stats(sent, lost, now);
        }
        loop {
            let room =
                self.link.as_ref().filter(|link| link.has_room()).map(Link::datagram_size_max);
            let Some(output) = self.core.poll_output(now, room) else { return true };
            match output {
                Output::Link(output) => {
                    if let Some(link) = &mut self.link {
                        link.send(output);
                    }
                }
                Output::CloseLink { code, reason } => self.close_link(code, &reason),
                Output::Join(size) => self.join(size).await,
                Output::Resize(size) => {
                    let size = self.limited(size);
                    self.tell(|id| Message::Resize(id, size)).await;
                }
                Output::Silence(is_silent) => {
                    tracing::info!(is_silent, "viewer's silence");
                    self.guard.set_silent(is_silent);
                    self.tell(|id| Message::Silence(id, is_silent)).await;
                }
                // The end of the task says so.
                Output::Leave => tracing::info!("viewer leaves"),
                Output::Over => return false,
            }
        }
    }

    /// Tells the registry what is held for the viewer, now and then. If there is no memory for it, it
    /// is let go of, which is still to be carried out.
    fn is_memory_granted(&mut self) -> bool {
        let now = Instant::now();
        if now.saturating_duration_since(self.measured_at) < MEMORY_INTERVAL {
            return true;
        }
        self.measured_at = now;
        let memory = self.core.memory() + self.link.as_ref().map_or(0, Link::arriving_size);
        if memory.abs_diff(self.memory) < MEMORY_STEP {
            return true;
        }
        match self.guard.hold(memory) {
            Ok(()) => {
                self.memory = memory;
                true
            }
            Err(reason) => {
                self.core.handle_no_memory(reason, now);
                false
            }
        }
    }

    fn limited(&self, size: Size) -> Size {
        self.place.shared.limits.viewer_size(size.cols.into(), size.rows.into())
    }

    async fn join(&mut self, size: Size) {
        let (release, on_release) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(VIEWER_BACKLOG_MAX));
        let viewer = NewViewer {
            admission: self.admission.clone(),
            size: self.limited(size),
            keeps_replica: true,
            port: ViewerPort { release, credit: credit.clone() },
        };
        let (answer, on_answer) = oneshot::channel();
        let is_sent = self.handle.inbox.send(Message::Join { viewer, answer }).await.is_ok();
        match on_answer.await {
            Ok(Standing { id, on_admit }) if is_sent => {
                let is_asked = on_admit.is_some();
                self.joined = Some(Joined { id, credit, on_admit, on_release });
                if is_asked {
                    tracing::info!(id = id.0, "viewer waits for the host's word");
                    self.core.handle_asked(Instant::now());
                } else {
                    self.on_admitted();
                }
            }
            Ok(_) | Err(_) => self.on_session_gone().await,
        }
    }

    fn on_admitted(&mut self) {
        if let Some(joined) = &mut self.joined {
            joined.on_admit = None;
            tracing::info!(id = joined.id.0, role = ?self.admission.who.role, "viewer joined");
            self.core.handle_joined(joined.id, Instant::now());
        }
    }

    async fn tell(&self, message: impl FnOnce(ViewerId) -> Message) {
        if let Some(joined) = &self.joined {
            // A session that is gone tells so through the release.
            let _ = self.handle.inbox.send(message(joined.id)).await;
        }
    }

    /// Gives the next keys to the session, for which there is credit.
    async fn pass_on(&mut self) {
        let Some(joined) = &self.joined else { return };
        let (viewer, offset) = (joined.id, (0, 0));
        if let Some(typed) = self.core.poll_typed(Instant::now()) {
            let (bytes, mark) = (typed.bytes, typed.mark);
            let _ = self.handle.inbox.send(Message::Input { viewer, bytes, mark, offset }).await;
        }
    }

    fn on_incoming(&mut self, incoming: Result<Incoming, LinkError>) {
        let now = Instant::now();
        match incoming {
            Ok(incoming) => {
                self.check_path(now);
                self.core.handle_incoming(incoming, now);
            }
            Err(error) => {
                tracing::info!(%error, "viewer's link lost");
                self.link = None;
                self.core.handle_link_lost(now);
            }
        }
    }

    fn check_path(&mut self, now: Instant) {
        let remote = self.link.as_ref().and_then(Link::remote_address);
        if remote != self.remote {
            tracing::info!(from = ?self.remote, to = ?remote, "viewer's address changed");
            self.remote = remote;
            self.core.handle_path_changed(now);
        }
    }

    fn on_link(&mut self, new: NewLink) {
        let NewLink { epoch, link, answer } = new;
        let seed = u64::from_be_bytes(random());
        let Some(is_resumed) = self.core.handle_link(epoch, seed, Instant::now()) else { return };
        self.close_link(CloseCode::Replaced, "a newer connection took over");
        self.remote = link.remote_address();
        tracing::info!(remote = ?self.remote, over = %link, is_resumed, "viewer connected");
        self.link = Some(link);
        // If nobody waits for the answer, the connection is gone, which the link will tell.
        let _ = answer.send(is_resumed);
    }

    fn close_link(&mut self, code: CloseCode, reason: &str) {
        if let Some(mut link) = self.link.take() {
            link.close(code.number(), reason);
        }
    }

    async fn on_session_gone(&mut self) {
        let release = match &mut self.joined {
            Some(joined) => (&mut joined.on_release).await.ok(),
            None => {
                Some(Release { text: text::JUST_ENDED_FOR_VIEWERS.into(), exit_status: EXIT_LOST })
            }
        };
        self.on_release(release);
    }

    fn on_release(&mut self, release: Option<Release>) {
        self.joined = None;
        if *self.running.borrow() != Running::Yes {
            return self.core.handle_stop(text::STOPPING);
        }
        // A session that ends drops no viewer without a word; one that panicked does.
        let release = release
            .unwrap_or_else(|| Release { text: text::INTERNAL.into(), exit_status: EXIT_LOST });
        tracing::info!(exit_status = release.exit_status, "viewer released");
        let exit_status = u8::try_from(release.exit_status).unwrap_or(u8::MAX);
        self.core.handle_release(&release.text, exit_status, Instant::now());
    }
}

async fn receive(link: &mut Option<Link>) -> Result<Incoming, LinkError> {
    match link {
        Some(link) => link.recv().await,
        None => pending().await,
    }
}

/// When connections end, whatever their tasks wait for.
async fn stopped(running: &mut watch::Receiver<Running>) {
    let _ = running.wait_for(|running| *running == Running::No).await;
}

/// The session's word on whether the viewer is in.
enum Word {
    Admitted,
    Released(Option<Release>),
}

async fn word(joined: &mut Option<Joined>) -> Word {
    let Some(joined) = joined else { return pending().await };
    if let Some(on_admit) = &mut joined.on_admit {
        tokio::select! {
            admitted = on_admit => {
                // One that isn't let in is released.
                joined.on_admit = None;
                if admitted.is_ok() {
                    return Word::Admitted;
                }
            }
            release = &mut joined.on_release => return Word::Released(release.ok()),
        }
    }
    Word::Released((&mut joined.on_release).await.ok())
}

/// When the session takes so many bytes more.
async fn credited(wanted: Option<(Arc<Semaphore>, usize)>) {
    let Some((credit, len)) = wanted else { return pending().await };
    let permits = u32::try_from(len).expect("pieces are small");
    match credit.acquire_many(permits).await {
        Ok(permit) => permit.forget(),
        // Closed when the viewer is let go, as its last words are on their way.
        Err(_) => pending().await,
    }
}
