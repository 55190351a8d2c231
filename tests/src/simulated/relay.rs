//! The relay's side: its session, the real machine, over real QUIC, and a viewer who types.

use super::hello::{self, Welcome};
use super::{RELAY_DOWN, RELAY_PORT, RELAY_UP, Shared, quic};
use netsim::Action;
use netsim::quinn_socket::QuinnSocket;
use quinn::{Connection, Endpoint, SendStream, ServerConfig};
use std::collections::VecDeque;
use std::future::pending;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_relay::Limits;
use tern_relay::core::doors::Admission;
use tern_relay::core::session::{CloseCode, Output, Session};
use tern_sync::link::{Incoming, Link, LinkError, QuicLink};
use tern_sync::session::{Role, ViewerId, Visitor};
use tern_term::Size;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// Connections that have said hello and wait for the session.
const INTRODUCED_MAX: usize = 64;
/// Bytes that a session may hold: a quarter of a relay's default, and far more than it should.
const SESSION_MEMORY: usize = 16 * 1024 * 1024;

struct Introduced {
    connection: Connection,
    epoch: u64,
    writer: SendStream,
}

pub(super) struct RelaySide {
    shared: Shared,
    config: ServerConfig,
    seed: u64,
    /// Times that it was started.
    starts_count: u64,
    running: Option<Running>,
    keys: VecDeque<Duration>,
    size: Size,
}

/// What dies with the process.
struct Running {
    session: Session,
    viewer: ViewerId,
    link: Option<Link>,
    has_frame: bool,
    socket: Arc<QuinnSocket>,
    introduced: mpsc::Receiver<Introduced>,
    /// Accepts, and introduces.
    tasks: JoinSet<()>,
}

impl RelaySide {
    pub(super) fn new(shared: Shared, keys: &[Duration], size: Size, seed: u64) -> Self {
        let config = quic::server_config(seed);
        let keys = keys.iter().copied().collect();
        let mut side = Self { shared, config, seed, starts_count: 0, running: None, keys, size };
        side.start();
        side
    }

    /// For as long as the world turns.
    pub(super) async fn run(mut self) {
        loop {
            self.settle();
            let due = self.poll_timeout();
            let running = self.running.as_mut();
            let until_due = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                (_, action) = self.shared.network.next_event() => self.on_event(&action),
                happened = happens(running) => self.on_happened(happened),
                () = until_due => self.on_time(),
            }
        }
    }

    fn start(&mut self) {
        self.starts_count += 1;
        let local = SocketAddr::from((Ipv6Addr::UNSPECIFIED, RELAY_PORT));
        let socket =
            self.shared.network.socket(super::RELAY, local).expect("the relay's port is free");
        let seed = self.seed.wrapping_mul(1_000_033).wrapping_add(self.starts_count);
        let endpoint = quic::relay_endpoint(Arc::clone(&socket), seed, self.config.clone());
        let (sender, introduced) = mpsc::channel(INTRODUCED_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(endpoint, sender));
        let now = self.shared.instant();
        let limits = Limits { session_memory: SESSION_MEMORY, ..Limits::default() };
        let mut session = Session::new(limits, seed, now);
        let (role, address) = (Role::ReadWrite, "10.9.9.9".to_owned());
        let who = Visitor { role, address, key: None, place: None };
        let admission = Admission { who, bearer: None };
        let joined = session.handle_join(admission, self.size, now);
        let (viewer, _) = joined.expect("a new session lives");
        self.running = Some(Running {
            session,
            viewer,
            link: None,
            has_frame: false,
            socket,
            introduced,
            tasks,
        });
    }

    fn on_event(&mut self, action: &Action) {
        self.shared.journal().note(self.shared.now(), || format!("event: {action}"));
        match action {
            Action::Signal(name) if name == RELAY_DOWN => {
                if let Some(mut running) = self.running.take() {
                    running.socket.kill();
                    running.tasks.abort_all();
                    self.shared.journal().on_relay_killed();
                }
            }
            Action::Signal(name) if name == RELAY_UP && self.running.is_none() => self.start(),
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let running = self.running.as_ref()?;
        let key = self.keys.front().map(|at| self.shared.at(*at));
        running.session.poll_timeout().into_iter().chain(key).min()
    }

    /// Keys are typed when it is time; while the relay is down, nobody is there to type.
    fn on_time(&mut self) {
        let now = self.shared.instant();
        let Some(running) = &mut self.running else { return };
        running.session.handle_timeout(now);
        while self.keys.front().is_some_and(|at| *at <= self.shared.now()) {
            self.keys.pop_front();
            let byte = self.shared.journal().on_typed(self.shared.now());
            running.session.handle_input(running.viewer, &[byte], 0, (0, 0), now);
        }
    }

    fn on_happened(&mut self, happened: Happened) {
        let now = self.shared.instant();
        let Some(running) = &mut self.running else { return };
        match happened {
            Happened::Introduced(introduced) => {
                let Introduced { connection, epoch, writer } = introduced;
                let Some(is_resumed) = running.session.handle_host(epoch, self.seed, now) else {
                    return;
                };
                if let Some(mut old) = running.link.take() {
                    old.close(CloseCode::Replaced.number(), "a newer connection took over");
                }
                self.shared
                    .journal()
                    .note(self.shared.now(), || format!("relay: host, resumed {is_resumed}"));
                running.link = Some(QuicLink::new(connection).into());
                running.tasks.spawn(hello::welcome(writer, Welcome { is_resumed }));
            }
            Happened::Link(Ok(incoming)) => match incoming {
                Incoming::Datagram(datagram) => running.session.handle_datagram(&datagram, now),
                Incoming::Stream(message) => running.session.handle_stream(&message, now),
                Incoming::Room | Incoming::Arriving => {}
                Incoming::TooLarge => running.session.handle_too_large(now),
            },
            Happened::Link(Err(_)) => {
                running.link = None;
                running.session.handle_link_lost(now);
            }
        }
    }

    /// Does what the session wants.
    fn settle(&mut self) {
        let (now, time) = (self.shared.instant(), self.shared.now());
        if let Some(running) = &mut self.running
            && let Some(link) = &running.link
        {
            let (sent, lost) = link.path_stats();
            running.session.handle_path_stats(sent, lost, now);
        }
        while let Some(running) = &mut self.running {
            let size = running.link.as_ref().filter(|link| link.has_room());
            let size = size.map(Link::datagram_size_max);
            let Some(output) = running.session.poll_output(now, size) else { break };
            match output {
                Output::Link(output) => {
                    if let Some(link) = &mut running.link {
                        link.send(output);
                    }
                }
                Output::CloseLink { code, reason } => {
                    let text = format!("the relay closed the link: {code:?}, {reason}");
                    // After an hour's silence that is its right: the host comes back anew.
                    if code == CloseCode::Silent {
                        self.shared.journal().note(time, || text);
                    } else {
                        self.shared.journal().accuse(time, &text);
                    }
                    if let Some(mut link) = running.link.take() {
                        link.close(code.number(), &reason);
                    }
                }
                Output::Show(view) => {
                    // Before the first of the host's frames, an empty screen is shown.
                    let is_empty = view.frame == tern_term::Frame::default();
                    if running.has_frame || !is_empty {
                        running.has_frame = true;
                        self.shared.journal().on_shown(time, &view.frame);
                    }
                }
                Output::Release { text, .. } => {
                    self.shared.journal().accuse(time, &format!("the viewer was let go: {text}"));
                }
                Output::Ended | Output::Retire | Output::Over => {
                    self.shared.journal().accuse(time, "the session ended");
                }
                Output::Taken { .. }
                | Output::Doors(_)
                | Output::Admit(_)
                | Output::Happened(_) => {}
            }
        }
        self.shared.look();
    }
}

enum Happened {
    Introduced(Introduced),
    Link(Result<Incoming, LinkError>),
}

async fn happens(running: Option<&mut Running>) -> Happened {
    let Some(running) = running else { return pending().await };
    let received = async {
        match &mut running.link {
            Some(link) => link.recv().await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        Some(introduced) = running.introduced.recv() => Happened::Introduced(introduced),
        received = received => Happened::Link(received),
    }
}

/// Accepts, and hears each host's hello.
async fn listen(endpoint: Endpoint, introduced: mpsc::Sender<Introduced>) {
    let mut tasks = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while tasks.try_join_next().is_some() {}
        let introduced = introduced.clone();
        tasks.spawn(async move {
            let Ok(connection) = incoming.await else { return };
            if let Some((epoch, writer)) = hello::accept(&connection).await {
                // A relay that was killed needs none.
                let _ = introduced.send(Introduced { connection, epoch, writer }).await;
            }
        });
    }
}
