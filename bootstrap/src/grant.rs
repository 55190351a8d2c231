//! What a host asks of a relay on the SSH subsystem, and what it gets: tokens, addresses, the pin
//! of the relay's certificate, the session's secret and its ticket. The framing is `wire.rs`'s.

use crate::credentials::{Credentials, Kind};
use crate::ticket::{TICKET_SIZE_MAX, Ticket};
use crate::token::TokenHash;
use crate::wire;
use serde::{Deserialize, Serialize};
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite, split};

/// Protocol version: of the grant, the hello and everything in `tern_sync`.
pub const PROTOCOL_VERSION: u16 = 1;
/// Name of the SSH subsystem.
pub const SUBSYSTEM: &str = "tern";
/// Name of the SSH subsystem that carries a session's link where UDP doesn't pass.
pub const LINK_SUBSYSTEM: &str = "tern-link";
/// SSH user name of a host that asks for a session.
pub const HOST_USER: &str = "tern";
/// Port of a relay unless told otherwise: TCP for SSH, UDP for QUIC.
pub const PORT_DEFAULT: u16 = 2200;

/// Names a session between relay and host, or a viewer's place between relay and viewer; says
/// nothing about tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

/// A session's secret. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a certificate's DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePin(pub [u8; 32]);

/// A host asks for a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// e.g. `tern 0.1.0`; for logs.
    pub software: String,
    /// The names that its session should have, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<NameClaim>,
}

/// A host wants names for its session. Whether they are well-formed, and whose they are, is the
/// relay's to say. Its `Debug` shows no key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameClaim {
    /// Says whose the names are.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Of the read-write line; `None`: it is random.
    #[serde(default)]
    pub name: Option<String>,
    /// Of the read-only line; `None`: it is random.
    #[serde(default)]
    pub name_ro: Option<String>,
}

impl fmt::Debug for NameClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameClaim")
            .field("name", &self.name)
            .field("name_ro", &self.name_ro)
            .finish_non_exhaustive()
    }
}

/// What the host needs from then on. Its `Debug` shows neither secret nor tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionGrant {
    /// Which session.
    pub session: SessionId,
    /// Proves that a QUIC connection is the host's.
    pub secret: Secret,
    /// Of the read-write join line.
    pub token: String,
    /// Of the read-only join line; begins with `ro-` if it is random.
    pub token_ro: String,
    /// Host name in join lines; `None`: the name that the host itself used for the relay.
    pub ssh_host: Option<String>,
    /// Port in join lines.
    pub ssh_port: u16,
    /// UDP port of QUIC, at the address that SSH reached.
    pub quic_port: u16,
    /// The only certificate that QUIC may trust.
    pub certificate: CertificatePin,
    /// Shown in every hello: a relay that was started again has the session back by it, with the
    /// same tokens.
    #[serde(default)]
    pub ticket: Ticket,
    /// What the host should tell its person, such as why the session has not the names that were
    /// asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl fmt::Debug for SessionGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGrant")
            .field("session", &self.session)
            .field("ssh_host", &self.ssh_host)
            .field("ssh_port", &self.ssh_port)
            .field("quic_port", &self.quic_port)
            .finish_non_exhaustive()
    }
}

impl SessionGrant {
    /// For the hello.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            kind: Kind::Host,
            id: self.session,
            secret: self.secret.clone(),
            ticket: self.ticket.clone(),
            quic_port: self.quic_port,
            certificate: self.certificate,
        }
    }

    /// Whether a relay may say this: what it says ends on a terminal and on a command line.
    fn is_sane(&self) -> bool {
        use crate::token;
        let is_host = |host: &String| {
            !host.is_empty()
                && host.len() <= HOST_NAME_SIZE_MAX
                && !host.starts_with('-')
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b))
        };
        token::is_well_formed(&self.token)
            && token::is_read_only(&self.token) != Some(true)
            && token::is_well_formed(&self.token_ro)
            && token::is_read_only(&self.token_ro) != Some(false)
            && TokenHash::of(&self.token) != TokenHash::of(&self.token_ro)
            && self.ssh_host.as_ref().is_none_or(is_host)
            && self.ssh_port != 0
            && self.quic_port != 0
            && self.ticket.0.len() <= TICKET_SIZE_MAX
            && self.notices.len() <= NOTICES_MAX
            && self.notices.iter().all(|notice| notice.len() <= NOTICE_SIZE_MAX)
    }
}

/// Most notices in a grant: one about names, some for what may come.
pub const NOTICES_MAX: usize = 4;
/// Longest notice in bytes: three lines of a terminal. Four of them fit into a grant's frame.
pub const NOTICE_SIZE_MAX: usize = 400;

/// Longest host name in a grant (RFC 1035, section 2.3.4, allows 255).
const HOST_NAME_SIZE_MAX: usize = 255;

/// Why a relay says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// The peer speaks another version of the protocol.
    Version,
    /// The relay is at one of its limits.
    Full,
    /// No such session, or not its secret.
    Unauthorized,
    /// The relay is stopping.
    Stopping,
    /// The request makes no sense.
    Malformed,
    /// The relay was just started, and the session's host may still come back.
    Returning,
    /// This address tried too often.
    TooManyTries,
    /// Something that the relay needs for it doesn't answer; asking again may help.
    Unavailable,
    /// A newer session of the same owner has this one's name.
    Superseded,
    /// A reason that this version doesn't know; the text tells.
    Other,
}

impl RefusalCode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Full => 2,
            Self::Unauthorized => 3,
            Self::Stopping => 4,
            Self::Malformed => 5,
            Self::Returning => 6,
            Self::TooManyTries => 7,
            Self::Unavailable => 8,
            Self::Superseded => 9,
            Self::Other => 0,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Version,
            2 => Self::Full,
            3 => Self::Unauthorized,
            4 => Self::Stopping,
            5 => Self::Malformed,
            6 => Self::Returning,
            7 => Self::TooManyTries,
            8 => Self::Unavailable,
            9 => Self::Superseded,
            _ => Self::Other,
        }
    }
}

/// A relay's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what happened and what to do.
    pub text: String,
}

/// What goes wrong while messages are exchanged.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer speaks another version (and was told so).
    #[error(
        "{} (the other side speaks protocol version {theirs}, this one {PROTOCOL_VERSION})",
        advice(*theirs)
    )]
    Version {
        /// The peer's.
        theirs: u16,
    },
    /// Not our protocol, or out of bounds.
    #[error("not a message of tern's: {0}")]
    Malformed(&'static str),
    /// The relay could not prove that it holds the session's secret.
    #[error("the relay could not prove that it is the one that granted the session")]
    Impostor,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
    /// The QUIC connection broke.
    #[error("connection lost: {0}")]
    Quic(#[from] quinn::ConnectionError),
}

/// What a version that isn't ours calls for.
fn advice(theirs: u16) -> &'static str {
    if theirs < PROTOCOL_VERSION {
        "the other side is older than this tern: update it there"
    } else {
        "this tern is older than the other side: update it here"
    }
}

/// Relay: reads a host's request. On an unknown version the refusal is written before it returns.
/// The caller bounds the time.
pub async fn read_request(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<SessionRequest, WireError> {
    let (mut reader, mut writer) = split(io);
    wire::read_question(&mut reader, &mut writer).await
}

/// Relay: answers it, or a viewer's ([`view`](crate::view)).
pub async fn write_answer(
    io: &mut (impl AsyncWrite + Unpin),
    answer: &Result<impl Serialize, Refusal>,
) -> Result<(), WireError> {
    match answer {
        Ok(grant) => wire::write_yes(io, grant).await,
        Err(refusal) => wire::write_no(io, refusal).await,
    }
}

/// Host: asks, and reads the answer.
pub async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &SessionRequest,
) -> Result<SessionGrant, WireError> {
    wire::write_question(io, request).await?;
    let grant: SessionGrant = wire::read_answer(io).await?;
    if !grant.is_sane() {
        return Err(WireError::Malformed("a grant out of bounds"));
    }
    let notices = grant.notices.iter().map(|notice| wire::printable(notice)).collect();
    Ok(SessionGrant { notices, ..grant })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::token;

    pub(crate) fn grant() -> SessionGrant {
        SessionGrant {
            session: SessionId([7; 16]),
            secret: Secret([9; 32]),
            token: token::generate(),
            token_ro: token::generate_read_only(),
            ssh_host: Some("relay.example".into()),
            ssh_port: 2200,
            quic_port: 2200,
            certificate: CertificatePin([1; 32]),
            ticket: Ticket(vec![5; 149]),
            notices: Vec::new(),
        }
    }

    #[tokio::test]
    async fn host_gets_what_the_relay_grants() {
        let (mut host, mut relay) = tokio::io::duplex(4096);
        let granted = grant();
        let answer = Ok(granted.clone());
        let claim = NameClaim { name: Some("web".into()), ..NameClaim::default() };
        let request = SessionRequest { software: "tern 0.1.0".into(), claim: Some(claim) };
        let (got, ()) = tokio::join!(ask(&mut host, &request), async {
            assert_eq!(read_request(&mut relay).await.expect("a request"), request);
            write_answer(&mut relay, &answer).await.expect("written");
        });
        assert!(got.expect("granted") == granted);
    }

    #[test]
    fn grant_that_would_become_an_ssh_option_is_not_sane() {
        for host in ["-oProxyCommand=sh", "a b", "", "a\u{1b}[0m"] {
            let grant = SessionGrant { ssh_host: Some(host.into()), ..grant() };
            assert!(!grant.is_sane(), "{host:?}");
        }
        assert!(grant().is_sane());
        let ticket = Ticket(vec![0; TICKET_SIZE_MAX + 1]);
        assert!(!SessionGrant { ticket, ..grant() }.is_sane());
    }

    #[test]
    fn grant_of_names_is_sane_if_nothing_in_them_means_anything_to_a_shell() {
        let named = |token: &str, token_ro: &str| SessionGrant {
            token: token.into(),
            token_ro: token_ro.into(),
            ..grant()
        };
        let (random, random_ro) = (token::generate(), token::generate_read_only());
        for (token, token_ro) in [
            ("alice/web", "alice/web-ro"),
            ("ro-alice/web", random_ro.as_str()),
            (random.as_str(), "alice/look"),
        ] {
            assert!(named(token, token_ro).is_sane(), "{token} {token_ro}");
        }
        for (token, token_ro) in [
            ("alice/web", "Alice/web"),
            ("alice/web", random.as_str()),
            (random_ro.as_str(), "alice/web"),
            ("-oProxyCommand=x/web", random_ro.as_str()),
            ("alice/-web", random_ro.as_str()),
            ("alice/we b", random_ro.as_str()),
            ("alice/web", "alice/$(x)"),
        ] {
            assert!(!named(token, token_ro).is_sane(), "{token} {token_ro}");
        }
        let notices = vec!["x".repeat(NOTICE_SIZE_MAX + 1)];
        assert!(!SessionGrant { notices, ..grant() }.is_sane());
    }

    #[test]
    fn debug_output_holds_no_secret_no_token_and_no_key() {
        let grant = grant();
        let claim = NameClaim { api_key: Some("tmk-secret".into()), ..NameClaim::default() };
        let text = format!("{grant:?} {:?} {claim:?}", grant.secret);
        assert!(!text.contains(&grant.token) && !text.contains("9, 9"), "{text}");
        assert!(!text.contains("tmk-"), "{text}");
    }
}
