//! A viewer asks for a place in a session, over SSH, and gets what QUIC needs.

use crate::credentials::{Credentials, Kind};
pub use crate::grant::write_answer;
use crate::grant::{CertificatePin, Secret, SessionId, WireError};
use crate::ticket::{TICKET_SIZE_MAX, Ticket};
use crate::{token, wire};
use serde::{Deserialize, Serialize};
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite, split};

/// SSH user name of a program that brings a viewer's link. One that asks for a place in a session
/// names its token, too ([`asking_user`]), as a person's ssh does, so that its key can be looked at.
pub const VIEWER_USER: &str = "tern-view";
/// Between [`VIEWER_USER`] and a token.
const TOKEN_MARK: char = '+';

/// SSH user name of a program that asks for a place in the session that `token` stands for.
pub fn asking_user(token: &str) -> String {
    format!("{VIEWER_USER}{TOKEN_MARK}{token}")
}

/// The token in such a name; `None` for other names.
pub fn asked_token(user: &str) -> Option<&str> {
    user.strip_prefix(VIEWER_USER)?.strip_prefix(TOKEN_MARK)
}

/// Name of the SSH subsystem.
pub const VIEW_SUBSYSTEM: &str = "tern-view";

/// A viewer asks to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRequest {
    /// e.g. `tern 0.1.0`; for logs.
    pub software: String,
    /// From a join line.
    pub token: String,
}

impl fmt::Debug for ViewRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewRequest").field("software", &self.software).finish_non_exhaustive()
    }
}

/// What the viewer needs from then on. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewGrant {
    /// Names the viewer's place; says nothing about the session.
    pub viewer: SessionId,
    /// Proves that a connection is this viewer's.
    pub secret: Secret,
    /// Whether the viewer may type: its token is one for that, and so is its key.
    pub may_type: bool,
    /// UDP port of QUIC, at the address that SSH reached.
    pub quic_port: u16,
    /// The only certificate that QUIC may trust.
    pub certificate: CertificatePin,
    /// Shown in every hello: by it the relay knows whose place this is.
    pub ticket: Ticket,
}

impl ViewGrant {
    /// For the hello.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            kind: Kind::Viewer,
            id: self.viewer,
            secret: self.secret.clone(),
            ticket: self.ticket.clone(),
            quic_port: self.quic_port,
            certificate: self.certificate,
        }
    }

    fn is_sane(&self) -> bool {
        self.quic_port != 0 && self.ticket.0.len() <= TICKET_SIZE_MAX
    }
}

/// Relay: reads a viewer's request. On an unknown version the refusal is written before it returns.
/// The caller bounds the time.
pub async fn read_request(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<ViewRequest, WireError> {
    let (mut reader, mut writer) = split(io);
    wire::read_question(&mut reader, &mut writer).await
}

/// Viewer: asks, and reads the answer.
pub async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &ViewRequest,
) -> Result<ViewGrant, WireError> {
    wire::write_question(io, request).await?;
    let grant: ViewGrant = wire::read_answer(io).await?;
    // What a named token is for, only the relay knows; what a key may, too.
    let is_as_asked = !(grant.may_type && token::is_read_only(&request.token) == Some(true));
    let is_sane = grant.is_sane() && is_as_asked;
    if is_sane { Ok(grant) } else { Err(WireError::Malformed("a grant out of bounds")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Refusal, RefusalCode};

    fn grant() -> ViewGrant {
        ViewGrant {
            viewer: SessionId([7; 16]),
            secret: Secret([9; 32]),
            may_type: true,
            quic_port: 2200,
            certificate: CertificatePin([1; 32]),
            ticket: Ticket(vec![5; 149]),
        }
    }

    async fn meet(
        token: String,
        answer: Result<ViewGrant, Refusal>,
    ) -> Result<ViewGrant, WireError> {
        let (mut viewer, mut relay) = tokio::io::duplex(4096);
        let request = ViewRequest { software: "tern 0.1.0".into(), token };
        let (got, ()) = tokio::join!(ask(&mut viewer, &request), async {
            let asked = read_request(&mut relay).await.expect("a request");
            assert_eq!(asked, request);
            write_answer(&mut relay, &answer).await.expect("written");
        });
        got
    }

    #[tokio::test]
    async fn viewer_gets_what_the_relay_grants() {
        assert_eq!(meet(token::generate(), Ok(grant())).await.expect("granted"), grant());
        let refusal = Refusal { code: RefusalCode::Unauthorized, text: "wrong".into() };
        let refused = meet(token::generate(), Err(refusal.clone())).await;
        assert!(matches!(refused, Err(WireError::Refused(said)) if said == refusal));
    }

    #[tokio::test]
    async fn grant_that_contradicts_the_token_is_not_believed() {
        assert!(meet(token::generate_read_only(), Ok(grant())).await.is_err());
        for may_type in [true, false] {
            let named = ViewGrant { may_type, ..grant() };
            assert_eq!(meet("alice/web".into(), Ok(named.clone())).await.expect("granted"), named);
        }
        let no_port = ViewGrant { quic_port: 0, ..grant() };
        assert!(meet(token::generate(), Ok(no_port)).await.is_err());
    }

    #[test]
    fn debug_output_holds_no_secret_and_no_token() {
        let request = ViewRequest { software: "tern".into(), token: token::generate() };
        let text = format!("{request:?} {:?}", grant());
        assert!(!text.contains(&request.token) && !text.contains("9, 9"), "{text}");
    }
}
