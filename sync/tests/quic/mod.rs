//! QUIC for tests: configurations of both sides, and what the loops of a host and a relay do.
#![allow(dead_code, unreachable_pub)] // A module of several test binaries.

pub mod path;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;
use tern_sync::Endpoint;
use tern_sync::link::{Link, QuicLink, transport_config};
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

/// An endpoint and its link.
pub struct Driver {
    pub endpoint: Endpoint,
    pub link: Link,
}

impl Driver {
    pub fn new(endpoint: Endpoint, link: QuicLink) -> Self {
        Self { endpoint, link: link.into() }
    }

    /// Sends what is due, then waits for something to happen, at most until `end`.
    pub async fn turn(&mut self, end: Option<Instant>) {
        let now = Instant::now().into_std();
        self.endpoint.handle_timeout(now);
        self.link.pump(&mut self.endpoint, now);
        let wake = self.link.poll_timeout(&self.endpoint).map(Instant::from_std);
        let wake = [wake, end].into_iter().flatten().min();
        tokio::select! {
            () = async { tokio::time::sleep_until(wake.expect("some")).await }, if wake.is_some() => {}
            incoming = self.link.recv() => {
                let now = Instant::now().into_std();
                let incoming = incoming.expect("the connection stays");
                incoming.feed(&mut self.endpoint, now).expect("an honest peer makes no errors");
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
