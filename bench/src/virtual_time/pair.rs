//! Host and relay in virtual time: real sync endpoints over real QUIC over a described network.
//!
//! What is not here is what the programs do around it (tmux, ptys, ssh, and the host's way of making
//! a new connection): a key goes into the relay's log of viewers' events, the host's screen shows it,
//! and the relay's replica of the screen is looked at.

use crate::glyphs::{FIRST, LAST};
use netsim::quinn_socket::{QuinnNetwork, QuinnSocket};
use netsim::{Description, replay};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tern_sync::link::{Link, QuicLink, QuicRuntime, transport_config};
use tern_sync::log::Log;
use tern_sync::session::{VIEWER_EVENTS, ViewerEvent, ViewerId};
use tern_sync::{Endpoint, Event, Patience};
use tern_term::{SCREEN, Screen, Shown, Size};
use tokio::time::Instant;

/// Names of both hosts in descriptions.
pub(crate) const HOST: &str = "h";
pub(crate) const RELAY: &str = "r";
/// What the certificate is for.
const NAME: &str = "relay";

/// A program on the host: given what was typed, what it writes.
pub(crate) type Program = fn(u32, &[u8]) -> Vec<u8>;

/// The echo of a terminal.
pub(crate) fn echo(_number: u32, typed: &[u8]) -> Vec<u8> {
    typed.to_vec()
}

struct Side {
    endpoint: Endpoint,
    link: Link,
}

/// Both sides, connected.
pub(crate) struct Pair {
    /// The network between them.
    pub network: QuinnNetwork,
    host: Side,
    relay: Side,
    screen: Screen,
    program: Program,
    /// Events that the program has got.
    typed_count: u32,
    /// What the relay's replica shows, as far as it is ideographs.
    shown: BTreeSet<char>,
    _quic: [quinn::Endpoint; 2],
}

impl Pair {
    /// Connects both over `description`, with a screen of `size`; needs paused time.
    pub(crate) async fn connect(
        description: &Description,
        seed: u64,
        size: Size,
        program: Program,
    ) -> anyhow::Result<Self> {
        let network = QuinnNetwork::new(description, seed)?;
        let any: SocketAddr = "0.0.0.0:0".parse()?;
        let relay_socket = network.socket(RELAY, "0.0.0.0:2200".parse()?)?;
        let quic_relay = quic(relay_socket, Some(server_config(seed)?), 2 * seed)?;
        let quic_host = quic(network.socket(HOST, any)?, None, 2 * seed + 1)?;
        let address = address_of(description)?;
        let connecting = quic_host.connect_with(client_config(seed)?, address, NAME)?;
        let (host, relay) = tokio::join!(biased; connecting, async {
            match quic_relay.accept().await {
                Some(incoming) => incoming.await.map_err(anyhow::Error::from),
                None => Err(anyhow::anyhow!("the endpoint is closed")),
            }
        });
        let now = Instant::now().into_std();
        // As the programs have it.
        let side = |seed, connection, patience| Side {
            endpoint: Endpoint::new(seed, now).with_patience(patience),
            link: QuicLink::new(connection).into(),
        };
        let screen = Screen::new(size);
        let mut host = side(2 * seed, host?, Patience::Eager);
        let mut relay = side(2 * seed + 1, relay?, Patience::Sparing);
        host.endpoint.open_sender(SCREEN, Shown::default());
        host.endpoint.open_receiver(VIEWER_EVENTS, Log::new());
        relay.endpoint.open_receiver(SCREEN, Shown::default());
        relay.endpoint.open_sender(VIEWER_EVENTS, Log::new());
        let (typed_count, shown) = (0, BTreeSet::new());
        let _quic = [quic_host, quic_relay];
        Ok(Self { network, host, relay, screen, program, typed_count, shown, _quic })
    }

    /// A viewer types, now.
    pub(crate) fn type_text(&mut self, text: &str) {
        let event =
            ViewerEvent::Input { viewer: ViewerId(1), bytes: text.as_bytes().to_vec(), mark: 0 };
        self.relay.endpoint.update(VIEWER_EVENTS, Instant::now().into_std(), |log| {
            log.push(event);
        });
    }

    /// Whether the relay has ever shown this ideograph.
    pub(crate) fn has_shown(&self, glyph: char) -> bool {
        self.shown.contains(&glyph)
    }

    /// Lets time pass until `end`, or until `is_done` says so after something happened.
    pub(crate) async fn run(
        &mut self,
        end: Instant,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        while Instant::now() < end && !is_done(self) {
            tokio::select! {
                biased;
                turned = self.host.turn(end) => turned?,
                turned = self.relay.turn(end) => turned?,
            }
            self.take_typed();
            self.look();
        }
        Ok(())
    }

    /// Lets so much time pass.
    pub(crate) async fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        self.run(Instant::now() + time, |_| false).await
    }

    /// The host's program gets what arrived, and its output becomes a frame.
    fn take_typed(&mut self) {
        let now = Instant::now().into_std();
        while let Some(event) = self.host.endpoint.poll_event() {
            if event != Event::Received(VIEWER_EVENTS.id) {
                continue;
            }
            for event in self.host.endpoint.take(VIEWER_EVENTS) {
                if let ViewerEvent::Input { bytes, .. } = event {
                    let output = (self.program)(self.typed_count, &bytes);
                    self.typed_count += 1;
                    self.screen.handle_output(&output, now);
                }
            }
            let frame = self.screen.frame();
            self.host.endpoint.set(SCREEN, frame.into(), now);
        }
    }

    fn look(&mut self) {
        while let Some(event) = self.relay.endpoint.poll_event() {
            if event == Event::Received(SCREEN.id) {
                let text = self.relay.endpoint.received(SCREEN).frame.to_text();
                self.shown.extend(text.chars().filter(|c| (FIRST..=LAST).contains(c)));
            }
        }
    }
}

impl Side {
    /// Sends what is due, then waits for something to happen, at most until `end`.
    async fn turn(&mut self, end: Instant) -> anyhow::Result<()> {
        let now = Instant::now().into_std();
        self.endpoint.handle_timeout(now);
        self.link.pump(&mut self.endpoint, now);
        let wake = self.link.poll_timeout(&self.endpoint).map(Instant::from_std);
        tokio::select! {
            biased;
            incoming = self.link.recv() => {
                incoming?.feed(&mut self.endpoint, Instant::now().into_std())?;
            }
            () = tokio::time::sleep_until(wake.map_or(end, |wake| wake.min(end))) => {}
        }
        Ok(())
    }
}

/// Where the relay is found: its end of the last link.
fn address_of(description: &Description) -> anyhow::Result<SocketAddr> {
    let all = netsim::address::of_hosts(description);
    let found = all.into_iter().find(|(host, _, _)| *host == RELAY);
    let address =
        found.and_then(|(_, _, addresses)| addresses.into_iter().find(std::net::IpAddr::is_ipv4));
    let address = address.ok_or_else(|| anyhow::anyhow!("the relay has no address"))?;
    Ok(SocketAddr::new(address, 2200))
}

fn quic(
    socket: Arc<QuinnSocket>,
    server: Option<ServerConfig>,
    seed: u64,
) -> std::io::Result<quinn::Endpoint> {
    let config = replay::endpoint_config(seed);
    quinn::Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(QuicRuntime))
}

/// A certificate and its key. Ed25519: its signatures draw no chances.
static IDENTITY: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("ring makes such keys");
    let parameters = rcgen::CertificateParams::new(vec![NAME.to_owned()]).expect("a plain name");
    let certificate = parameters.self_signed(&key).expect("the key fits");
    (certificate.der().clone(), key.serialize_der())
});

fn server_config(seed: u64) -> anyhow::Result<ServerConfig> {
    let (certificate, key) = &*IDENTITY;
    let provider = Arc::new(replay::crypto_provider(seed.wrapping_add(1 << 32)));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
    let tls = rustls::ServerConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    replay::make_replayable_server(&mut config, seed);
    config.transport_config(Arc::new(transport_config()));
    Ok(config)
}

fn client_config(seed: u64) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(replay::crypto_provider(seed.wrapping_add(2 << 32)));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.0.clone())?;
    let tls = rustls::ClientConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    replay::make_replayable_client(&mut config, seed);
    config.transport_config(Arc::new(transport_config()));
    Ok(config)
}
