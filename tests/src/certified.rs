//! A server's certificate under the name `localhost`, by an authority of its own that nobody else
//! knows.

use crate::world::World;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;

/// What a server needs, and what its clients do.
pub struct Certified {
    /// The authority's certificate, in PEM.
    pub authority: PathBuf,
    certificate: CertificateDer<'static>,
    /// PKCS #8, in DER.
    key: Vec<u8>,
}

impl Certified {
    /// By a new authority.
    pub fn new(world: &World) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let signed = server.signed_by(&key, &issuer).expect("a certificate");
        let authority = world.folder().join(world.unique("authority"));
        std::fs::write(&authority, pem("CERTIFICATE", root.der())).expect("our own folder");
        Self { authority, certificate: signed.der().clone(), key: key.serialize_der() }
    }

    /// For a server of the test's own.
    pub fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("they fit");
        Arc::new(config)
    }

    /// Certificate and key for another's, in PEM.
    pub fn pems(&self) -> (String, String) {
        (pem("CERTIFICATE", &self.certificate), pem("PRIVATE KEY", &self.key))
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
