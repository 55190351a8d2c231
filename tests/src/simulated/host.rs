//! The host's side: the program, the endpoint, and the way to the relay, as the client's link does
//! it: one connection; when it is silent, others are tried beside it, and the first that answers
//! goes on with the endpoint as it is.

use super::hello::{self, Welcome};
use super::journal::Journal;
use super::program::Program;
use super::{Shared, quic};
use quinn::{ClientConfig, Connection};
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tern_sync::link::{Link, QuicLink};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{HOST_EVENTS, HostEvent, TOPOLOGY, Topology, VIEWER_EVENTS, ViewerEvent};
use tern_sync::{Endpoint, Event};
use tern_term::{SCREEN, Shown};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// When the host tries another connection, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialling {
    /// Silence after which others are tried beside the present connection.
    pub silence_max: Duration,
    /// A new attempt begins this often.
    pub interval: Duration,
    /// An attempt that isn't through after this time is given up.
    pub attempt_time_max: Duration,
}

impl Default for Dialling {
    /// As the client does (`tern_client::shell::link`, `tern_client::shell::quic`).
    fn default() -> Self {
        Self {
            silence_max: Duration::from_secs(8),
            interval: Duration::from_secs(1),
            attempt_time_max: Duration::from_secs(6),
        }
    }
}

type Hello = Pin<Box<dyn Future<Output = Option<(Connection, Welcome)>> + Send>>;

pub(super) struct HostSide {
    shared: Shared,
    relay: SocketAddr,
    dialling: Dialling,
    config: ClientConfig,
    seed: u64,
    program: Program,
    endpoint: Endpoint,
    epoch: u64,
    link: Option<Link>,
    linked_at: Instant,
    attempts: JoinSet<Option<Connection>>,
    attempts_count: u64,
    /// A connection stands, and its hello is under way.
    hello: Option<Hello>,
    dial_at: Option<Instant>,
}

impl HostSide {
    pub(super) fn new(
        shared: Shared,
        relay: SocketAddr,
        dialling: Dialling,
        program: Program,
        seed: u64,
    ) -> Self {
        let now = shared.instant();
        Self {
            config: quic::client_config(seed),
            endpoint: new_endpoint(seed, now),
            shared,
            relay,
            dialling,
            seed,
            program,
            epoch: seed,
            link: None,
            linked_at: now,
            attempts: JoinSet::new(),
            attempts_count: 0,
            hello: None,
            dial_at: Some(now),
        }
    }

    /// For as long as the world turns.
    pub(super) async fn run(mut self) {
        self.on_screen();
        loop {
            self.settle();
            let due = self.poll_timeout();
            tokio::select! {
                biased;
                incoming = receive(&mut self.link) => match incoming {
                    Ok(incoming) => {
                        let now = self.shared.instant();
                        if let Err(error) = incoming.feed(&mut self.endpoint, now) {
                            self.accuse(&format!("the host blames the relay: {error}"));
                        }
                    }
                    Err(error) => {
                        self.note(|| format!("link lost at the host: {error}"));
                        self.link = None;
                        self.dial_at.get_or_insert(self.shared.instant());
                    }
                },
                said = wait_for(&mut self.hello) => {
                    self.hello = None;
                    if let Some((connection, welcome)) = said {
                        self.on_connected(connection, welcome);
                    }
                }
                Some(attempt) = self.attempts.join_next() => {
                    if let Ok(Some(connection)) = attempt {
                        self.on_attempt(connection);
                    }
                }
                () = sleep_until(due.into()) => self.on_time(),
            }
        }
    }

    /// After anything happened: sends what is due, hands on what came.
    fn settle(&mut self) {
        let now = self.shared.instant();
        if let Some(link) = &mut self.link {
            link.pump(&mut self.endpoint, now);
        }
        let mut has_typed = false;
        while let Some(event) = self.endpoint.poll_event() {
            if event != Event::Received(VIEWER_EVENTS.id) {
                continue;
            }
            for event in self.endpoint.take(VIEWER_EVENTS) {
                if let ViewerEvent::Input { bytes, .. } = event {
                    for byte in bytes {
                        has_typed = true;
                        self.shared.journal().on_key_received(self.shared.now(), byte);
                        self.program.handle_key(byte, now);
                    }
                }
            }
        }
        if has_typed {
            self.on_screen();
            if let Some(link) = &mut self.link {
                link.pump(&mut self.endpoint, now);
            }
        }
        self.shared.journal().on_load(self.endpoint.load());
        self.shared.look();
    }

    fn poll_timeout(&self) -> Instant {
        let far = self.shared.instant() + Duration::from_secs(3600);
        let link = self.link.as_ref();
        let endpoint = link.and_then(|link| link.poll_timeout(&self.endpoint));
        let silent = link.filter(|_| self.dial_at.is_none()).map(|_| self.silent_at());
        let program = self.program.poll_timeout().map(|at| self.shared.at(at));
        let all = [endpoint, silent, program, self.dial_at];
        all.into_iter().flatten().min().unwrap_or(far)
    }

    fn silent_at(&self) -> Instant {
        let heard = self.endpoint.last_heard();
        heard.map_or(self.linked_at, |at| at.max(self.linked_at)) + self.dialling.silence_max
    }

    fn on_time(&mut self) {
        let now = self.shared.instant();
        self.endpoint.handle_timeout(now);
        if self.program.handle_timeout(self.shared.now(), now) {
            self.on_screen();
        }
        if self.link.is_some() && now < self.silent_at() {
            // Heard again: the old way is good.
            self.dial_at = None;
            self.attempts.abort_all();
        } else if self.dial_at.is_none_or(|at| at <= now) {
            self.dial_at = Some(now + self.dialling.interval);
            self.dial();
        }
    }

    fn dial(&mut self) {
        self.attempts_count += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.attempts_count);
        let (network, relay) = (self.shared.network.clone(), self.relay);
        let (config, time_max) = (self.config.clone(), self.dialling.attempt_time_max);
        self.note(|| "dialling".to_owned());
        self.attempts.spawn(async move {
            let local = SocketAddr::from(([0, 0, 0, 0], 0));
            let socket = network.socket(super::HOST, local).ok()?;
            let endpoint = quic::host_endpoint(socket, seed);
            let connecting = endpoint.connect_with(config, relay, quic::NAME).ok()?;
            timeout(time_max, connecting).await.ok()?.ok()
        });
    }

    /// The first that answers goes on, unless the old way was heard meanwhile.
    fn on_attempt(&mut self, connection: Connection) {
        let is_old_good = self.link.is_some() && self.shared.instant() < self.silent_at();
        if self.hello.is_some() || self.dial_at.is_none() || is_old_good {
            return;
        }
        self.note(|| "a connection stands".to_owned());
        let (epoch, time_max) = (self.epoch, self.dialling.attempt_time_max);
        self.hello = Some(Box::pin(async move {
            let welcome = timeout(time_max, hello::introduce(&connection, epoch)).await.ok()??;
            Some((connection, welcome))
        }));
    }

    fn on_connected(&mut self, connection: Connection, welcome: Welcome) {
        let now = self.shared.instant();
        if welcome.is_resumed {
            self.endpoint.handle_new_path(now);
        } else {
            self.begin_anew();
        }
        self.note(|| format!("connected, {welcome:?}"));
        self.shared.journal().links += 1;
        self.link = Some(QuicLink::new(connection).into());
        self.linked_at = now;
        self.dial_at = None;
        self.attempts.abort_all();
    }

    /// The relay doesn't know our states (any more): both begin with state 0.
    fn begin_anew(&mut self) {
        let now = self.shared.instant();
        let screen = self.endpoint.current(SCREEN).clone();
        self.endpoint = new_endpoint(self.seed, now);
        self.endpoint.set(SCREEN, screen, now);
        self.shared.journal().on_new_era(self.shared.now());
    }

    fn on_screen(&mut self) {
        let frame = self.program.frame();
        self.shared.journal().on_frame(self.shared.now(), frame.clone());
        self.endpoint.set(SCREEN, frame.into(), self.shared.instant());
    }

    fn note(&self, line: impl FnOnce() -> String) {
        self.shared.journal().note(self.shared.now(), line);
    }

    fn accuse(&self, what: &str) {
        Journal::accuse(&mut self.shared.journal(), self.shared.now(), what);
    }
}

fn new_endpoint(seed: u64, now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(seed, now);
    endpoint.open_sender(SCREEN, Shown::default());
    endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
    endpoint.open_sender(HOST_EVENTS, Log::<HostEvent>::new());
    endpoint.open_receiver(VIEWER_EVENTS, Log::<ViewerEvent>::new());
    endpoint
}

async fn receive(
    link: &mut Option<Link>,
) -> Result<tern_sync::link::Incoming, tern_sync::link::LinkError> {
    match link {
        Some(link) => link.recv().await,
        None => pending().await,
    }
}

async fn wait_for(hello: &mut Option<Hello>) -> Option<(Connection, Welcome)> {
    match hello {
        Some(hello) => hello.await,
        None => pending().await,
    }
}
