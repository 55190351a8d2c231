//! First words on a QUIC connection: version, session, and a proof by each side that it holds the
//! session's secret, bound to this very connection by the TLS exporter (RFC 8446, section 7.5).
//!
//! ```text
//! host                                   relay
//!   | -- session, epoch, ticket, proof ->  |   looks the session up, checks the proof
//!   | <-- is_resumed, relay's proof ----   |   (or a refusal, and the connection ends)
//!
//! host's proof  = HMAC-SHA256(secret, "tern hello host"  || exporter || session || epoch)
//! relay's proof = HMAC-SHA256(secret, "tern hello relay" || exporter || is_resumed)
//! ```
//!
//! The relay is known by its certificate already; its proof tells that it also holds this session.
//! A relay that was started again finds session and secret in the ticket (`ticket.rs`), which is
//! authentic by itself and worth nothing without the secret: the proofs need not cover it.

use crate::grant::{
    CertificatePin, Refusal, RefusalCode, Secret, SessionGrant, SessionId, WireError,
};
use crate::identity::{ALPN, pin_of};
use crate::ticket::{TICKET_SIZE_MAX, Ticket};
use crate::wire;
use ring::hmac;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Server name that hosts give in TLS; it means nothing, the pin decides.
pub const SERVER_NAME: &str = "tern-relay";
/// How long a hello may take, from the connection's being there: 3 round trips of a satellite
/// path with 3 losses on the way.
pub const HELLO_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a refused host has to read why.
const REFUSAL_LINGER: Duration = Duration::from_secs(2);
/// QUIC application error code of a connection that was refused in the hello.
pub const CLOSE_REFUSED: u32 = 1;

const EXPORTER_LABEL: &[u8] = b"EXPORTER-tern-hello";
const HOST_LABEL: &[u8] = b"tern hello host";
const RELAY_LABEL: &[u8] = b"tern hello relay";

type Exporter = [u8; 32];

#[derive(Serialize, Deserialize)]
struct Hello {
    session: SessionId,
    epoch: u64,
    #[serde(default)]
    ticket: Ticket,
    proof: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct WelcomeMessage {
    is_resumed: bool,
    proof: [u8; 32],
}

/// What the relay says to a host's hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The relay still has the endpoint state of this epoch: go on. Else both begin with state 0.
    pub is_resumed: bool,
}

/// QUIC client side that trusts exactly this certificate.
pub fn quic_client_config(
    pin: CertificatePin,
    transport: quinn::TransportConfig,
) -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = PinVerifier { pin, provider: provider.clone() };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
        .expect("ring's TLS 1.3 has the cipher suite that QUIC starts with");
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config
}

/// Whether a connection failed because the relay showed another certificate than the pinned one.
pub fn is_wrong_certificate(error: &quinn::ConnectionError) -> bool {
    // TLS alert 46 (certificate_unknown) or 42 (bad_certificate) as QUIC crypto error (RFC 9001, 4.8)
    match error {
        quinn::ConnectionError::TransportError(error) => {
            let code = u64::from(error.code);
            (0x100..0x200).contains(&code) && error.reason.contains(WRONG_CERTIFICATE)
        }
        _ => false,
    }
}

const WRONG_CERTIFICATE: &str = "not the certificate that SSH handed over";

/// Host: introduces itself and checks the relay's proof. `epoch` names the host's endpoint state:
/// a random number, new whenever the host begins with state 0.
pub async fn introduce(
    connection: &quinn::Connection,
    grant: &SessionGrant,
    epoch: u64,
) -> Result<Welcome, WireError> {
    let exporter = export(connection);
    let exchange = async {
        let (mut writer, mut reader) = connection.open_bi().await?;
        let proof = host_proof(&grant.secret, &exporter, grant.session, epoch);
        let proof = proof.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let hello = Hello { session: grant.session, epoch, ticket: grant.ticket.clone(), proof };
        wire::write_question(&mut writer, &hello).await?;
        let answer: WelcomeMessage = wire::read_answer(&mut reader).await?;
        Ok::<_, WireError>(answer)
    };
    let answer =
        tokio::time::timeout(HELLO_TIME_MAX, exchange).await.map_err(|_| timed_out())??;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &grant.secret.0);
    let said = relay_statement(&exporter, answer.is_resumed);
    hmac::verify(&key, &said, &answer.proof).map_err(|_| WireError::Impostor)?;
    Ok(Welcome { is_resumed: answer.is_resumed })
}

/// A host whose proof was right, waiting for its answer.
pub struct Introduction {
    /// Its session.
    pub session: SessionId,
    /// Names the host's endpoint state.
    pub epoch: u64,
    secret: Secret,
    exporter: Exporter,
    connection: quinn::Connection,
    writer: quinn::SendStream,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introduction").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Relay: reads a hello, within [`HELLO_TIME_MAX`]. `secret_of` finds the session's secret, by its
/// id or in the ticket that the host shows, whatever that is worth. On a version mismatch, an unknown session or a wrong proof it refuses by itself (with the same answer
/// for the last two, so that nobody learns which sessions there are) and returns the error.
pub async fn accept(
    connection: &quinn::Connection,
    secret_of: impl FnOnce(SessionId, &Ticket) -> Option<Secret>,
) -> Result<Introduction, WireError> {
    let exporter = export(connection);
    let read = async {
        let (mut writer, mut reader) = connection.accept_bi().await?;
        let hello = wire::read_question::<Hello>(&mut reader, &mut writer).await;
        Ok::<_, WireError>((writer, hello))
    };
    let (writer, hello) = match tokio::time::timeout(HELLO_TIME_MAX, read).await {
        Err(_) => return Err(timed_out()),
        Ok(read) => read?,
    };
    let hello = match hello {
        Ok(hello) => hello,
        Err(error @ WireError::Version { .. }) => {
            finish_refusal(connection, writer).await;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    if hello.ticket.0.len() > TICKET_SIZE_MAX {
        return Err(WireError::Malformed("a ticket that is too long"));
    }
    let secret = secret_of(hello.session, &hello.ticket);
    // An unknown session costs the same work as a known one.
    let (is_known, secret) = (secret.is_some(), secret.unwrap_or(Secret([0; 32])));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let said = host_statement(&exporter, hello.session, hello.epoch);
    let is_right = hmac::verify(&key, &said, &hello.proof).is_ok();
    let (session, epoch, connection) = (hello.session, hello.epoch, connection.clone());
    let introduction = Introduction { session, epoch, secret, exporter, connection, writer };
    if is_known && is_right {
        return Ok(introduction);
    }
    let refusal = Refusal {
        code: RefusalCode::Unauthorized,
        text: "the relay knows no such session (it ended, was granted too long ago, or the \
               relay has lost its keys): a new one is needed"
            .into(),
    };
    introduction.refuse(refusal.clone()).await?;
    Err(WireError::Refused(refusal))
}

impl Introduction {
    /// Says welcome, with the relay's proof.
    pub async fn welcome(mut self, is_resumed: bool) -> Result<(), WireError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret.0);
        let proof = hmac::sign(&key, &relay_statement(&self.exporter, is_resumed));
        let proof = proof.as_ref().try_into().expect("SHA-256 has 32 bytes");
        wire::write_yes(&mut self.writer, &WelcomeMessage { is_resumed, proof }).await?;
        // Only fails if it is finished already, which is what it's for.
        let _ = self.writer.finish();
        Ok(())
    }

    /// Says no, and why; closes the connection once the host has read it.
    pub async fn refuse(mut self, refusal: Refusal) -> Result<(), WireError> {
        wire::write_no(&mut self.writer, &refusal).await?;
        finish_refusal(&self.connection, self.writer).await;
        Ok(())
    }
}

/// Lets the peer read the refusal that was written, then closes.
async fn finish_refusal(connection: &quinn::Connection, mut writer: quinn::SendStream) {
    let _ = writer.finish();
    let _ = tokio::time::timeout(REFUSAL_LINGER, writer.stopped()).await;
    connection.close(CLOSE_REFUSED.into(), b"refused");
}

fn timed_out() -> WireError {
    WireError::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no hello in time"))
}

fn export(connection: &quinn::Connection) -> Exporter {
    let mut exporter = Exporter::default();
    connection
        .export_keying_material(&mut exporter, EXPORTER_LABEL, b"")
        .expect("32 bytes are within what TLS 1.3 exports");
    exporter
}

fn host_proof(secret: &Secret, exporter: &Exporter, session: SessionId, epoch: u64) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    hmac::sign(&key, &host_statement(exporter, session, epoch))
}

fn host_statement(exporter: &Exporter, session: SessionId, epoch: u64) -> Vec<u8> {
    [HOST_LABEL, exporter, &session.0, &epoch.to_be_bytes()].concat()
}

fn relay_statement(exporter: &Exporter, is_resumed: bool) -> Vec<u8> {
    [RELAY_LABEL, exporter, &[u8::from(is_resumed)]].concat()
}

/// Trusts one certificate, whatever its names and dates say.
#[derive(Debug)]
struct PinVerifier {
    pin: CertificatePin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if pin_of(end_entity) == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General(WRONG_CERTIFICATE.into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC is TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::tests::grant;
    use crate::identity::Identity;
    use std::net::{Ipv4Addr, SocketAddr};

    #[tokio::test]
    async fn host_with_the_secret_is_welcome() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let known = grant.clone();
        let (welcome, epoch) = meet(&relay, &grant, move |session, ticket| {
            assert_eq!(*ticket, known.ticket);
            (session == known.session).then_some(known.secret)
        })
        .await;
        assert_eq!(welcome.expect("welcome"), Welcome { is_resumed: true });
        assert_eq!(epoch.expect("introduced"), 42);
    }

    #[tokio::test]
    async fn wrong_secret_and_unknown_session_get_the_same_answer() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let mut answers = Vec::new();
        for secret in [None, Some(Secret([3; 32]))] {
            let (welcome, _) = meet(&relay, &grant, move |_, _| secret).await;
            match welcome {
                Err(WireError::Refused(refusal)) => answers.push(refusal),
                other => panic!("expected a refusal, got {other:?}"),
            }
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].code, RefusalCode::Unauthorized);
    }

    #[tokio::test]
    async fn relay_that_does_not_hold_the_secret_is_an_impostor() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let (server, connection) = connect(&relay, &grant).await.expect("connected");
        let answer = tokio::spawn(async move {
            let (mut writer, mut reader) = server.accept_bi().await.expect("a stream");
            let _: Hello = wire::read_question(&mut reader, &mut Vec::new()).await.expect("hello");
            let answer = WelcomeMessage { is_resumed: false, proof: [0; 32] };
            wire::write_yes(&mut writer, &answer).await.expect("written");
            server.closed().await;
        });
        let welcome = introduce(&connection, &grant, 1).await;
        assert!(matches!(welcome, Err(WireError::Impostor)), "{welcome:?}");
        connection.close(0u32.into(), b"");
        answer.await.expect("no panic");
    }

    #[tokio::test]
    async fn other_certificate_is_not_trusted() {
        let relay = Identity::ephemeral();
        let grant =
            SessionGrant { certificate: Identity::ephemeral().certificate_pin(), ..grant() };
        let error = connect(&relay, &grant).await.expect_err("not trusted");
        assert!(is_wrong_certificate(&error), "{error:?}");
    }

    /// Relay and host meet on loopback.
    async fn meet(
        relay: &Identity,
        grant: &SessionGrant,
        secret_of: impl FnOnce(SessionId, &Ticket) -> Option<Secret> + Send + 'static,
    ) -> (Result<Welcome, WireError>, Result<u64, WireError>) {
        let (server, connection) = connect(relay, grant).await.expect("connected");
        let accepted = tokio::spawn(async move {
            let introduction = accept(&server, secret_of).await?;
            let epoch = introduction.epoch;
            introduction.welcome(true).await?;
            server.closed().await;
            Ok(epoch)
        });
        let welcome = introduce(&connection, grant, 42).await;
        connection.close(0u32.into(), b"");
        (welcome, accepted.await.expect("no panic"))
    }

    /// The relay's and the host's end of a connection.
    async fn connect(
        relay: &Identity,
        grant: &SessionGrant,
    ) -> Result<(quinn::Connection, quinn::Connection), quinn::ConnectionError> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = relay.quic_server_config(Default::default()).expect("they fit");
        let server = quinn::Endpoint::server(config, loopback).expect("bound");
        let address = server.local_addr().expect("bound");
        let client = quinn::Endpoint::client(loopback).expect("bound");
        let config = quic_client_config(grant.certificate, Default::default());
        let connecting = client.connect_with(config, address, SERVER_NAME).expect("configured");
        let accepting = async { server.accept().await.expect("the endpoint is open").await };
        let (client, server) = tokio::join!(connecting, accepting);
        let client = client?;
        Ok((server?, client))
    }
}
