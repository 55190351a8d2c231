//! Tickets: a session as its relay would need to know it, sealed with a key that only that relay
//! has, and kept by the session's host. A relay that was started again opens the ticket that a
//! host shows it, and has the session with its join lines back, without having stored anything.
//!
//! ```text
//! version (u8)  nonce (12 bytes, random)  sealed content (120 or 128 bytes)  tag (16 bytes)
//!
//! content: session id (16)  secret (32)  SHA-256 of both tokens (2 x 32)
//!          granted at, in seconds since 1970 (u64, big endian)
//!          of a named session: its owner (i64, big endian)
//! ```
//!
//! A viewer's ticket has this instead:
//!
//! ```text
//! content: viewer's id (16)  session id (16)  secret (32)  SHA-256 of its token (32)
//!          granted at (u64)
//!          without a key: nothing more, else rule (32)  fingerprint (32)  valid until (u64)
//! ```
//!
//! Sealed with ChaCha20-Poly1305 (RFC 8439); the version is authenticated with it. Random nonces
//! of 96 bits are safe for 2^32 tickets of one key, more than a relay grants in 100 years at one a
//! second. A ticket opens nothing by itself: who shows it must prove that they hold the secret.

use crate::authorized_keys::{Bearer, Fingerprint, RuleId};
use crate::grant::{Secret, SessionId};
use crate::token::{TokenHash, random};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a ticket's key.
pub const KEY_SIZE: usize = 32;
/// Longest ticket that a host keeps, in bytes: room for a later version with another address or
/// key in it.
pub const TICKET_SIZE_MAX: usize = 512;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"tern ticket";
const NAMED_LABEL: &[u8] = b"tern named ticket";
const VIEW_LABEL: &[u8] = b"tern view ticket";
const CONTENT_SIZE: usize = 16 + 32 + 2 * 32 + 8;
const NAMED_CONTENT_SIZE: usize = CONTENT_SIZE + 8;
const VIEW_CONTENT_SIZE: usize = 16 + 16 + 32 + 32 + 8;
const BEARER_SIZE: usize = 32 + 32 + 8;
const TAG_SIZE: usize = 16;
const TICKET_SIZE: usize = 1 + NONCE_LEN + CONTENT_SIZE + TAG_SIZE;
const NAMED_TICKET_SIZE: usize = 1 + NONCE_LEN + NAMED_CONTENT_SIZE + TAG_SIZE;

const _: () = assert!(TICKET_SIZE <= TICKET_SIZE_MAX && NAMED_TICKET_SIZE <= TICKET_SIZE_MAX);

/// Whose a named session is: a user of the relay's, by a number that is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub i64);

/// A sealed ticket; hosts keep it as it is. Never printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} bytes)", self.0.len())
    }
}

/// What a relay needs to have a session back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketContent {
    /// Which session.
    pub session: SessionId,
    /// Proves that a connection is its host's.
    pub secret: Secret,
    /// Of the read-write join line.
    pub token: TokenHash,
    /// Of the read-only join line.
    pub token_ro: TokenHash,
    /// When it was granted, to the second.
    pub granted_at: SystemTime,
    /// Whose names it has, if it has any.
    pub owner: Option<OwnerId>,
}

/// What a relay needs to know a viewer by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewContent {
    /// Which viewer.
    pub viewer: SessionId,
    /// Of which session.
    pub session: SessionId,
    /// Proves that a connection is this viewer's.
    pub secret: Secret,
    /// The token that it came with.
    pub token: TokenHash,
    /// When it was granted, to the second.
    pub granted_at: SystemTime,
    /// By which key it was let in, if a key was asked for.
    pub bearer: Option<Bearer>,
}

/// Why a ticket is worth nothing. (Its bearer isn't told which.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not sealed by this relay, changed, cut, or of another version.
    #[error("the ticket is not one of this relay's")]
    Forged,
    /// Granted too long ago.
    #[error("the ticket is too old")]
    Expired,
}

/// Seals and opens tickets.
pub struct TicketKey(LessSafeKey);

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl TicketKey {
    /// From its bytes, which must be random and secret.
    pub fn new(bytes: &[u8; KEY_SIZE]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("its keys have 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// A ticket for a session.
    pub fn seal(&self, content: &TicketContent) -> Ticket {
        let label = if content.owner.is_some() { NAMED_LABEL } else { LABEL };
        self.seal_bytes(label, encode(content))
    }

    /// A ticket for a viewer.
    pub fn seal_view(&self, content: &ViewContent) -> Ticket {
        self.seal_bytes(VIEW_LABEL, encode_view(content))
    }

    /// What a session's ticket says, if this key sealed it and it was granted at most `age_max`
    /// before `now`. A clock that was set back makes no ticket invalid.
    pub fn open(
        &self,
        ticket: &Ticket,
        now: SystemTime,
        age_max: Duration,
    ) -> Result<TicketContent, TicketError> {
        let content = if ticket.0.len() == NAMED_TICKET_SIZE {
            self.open_bytes(NAMED_LABEL, ticket, &[NAMED_CONTENT_SIZE])
        } else {
            self.open_bytes(LABEL, ticket, &[CONTENT_SIZE])
        };
        let content = decode(&content?)?;
        check_age(content.granted_at, now, age_max)?;
        Ok(content)
    }

    /// What a viewer's ticket says, as [`Self::open`] for a session's.
    pub fn open_view(
        &self,
        ticket: &Ticket,
        now: SystemTime,
        age_max: Duration,
    ) -> Result<ViewContent, TicketError> {
        let sizes = [VIEW_CONTENT_SIZE, VIEW_CONTENT_SIZE + BEARER_SIZE];
        let content = decode_view(&self.open_bytes(VIEW_LABEL, ticket, &sizes)?)?;
        check_age(content.granted_at, now, age_max)?;
        Ok(content)
    }

    fn seal_bytes(&self, label: &[u8], mut content: Vec<u8>) -> Ticket {
        let nonce: [u8; NONCE_LEN] = random();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(label), &mut content)
            .expect("a ticket is far below what one nonce may seal");
        Ticket([&[VERSION], nonce.as_slice(), &content].concat())
    }

    fn open_bytes(
        &self,
        label: &[u8],
        ticket: &Ticket,
        content_sizes: &[usize],
    ) -> Result<Vec<u8>, TicketError> {
        let (version, rest) = ticket.0.split_first().ok_or(TicketError::Forged)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(TicketError::Forged)?;
        let is_size = content_sizes.iter().any(|size| sealed.len() == size + TAG_SIZE);
        if *version != VERSION || !is_size {
            return Err(TicketError::Forged);
        }
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, aad(label), &mut sealed);
        Ok(opened.map_err(|_| TicketError::Forged)?.to_vec())
    }
}

fn check_age(
    granted_at: SystemTime,
    now: SystemTime,
    age_max: Duration,
) -> Result<(), TicketError> {
    let age = now.duration_since(granted_at).unwrap_or_default();
    if age > age_max { Err(TicketError::Expired) } else { Ok(()) }
}

fn aad(label: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([label, &[VERSION]].concat())
}

fn encode(content: &TicketContent) -> Vec<u8> {
    let TicketContent { session, secret, token, token_ro, granted_at, owner } = content;
    let owner = owner.map(|owner| owner.0.to_be_bytes());
    [
        session.0.as_slice(),
        &secret.0,
        token.as_bytes(),
        token_ro.as_bytes(),
        &seconds(*granted_at).to_be_bytes(),
        owner.as_ref().map_or(&[], |owner| owner.as_slice()),
    ]
    .concat()
}

fn encode_view(content: &ViewContent) -> Vec<u8> {
    let ViewContent { viewer, session, secret, token, granted_at, bearer } = content;
    let granted_at = seconds(*granted_at).to_be_bytes();
    let mut bytes =
        [viewer.0.as_slice(), &session.0, &secret.0, token.as_bytes(), &granted_at].concat();
    if let Some(Bearer { rule, key, valid_until }) = bearer {
        bytes.extend([rule.0.as_slice(), &key.0, &valid_until.to_be_bytes()].concat());
    }
    bytes
}

fn decode(content: &[u8]) -> Result<TicketContent, TicketError> {
    let (session, rest) = part(content)?;
    let (secret, rest) = part(rest)?;
    let (token, rest) = part(rest)?;
    let (token_ro, rest) = part(rest)?;
    let (granted_at, rest) = part(rest)?;
    let owner = part(rest).ok().map(|(owner, _)| OwnerId(i64::from_be_bytes(owner)));
    Ok(TicketContent {
        session: SessionId(session),
        secret: Secret(secret),
        token: TokenHash::from_bytes(token),
        token_ro: TokenHash::from_bytes(token_ro),
        granted_at: time(granted_at)?,
        owner,
    })
}

fn decode_view(content: &[u8]) -> Result<ViewContent, TicketError> {
    let (viewer, rest) = part(content)?;
    let (session, rest) = part(rest)?;
    let (secret, rest) = part(rest)?;
    let (token, rest) = part(rest)?;
    let (granted_at, rest) = part(rest)?;
    let bearer = if rest.is_empty() { None } else { Some(decode_bearer(rest)?) };
    Ok(ViewContent {
        viewer: SessionId(viewer),
        session: SessionId(session),
        secret: Secret(secret),
        token: TokenHash::from_bytes(token),
        granted_at: time(granted_at)?,
        bearer,
    })
}

fn decode_bearer(bytes: &[u8]) -> Result<Bearer, TicketError> {
    let (rule, rest) = part(bytes)?;
    let (key, rest) = part(rest)?;
    let (valid_until, _) = part(rest)?;
    let valid_until = u64::from_be_bytes(valid_until);
    Ok(Bearer { rule: RuleId(rule), key: Fingerprint(key), valid_until })
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn time(seconds: [u8; 8]) -> Result<SystemTime, TicketError> {
    let since = Duration::from_secs(u64::from_be_bytes(seconds));
    UNIX_EPOCH.checked_add(since).ok_or(TicketError::Forged)
}

fn part<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), TicketError> {
    bytes.split_first_chunk().map(|(part, rest)| (*part, rest)).ok_or(TicketError::Forged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn content() -> TicketContent {
        TicketContent {
            session: SessionId([1; 16]),
            secret: Secret([2; 32]),
            token: TokenHash::of("token"),
            token_ro: TokenHash::of("ro-token"),
            granted_at: UNIX_EPOCH + 20_000 * DAY,
            owner: None,
        }
    }

    #[test]
    fn relay_reads_what_it_sealed_until_it_is_too_old() {
        let key = TicketKey::new(&[7; KEY_SIZE]);
        let ticket = key.seal(&content());
        assert_eq!(ticket.0.len(), TICKET_SIZE);
        let granted_at = content().granted_at;
        assert_eq!(key.open(&ticket, granted_at + 30 * DAY, 30 * DAY), Ok(content()));
        assert_eq!(key.open(&ticket, granted_at - DAY, 30 * DAY), Ok(content()));
        let late = granted_at + 30 * DAY + Duration::from_secs(1);
        assert_eq!(key.open(&ticket, late, 30 * DAY), Err(TicketError::Expired));
    }

    #[test]
    fn ticket_of_a_named_session_tells_its_owner_and_can_not_be_cut_to_one_of_nobodys() {
        let key = TicketKey::new(&[7; KEY_SIZE]);
        let named = TicketContent { owner: Some(OwnerId(-7)), ..content() };
        let ticket = key.seal(&named);
        assert_eq!(ticket.0.len(), NAMED_TICKET_SIZE);
        assert_eq!(key.open(&ticket, named.granted_at, DAY), Ok(named.clone()));
        for length in [TICKET_SIZE, NAMED_TICKET_SIZE - 1] {
            let cut = Ticket(ticket.0[..length].to_vec());
            assert_eq!(key.open(&cut, named.granted_at, DAY), Err(TicketError::Forged));
        }
    }

    #[test]
    fn viewers_ticket_is_read_and_is_no_sessions_ticket() {
        let key = TicketKey::new(&[7; KEY_SIZE]);
        let TicketContent { session, secret, token, granted_at, .. } = content();
        let viewer = SessionId([8; 16]);
        let bearer =
            Bearer { rule: RuleId([1; 32]), key: Fingerprint([2; 32]), valid_until: u64::MAX - 1 };
        let view = ViewContent { viewer, session, secret, token, granted_at, bearer: Some(bearer) };
        let ticket = key.seal_view(&view);
        assert!(ticket.0.len() <= TICKET_SIZE_MAX);
        assert_eq!(key.open_view(&ticket, granted_at, DAY), Ok(view.clone()));
        let view = ViewContent { bearer: None, ..view };
        let ticket = key.seal_view(&view);
        assert_eq!(key.open_view(&ticket, granted_at, DAY), Ok(view));
        assert_eq!(key.open(&ticket, granted_at, DAY), Err(TicketError::Forged));
        let sessions = key.seal(&content());
        assert_eq!(key.open_view(&sessions, granted_at, DAY), Err(TicketError::Forged));
        assert_eq!(key.open_view(&ticket, granted_at + 2 * DAY, DAY), Err(TicketError::Expired));
    }

    #[test]
    fn ticket_of_another_relay_is_worth_nothing() {
        let ticket = TicketKey::new(&[7; KEY_SIZE]).seal(&content());
        let other = TicketKey::new(&[8; KEY_SIZE]);
        assert_eq!(other.open(&ticket, content().granted_at, DAY), Err(TicketError::Forged));
    }

    #[test]
    fn ticket_that_was_cut_lengthened_or_changed_anywhere_is_worth_nothing() {
        let key = TicketKey::new(&[7; KEY_SIZE]);
        let whole = key.seal(&content()).0;
        let open = |bytes: Vec<u8>| key.open(&Ticket(bytes), content().granted_at, DAY);
        for length in 0..whole.len() {
            assert_eq!(open(whole[..length].to_vec()), Err(TicketError::Forged), "{length}");
        }
        assert_eq!(open([whole.as_slice(), &[0]].concat()), Err(TicketError::Forged));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(open(changed), Err(TicketError::Forged), "{at}");
        }
        assert_eq!(open(whole), Ok(content()));
    }

    #[test]
    fn two_tickets_of_a_session_look_different_and_show_nothing() {
        let key = TicketKey::new(&[7; KEY_SIZE]);
        let (first, second) = (key.seal(&content()), key.seal(&content()));
        assert_ne!(first, second);
        assert_eq!(format!("{first:?} {key:?}"), "Ticket(149 bytes) TicketKey(..)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let key = TicketKey::new(&[7; KEY_SIZE]);
            prop_assert!(key.open(&Ticket(bytes), UNIX_EPOCH, DAY).is_err());
        }
    }
}
