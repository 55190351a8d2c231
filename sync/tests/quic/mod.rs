//! QUIC for tests: configurations of both sides, and what the loops of a host and a relay do.
#![allow(dead_code, unreachable_pub)] // A module of several test binaries.

pub mod path;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;
use tern_sync::link::{Incoming, QuicLink, transport_config};
use tern_sync::{Endpoint, packet_counts};
use tokio::time::Instant;

/// What the certificate is for.
pub const NAME: &str = "relay.test";
/// A server with a certificate of its own, and a client that trusts it.
pub fn configs() -> (quinn::ServerConfig, quinn::ClientConfig) {
    let key = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).expect("keys");
    let certificate: CertificateDer<'static> = key.cert.der().clone();
    let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let transport = Arc::new(transport_config());

    let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)
        .expect("own certificate");
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
    server.transport_config(Arc::clone(&transport));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("own certificate");
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let mut client = quinn::ClientConfig::new(Arc::new(tls));
    client.transport_config(transport);
    (server, client)
}

/// Datagrams that may wait for QUIC's pacing: what goes out with the next packets.
const WAITING_MAX: usize = 2 * 1500;
/// How soon a driver looks again whether there is room.
const ROOM_INTERVAL: Duration = Duration::from_millis(1);

/// An endpoint and its link.
pub struct Driver {
    pub endpoint: Endpoint,
    pub link: QuicLink,
    /// Room for datagrams when none waits.
    room: usize,
}

impl Driver {
    pub fn new(endpoint: Endpoint, link: QuicLink) -> Self {
        let room = link.connection().datagram_send_buffer_space();
        Self { endpoint, link, room }
    }

    fn has_room(&self) -> bool {
        self.room - self.link.connection().datagram_send_buffer_space() < WAITING_MAX
    }

    /// Sends what is due, then waits for something to happen, at most until `end`.
    pub async fn turn(&mut self, end: Option<Instant>) {
        let now = Instant::now().into_std();
        let (sent, lost) = packet_counts(self.link.connection());
        self.endpoint.handle_path_stats(sent, lost, now);
        self.endpoint.handle_timeout(now);
        while self.has_room()
            && let Some(output) = self.endpoint.poll_output(now, self.link.datagram_size_max())
        {
            self.link.send(output);
        }
        let wake = if self.has_room() {
            Instant::from_std(self.endpoint.poll_timeout().expect("heartbeats"))
        } else {
            Instant::now() + ROOM_INTERVAL
        };
        tokio::select! {
            () = tokio::time::sleep_until(end.map_or(wake, |end| end.min(wake))) => {}
            incoming = self.link.recv() => {
                let now = Instant::now().into_std();
                match incoming.expect("the connection stays") {
                    Incoming::Datagram(datagram) => self.endpoint.handle_datagram(&datagram, now),
                    Incoming::Stream(message) => self.endpoint.handle_stream(&message, now),
                }
                .expect("an honest peer makes no errors");
            }
        }
    }
}

/// Lets both ends work for `time`.
pub async fn run(host: &mut Driver, relay: &mut Driver, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::select! {
            () = host.turn(Some(end)) => {}
            () = relay.turn(Some(end)) => {}
        }
    }
}
