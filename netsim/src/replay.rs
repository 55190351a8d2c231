//! quinn and rustls with every chance drawn from a seed, so that a run replays to the byte.
//!
//! **Not for real networks**: what is drawn from a seed is no secret, and the key exchange here is a
//! toy. Everything else of TLS is real.
//!
//! What else a replay needs: a runtime of one thread; a certificate whose signatures draw nothing
//! (Ed25519, not ECDSA), the same in both runs; and no `select!` without `biased`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::{
    ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TimeSource,
};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{Error, NamedGroup};

/// The wall clock of all replays: 2030-01-01 00:00:00 UTC.
const WALL_CLOCK: Duration = Duration::from_secs(1_893_456_000);
/// Bytes of our connection ids: quinn's default.
const CONNECTION_ID_BYTES: usize = 8;

/// ring's algorithms, with chances drawn from `seed`.
///
/// rustls wants its random source for as long as the program runs: each call leaks a few hundred
/// bytes.
#[must_use]
pub fn crypto_provider(seed: u64) -> CryptoProvider {
    let chances: &'static Chances = Box::leak(Box::new(Chances::new(seed, 1)));
    let group: &'static ToyGroup = Box::leak(Box::new(ToyGroup(chances)));
    CryptoProvider {
        kx_groups: vec![group],
        secure_random: chances,
        ..rustls::crypto::ring::default_provider()
    }
}

/// A wall clock that stands still, for `builder_with_details` of rustls's configurations.
#[must_use]
pub fn time_provider() -> Arc<dyn TimeProvider> {
    Arc::new(StoppedClock)
}

/// An endpoint's configuration with chances drawn from `seed`; each endpoint wants another.
#[must_use]
pub fn endpoint_config(seed: u64) -> EndpointConfig {
    let chances = Chances::new(seed, 2);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &chances.draw::<32>());
    let mut config = EndpointConfig::new(Arc::new(key));
    config.rng_seed(Some(chances.draw()));
    let ids = Arc::new(Chances::new(seed, 3));
    config.cid_generator(move || Box::new(ConnectionIds(Arc::clone(&ids))));
    config
}

/// Takes the chances out of a server's configuration.
pub fn make_replayable_server(config: &mut ServerConfig, seed: u64) {
    let key = Chances::new(seed, 4).draw::<64>();
    let key = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(&key);
    config.token_key(Arc::new(key)).time_source(Arc::new(StoppedClock));
}

/// Takes the chances out of a client's configuration.
pub fn make_replayable_client(config: &mut ClientConfig, seed: u64) {
    let chances = Chances::new(seed, 5);
    // The longest that QUIC allows, as quinn's default.
    config.initial_dst_cid_provider(Arc::new(move || ConnectionId::new(&chances.draw::<20>())));
}

/// A lock, for rustls and quinn share their random sources between threads.
struct Chances(Mutex<ChaCha8Rng>);

impl Chances {
    fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(Mutex::new(rng))
    }

    fn draw<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Chances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chances")
    }
}

impl SecureRandom for Chances {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
        Ok(())
    }
}

/// Diffie and Hellman modulo a prime of 61 bits, in the clothes of X25519.
#[derive(Debug)]
struct ToyGroup(&'static Chances);

const PRIME: u128 = (1 << 61) - 1;
const GENERATOR: u64 = 37;
/// Bytes of a public key of X25519.
const KEY_BYTES: usize = 32;

impl SupportedKxGroup for ToyGroup {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = u64::from_be_bytes(self.0.draw());
        let mut public = vec![0; KEY_BYTES];
        public[..8].copy_from_slice(&power(GENERATOR, secret).to_be_bytes());
        Ok(Box::new(ToyExchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct ToyExchange {
    secret: u64,
    public: Vec<u8>,
}

impl ActiveKeyExchange for ToyExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = peer.first_chunk().filter(|_| peer.len() == KEY_BYTES);
        let peer = peer.ok_or(rustls::PeerMisbehaved::InvalidKeyShare)?;
        let shared = power(u64::from_be_bytes(*peer), self.secret).to_be_bytes();
        Ok(SharedSecret::from(&shared.repeat(KEY_BYTES / 8)[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

fn power(base: u64, mut exponent: u64) -> u64 {
    let (mut result, mut square) = (1_u128, u128::from(base) % PRIME);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % PRIME;
        }
        square = square * square % PRIME;
        exponent >>= 1;
    }
    result as u64
}

struct ConnectionIds(Arc<Chances>);

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&self.0.draw::<CONNECTION_ID_BYTES>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[derive(Debug)]
struct StoppedClock;

impl TimeSource for StoppedClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + WALL_CLOCK
    }
}

impl TimeProvider for StoppedClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(WALL_CLOCK))
    }
}
