//! What a grant gave for a link's hello: who one is, and how that is proved.

use crate::grant::{CertificatePin, Secret, SessionId};
use crate::ticket::Ticket;

/// At which end of a session somebody is. The proofs of one kind are worth nothing for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Shares a terminal.
    Host,
    /// Joined one.
    Viewer,
}

/// What [`introduce`](crate::hello::introduce) needs. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Which end.
    pub kind: Kind,
    /// The session, or the viewer's place in one.
    pub id: SessionId,
    /// Proves that a connection is theirs.
    pub secret: Secret,
    /// Shown in every hello: a relay that was started again knows by it what it granted.
    pub ticket: Ticket,
    /// UDP port of QUIC, at the address that SSH reached.
    pub quic_port: u16,
    /// The only certificate that QUIC may trust.
    pub certificate: CertificatePin,
}
