//! Real quinn endpoints on both sides of described networks, in virtual time.

#![cfg(feature = "quinn")]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::quinn_socket::{QuinnNetwork, QuinnSocket};
use netsim::{Action, Description, Link, Nat, Probability, Rate, replay};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TokioRuntime, TransportConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const MS: Duration = Duration::from_millis(1);
const RELAY: &str = "10.0.3.1:2200";

#[tokio::test(start_paused = true)]
async fn a_transfer_passes_a_lossy_network() {
    let loss = Change::Loss(Loss::bursts(Probability::percent(5.0), 3.0));
    let mut description = home();
    description.links[0] =
        description.links[0].clone().both(loss).rate(Rate::mbit(10)).queue(64_000).jitter(3 * MS);
    let lab = Lab::new(&description, 1).await;
    assert_eq!(lab.transfer(300_000).await, 300_000);
    let stats = lab.network.with_world(|world| world.stats());
    assert!(stats.links[0].up.dropped_total() > 5, "{stats}");
    assert!(stats.links.iter().all(|link| link.up.is_conserved() && link.down.is_conserved()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_survives_rebinding_and_new_addresses() {
    let lab = Lab::new(&home(), 1).await;
    let seen = || lab.at_relay.remote_address();
    let first = seen();
    lab.network.handle_event(Action::rebind("home")).expect("an event");
    lab.echo(b"after rebinding").await;
    let second = seen();
    assert_eq!(first.ip(), second.ip());
    assert_ne!(first.port(), second.port());
    let new = "10.0.1.50".parse().expect("an address");
    lab.network.handle_event(Action::address("laptop", &[new])).expect("an event");
    lab.echo(b"after a new address").await;
    assert_ne!(second.port(), seen().port());
    // A new socket, as after a change of interfaces.
    let socket = lab.network.socket("laptop", address("[::]:0")).expect("a socket");
    lab.laptop.rebind_abstract(socket).expect("rebound");
    lab.echo(b"after a new socket").await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_network_passes_at_once() {
    let hour = Duration::from_secs(3600);
    let description = home().at(hour, Action::down("dsl")).at(2 * hour, Action::up("dsl"));
    let lab = Lab::new(&description, 1).await;
    assert_eq!(lab.network.next_event().await, (hour, Action::down("dsl")));
    assert_eq!(lab.network.next_event().await, (2 * hour, Action::up("dsl")));
    let up = lab.network.now();
    lab.echo(b"after the hour").await;
    assert!(up >= 2 * hour && lab.network.now() - up < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn ipv6_and_ipv4_reach_the_same_relay() {
    let lab = Lab::new(&home(), 1).await;
    let v6 = address("[2001:db8:3::1]:2200");
    let connecting = lab.laptop.connect(v6, "relay").expect("a connection begins");
    assert_eq!(connecting.await.expect("connected").remote_address(), v6);
}

#[test]
fn a_seed_replays_to_the_byte() {
    let mut description = home().at(Duration::from_secs(1), Action::rebind("home"));
    description.links[0] =
        description.links[0].clone().loss(Probability::percent(10.0)).jitter(5 * MS);
    let run = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let lab = Lab::new(&description, seed).await;
            lab.network.with_world(|world| world.keep_trace_lines());
            lab.transfer(50_000).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            lab.echo(b"after rebinding").await;
            lab.network.with_world(|world| (world.trace().digest(), world.trace().lines().to_vec()))
        })
    };
    let (first, second) = (run(7), run(7));
    assert_eq!(first.1.iter().zip(&second.1).find(|(a, b)| a != b), None);
    assert_eq!(first.0, second.0);
    assert_ne!(first.0, run(8).0);
}

/// `laptop ─wifi 2 ms─ home (NAT) ─dsl 10 ms─ internet ─data 5 ms─ relay`
fn home() -> Description {
    Description::new()
        .host("laptop")
        .host("relay")
        .nat(Nat::new("home").timeout(Duration::from_secs(7200)))
        .link(Link::new("wifi", "laptop", "home").delay(2 * MS))
        .link(Link::new("dsl", "home", "internet").delay(10 * MS))
        .link(Link::new("data", "relay", "internet").delay(5 * MS))
}

/// An endpoint on each side, and a connection between them.
struct Lab {
    network: QuinnNetwork,
    laptop: Endpoint,
    at_laptop: Connection,
    at_relay: Connection,
    /// Accepts further connections for as long as it lives.
    _relay: Endpoint,
}

impl Lab {
    async fn new(description: &Description, seed: u64) -> Self {
        let network = QuinnNetwork::new(description, seed).expect("a network");
        let socket = |host, local| network.socket(host, address(local)).expect("a socket");
        let relay = endpoint(socket("relay", "[::]:2200"), Some(server_config(seed)), 2 * seed);
        let mut laptop = endpoint(socket("laptop", "[::]:0"), None, 2 * seed + 1);
        laptop.set_default_client_config(client_config(seed));
        let connecting = laptop.connect(address(RELAY), "relay").expect("a connection begins");
        let (at_laptop, at_relay) = tokio::join!(biased; connecting, async {
            relay.accept().await.expect("an endpoint that lives").await
        });
        let (at_laptop, at_relay) = (at_laptop.expect("connected"), at_relay.expect("connected"));
        let accepting = relay.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                drop(incoming.await);
            }
        });
        Self { network, laptop, at_laptop, at_relay, _relay: relay }
    }

    /// Sends a stream to the relay; gives how much has arrived.
    async fn transfer(&self, bytes: usize) -> usize {
        let sent = async {
            let mut stream = self.at_laptop.open_uni().await.expect("a stream");
            stream.write_all(&vec![7; bytes]).await.expect("written");
            stream.finish().expect("finished");
        };
        let received = async {
            let mut stream = self.at_relay.accept_uni().await.expect("a stream");
            stream.read_to_end(bytes + 1).await.expect("read").len()
        };
        tokio::join!(biased; sent, received).1
    }

    /// A message there and back on a stream.
    async fn echo(&self, message: &[u8]) {
        let asked = async {
            let (mut send, mut receive) = self.at_laptop.open_bi().await.expect("a stream");
            send.write_all(message).await.expect("written");
            send.finish().expect("finished");
            receive.read_to_end(1000).await.expect("read")
        };
        let answered = async {
            let (mut send, mut receive) = self.at_relay.accept_bi().await.expect("a stream");
            let message = receive.read_to_end(1000).await.expect("read");
            send.write_all(&message).await.expect("written");
            send.finish().expect("finished");
        };
        // Virtual minutes: what is broken ends too.
        let both = async { tokio::join!(biased; asked, answered) };
        let done = tokio::time::timeout(Duration::from_secs(600), both).await;
        assert_eq!(done.expect("answered in time").0, message);
    }
}

fn endpoint(socket: Arc<QuinnSocket>, server: Option<ServerConfig>, seed: u64) -> Endpoint {
    let config = replay::endpoint_config(seed);
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
        .expect("an endpoint")
}

/// A certificate and its key. Ed25519: its signatures draw no chances.
static IDENTITY: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["relay".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate.der().clone(), key.serialize_der())
});

fn server_config(seed: u64) -> ServerConfig {
    let (certificate, key) = &*IDENTITY;
    let provider = Arc::new(replay::crypto_provider(seed + 1000));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
    let tls = rustls::ServerConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate");
    let tls = QuicServerConfig::try_from(tls).expect("QUIC");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    replay::make_replayable_server(&mut config, seed);
    config.transport_config(transport());
    config
}

fn client_config(seed: u64) -> ClientConfig {
    let provider = Arc::new(replay::crypto_provider(seed + 2000));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.0.clone()).expect("a root");
    let tls = rustls::ClientConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = QuicClientConfig::try_from(tls).expect("QUIC");
    let mut config = ClientConfig::new(Arc::new(tls));
    replay::make_replayable_client(&mut config, seed);
    config.transport_config(transport());
    config
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.max_idle_timeout(None);
    Arc::new(config)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
