//! A host: asks for a session by SSH, connects by QUIC, shows text, notes what viewers do.

use super::{COMMANDS_MAX, SIZE, must};
use quinn::{Connection, Endpoint as QuicEndpoint};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use tern_bootstrap::client::{
    BootstrapError, HostKeyPolicy, OpenedLink, Options, RelayAddress, open_link, request_session,
};
use tern_bootstrap::grant::{NameClaim, SessionGrant};
use tern_bootstrap::hello::{introduce, quic_client_config};
use tern_relay::Relay;
use tern_sync::Endpoint;
use tern_sync::link::{Incoming, Link, LinkError, QuicLink, StreamLink, transport_config};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    Access, HOST_EVENTS, HostEvent, SCROLLBACK, SETTINGS, Settings, TOPOLOGY, Topology,
    VIEWER_EVENTS, ViewerEvent, ViewerId, WEBHOOK, WEBHOOK_REPORT, WebhookReport,
};
use tern_term::{Frame, SCREEN, Shown};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

/// Asks for a session.
pub(crate) async fn ask(relay: &Relay) -> Result<SessionGrant, BootstrapError> {
    ask_with(relay, Vec::new()).await
}

/// Asks with these private keys.
pub(crate) async fn ask_with(
    relay: &Relay,
    identities: Vec<std::path::PathBuf>,
) -> Result<SessionGrant, BootstrapError> {
    must("an answer", request_session(&options(relay, identities)))
        .await
        .map(|granted| granted.grant)
}

/// Asks for these names.
pub(crate) async fn ask_for_names(
    relay: &Relay,
    claim: NameClaim,
) -> Result<SessionGrant, BootstrapError> {
    let options = Options { claim: Some(claim), ..options(relay, Vec::new()) };
    must("an answer", request_session(&options)).await.map(|granted| granted.grant)
}

fn options(relay: &Relay, identities: Vec<std::path::PathBuf>) -> Options {
    let address = relay.ssh_address();
    Options {
        relay: RelayAddress { host: address.ip().to_string(), port: address.port() },
        host_key: HostKeyPolicy::Pinned(vec![relay.fingerprint().to_owned()]),
        identities,
        use_agent: false,
        software: "test".into(),
        claim: None,
    }
}

/// Opens a link inside SSH.
pub(crate) async fn open(
    relay: &Relay,
    grant: &SessionGrant,
    epoch: u64,
) -> Result<OpenedLink, BootstrapError> {
    must("an answer", open_link(&options(relay, Vec::new()), &grant.credentials(), epoch)).await
}

/// A QUIC connection to the relay, without a word said on it.
pub(crate) async fn connect(relay: &Relay, grant: &SessionGrant) -> (QuicEndpoint, Connection) {
    let socket = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let endpoint = QuicEndpoint::client(socket).expect("a socket");
    let config = quic_client_config(grant.certificate, transport_config());
    let connecting = endpoint
        .connect_with(config, relay.quic_address(), tern_bootstrap::hello::SERVER_NAME)
        .expect("the address is fine");
    let connection = must("QUIC connects", connecting).await.expect("connected");
    (endpoint, connection)
}

enum Command {
    Show(Vec<String>),
    Say(HostEvent),
    Want(Settings),
    Replace(Link, bool),
    Vanish,
}

/// What is known of a host's session from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<ViewerEvent>,
    /// Why the connection ended, if it did.
    pub(crate) closed: Option<String>,
}

impl Seen {
    /// All that was typed.
    pub(crate) fn typed(&self) -> String {
        let bytes = self.events.iter().filter_map(|event| match event {
            ViewerEvent::Input { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>().concat()).into_owned()
    }

    /// Who is there, with which size.
    pub(crate) fn present(&self) -> Vec<(ViewerId, u16, u16)> {
        let mut present = Vec::new();
        for event in &self.events {
            match event {
                ViewerEvent::Joined { viewer, cols, rows, .. } => {
                    present.push((*viewer, *cols, *rows));
                }
                ViewerEvent::Left { viewer } | ViewerEvent::Away { viewer } => {
                    present.retain(|(id, ..)| id != viewer);
                }
                ViewerEvent::Resized { viewer, cols, rows } => {
                    present.retain(|(id, ..)| id != viewer);
                    present.push((*viewer, *cols, *rows));
                }
                ViewerEvent::Input { .. }
                | ViewerEvent::Asks { .. }
                | ViewerEvent::Scrollback { .. } => {}
            }
        }
        present
    }
}

/// A host with a session.
pub(crate) struct Host {
    pub(crate) grant: SessionGrant,
    pub(crate) epoch: u64,
    pub(crate) connection: Connection,
    quic: QuicEndpoint,
    commands: mpsc::Sender<Command>,
    seen: watch::Receiver<Seen>,
}

impl Host {
    /// Shares a session on this relay.
    pub(crate) async fn share(relay: &Relay) -> Self {
        let grant = ask(relay).await.expect("granted");
        Self::of(relay, grant).await
    }

    /// Connects to a session that was granted.
    pub(crate) async fn of(relay: &Relay, grant: SessionGrant) -> Self {
        let settings = Settings { access: Access::Everybody, ..Settings::default() };
        Self::of_with(relay, grant, settings).await
    }

    /// The same, with what it wants first.
    pub(crate) async fn of_with(relay: &Relay, grant: SessionGrant, settings: Settings) -> Self {
        let (quic, connection) = connect(relay, &grant).await;
        let epoch = 1;
        let welcome = must("welcome", introduce(&connection, &grant.credentials(), epoch)).await;
        assert!(!welcome.expect("welcome").is_resumed);
        let (commands, on_command) = mpsc::channel(COMMANDS_MAX);
        let (seen, on_seen) = watch::channel(Seen::default());
        tokio::spawn(drive(connection.clone(), settings, on_command, seen));
        Self { grant, epoch, connection, quic, commands, seen: on_seen }
    }

    /// Connects anew; gives whether the relay still had everything.
    pub(crate) async fn reconnect(&mut self, relay: &Relay) -> bool {
        let (quic, connection) = connect(relay, &self.grant).await;
        let welcome =
            must("welcome", introduce(&connection, &self.grant.credentials(), self.epoch)).await;
        let is_resumed = welcome.expect("welcome").is_resumed;
        self.send(Command::Replace(QuicLink::new(connection.clone()).into(), is_resumed));
        (self.quic, self.connection) = (quic, connection);
        is_resumed
    }

    /// Connects anew inside SSH; gives whether the relay still had everything.
    pub(crate) async fn reconnect_over_ssh(&mut self, relay: &Relay) -> bool {
        let opened = open(relay, &self.grant, self.epoch).await.expect("welcome");
        let (reader, writer) = tokio::io::split(opened.stream);
        let link = StreamLink::new(reader, writer).into();
        self.send(Command::Replace(link, opened.welcome.is_resumed));
        opened.welcome.is_resumed
    }

    pub(crate) fn show(&self, text: &str) {
        self.show_lines(vec![text.to_owned()]);
    }

    pub(crate) fn show_lines(&self, lines: Vec<String>) {
        self.send(Command::Show(lines));
    }

    /// Its address changes, and the kernel doesn't tell.
    pub(crate) fn move_away(&self) {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        self.quic.rebind(socket).expect("a new address");
    }

    /// Its link breaks, without a word.
    pub(crate) fn vanish(&self) {
        self.send(Command::Vanish);
    }

    pub(crate) fn say(&self, event: HostEvent) {
        self.send(Command::Say(event));
    }

    /// What it wants from now on.
    pub(crate) fn want(&self, settings: Settings) {
        self.send(Command::Want(settings));
    }

    fn send(&self, command: Command) {
        assert!(self.commands.try_send(command).is_ok(), "the host's task runs");
    }

    /// Waits until what viewers did is so.
    #[track_caller]
    pub(crate) fn wait_until<F: Fn(&Seen) -> bool>(
        &self,
        what: &str,
        condition: F,
    ) -> impl Future<Output = Seen> + use<F> {
        let mut seen = self.seen.clone();
        let waiting = async move {
            seen.wait_for(|seen| condition(seen)).await.expect("the host's task runs").clone()
        };
        must(what, waiting)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

async fn drive(
    connection: Connection,
    mut settings: Settings,
    mut commands: mpsc::Receiver<Command>,
    seen: watch::Sender<Seen>,
) {
    let mut endpoint = new_endpoint(&settings);
    let mut link = Some(Link::from(QuicLink::new(connection)));
    loop {
        if let Some(link) = &mut link {
            link.pump(&mut endpoint, Instant::now());
        }
        let deadline = link.as_ref().and_then(|link| link.poll_timeout(&endpoint));
        tokio::select! {
            incoming = receive(&mut link) => match incoming {
                Ok(incoming) => {
                    let now = Instant::now();
                    incoming.feed(&mut endpoint, now).expect("the relay is honest");
                    while endpoint.poll_event().is_some() {}
                    let events = endpoint.take(VIEWER_EVENTS);
                    if !events.is_empty() {
                        seen.send_modify(|seen| seen.events.extend(events));
                    }
                }
                Err(error) => {
                    link = None;
                    seen.send_modify(|seen| seen.closed = Some(error.to_string()));
                }
            },
            command = commands.recv() => match command {
                Some(Command::Show(lines)) => {
                    let frame = Frame::from_lines(SIZE, lines.iter().map(String::as_str));
                    endpoint.set(SCREEN, frame.into(), Instant::now());
                }
                Some(Command::Say(event)) => endpoint.update(HOST_EVENTS, Instant::now(), |log| {
                    assert!(log.push(event), "the log has room");
                }),
                Some(Command::Want(wanted)) => {
                    settings = wanted;
                    endpoint.set(SETTINGS, Whole(settings.clone()), Instant::now());
                }
                Some(Command::Vanish) => link = None,
                Some(Command::Replace(newer, is_resumed)) => {
                    if is_resumed {
                        endpoint.handle_new_path(Instant::now());
                    } else {
                        endpoint = new_endpoint(&settings);
                    }
                    link = Some(newer);
                    seen.send_modify(|seen| seen.closed = None);
                }
                None => return,
            },
            () = wait_until(deadline) => endpoint.handle_timeout(Instant::now()),
        }
    }
}

async fn receive(link: &mut Option<Link>) -> Result<Incoming, LinkError> {
    match link {
        Some(link) => link.recv().await,
        None => std::future::pending().await,
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn new_endpoint(settings: &Settings) -> Endpoint {
    let mut endpoint = Endpoint::new(7, Instant::now());
    endpoint.open_sender(SCREEN, Shown::default());
    endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
    endpoint.open_sender(HOST_EVENTS, Log::new());
    endpoint.open_sender(SCROLLBACK, Log::new());
    endpoint.open_sender(SETTINGS, Whole(Settings::default()));
    endpoint.set(SETTINGS, Whole(settings.clone()), Instant::now());
    endpoint.open_sender(WEBHOOK, Whole(None));
    endpoint.open_receiver(VIEWER_EVENTS, Log::new());
    endpoint.open_receiver(WEBHOOK_REPORT, Whole(WebhookReport::default()));
    endpoint
}
