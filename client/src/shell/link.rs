//! The way to the relay: one task that asks for a session over SSH, keeps the sync endpoint, and
//! carries it over one QUIC connection after another.

use crate::core::messages::JoinLines;
use crate::core::notice;
use crate::shell::board::{Board, unix_time};
use crate::shell::protocol::Connection;
use crate::shell::quic;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tern_bootstrap::client::{BootstrapError, Granted, Options, request_session};
use tern_bootstrap::grant::{RefusalCode, WireError};
use tern_bootstrap::hello::introduce;
use tern_sync::link::{Link as SyncLink, QuicLink};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{HOST_EVENTS, HostEvent, TOPOLOGY, Topology, VIEWER_EVENTS, ViewerEvent};
use tern_sync::{Endpoint, Event, PeerError};
use tern_term::{Frame, SCREEN};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until, timeout};

/// A relay that lives is heard every 5 s and a round trip; after this much silence another
/// connection is made.
pub const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long after a failed request for a session the next one follows.
const BOOTSTRAP_RETRY_DELAY: Duration = Duration::from_secs(2);
/// The same, after the relay said that it is full or stopping.
const REFUSED_RETRY_DELAY: Duration = Duration::from_secs(10);
/// How long the end of the session may take to arrive at the relay.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(5);
/// quinn sends a close from a task of its own; this is long enough for that.
const CLOSE_TIME: Duration = Duration::from_millis(50);
/// Viewers' events that wait for the session's task.
const INCOMING_MAX: usize = 1024;
/// Events for the relay that wait for this task.
const EVENTS_MAX: usize = 1024;
/// After this time without an answer over QUIC, while SSH worked, the person is told.
const QUIC_TIME_MAX: Duration = Duration::from_secs(10);
/// QUIC's application code of a connection that the host closes since all is said.
const CLOSE_ENDED: u32 = 0;

/// What comes from the relay, for the session's task.
#[derive(Debug)]
pub enum Incoming {
    /// A viewer did something.
    Viewer(ViewerEvent),
    /// The relay started anew: it will tell of its viewers again.
    ViewersForgotten,
    /// There are new join lines.
    NewLines(JoinLines),
    /// The person should see this.
    Notice(String),
}

/// The session's side of the link.
#[derive(Debug)]
pub struct Uplink {
    /// The newest picture.
    pub frames: watch::Sender<Frame>,
    /// The newest topology.
    pub topology: watch::Sender<Topology>,
    /// What the relay must know.
    pub events: mpsc::Sender<HostEvent>,
    /// What comes from there.
    pub incoming: mpsc::Receiver<Incoming>,
    end: oneshot::Sender<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Uplink {
    /// Starts the task. `shown_host` stands in join lines if the relay names no host itself and
    /// the one that it was reached by is of no use to others.
    pub fn start(options: Options, shown_host: Option<String>, board: Board) -> Self {
        let frames = watch::Sender::new(Frame::default());
        let topology = watch::Sender::new(Topology::default());
        let (events, event_receiver) = mpsc::channel(EVENTS_MAX);
        let (incoming_sender, incoming) = mpsc::channel(INCOMING_MAX);
        let (end, end_receiver) = oneshot::channel();
        let link = Link {
            options,
            shown_host,
            board,
            frames: frames.subscribe(),
            topology: topology.subscribe(),
            events: event_receiver,
            incoming: incoming_sender,
        };
        let task = tokio::spawn(async move { link.run(end_receiver).await });
        Self { frames, topology, events, incoming, end, task }
    }

    /// The session is over: viewers are told `text`, as far as the relay is within reach.
    pub async fn finish(self, text: String) {
        let Self { end, task, incoming, .. } = self;
        // Nobody takes them any more, and the task must not wait for that.
        drop(incoming);
        // If the task has ended, there is nobody to tell.
        let _ = end.send(text);
        let _ = timeout(FAREWELL_TIME_MAX + Duration::from_secs(1), task).await;
    }
}

struct Link {
    options: Options,
    shown_host: Option<String>,
    board: Board,
    frames: watch::Receiver<Frame>,
    topology: watch::Receiver<Topology>,
    events: mpsc::Receiver<HostEvent>,
    incoming: mpsc::Sender<Incoming>,
}

/// How a session at the relay ended.
enum SessionEnd {
    /// The host ended it.
    Ended,
    /// The relay doesn't know it any more.
    Unknown,
    /// The relay doesn't want to talk to us.
    Refused(String),
}

/// How a connection ended.
enum Lost {
    /// The session is over; viewers are to be told this.
    Ended(String),
    Connection(String),
    Silence,
    Peer(PeerError),
}

/// The sync endpoint with its channels, and the number that names its states.
struct Synced {
    endpoint: Endpoint,
    epoch: u64,
    is_used: bool,
}

impl Synced {
    fn new(epoch: u64) -> Self {
        let mut endpoint = Endpoint::new(rand::random(), Instant::now());
        endpoint.open_sender(SCREEN, Frame::default());
        endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
        endpoint.open_sender(HOST_EVENTS, Log::<HostEvent>::new());
        endpoint.open_receiver(VIEWER_EVENTS, Log::<ViewerEvent>::new());
        Self { endpoint, epoch, is_used: false }
    }
}

impl Link {
    /// Until the sharing ends or fails for good.
    async fn run(mut self, mut end: oneshot::Receiver<String>) {
        let host = self.shown_host.as_ref().unwrap_or(&self.options.relay.host);
        let host = notice::printable(host);
        self.board.log(&format!("Connecting to {host}..."));
        loop {
            let granted = tokio::select! {
                biased;
                _ = &mut end => return,
                granted = self.bootstrap() => granted,
            };
            let outcome = match granted {
                Ok(granted) => {
                    for text in &granted.notices {
                        self.notice(text).await;
                    }
                    self.keep(&granted, &mut end).await
                }
                Err(text) => SessionEnd::Refused(text),
            };
            match outcome {
                SessionEnd::Ended => return,
                SessionEnd::Unknown => {
                    self.notice("The relay lost the session: asking for a new one").await;
                    self.tell(Incoming::ViewersForgotten).await;
                }
                SessionEnd::Refused(text) => {
                    self.trouble(&text);
                    self.notice(&not_shared(&text)).await;
                    self.board.update(|status| status.connection = Connection::Failed(text));
                    // The session goes on unshared, until somebody stops the sharing.
                    let _ = end.await;
                    return;
                }
            }
        }
    }

    /// Asks for a session until there is one. An error is one that asking again won't mend.
    async fn bootstrap(&mut self) -> Result<Granted, String> {
        let mut told = String::new();
        loop {
            let error = match request_session(&self.options).await {
                Ok(granted) => return Ok(granted),
                Err(error) => error,
            };
            let text = notice::printable(&error.to_string());
            let Some(delay) = retry_delay(&error) else {
                return Err(text);
            };
            tracing::info!(error = text, "no session yet");
            if told != text {
                self.trouble(&text);
                self.notice(&format!(
                    "Not shared yet: {text} (trying again every {} s)",
                    delay.as_secs()
                ))
                .await;
                told = text;
            }
            sleep(delay).await;
        }
    }

    async fn announce(&mut self, granted: &Granted) {
        let grant = &granted.grant;
        let host = match (&self.shown_host, &grant.ssh_host) {
            (Some(host), _) | (None, Some(host)) => host.clone(),
            (None, None) => self.options.relay.host.clone(),
        };
        let host = notice::printable(&host);
        let lines = JoinLines::new(&grant.token, &grant.token_ro, &host, grant.ssh_port);
        self.board.set_lines_shown(false);
        for text in lines.messages() {
            self.board.log(&text);
        }
        self.board.update(|status| {
            status.lines = Some(lines.clone());
            status.trouble = None;
        });
        self.tell(Incoming::NewLines(lines)).await;
    }

    /// Keeps the relay in step, over one connection after another.
    async fn keep(&mut self, granted: &Granted, end: &mut oneshot::Receiver<String>) -> SessionEnd {
        let mut synced = Synced::new(rand::random());
        loop {
            let connected = tokio::select! {
                biased;
                text = &mut *end => {
                    // One last try, since viewers at the relay wait for us.
                    let connected = timeout(FAREWELL_TIME_MAX, self.connect(granted, &mut synced));
                    if let Ok(Ok(mut link)) = connected.await {
                        self.say_farewell(&mut synced, &mut link, text.unwrap_or_default()).await;
                    }
                    return SessionEnd::Ended;
                }
                connected = self.connect(granted, &mut synced) => connected,
            };
            let mut link = match connected {
                Ok(link) => link,
                Err(end) => return end,
            };
            self.tell_connected(&link).await;
            let reason = match self.drive(&mut synced, &mut link, end).await {
                Lost::Ended(text) => {
                    self.say_farewell(&mut synced, &mut link, text).await;
                    return SessionEnd::Ended;
                }
                Lost::Connection(reason) => reason,
                Lost::Silence => "the relay is silent".into(),
                Lost::Peer(error) => {
                    // Its states and ours can't be brought together: both begin anew.
                    synced.epoch = rand::random();
                    error.to_string()
                }
            };
            self.board.update(|status| status.connection = Connection::Reconnecting(unix_time()));
            self.notice(&format!("Reconnecting... ({})", notice::printable(&reason))).await;
        }
    }

    async fn tell_connected(&mut self, link: &SyncLink) {
        let was_lost = self.is_reconnecting();
        self.board.update(|status| status.connection = Connection::Connected(unix_time()));
        tracing::info!(relay = ?link.remote_address(), over = %link, "connected");
        if was_lost {
            self.notice("Reconnected").await;
        }
    }

    fn is_reconnecting(&self) -> bool {
        let content = self.board.subscribe();
        matches!(content.borrow().status.connection, Connection::Reconnecting(_))
    }

    /// A connection over which the relay knows us.
    async fn connect(
        &mut self,
        granted: &Granted,
        synced: &mut Synced,
    ) -> Result<SyncLink, SessionEnd> {
        let mut address = granted.address;
        address.set_port(granted.grant.quic_port);
        loop {
            let connection = match self.dial(granted, address).await {
                Ok(connection) => connection,
                // A relay that was made anew: SSH tells whether it's still the right one.
                Err(quic::WrongCertificate) if synced.is_used => return Err(SessionEnd::Unknown),
                Err(quic::WrongCertificate) => {
                    let text = format!(
                        "what answers at {address} (UDP) shows another certificate \
                         than the one that the relay handed over by SSH. Somebody may be \
                         impersonating it, or another program uses that port"
                    );
                    return Err(SessionEnd::Refused(text));
                }
            };
            match introduce(&connection, &granted.grant, synced.epoch).await {
                Ok(welcome) => {
                    let was_used = synced.is_used;
                    if welcome.is_resumed {
                        synced.endpoint.handle_new_path(Instant::now());
                    } else if synced.is_used {
                        *synced = Synced::new(synced.epoch);
                        self.tell(Incoming::ViewersForgotten).await;
                    }
                    synced.is_used = true;
                    // Lines that led nowhere would only be handed out in vain.
                    if !was_used {
                        self.announce(granted).await;
                    }
                    return Ok(QuicLink::new(connection).into());
                }
                Err(WireError::Refused(refusal)) => match refusal.code {
                    RefusalCode::Unauthorized => return Err(SessionEnd::Unknown),
                    RefusalCode::Version | RefusalCode::Malformed => {
                        let text = notice::printable(&refusal.text);
                        return Err(SessionEnd::Refused(text));
                    }
                    RefusalCode::Full | RefusalCode::Stopping | RefusalCode::Other => {
                        tracing::info!(refusal = refusal.text, "the relay refused a connection");
                        sleep(BOOTSTRAP_RETRY_DELAY).await;
                    }
                },
                Err(error @ WireError::Version { .. }) => {
                    return Err(SessionEnd::Refused(error.to_string()));
                }
                Err(
                    error @ (WireError::Malformed(_)
                    | WireError::Impostor
                    | WireError::Io(_)
                    | WireError::Quic(_)),
                ) => {
                    tracing::info!(%error, "the relay was reached, but not the session");
                    sleep(quic::DIAL_INTERVAL).await;
                }
            }
        }
    }

    /// Dials, and tells the person if that takes long.
    async fn dial(
        &mut self,
        granted: &Granted,
        address: SocketAddr,
    ) -> Result<quinn::Connection, quic::WrongCertificate> {
        let host = self.options.relay.host.clone();
        let dialling = quic::dial(&granted.grant, address, &host);
        tokio::pin!(dialling);
        tokio::select! {
            dialled = &mut dialling => return dialled,
            () = sleep(QUIC_TIME_MAX) => {}
        }
        if !self.is_reconnecting() {
            let (relay, port) = (&self.options.relay, granted.grant.quic_port);
            let text = format!(
                "the relay {relay} answers over SSH but not over QUIC: is UDP to its port {port} \
                 open? (trying on)"
            );
            self.trouble(&text);
            self.notice(&text).await;
        }
        dialling.await
    }

    /// Keeps the endpoint going over one connection, until it is lost.
    async fn drive(
        &mut self,
        synced: &mut Synced,
        link: &mut SyncLink,
        end: &mut oneshot::Receiver<String>,
    ) -> Lost {
        let connected_at = Instant::now();
        // After a new beginning, the relay needs what is current.
        self.frames.mark_changed();
        self.topology.mark_changed();
        loop {
            let endpoint = &mut synced.endpoint;
            link.pump(endpoint, Instant::now());
            self.deliver(endpoint).await;
            let heard = endpoint.last_heard().map_or(connected_at, |at| at.max(connected_at));
            let silent_at = heard + SILENCE_MAX;
            let due = link.poll_timeout(endpoint).map_or(silent_at, |due| due.min(silent_at));
            tokio::select! {
                text = &mut *end => return Lost::Ended(text.unwrap_or_default()),
                received = link.recv() => match received {
                    Ok(incoming) => {
                        if let Err(error) = incoming.feed(endpoint, Instant::now()) {
                            link.close(CLOSE_ENDED, "bad message");
                            return Lost::Peer(error);
                        }
                    }
                    Err(error) => {
                        tracing::info!(%error, "the connection was lost");
                        return Lost::Connection(error.to_string());
                    }
                },
                Ok(()) = self.frames.changed() => {
                    let frame = self.frames.borrow_and_update().clone();
                    endpoint.set(SCREEN, frame, Instant::now());
                }
                Ok(()) = self.topology.changed() => {
                    let topology = self.topology.borrow_and_update().clone();
                    endpoint.set(TOPOLOGY, Whole(topology), Instant::now());
                }
                Some(event) = self.events.recv() => push_event(endpoint, event),
                () = sleep_until(due.into()) => {
                    let now = Instant::now();
                    if now >= silent_at {
                        return Lost::Silence;
                    }
                    endpoint.handle_timeout(now);
                }
            }
        }
    }

    /// Hands on what viewers did.
    async fn deliver(&mut self, endpoint: &mut Endpoint) {
        while let Some(event) = endpoint.poll_event() {
            if event == Event::Received(VIEWER_EVENTS.id) {
                for event in endpoint.take(VIEWER_EVENTS) {
                    self.tell(Incoming::Viewer(event)).await;
                }
            }
        }
    }

    /// Tells the relay that the session is over, and waits until it knows, for a bounded time.
    async fn say_farewell(&mut self, synced: &mut Synced, link: &mut SyncLink, text: String) {
        let endpoint = &mut synced.endpoint;
        // The last picture, and what was decided before.
        endpoint.set(SCREEN, self.frames.borrow_and_update().clone(), Instant::now());
        while let Ok(event) = self.events.try_recv() {
            push_event(endpoint, event);
        }
        push_event(endpoint, HostEvent::Ended { text });
        let _ = timeout(FAREWELL_TIME_MAX, await_acknowledgement(endpoint, link)).await;
        link.close(CLOSE_ENDED, "session ended");
        // The close must leave the machine before the process ends.
        sleep(CLOSE_TIME).await;
    }

    /// Why nobody can join yet.
    fn trouble(&self, text: &str) {
        self.board.update(|status| status.trouble = Some(text.to_owned()));
    }

    /// Into the log, and before the person's eyes.
    async fn notice(&mut self, text: &str) {
        self.board.log(text);
        self.tell(Incoming::Notice(text.to_owned())).await;
    }

    async fn tell(&mut self, incoming: Incoming) {
        // The session's task ends before this one: then nobody needs to know.
        let _ = self.incoming.send(incoming).await;
    }
}

/// Until the relay has all events, or is gone.
async fn await_acknowledgement(endpoint: &mut Endpoint, link: &mut SyncLink) {
    while !endpoint.is_acknowledged(HOST_EVENTS) {
        link.pump(endpoint, Instant::now());
        while let Some(event) = endpoint.poll_event() {
            if event == Event::Received(VIEWER_EVENTS.id) {
                drop(endpoint.take(VIEWER_EVENTS));
            }
        }
        let due = link.poll_timeout(endpoint).unwrap_or_else(|| Instant::now() + SILENCE_MAX);
        tokio::select! {
            received = link.recv() => {
                let Ok(incoming) = received else { return };
                if incoming.feed(endpoint, Instant::now()).is_err() {
                    return;
                }
            }
            () = sleep_until(due.into()) => endpoint.handle_timeout(Instant::now()),
        }
    }
}

fn push_event(endpoint: &mut Endpoint, event: HostEvent) {
    endpoint.update(HOST_EVENTS, Instant::now(), |log| {
        log.push(event);
    });
}

/// What to do comes first: a status line may have no room for the whole reason.
fn not_shared(reason: &str) -> String {
    format!("Not shared; the session goes on here, and `tern` in it tries again. {reason}")
}

/// When to ask again; `None` if only the person can mend it.
fn retry_delay(error: &BootstrapError) -> Option<Duration> {
    match error {
        BootstrapError::Lookup { .. }
        | BootstrapError::Connect { .. }
        | BootstrapError::Ssh { .. }
        | BootstrapError::Timeout { .. } => Some(BOOTSTRAP_RETRY_DELAY),
        BootstrapError::HostKey(_)
        | BootstrapError::Denied { .. }
        | BootstrapError::NotARelay { .. } => None,
        BootstrapError::Grant { error, .. } | BootstrapError::Link { error, .. } => match error {
            WireError::Refused(refusal) => match refusal.code {
                RefusalCode::Full | RefusalCode::Stopping | RefusalCode::Other => {
                    Some(REFUSED_RETRY_DELAY)
                }
                RefusalCode::Version | RefusalCode::Unauthorized | RefusalCode::Malformed => None,
            },
            WireError::Version { .. } | WireError::Malformed(_) | WireError::Impostor => None,
            WireError::Io(_) | WireError::Quic(_) => Some(BOOTSTRAP_RETRY_DELAY),
        },
    }
}
