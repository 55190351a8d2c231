//! The task of one session: owns its machine, its host's link, and the ways to its viewers.

use super::admission::{Running, SessionGuard, Shared};
use super::webhooks::Webhooks;
use crate::core::doors::{Admission, Doors};
use crate::core::painter::View;
use crate::core::session::{CloseCode, Output, Session};
use std::collections::HashMap;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tern_bootstrap::grant::SessionId;
use tern_bootstrap::token::random;
use tern_sync::link::{Incoming, Link, LinkError};
use tern_sync::session::ViewerId;
use tern_term::Size;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep_until;

/// Messages that wait for a session. Viewers' keys are bounded by their credit already, so that
/// this only smooths bursts.
const INBOX_SIZE: usize = 32;

/// Change of a session's memory that is told to the registry, which is behind a lock.
const MEMORY_STEP: usize = 64 * 1024;

/// How others reach a session.
#[derive(Clone)]
pub(super) struct SessionHandle {
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) view: watch::Receiver<Arc<View>>,
    /// Who may join; `None` before the host has said it.
    pub(super) doors: watch::Receiver<Option<Arc<Doors>>>,
}

/// What others tell a session.
pub(super) enum Message {
    /// Its host connected and proved itself. The answer: is it resumed; none if it's too late.
    Host { epoch: u64, address: IpAddr, link: Link, answer: oneshot::Sender<bool> },
    /// A newer session of the same owner has its names.
    Superseded,
    /// The user whose names it has is gone.
    Disowned,
    /// A viewer joins. The answer is none if it's too late.
    Join { viewer: NewViewer, answer: oneshot::Sender<Place> },
    /// A viewer is gone.
    Leave(ViewerId),
    /// A viewer's terminal has another size.
    Resize(ViewerId, Size),
    /// A viewer is silent, or heard again.
    Silence(ViewerId, bool),
    /// A viewer typed.
    Input { viewer: ViewerId, bytes: Vec<u8>, mark: u32, offset: (u16, u16) },
}

/// A viewer's place in a session.
pub(super) struct Place {
    pub(super) id: ViewerId,
    /// Answered when the host lets it in, or dropped with its release; `None`: it is in.
    pub(super) on_admit: Option<oneshot::Receiver<()>>,
}

/// A viewer that wants to join, and whom the doors let in.
pub(super) struct NewViewer {
    pub(super) admission: Admission,
    pub(super) size: Size,
    /// It wants what scrolled off the screen, too.
    pub(super) keeps_replica: bool,
    pub(super) port: ViewerPort,
}

/// How a session reaches a viewer.
pub(super) struct ViewerPort {
    pub(super) release: oneshot::Sender<Release>,
    /// Bytes that the viewer may still send; closed when the viewer is released.
    pub(super) credit: Arc<Semaphore>,
}

/// A viewer's last words.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) text: String,
    pub(super) exit_status: u32,
}

/// A session's task before it runs.
pub(super) struct SessionTask {
    core: Session,
    inbox: mpsc::Receiver<Message>,
    view: watch::Sender<Arc<View>>,
    doors: watch::Sender<Option<Arc<Doors>>>,
    link: Option<Link>,
    /// The link's other end, as far as it is known.
    remote: Option<SocketAddr>,
    viewers: HashMap<ViewerId, ViewerPort>,
    /// Of viewers at the door.
    admits: HashMap<ViewerId, oneshot::Sender<()>>,
    running: watch::Receiver<Running>,
    webhooks: Webhooks,
    /// Bytes that the registry knows of.
    memory: usize,
}

impl SessionTask {
    /// A session granted now, or brought back, and how to reach it.
    pub(super) fn new(shared: &Shared, id: SessionId, is_restored: bool) -> (Self, SessionHandle) {
        let core = Session::new(shared.limits.clone(), seed(), Instant::now());
        let (sender, inbox) = mpsc::channel(INBOX_SIZE);
        let (view, on_view) = watch::channel(core.view());
        let (doors, on_doors) = watch::channel(None);
        let running = shared.running.clone();
        let task = Self {
            core,
            inbox,
            view,
            doors,
            link: None,
            remote: None,
            viewers: HashMap::new(),
            admits: HashMap::new(),
            running,
            webhooks: Webhooks::new(shared, id, is_restored),
            memory: 0,
        };
        (task, SessionHandle { inbox: sender, view: on_view, doors: on_doors })
    }

    /// Until the session is over. `_alive` makes draining wait for it.
    pub(super) async fn run(mut self, guard: SessionGuard, _alive: mpsc::Sender<()>) {
        while self.carry_out(&guard) {
            if !self.is_memory_granted(&guard) {
                continue;
            }
            let deadline = self.core.poll_timeout();
            let deaf_until = self.core.deaf_until(Instant::now());
            tokio::select! {
                incoming = receive(&mut self.link), if deaf_until.is_none() => {
                    self.on_incoming(incoming);
                }
                // The next turn reads again.
                () = wait_until(deaf_until), if deaf_until.is_some() => {}
                message = self.inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    // The registry holds a handle as long as the guard lives.
                    None => break,
                },
                report = self.webhooks.report() => {
                    self.core.handle_webhook_report(report, Instant::now());
                }
                () = wait_until(deadline) => self.core.handle_timeout(Instant::now()),
                () = stopping(&mut self.running) => self.core.handle_stop(Instant::now()),
            }
        }
        self.carry_out(&guard);
    }

    /// Does what the machine wants. `false`: the session is over.
    fn carry_out(&mut self, guard: &SessionGuard) -> bool {
        let now = Instant::now();
        if let Some(link) = &self.link {
            let (sent, lost) = link.path_stats();
            self.core.handle_path_stats(sent, lost, now);
        }
        loop {
            let size =
                self.link.as_ref().filter(|link| link.has_room()).map(Link::datagram_size_max);
            let Some(output) = self.core.poll_output(now, size) else { return true };
            match output {
                Output::Link(output) => {
                    if let Some(link) = &mut self.link {
                        link.send(output);
                    }
                }
                Output::CloseLink { code, reason } => self.close_link(code, &reason),
                Output::Show(view) => {
                    self.view.send_replace(view);
                }
                Output::Doors(doors) => {
                    self.doors.send_replace(Some(doors));
                }
                Output::Admit(viewer) => {
                    if let Some(admit) = self.admits.remove(&viewer) {
                        // One that is gone says so itself.
                        let _ = admit.send(());
                    }
                }
                Output::Release { viewer, text, exit_status } => {
                    self.admits.remove(&viewer);
                    if let Some(port) = self.viewers.remove(&viewer) {
                        port.credit.close();
                        // A viewer that is gone needs no last words.
                        let _ = port.release.send(Release { text, exit_status });
                    }
                }
                Output::Taken { viewer, byte_count } => {
                    if let Some(port) = self.viewers.get(&viewer) {
                        port.credit.add_permits(byte_count);
                    }
                }
                Output::Happened(happening) => {
                    if let Some(report) = self.webhooks.on_happened(*happening) {
                        self.core.handle_webhook_report(report, now);
                    }
                }
                Output::Ended => guard.bury(),
                Output::Retire => guard.retire(),
                Output::Over => return false,
            }
        }
    }

    /// Tells the registry what the session holds, if that has changed enough. If there is no memory
    /// for it, the session lets go of it, which is still to be carried out.
    fn is_memory_granted(&mut self, guard: &SessionGuard) -> bool {
        let arriving = self.link.as_ref().map_or(0, Link::arriving_size);
        let memory = self.core.memory() + arriving;
        if memory.abs_diff(self.memory) < MEMORY_STEP {
            return true;
        }
        match guard.hold(memory) {
            Ok(()) => {
                self.memory = memory;
                true
            }
            Err(reason) => {
                self.core.handle_no_memory(&reason, Instant::now());
                false
            }
        }
    }

    fn close_link(&mut self, code: CloseCode, reason: &str) {
        if let Some(mut link) = self.link.take() {
            tracing::info!(?code, reason, "host's link closed");
            link.close(code.number(), reason);
        }
    }

    fn on_incoming(&mut self, incoming: Result<Incoming, LinkError>) {
        let now = Instant::now();
        if incoming.is_ok() {
            self.check_path(now);
        }
        match incoming {
            Ok(Incoming::Datagram(datagram)) => self.core.handle_datagram(&datagram, now),
            Ok(Incoming::Stream(message)) => self.core.handle_stream(&message, now),
            Ok(Incoming::Room | Incoming::Arriving) => {}
            Ok(Incoming::TooLarge) => self.core.handle_too_large(now),
            Err(error) => {
                tracing::info!(%error, "host's link lost");
                self.link = None;
                self.core.handle_link_lost(now);
            }
        }
    }

    /// A host that roams may go on from another address: QUIC follows it as soon as a packet of
    /// its comes from there.
    fn check_path(&mut self, now: Instant) {
        let remote = self.link.as_ref().and_then(Link::remote_address);
        if remote != self.remote {
            tracing::info!(from = ?self.remote, to = ?remote, "host's address changed");
            self.remote = remote;
            if let Some(remote) = remote {
                self.webhooks.on_address(remote.ip());
            }
            self.core.handle_path_changed(now);
        }
    }

    fn on_message(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Host { epoch, address, link, answer } => {
                self.webhooks.on_address(address);
                self.on_host(epoch, link, answer, now);
            }
            Message::Superseded => self.core.handle_superseded(now),
            Message::Disowned => self.core.handle_disowned(now),
            Message::Join { viewer, answer } => self.on_join(viewer, answer, now),
            Message::Leave(id) => {
                self.admits.remove(&id);
                if let Some(port) = self.viewers.remove(&id) {
                    port.credit.close();
                }
                self.core.handle_leave(id, now);
            }
            Message::Resize(id, size) => self.core.handle_resize(id, size, now),
            Message::Silence(id, is_silent) => self.core.handle_silence(id, is_silent, now),
            Message::Input { viewer, bytes, mark, offset } => {
                self.core.handle_input(viewer, &bytes, mark, offset, now);
            }
        }
    }

    fn on_host(&mut self, epoch: u64, link: Link, answer: oneshot::Sender<bool>, now: Instant) {
        let Some(is_resumed) = self.core.handle_host(epoch, seed(), now) else { return };
        self.close_link(CloseCode::Replaced, "a newer connection took over");
        self.remote = link.remote_address();
        tracing::info!(remote = ?self.remote, over = %link, is_resumed, "host connected");
        self.link = Some(link);
        // If nobody waits for the answer, the connection is gone, which the link will tell.
        let _ = answer.send(is_resumed);
    }

    fn on_join(&mut self, viewer: NewViewer, answer: oneshot::Sender<Place>, now: Instant) {
        let NewViewer { admission, size, keeps_replica, port } = viewer;
        let Some((id, is_in)) = self.core.handle_join(admission, size, now) else { return };
        self.viewers.insert(id, port);
        if keeps_replica {
            self.core.handle_scrollback_wanted(id, now);
        }
        let on_admit = (!is_in).then(|| {
            let (admit, on_admit) = oneshot::channel();
            self.admits.insert(id, admit);
            on_admit
        });
        if answer.send(Place { id, on_admit }).is_err() {
            self.viewers.remove(&id);
            self.admits.remove(&id);
            self.core.handle_leave(id, now);
        }
    }
}

fn seed() -> u64 {
    u64::from_be_bytes(random())
}

async fn receive(link: &mut Option<Link>) -> Result<Incoming, LinkError> {
    match link {
        Some(link) => link.recv().await,
        None => pending().await,
    }
}

/// When the relay goes on no more.
async fn stopping(running: &mut watch::Receiver<Running>) {
    // A relay that was dropped without a word has stopped as well.
    let _ = running.wait_for(|running| *running != Running::Yes).await;
}

pub(super) async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
