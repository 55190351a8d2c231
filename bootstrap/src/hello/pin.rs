//! The client's side of QUIC: it trusts exactly the certificate that SSH handed over, or looks at the
//! key itself.

use crate::grant::CertificatePin;
use crate::identity::{ALPN, pin_of};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;

/// Server name that hosts give in TLS; it means nothing, the pin decides.
pub const SERVER_NAME: &str = "tern-relay";

/// QUIC client side that trusts exactly this certificate.
pub fn quic_client_config(
    pin: CertificatePin,
    transport: quinn::TransportConfig,
) -> quinn::ClientConfig {
    let mut config = client_config(Trust::Certificate(pin), ALPN);
    config.transport_config(Arc::new(transport));
    config
}

/// Who may shake hands.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Who has this certificate, whatever its names and dates say.
    Certificate(CertificatePin),
    /// Who proves to hold an Ed25519 key, any: it is to be judged before anything is said.
    AnyKey,
}

/// QUIC client side that speaks one protocol with whom it trusts.
pub(crate) fn client_config(trust: Trust, alpn: &[u8]) -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trust, provider: provider.clone() };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
        .expect("ring's TLS 1.3 has the cipher suite that QUIC starts with");
    quinn::ClientConfig::new(Arc::new(crypto))
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

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.trust {
            Trust::Certificate(pin) if pin_of(end_entity) != pin => {
                Err(rustls::Error::General(WRONG_CERTIFICATE.into()))
            }
            Trust::Certificate(_) | Trust::AnyKey => Ok(ServerCertVerified::assertion()),
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
        match self.trust {
            Trust::Certificate(_) => {
                self.provider.signature_verification_algorithms.supported_schemes()
            }
            Trust::AnyKey => vec![SignatureScheme::ED25519],
        }
    }
}
