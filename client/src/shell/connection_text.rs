//! What became of a connection, for people: QUIC's own words have codes in them.

use quinn::ConnectionError;

/// Why a connection that stood was lost.
pub fn lost(error: &ConnectionError) -> String {
    let text = match error {
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) => {
            "the relay closed the connection"
        }
        ConnectionError::TimedOut => "the relay does not answer",
        ConnectionError::Reset => "the relay started anew",
        ConnectionError::VersionMismatch => "the relay speaks another version of QUIC",
        ConnectionError::TransportError(_)
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => "the connection failed",
    };
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::{ApplicationClose, VarInt};

    #[test]
    fn close_of_the_relay_is_told_without_a_code() {
        let close = ApplicationClose { error_code: VarInt::from_u32(16), reason: "x".into() };
        let text = lost(&ConnectionError::ApplicationClosed(close));
        assert_eq!(text, "the relay closed the connection");
    }
}
