//! First words on the link of a host or a viewer: version, session, and a proof by each side that it
//! holds the secret that was granted, bound to this very connection.
//!
//! ```text
//! host, viewer                           relay
//!   | -- session, epoch, ticket, proof ->  |   looks the session up, checks the proof
//!   | <-- is_resumed, relay's proof ----   |   (or a refusal, and the connection ends)
//!
//! host's proof   = HMAC-SHA256(secret, "tern hello host"   || binding || session || epoch)
//! viewer's proof = HMAC-SHA256(secret, "tern hello viewer" || binding || session || epoch)
//! relay's proof  = HMAC-SHA256(secret, "tern hello relay"  || binding || is_resumed)
//! ```
//!
//! A viewer's "session" is its own place in one, with a secret of its own: what it holds proves
//! nothing about the host.
//!
//! The binding is QUIC's TLS exporter ([`quic`]), or, on a channel of an SSH connection, made of
//! fresh numbers of both sides and the relay's host key ([`stream`]).
//!
//! The relay is known by its certificate or host key already; its proof tells that it also holds
//! this session. A relay that was started again, and any relay for viewers, finds the secret in the
//! ticket (`ticket.rs`), which is authentic by itself and worth nothing without the secret: the proofs
//! need not cover it.

mod pin;
mod quic;
mod stream;

pub use pin::{SERVER_NAME, is_wrong_certificate, quic_client_config};
pub(crate) use pin::{Trust, client_config};
pub use quic::{CLOSE_REFUSED, Introduction, accept, introduce};
pub use stream::{StreamIntroduction, accept_over, introduce_over};

use crate::credentials::{Credentials, Kind};
use crate::grant::{Refusal, RefusalCode, Secret, SessionId, WireError};
use crate::ticket::{TICKET_SIZE_MAX, Ticket};
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a hello may take, from the connection's being there: 3 round trips of a satellite
/// path with 3 losses on the way.
pub const HELLO_TIME_MAX: Duration = Duration::from_secs(10);

const HOST_LABEL: &[u8] = b"tern hello host";
const VIEWER_LABEL: &[u8] = b"tern hello viewer";
const RELAY_LABEL: &[u8] = b"tern hello relay";

/// What is the same on both ends of one connection, and of no other.
type Binding = [u8; 32];
/// Never used twice.
type Nonce = [u8; 32];

#[derive(Serialize, Deserialize)]
struct Hello {
    session: SessionId,
    epoch: u64,
    #[serde(default)]
    ticket: Ticket,
    /// The greeter's part of the binding, where the connection gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    proof: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct WelcomeMessage {
    is_resumed: bool,
    proof: [u8; 32],
}

/// What the relay says to a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The relay still has the endpoint state of this epoch: go on. Else both begin with state 0.
    pub is_resumed: bool,
}

impl Hello {
    /// The host's, or a viewer's.
    fn new(who: &Credentials, epoch: u64, binding: &Binding, nonce: Option<Nonce>) -> Self {
        let proof = sign(&who.secret, &statement(who.kind, binding, who.id, epoch));
        Self { session: who.id, epoch, ticket: who.ticket.clone(), nonce, proof }
    }

    /// Relay: whether the peer holds the secret. An unknown session and a wrong proof get the
    /// same answer, so that nobody learns which sessions there are.
    fn check(
        self,
        binding: Binding,
        secret_of: impl FnOnce(SessionId, &Ticket) -> Option<(Kind, Secret)>,
    ) -> Result<Proven, Refusal> {
        let known = if self.ticket.0.len() > TICKET_SIZE_MAX {
            None
        } else {
            secret_of(self.session, &self.ticket)
        };
        // An unknown session costs the same work as a known one.
        let is_known = known.is_some();
        let (kind, secret) = known.unwrap_or((Kind::Host, Secret([0; 32])));
        let said = statement(kind, &binding, self.session, self.epoch);
        let is_right = hmac::verify(&key(&secret), &said, &self.proof).is_ok();
        if is_known && is_right {
            Ok(Proven { session: self.session, epoch: self.epoch, secret, binding })
        } else {
            let text = "the relay knows no such session (it ended, was granted too long ago, or \
                        the relay has lost its keys): a new one is needed";
            Err(Refusal { code: RefusalCode::Unauthorized, text: text.into() })
        }
    }
}

/// A peer that holds the secret.
struct Proven {
    session: SessionId,
    epoch: u64,
    secret: Secret,
    binding: Binding,
}

impl Proven {
    fn welcome(&self, is_resumed: bool) -> WelcomeMessage {
        let proof = sign(&self.secret, &relay_statement(&self.binding, is_resumed));
        WelcomeMessage { is_resumed, proof }
    }
}

impl WelcomeMessage {
    /// Host, viewer: whether the relay holds the secret.
    fn check(&self, secret: &Secret, binding: &Binding) -> Result<Welcome, WireError> {
        let said = relay_statement(binding, self.is_resumed);
        hmac::verify(&key(secret), &said, &self.proof).map_err(|_| WireError::Impostor)?;
        Ok(Welcome { is_resumed: self.is_resumed })
    }
}

/// Bounds an exchange by [`HELLO_TIME_MAX`].
async fn in_time<T>(exchange: impl Future<Output = Result<T, WireError>>) -> Result<T, WireError> {
    tokio::time::timeout(HELLO_TIME_MAX, exchange).await.unwrap_or_else(|_| {
        let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "no hello in time");
        Err(WireError::Io(error))
    })
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &secret.0)
}

fn sign(secret: &Secret, statement: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&key(secret), statement);
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn statement(kind: Kind, binding: &Binding, session: SessionId, epoch: u64) -> Vec<u8> {
    let label = match kind {
        Kind::Host => HOST_LABEL,
        Kind::Viewer => VIEWER_LABEL,
    };
    [label, binding, &session.0, &epoch.to_be_bytes()].concat()
}

fn relay_statement(binding: &Binding, is_resumed: bool) -> Vec<u8> {
    [RELAY_LABEL, binding, &[u8::from(is_resumed)]].concat()
}
