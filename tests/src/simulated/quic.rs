//! QUIC endpoints of both sides with nothing left to chance.

use netsim::quinn_socket::QuinnSocket;
use netsim::replay;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::{Arc, LazyLock};
use tern_sync::link::{QuicRuntime, transport_config};

/// What the certificate is for.
pub(super) const NAME: &str = "relay";

/// An Ed25519 key before its 32 bytes (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A certificate and its key, always the same. Ed25519: its signatures draw no chances.
static IDENTITY: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let key = [&PKCS8_HEAD[..], b"of simulated relays and no others"[..32].as_ref()].concat();
    let key = PrivatePkcs8KeyDer::from(key);
    let key =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519).expect("a key");
    let parameters = rcgen::CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate.der().clone(), key.serialize_der())
});

/// A relay's endpoint. A restarted relay keeps its reset key, as from its data folder.
pub(super) fn relay_endpoint(
    socket: Arc<QuinnSocket>,
    seed: u64,
    config: ServerConfig,
) -> Endpoint {
    let mut settings = replay::endpoint_config(seed);
    settings.reset_key(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"reset key")));
    endpoint(settings, socket, Some(config))
}

/// An endpoint for one attempt to reach the relay.
pub(super) fn host_endpoint(socket: Arc<QuinnSocket>, seed: u64) -> Endpoint {
    endpoint(replay::endpoint_config(seed), socket, None)
}

fn endpoint(
    settings: EndpointConfig,
    socket: Arc<QuinnSocket>,
    server: Option<ServerConfig>,
) -> Endpoint {
    Endpoint::new_with_abstract_socket(settings, server, socket, Arc::new(QuicRuntime))
        .expect("only real sockets fail")
}

pub(super) fn server_config(seed: u64) -> ServerConfig {
    let (certificate, key) = &*IDENTITY;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
    let provider = Arc::new(replay::crypto_provider(seed));
    let tls = rustls::ServerConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("own certificate");
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    replay::make_replayable_server(&mut config, seed);
    config.transport_config(Arc::new(transport_config()));
    config
}

pub(super) fn client_config(seed: u64) -> ClientConfig {
    let provider = Arc::new(replay::crypto_provider(seed));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.0.clone()).expect("own certificate");
    let mut tls = rustls::ClientConfig::builder_with_details(provider, replay::time_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each dialling of the client's has a configuration of its own, so nothing is resumed.
    tls.resumption = rustls::client::Resumption::disabled();
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ClientConfig::new(Arc::new(tls));
    replay::make_replayable_client(&mut config, seed);
    config.transport_config(Arc::new(transport_config()));
    config
}
