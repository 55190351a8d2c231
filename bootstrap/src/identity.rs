//! A relay's identity: SSH host key, QUIC certificate, the keys that let a restarted relay tell its
//! former peers so, and the key of its tickets. Made at the first start, kept in the data folder, readable by its owner
//! only.

use crate::direct::GRANT_ALPN;
use crate::grant::CertificatePin;
use crate::ticket::{KEY_SIZE, TicketKey};
use crate::token::random;
use ring::{digest, hmac};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Application protocol of TLS (RFC 7301). Versions are told apart in the hello, where a refusal
/// can say why.
pub(crate) const ALPN: &[u8] = b"tern";

const SSH_KEY_FILE: &str = "ssh_host_ed25519_key";
const CERTIFICATE_FILE: &str = "quic_certificate.der";
const CERTIFICATE_KEY_FILE: &str = "quic_certificate_key.der";
const QUIC_SEED_FILE: &str = "quic_seed";
/// By itself, so that an operator can make all tickets worthless by deleting it.
const TICKET_KEY_FILE: &str = "ticket_key";
/// PKCS #8 of an Ed25519 key, up to its 32 bytes (RFC 8410, section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Bytes of the seed from which QUIC's reset, connection id and retry token keys come.
const SEED_SIZE: usize = 32;

/// Least time between two stateless resets: a restarted relay tells a thousand hosts in a second. (A
/// reset is smaller than the packet that it answers, so that nobody gains by asking for one.)
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// A relay's keys.
pub struct Identity {
    /// Ed25519 host key for SSH.
    pub ssh_key: PrivateKey,
    certificate: CertificateDer<'static>,
    certificate_key: PrivatePkcs8KeyDer<'static>,
    seed: [u8; SEED_SIZE],
    ticket_key: [u8; KEY_SIZE],
    has_granted: bool,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("ssh", &self.ssh_fingerprint()).finish_non_exhaustive()
    }
}

/// What goes wrong with the data folder.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error("cannot use {path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A key file that others may read is not a secret any more.
    #[error(
        "{path} can be read by others (mode {mode:o}): if nobody has read it, run chmod 600 on it, \
         else delete it, and hosts will have to trust a new key"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file holds something else.
    #[error(
        "{path} is damaged ({reason}): restore it, or delete it, and hosts will have to trust a new key"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Identity {
    /// Loads the identity from `folder`, or makes what is missing there (folder 0700, files 0600).
    pub fn load_or_create(folder: &Path) -> Result<Self, IdentityError> {
        let io_error = |error| IdentityError::Io { path: folder.to_path_buf(), error };
        if !folder.exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(io_error)?;
        }
        let fresh = Self::ephemeral();
        let ticket_key_path = folder.join(TICKET_KEY_FILE);
        let has_granted = ticket_key_path.exists();

        let pem = fresh.ssh_key.to_openssh(LineEnding::LF).expect("a fresh key can be written");
        let pem = load_or_store(&folder.join(SSH_KEY_FILE), pem.as_bytes())?;
        let ssh_key = PrivateKey::from_openssh(&pem)
            .map_err(|error| damaged(folder.join(SSH_KEY_FILE), error))?;
        if ssh_key.key_data().ed25519().is_none() {
            return Err(damaged(folder.join(SSH_KEY_FILE), "it is no plain Ed25519 key"));
        }

        // The key comes first: a certificate is only ever stored beside the key it was made for.
        let key_path = folder.join(CERTIFICATE_KEY_FILE);
        let key = load_or_store(&key_path, fresh.certificate_key.secret_pkcs8_der())?;
        let certificate_key = PrivatePkcs8KeyDer::from(key);
        let certificate = certificate_for(&certificate_key).map_err(|e| damaged(key_path, e))?;
        let certificate = load_or_store(&folder.join(CERTIFICATE_FILE), &certificate)?;

        let seed_path = folder.join(QUIC_SEED_FILE);
        let seed = load_or_store(&seed_path, &fresh.seed)?;
        let seed = seed.try_into().map_err(|_| damaged(seed_path, "it has another length"))?;

        let ticket_key = load_or_store(&ticket_key_path, &fresh.ticket_key)?;
        let ticket_key =
            ticket_key.try_into().map_err(|_| damaged(ticket_key_path, "it has another length"))?;

        let certificate = certificate.into();
        Ok(Self { ssh_key, certificate, certificate_key, seed, ticket_key, has_granted })
    }

    /// An identity that lives in memory only.
    pub fn ephemeral() -> Self {
        let ssh_key = PrivateKey::from(Ed25519Keypair::from_seed(&random()));
        let key = rcgen::KeyPair::generate().expect("the system makes keys");
        let certificate_key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let certificate =
            certificate_for(&certificate_key).expect("a fresh key fits a certificate");
        Self {
            ssh_key,
            certificate: certificate.into(),
            certificate_key,
            seed: random(),
            ticket_key: random(),
            has_granted: false,
        }
    }

    /// `SHA256:...` as `ssh-keygen -l` prints it.
    pub fn ssh_fingerprint(&self) -> String {
        self.ssh_key.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Seals and opens the tickets of this relay's sessions.
    pub fn ticket_key(&self) -> TicketKey {
        TicketKey::new(&self.ticket_key)
    }

    /// Whether an earlier run may have granted sessions, whose hosts may come back.
    pub fn has_granted(&self) -> bool {
        self.has_granted
    }

    /// What hosts pin.
    pub fn certificate_pin(&self) -> CertificatePin {
        pin_of(&self.certificate)
    }

    /// QUIC server side with this certificate and `transport`. Fails if a stored certificate and
    /// its key don't fit each other.
    pub fn quic_server_config(
        &self,
        transport: quinn::TransportConfig,
    ) -> Result<quinn::ServerConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certified = |certificate: &CertificateDer<'static>, key: &PrivatePkcs8KeyDer<'_>| {
            let key = PrivateKeyDer::Pkcs8(key.clone_key());
            CertifiedKey::from_der(vec![certificate.clone()], key, &provider).map(Arc::new)
        };
        let (host_certificate, host_key) = self.host_certificate();
        let certificates = Certificates {
            link: certified(&self.certificate, &self.certificate_key)?,
            grant: certified(&host_certificate, &host_key)?,
        };
        let mut tls = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        tls.alpn_protocols = vec![ALPN.to_vec(), GRANT_ALPN.to_vec()];
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls)
            .expect("ring's TLS 1.3 has the cipher suite that QUIC starts with");
        let mut config = quinn::ServerConfig::new(
            Arc::new(crypto),
            Arc::new(self.derived(b"tern retry token", ring::hkdf::HKDF_SHA256)),
        );
        config.transport_config(Arc::new(transport));
        Ok(config)
    }

    /// Endpoint settings by which a restarted relay resets its former connections (RFC 9000,
    /// section 10.3): reset key and connection ids come from the stored seed.
    pub fn quic_endpoint_config(&self) -> quinn::EndpointConfig {
        let reset = hmac::Key::new(hmac::HMAC_SHA256, &self.derive_bytes(b"tern stateless reset"));
        let [a, b, c, d, e, f, g, h, ..] = self.derive_bytes(b"tern connection id");
        let id_key = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let mut config = quinn::EndpointConfig::new(Arc::new(reset));
        config.min_reset_interval(RESET_INTERVAL);
        config.cid_generator(move || {
            Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(id_key))
        });
        config
    }

    /// A certificate for the SSH host key itself, by which hosts that ask for a session over QUIC
    /// know the relay ([`direct`](crate::direct)).
    fn host_certificate(&self) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let pair = self.ssh_key.key_data().ed25519().expect("checked when it was loaded");
        let seed = pair.private.to_bytes();
        let key = PrivatePkcs8KeyDer::from([ED25519_PKCS8_PREFIX.as_slice(), &seed].concat());
        let certificate = certificate_for(&key).expect("a key that SSH uses fits a certificate");
        (certificate.into(), key)
    }

    fn derive_bytes(&self, label: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.seed), label);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn derived(&self, label: &[u8], algorithm: ring::hkdf::Algorithm) -> ring::hkdf::Prk {
        ring::hkdf::Salt::new(algorithm, label).extract(&self.seed)
    }
}

/// Which certificate is shown, by what the peer is here for.
#[derive(Debug)]
struct Certificates {
    link: Arc<CertifiedKey>,
    grant: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_for_grant =
            hello.alpn().is_some_and(|mut offered| offered.next() == Some(GRANT_ALPN));
        Some(if is_for_grant { self.grant.clone() } else { self.link.clone() })
    }
}

/// SHA-256 of a certificate.
pub(crate) fn pin_of(certificate: &CertificateDer<'_>) -> CertificatePin {
    let hash = digest::digest(&digest::SHA256, certificate);
    CertificatePin(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Self-signed, valid practically for ever: it is trusted by pin, handed over by SSH, and so says
/// nothing by its name or its dates.
fn certificate_for(key: &PrivatePkcs8KeyDer<'_>) -> Result<Vec<u8>, rcgen::Error> {
    let key = rcgen::KeyPair::try_from(key.secret_pkcs8_der())?;
    let params = rcgen::CertificateParams::new(vec!["tern-relay".to_string()])?;
    Ok(params.self_signed(&key)?.der().to_vec())
}

fn damaged(path: PathBuf, reason: impl std::fmt::Display) -> IdentityError {
    IdentityError::Damaged { path, reason: reason.to_string() }
}

/// What `path` holds; `fresh` is stored there first if it doesn't exist. Two relays that start at
/// once agree: a file appears whole, under its name, for one of them only.
fn load_or_store(path: &Path, fresh: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let io_error = |error| IdentityError::Io { path: path.to_path_buf(), error };
    if !path.exists() {
        let suffix: [u8; 8] = random();
        let temporary = path.with_extension(format!("new-{:016x}", u64::from_be_bytes(suffix)));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io_error)?;
        let stored = file
            .write_all(fresh)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::hard_link(&temporary, path));
        std::fs::remove_file(&temporary).map_err(io_error)?;
        match stored {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(io_error)?,
        }
    }
    let mode = std::fs::metadata(path).map_err(io_error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_path_buf(), mode });
    }
    std::fs::read(path).map_err(io_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_stays_the_same_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("new/data");
        let first = Identity::load_or_create(&folder).expect("made");
        let second = Identity::load_or_create(&folder).expect("loaded");
        assert_eq!(first.ssh_fingerprint(), second.ssh_fingerprint());
        assert_eq!(first.certificate_pin(), second.certificate_pin());
        assert_eq!(first.seed, second.seed);
        assert_eq!(first.ticket_key, second.ticket_key);
        assert!(!first.has_granted() && second.has_granted());
        assert!(first.ssh_fingerprint().starts_with("SHA256:"));
        second
            .quic_server_config(quinn::TransportConfig::default())
            .expect("key and certificate fit");
    }

    #[test]
    fn only_the_owner_can_read_the_keys() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("data");
        Identity::load_or_create(&folder).expect("made");
        let mode =
            |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for entry in std::fs::read_dir(&folder).expect("readable") {
            assert_eq!(mode(&entry.expect("an entry").path()), 0o600);
        }
    }

    #[test]
    fn exposed_or_damaged_key_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        Identity::load_or_create(folder.path()).expect("made");
        let key = folder.path().join(SSH_KEY_FILE);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = Identity::load_or_create(folder.path()).expect_err("exposed").to_string();
        assert!(error.contains("chmod 600"), "{error}");

        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        std::fs::write(&key, "nonsense").expect("written");
        let error = Identity::load_or_create(folder.path()).expect_err("damaged").to_string();
        assert!(error.contains("is damaged") && error.contains("delete it"), "{error}");
    }
}
