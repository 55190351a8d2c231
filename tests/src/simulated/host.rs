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
use tern_client::core::dialling::{Answers, Carrier, Dialling};
use tern_sync::link::{Link, QuicLink};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    Access, HOST_EVENTS, HostEvent, SCROLLBACK, SETTINGS, Settings, TOPOLOGY, Topology,
    VIEWER_EVENTS, ViewerEvent, WEBHOOK, WEBHOOK_REPORT, WebhookReport,
};
use tern_sync::{Endpoint, Event};
use tern_term::{SCREEN, Shown};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

/// An attempt that isn't through after this time is given up: as `tern_client::shell::roaming::ways`.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(6);
/// Most attempts at the same time, as there.
const ATTEMPTS_MAX: usize = 48;

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
    attempts: JoinSet<Option<Connection>>,
    attempts_count: u64,
    /// A connection stands, and its hello is under way.
    hello: Option<Hello>,
}

impl HostSide {
    pub(super) fn new(shared: Shared, relay: SocketAddr, program: Program, seed: u64) -> Self {
        let now = shared.instant();
        Self {
            config: quic::client_config(seed),
            endpoint: new_endpoint(seed, now),
            shared,
            relay,
            dialling: Dialling::new(now),
            seed,
            program,
            epoch: seed,
            link: None,
            attempts: JoinSet::new(),
            attempts_count: 0,
            hello: None,
        }
    }

    /// For as long as the world turns.
    pub(super) async fn run(mut self) {
        self.on_screen();
        loop {
            self.settle();
            self.look_for_ways(self.shared.instant());
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
                        self.dialling.handle_lost(self.shared.instant());
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
        let overdue = link.and_then(|_| self.dialling.overdue_at(self.answers()));
        let program = self.program.poll_timeout().map(|at| self.shared.at(at));
        let all = [endpoint, overdue, program, self.dialling.poll_timeout()];
        all.into_iter().flatten().min().unwrap_or(far)
    }

    fn answers(&self) -> Answers {
        Answers {
            asked_at: self.endpoint.unanswered_since(),
            heard_at: self.endpoint.last_heard(),
            round_trip: self.endpoint.rtt(),
        }
    }

    fn on_time(&mut self) {
        let now = self.shared.instant();
        self.endpoint.handle_timeout(now);
        if self.program.handle_timeout(self.shared.now(), now) {
            self.on_screen();
        }
    }

    /// Looks how the link is, and tries others where it is silent.
    fn look_for_ways(&mut self, now: Instant) {
        let is_again = self.link.is_some() && self.dialling.handle_answers(self.answers(), now);
        if is_again && self.hello.is_none() {
            self.attempts.abort_all();
        }
        while let Some(carrier) = self.dialling.poll_attempt(now) {
            // There is no SSH here.
            if carrier == Carrier::Quic && self.attempts.len() < ATTEMPTS_MAX {
                self.dial();
            }
        }
    }

    fn dial(&mut self) {
        self.attempts_count += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.attempts_count);
        let (network, relay) = (self.shared.network.clone(), self.relay);
        let config = self.config.clone();
        let deference = self.dialling.deference(self.endpoint.rtt());
        self.note(|| "dialling".to_owned());
        self.attempts.spawn(async move {
            let local = SocketAddr::from(([0, 0, 0, 0], 0));
            let socket = network.socket(super::HOST, local).ok()?;
            let endpoint = quic::host_endpoint(socket, seed);
            let connecting = endpoint.connect_with(config, relay, quic::NAME).ok()?;
            let connection = timeout(ATTEMPT_TIME_MAX, connecting).await.ok()?.ok()?;
            sleep(deference).await;
            Some(connection)
        });
    }

    /// The first that answers goes on, unless the old way was heard meanwhile.
    fn on_attempt(&mut self, connection: Connection) {
        if self.hello.is_some() || self.dialling.silent_since().is_none() {
            return;
        }
        self.note(|| "a connection stands".to_owned());
        let epoch = self.epoch;
        self.hello = Some(Box::pin(async move {
            let welcome =
                timeout(ATTEMPT_TIME_MAX, hello::introduce(&connection, epoch)).await.ok()??;
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
        self.dialling.handle_linked(Carrier::Quic, now);
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
    endpoint.open_sender(SETTINGS, Whole(Settings::default()));
    let everybody = Settings { access: Access::Everybody, ..Settings::default() };
    endpoint.set(SETTINGS, Whole(everybody), now);
    endpoint.open_sender(SCREEN, Shown::default());
    endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
    endpoint.open_sender(HOST_EVENTS, Log::<HostEvent>::new());
    endpoint.open_sender(SCROLLBACK, Log::new());
    endpoint.open_sender(WEBHOOK, Whole(None));
    endpoint.open_receiver(VIEWER_EVENTS, Log::<ViewerEvent>::new());
    endpoint.open_receiver(WEBHOOK_REPORT, Whole(WebhookReport::default()));
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
