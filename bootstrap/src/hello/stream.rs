//! The hello on a stream that SSH has authenticated, where the network lets no UDP through.
//!
//! ```text
//! host, viewer                                  relay
//!   | <-- relay's nonce -----------------------   |   (or a refusal)
//!   | -- session, epoch, ticket, nonce, proof ->  |
//!   | <-- is_resumed, relay's proof -----------   |   (or a refusal)
//!
//! binding = SHA-256("tern hello ssh" || relay's nonce || peer's nonce || "SHA256:...")
//! ```
//!
//! The last part is the fingerprint of the SSH host key that the relay has and the peer has seen:
//! whoever stands between with another key has another binding.

use super::{Binding, Hello, Nonce, Proven, Welcome, WelcomeMessage, in_time};
use crate::credentials::{Credentials, Kind};
use crate::grant::{Refusal, Secret, SessionId, WireError};
use crate::ticket::Ticket;
use crate::token::random;
use crate::wire;
use ring::digest;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

const LABEL: &[u8] = b"tern hello ssh";

#[derive(Serialize, Deserialize)]
struct Challenge {
    nonce: Nonce,
}

/// Host, viewer: introduces itself and checks the relay's proof, as
/// [`introduce`](super::introduce) does over QUIC. `host_key` is the fingerprint (`SHA256:...`) of
/// the relay's SSH host key. After it, nothing of what follows was read.
pub async fn introduce_over(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host_key: &str,
    who: &Credentials,
    epoch: u64,
) -> Result<Welcome, WireError> {
    in_time(async {
        let challenge: Challenge = wire::read_answer(stream).await?;
        let nonce = random();
        let binding = binding(&challenge.nonce, &nonce, host_key);
        wire::write_question(stream, &Hello::new(who, epoch, &binding, Some(nonce))).await?;
        let answer: WelcomeMessage = wire::read_answer(stream).await?;
        answer.check(&who.secret, &binding)
    })
    .await
}

/// A peer whose proof was right, waiting for its answer.
pub struct StreamIntroduction(Proven);

impl std::fmt::Debug for StreamIntroduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamIntroduction")
            .field("session", &self.0.session)
            .finish_non_exhaustive()
    }
}

/// Relay: reads a hello, as [`accept`](super::accept) does over QUIC. After it, nothing of what
/// follows was read.
pub async fn accept_over(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host_key: &str,
    secret_of: impl FnOnce(SessionId, &Ticket) -> Option<(Kind, Secret)>,
) -> Result<StreamIntroduction, WireError> {
    in_time(async {
        let nonce = random();
        wire::write_yes(stream, &Challenge { nonce }).await?;
        let (mut reader, mut writer) = tokio::io::split(&mut *stream);
        let hello: Hello = wire::read_question(&mut reader, &mut writer).await?;
        let Some(peer_nonce) = hello.nonce else {
            return Err(WireError::Malformed("a hello without a nonce"));
        };
        let binding = binding(&nonce, &peer_nonce, host_key);
        match hello.check(binding, secret_of) {
            Ok(proven) => Ok(StreamIntroduction(proven)),
            Err(refusal) => {
                wire::write_no(&mut writer, &refusal).await?;
                Err(WireError::Refused(refusal))
            }
        }
    })
    .await
}

impl StreamIntroduction {
    /// Its session, or the viewer's place in one.
    pub fn session(&self) -> SessionId {
        self.0.session
    }

    /// Names the peer's endpoint state.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The answer, to be written before anything else: welcome with the relay's proof, or why not.
    pub async fn write_answer(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        is_resumed: &Result<bool, Refusal>,
    ) -> Result<(), WireError> {
        match is_resumed {
            Ok(is_resumed) => wire::write_yes(writer, &self.0.welcome(*is_resumed)).await,
            Err(refusal) => wire::write_no(writer, refusal).await,
        }
    }
}

fn binding(relay: &Nonce, peer: &Nonce, host_key: &str) -> Binding {
    let parts = [LABEL, relay, peer, host_key.as_bytes()].concat();
    let hash = digest::digest(&digest::SHA256, &parts);
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::tests::grant;
    use crate::grant::{RefusalCode, SessionGrant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const KEY: &str = "SHA256:relay";

    fn host(secret: Secret) -> (Kind, Secret) {
        (Kind::Host, secret)
    }

    /// Host and relay meet; the host saw `host_key`.
    async fn meet(
        host_key: &str,
        grant: &SessionGrant,
        known: Option<Secret>,
        is_resumed: Result<bool, Refusal>,
    ) -> Result<Welcome, WireError> {
        let who = grant.credentials();
        let (mut host_end, mut relay) = duplex(64 * 1024);
        let relay = async {
            let introduction = accept_over(&mut relay, KEY, |_, _| known.map(host)).await?;
            assert_eq!(introduction.epoch(), 42);
            introduction.write_answer(&mut relay, &is_resumed).await
        };
        let (welcome, _) = tokio::join!(introduce_over(&mut host_end, host_key, &who, 42), relay);
        welcome
    }

    fn assert_refused(welcome: Result<Welcome, WireError>, code: RefusalCode) {
        match welcome {
            Err(WireError::Refused(refusal)) => assert_eq!(refusal.code, code),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn host_with_the_secret_is_welcome() {
        let grant = grant();
        for is_resumed in [false, true] {
            let welcome = meet(KEY, &grant, Some(grant.secret.clone()), Ok(is_resumed)).await;
            assert_eq!(welcome.expect("welcome"), Welcome { is_resumed });
        }
    }

    #[tokio::test]
    async fn wrong_secret_unknown_session_and_another_host_key_are_refused() {
        let grant = grant();
        let wrong = Some(Secret([3; 32]));
        assert_refused(meet(KEY, &grant, wrong, Ok(true)).await, RefusalCode::Unauthorized);
        assert_refused(meet(KEY, &grant, None, Ok(true)).await, RefusalCode::Unauthorized);
        let right = || Some(grant.secret.clone());
        let between = meet("SHA256:other", &grant, right(), Ok(true)).await;
        assert_refused(between, RefusalCode::Unauthorized);
        let full = Refusal { code: RefusalCode::Full, text: "full".into() };
        assert_refused(meet(KEY, &grant, right(), Err(full)).await, RefusalCode::Full);
    }

    #[tokio::test]
    async fn relay_that_does_not_hold_the_secret_is_an_impostor() {
        let (mut stream, mut relay) = duplex(64 * 1024);
        let impostor = async {
            wire::write_yes(&mut relay, &Challenge { nonce: [1; 32] }).await?;
            let _: Hello = wire::read_question(&mut relay, &mut Vec::new()).await?;
            let answer = WelcomeMessage { is_resumed: false, proof: [0; 32] };
            wire::write_yes(&mut relay, &answer).await
        };
        let grant = grant();
        let who = grant.credentials();
        let (welcome, _) = tokio::join!(introduce_over(&mut stream, KEY, &who, 1), impostor);
        assert!(matches!(welcome, Err(WireError::Impostor)), "{welcome:?}");
    }

    #[tokio::test]
    async fn hello_that_was_heard_before_is_worth_nothing() {
        let grant = grant();
        let who = grant.credentials();
        let (mut stream, mut relay) = duplex(64 * 1024);
        let tap = async {
            wire::write_yes(&mut relay, &Challenge { nonce: [1; 32] }).await.expect("written");
            let mut heard = vec![0; 4096];
            let size = relay.read(&mut heard).await.expect("a hello");
            drop(relay);
            heard.truncate(size);
            heard
        };
        let (_, heard) = tokio::join!(introduce_over(&mut stream, KEY, &who, 42), tap);
        let (mut thief, mut relay) = duplex(64 * 1024);
        thief.write_all(&heard).await.expect("written");
        let accepted = accept_over(&mut relay, KEY, |_, _| Some(host(grant.secret.clone()))).await;
        assert!(matches!(accepted, Err(WireError::Refused(_))), "{accepted:?}");
    }

    #[tokio::test]
    async fn what_follows_the_hello_is_left_for_the_link() {
        let grant = grant();
        let who = grant.credentials();
        let (mut stream, mut relay) = duplex(64 * 1024);
        let relay = async {
            let known = Some(grant.secret.clone());
            let introduction =
                accept_over(&mut relay, KEY, |_, _| known.map(host)).await.expect("right");
            introduction.write_answer(&mut relay, &Ok(true)).await.expect("written");
            relay.write_all(b"frame").await.expect("written");
        };
        let (welcome, ()) = tokio::join!(introduce_over(&mut stream, KEY, &who, 1), relay);
        assert!(welcome.is_ok());
        let mut rest = [0; 5];
        stream.read_exact(&mut rest).await.expect("the frame");
        assert_eq!(&rest, b"frame");
    }
}
