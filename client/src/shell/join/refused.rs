//! Why somebody could not join: in words, and by exit status, for scripts.

use crate::core::join_target::NoTarget;
use tern_bootstrap::client::BootstrapError;
use tern_bootstrap::grant::{RefusalCode, WireError};

/// What can be told apart, with its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The command line is wrong: it has no join line that is one.
    CommandLine,
    /// Something else; the text tells.
    Other,
    /// Standard input and output are no terminal.
    NoTerminal,
    /// The relay's name has no address, or nothing answers there that is a relay.
    Unreachable,
    /// The relay's host key, or its certificate, isn't the one that is trusted.
    HostKey,
    /// The token is wrong, or its session is over; or it needs a key that we don't have.
    Token,
    /// The other side speaks another version of the protocol.
    Version,
}

impl Reason {
    /// All, for the manual.
    pub const ALL: [Self; 7] = [
        Self::Other,
        Self::CommandLine,
        Self::NoTerminal,
        Self::Unreachable,
        Self::HostKey,
        Self::Token,
        Self::Version,
    ];

    /// For the system.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::CommandLine => 2,
            Self::NoTerminal => 3,
            Self::Unreachable => 4,
            Self::HostKey => 5,
            Self::Token => 6,
            Self::Version => 7,
        }
    }

    /// For the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Other => "something else failed; or the host let nobody in, or removed us",
            Self::CommandLine => "the command line is wrong",
            Self::NoTerminal => "standard input and output are no terminal",
            Self::Unreachable => "the relay can't be found or reached, or isn't one",
            Self::HostKey => "the relay's host key isn't the one that is trusted",
            Self::Token => "the token is wrong, its session has ended, or wants a key",
            Self::Version => "the relay speaks another version of the protocol",
        }
    }

    /// Of a text that is no join line.
    pub fn of_line(error: &NoTarget) -> Self {
        match error {
            NoTarget::Token => Self::Token,
            NoTarget::NotALine(_) | NoTarget::Host(_) | NoTarget::Port(_) => Self::CommandLine,
        }
    }

    /// Of what the way to the session said.
    pub fn of(error: &BootstrapError) -> Self {
        match error {
            BootstrapError::Lookup { .. }
            | BootstrapError::Connect { .. }
            | BootstrapError::Ssh { .. }
            | BootstrapError::NotARelay { .. }
            | BootstrapError::Timeout { .. } => Self::Unreachable,
            BootstrapError::HostKey(_) => Self::HostKey,
            BootstrapError::Denied { .. } | BootstrapError::KeyRefused { .. } => Self::Token,
            BootstrapError::Grant { error, .. }
            | BootstrapError::View { error, .. }
            | BootstrapError::Register { error, .. }
            | BootstrapError::Link { error, .. } => Self::of_wire(error),
        }
    }

    fn of_wire(error: &WireError) -> Self {
        match error {
            WireError::Refused(refusal) => Self::of_refusal(refusal.code),
            WireError::Version { .. } => Self::Version,
            WireError::Impostor => Self::HostKey,
            WireError::Io(_) | WireError::Quic(_) => Self::Unreachable,
            WireError::Malformed(_) => Self::Other,
        }
    }

    fn of_refusal(code: RefusalCode) -> Self {
        match code {
            RefusalCode::Version => Self::Version,
            RefusalCode::Unauthorized => Self::Token,
            RefusalCode::Full
            | RefusalCode::Stopping
            | RefusalCode::Malformed
            | RefusalCode::Returning
            | RefusalCode::TooManyTries
            | RefusalCode::Unavailable
            | RefusalCode::Superseded
            | RefusalCode::Other => Self::Other,
        }
    }
}

/// All of them, for the help: what scripts need to know.
pub fn exit_statuses() -> String {
    let lines = Reason::ALL.map(|it| format!("\n  {}  {}", it.exit_status(), it.meaning()));
    let before = "Exit status: 0 after leaving, and when the session has ended; 128 and the number \
        of a signal that ended it; and";
    format!("{before}{}", lines.concat())
}

/// Nothing was joined.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// For the person.
    pub text: String,
    /// For the exit status.
    pub reason: Reason,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tern_bootstrap::client::RelayAddress;
    use tern_bootstrap::grant::Refusal;

    #[test]
    fn every_reason_has_an_exit_status_of_its_own() {
        let all: BTreeSet<u8> = Reason::ALL.map(Reason::exit_status).into();
        assert_eq!(all.len(), Reason::ALL.len());
        assert!(!all.contains(&0));
    }

    #[test]
    fn answers_of_the_relay_are_told_apart() {
        let relay = RelayAddress { host: "r".into(), port: 1 };
        let of = |error| Reason::of(&BootstrapError::View { relay: relay.clone(), error });
        let refused = |code| WireError::Refused(Refusal { code, text: "no".into() });
        assert_eq!(of(WireError::Version { theirs: 99 }), Reason::Version);
        assert_eq!(of(refused(RefusalCode::Version)), Reason::Version);
        assert_eq!(of(refused(RefusalCode::Unauthorized)), Reason::Token);
        assert_eq!(of(refused(RefusalCode::Full)), Reason::Other);
        assert_eq!(of(WireError::Impostor), Reason::HostKey);
        let timeout = BootstrapError::Timeout { relay: relay.clone() };
        assert_eq!(Reason::of(&timeout), Reason::Unreachable);
    }
}
