//! A grant without SSH, where UDP passes: a host asks for its session over QUIC, and has it two round
//! trips after it began, where TCP and SSH take eight.
//!
//! The trust is SSH's. On this application protocol the relay's TLS key *is* its SSH host key, in a
//! certificate that says nothing else: the handshake proves that the relay holds it (RFC 8446,
//! section 4.4.3; what TLS signs can't be taken for what SSH signs, RFC 4253, section 8, which is a
//! bare hash), and the host judges the key as it would in SSH, before it says anything: pinned,
//! known, or trusted on first use.
//!
//! ```text
//! host                                   relay
//!   | -- QUIC handshake, ALPN "tern-grant" ->|
//!   | <------- certificate, finished ------- |
//!   | (the key is judged)                    |
//!   | -- SessionRequest on a stream -------> |
//!   | <----------- SessionGrant ------------ |   (or a refusal)
//! ```
//!
//! Who hosts is not authenticated here: a relay that lets only some people share closes the
//! connection, and SSH decides.

use crate::client::{BootstrapError, Granted, Options, RelayAddress};
use crate::grant::{SessionGrant, SessionRequest, WireError};
use crate::hello::{CLOSE_REFUSED, SERVER_NAME, Trust, client_config};
use crate::host_key::{HostKeyError, HostKeyPolicy, Trusted};
use crate::wire;
use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};
use russh::keys::{HashAlg, PublicKey};
use rustls::pki_types::CertificateDer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Application protocol of TLS (RFC 7301) on which grants are asked for.
pub(crate) const GRANT_ALPN: &[u8] = b"tern-grant";
/// Longest time for the handshake, over all addresses: by then SSH has long been asked.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(6);
/// Longest time for the answer after that.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);
/// Most addresses that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long the host may take to read its answer.
const LINGER: Duration = Duration::from_secs(2);

/// DER of an Ed25519 public key, up to its 32 bytes (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Host: asks at all addresses of the relay at once, at the port of its SSH; the first that shakes
/// hands is asked. `None`: nothing came of it, and SSH may do better (or say why not). A refusal
/// is an answer.
pub(crate) async fn request(options: &Options) -> Option<Result<Granted, BootstrapError>> {
    let (connection, endpoint) = timeout(HANDSHAKE_TIME_MAX, dial(&options.relay)).await.ok()??;
    let judged = judge(&connection, options);
    let asked = match judged {
        Ok(notices) => match timeout(ANSWER_TIME_MAX, ask(&connection, options)).await {
            Ok(Ok(grant)) => {
                let address = connection.remote_address();
                Some(Ok(Granted { grant, address, notices, is_over_quic: true }))
            }
            Ok(Err(error @ (WireError::Refused(_) | WireError::Version { .. }))) => {
                Some(Err(BootstrapError::Grant { relay: options.relay.clone(), error }))
            }
            // The relay wants to see a key first, or the path is gone.
            Ok(Err(_)) | Err(_) => None,
        },
        // Another program may have that UDP port; what SSH shows is judged by the same rules.
        Err(error) => {
            tracing::info!(%error, "not asked over QUIC");
            None
        }
    };
    connection.close(0u32.into(), b"");
    // The farewell goes out; nobody waits for what the relay says to it.
    let _ = timeout(Duration::from_millis(1), endpoint.wait_idle()).await;
    asked
}

/// Relay: whether a connection is here for a grant. Otherwise it is somebody's link.
pub fn is_for_grant(connection: &quinn::Connection) -> bool {
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    data.is_some_and(|data| data.protocol.as_deref() == Some(GRANT_ALPN))
}

/// Relay: the request on such a connection, and where its answer is written to
/// ([`write_answer`](crate::grant::write_answer), then [`finish`]). The caller bounds the time.
pub async fn read_request(
    connection: &quinn::Connection,
) -> Result<(SessionRequest, quinn::SendStream), WireError> {
    let (mut writer, mut reader) = connection.accept_bi().await?;
    let request = wire::read_question(&mut reader, &mut writer).await?;
    Ok((request, writer))
}

/// Relay: lets the host read its answer, and closes.
pub async fn finish(connection: &quinn::Connection, mut writer: quinn::SendStream) {
    // Fails only if it is finished already, which is what it's for.
    let _ = writer.finish();
    let _ = timeout(LINGER, writer.stopped()).await;
    connection.close(0u32.into(), b"");
}

/// Relay: hosts have to come by SSH, which asks for their keys.
pub fn refuse(connection: &quinn::Connection) {
    connection.close(CLOSE_REFUSED.into(), b"ask over SSH");
}

/// The first connection that stands, and its endpoint.
async fn dial(relay: &RelayAddress) -> Option<(quinn::Connection, quinn::Endpoint)> {
    let addresses = tokio::net::lookup_host((relay.host.as_str(), relay.port)).await.ok()?;
    let mut attempts = JoinSet::new();
    for address in addresses.take(ADDRESSES_MAX) {
        attempts.spawn(connect(address));
    }
    while let Some(attempt) = attempts.join_next().await {
        if let Ok(Some(connected)) = attempt {
            return Some(connected);
        }
    }
    None
}

async fn connect(address: SocketAddr) -> Option<(quinn::Connection, quinn::Endpoint)> {
    let local = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let endpoint = quinn::Endpoint::client((local, 0).into()).ok()?;
    let connecting = endpoint
        .connect_with(client_config(Trust::AnyKey, GRANT_ALPN), address, SERVER_NAME)
        .ok()?;
    Some((connecting.await.ok()?, endpoint))
}

/// Judges the relay's key. Gives what the person should be told.
fn judge(connection: &quinn::Connection, options: &Options) -> Result<Vec<String>, HostKeyError> {
    let (host, port) = (&options.relay.host, options.relay.port);
    let Some(key) = key_of(connection) else {
        // Not what a relay shows: nobody that any policy could trust.
        let pinned = match &options.host_key {
            HostKeyPolicy::Pinned(pinned) => pinned.join(", "),
            HostKeyPolicy::TrustOnFirstUse { .. } => "an Ed25519 key".into(),
        };
        let (relay, shown) = (options.relay.to_string(), "no SSH host key".into());
        return Err(HostKeyError::NotPinned { relay, shown, pinned });
    };
    tracing::debug!(key = %key.fingerprint(HashAlg::Sha256), "the relay's host key");
    match options.host_key.check(host, port, &key)? {
        Trusted::Known => Ok(Vec::new()),
        Trusted::FirstUse(notice) => Ok(vec![notice]),
    }
}

/// The SSH host key that the relay has proven to hold.
fn key_of(connection: &quinn::Connection) -> Option<PublicKey> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let certificate = webpki::EndEntityCert::try_from(shown.first()?).ok()?;
    let info = certificate.subject_public_key_info();
    let key = <[u8; 32]>::try_from(info.as_ref().strip_prefix(&ED25519_PREFIX)?).ok()?;
    Some(PublicKey::from(KeyData::Ed25519(Ed25519PublicKey(key))))
}

async fn ask(connection: &quinn::Connection, options: &Options) -> Result<SessionGrant, WireError> {
    let (writer, reader) = connection.open_bi().await?;
    let mut io = tokio::io::join(reader, writer);
    crate::grant::ask(&mut io, &options.session_request()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::tests::grant;
    use crate::grant::{Refusal, RefusalCode, write_answer};
    use crate::hello::quic_client_config;
    use crate::identity::Identity;

    fn options(port: u16, pinned: String) -> Options {
        Options {
            relay: RelayAddress { host: "127.0.0.1".into(), port },
            host_key: HostKeyPolicy::Pinned(vec![pinned]),
            identities: Vec::new(),
            use_agent: false,
            software: "tern test".into(),
            claim: None,
        }
    }

    fn listen(relay: &Identity) -> (quinn::Endpoint, u16) {
        let config = relay.quic_server_config(Default::default()).expect("the keys fit");
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let endpoint = quinn::Endpoint::server(config, loopback).expect("bound");
        let port = endpoint.local_addr().expect("bound").port();
        (endpoint, port)
    }

    async fn answer(endpoint: &quinn::Endpoint, answer: Result<SessionGrant, Refusal>) {
        let connection = endpoint.accept().await.expect("one comes").await.expect("shaken");
        assert!(is_for_grant(&connection));
        let (request, mut writer) = read_request(&connection).await.expect("a request");
        assert_eq!(request.software, "tern test");
        write_answer(&mut writer, &answer).await.expect("written");
        finish(&connection, writer).await;
    }

    #[tokio::test]
    async fn host_is_granted_a_session_by_the_relay_whose_key_it_trusts() {
        let relay = Identity::ephemeral();
        let (endpoint, port) = listen(&relay);
        let options = options(port, relay.ssh_fingerprint());
        let granted = grant();
        let (got, ()) = tokio::join!(request(&options), answer(&endpoint, Ok(granted.clone())));
        let got = got.expect("an answer").expect("a grant");
        assert!(got.grant == granted && got.address.port() == port);
    }

    #[tokio::test]
    async fn relay_with_another_key_hears_nothing() {
        let (relay, other) = (Identity::ephemeral(), Identity::ephemeral());
        let (endpoint, port) = listen(&relay);
        let options = options(port, other.ssh_fingerprint());
        let (got, heard) = tokio::join!(request(&options), async {
            let connection = endpoint.accept().await.expect("one comes").await.expect("shaken");
            read_request(&connection).await.map(|_| ())
        });
        assert!(got.is_none(), "SSH may find the right one: {got:?}");
        assert!(matches!(heard, Err(WireError::Quic(_))), "{heard:?}");
    }

    #[tokio::test]
    async fn refusal_is_an_answer_and_a_closed_door_is_none() {
        let relay = Identity::ephemeral();
        let (endpoint, port) = listen(&relay);
        let options = options(port, relay.ssh_fingerprint());
        let refusal = Refusal { code: RefusalCode::Full, text: "full".into() };
        let (got, ()) = tokio::join!(request(&options), answer(&endpoint, Err(refusal)));
        assert!(matches!(got, Some(Err(BootstrapError::Grant { .. }))), "{got:?}");
        let (got, ()) = tokio::join!(request(&options), async {
            refuse(&endpoint.accept().await.expect("one comes").await.expect("shaken"));
        });
        assert!(got.is_none(), "{got:?}");
    }

    #[tokio::test]
    async fn link_shows_the_pinned_certificate_as_ever() {
        let relay = Identity::ephemeral();
        let (endpoint, port) = listen(&relay);
        let client = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        let config = quic_client_config(relay.certificate_pin(), Default::default());
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let connecting = client.connect_with(config, address, SERVER_NAME).expect("valid");
        let (linked, accepted) = tokio::join!(connecting, async {
            endpoint.accept().await.expect("one comes").await.expect("shaken")
        });
        linked.expect("trusted");
        assert!(!is_for_grant(&accepted));
    }
}
