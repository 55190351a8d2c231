//! Somebody asks a relay for an account, over SSH: first with their name and e-mail address, then,
//! if the mail has no link, with the code in it.

use crate::grant::WireError;
pub use crate::grant::write_answer;
use crate::wire;
use serde::{Deserialize, Serialize};
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite, split};

/// Name of the SSH subsystem; the user name is a host's.
pub const REGISTER_SUBSYSTEM: &str = "tern-register";

/// Longest text of an answer, in bytes.
const TEXT_SIZE_MAX: usize = 1024;
/// Longest key, in bytes: ours have 30.
const KEY_SIZE_MAX: usize = 100;

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// A mail by which an account is had.
    Account {
        /// The first part of the sessions' names.
        name: String,
        /// Where the mail goes.
        email: String,
    },
    /// The key, for the code in the mail.
    Key {
        /// From the mail.
        code: String,
    },
}

/// The question.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// e.g. `tern 0.1.0`; for logs.
    pub software: String,
    /// What is wanted.
    pub wish: Wish,
}

impl fmt::Debug for RegisterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterRequest").field("software", &self.software).finish_non_exhaustive()
    }
}

/// The answer. Its `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterAnswer {
    /// For people.
    pub text: String,
    /// The key, shown once.
    pub api_key: Option<String>,
}

impl fmt::Debug for RegisterAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterAnswer").field("text", &self.text).finish_non_exhaustive()
    }
}

/// Relay: reads the question. On an unknown version the refusal is written before it returns. The
/// caller bounds the time.
pub async fn read_request(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<RegisterRequest, WireError> {
    let (mut reader, mut writer) = split(io);
    wire::read_question(&mut reader, &mut writer).await
}

/// Asks, and reads the answer: nothing in it would do more on a terminal than be read.
pub async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &RegisterRequest,
) -> Result<RegisterAnswer, WireError> {
    wire::write_question(io, request).await?;
    let RegisterAnswer { text, api_key } = wire::read_answer(io).await?;
    let is_key = |key: &String| {
        let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        key.len() <= KEY_SIZE_MAX && key.bytes().all(is_of_key)
    };
    if text.len() > TEXT_SIZE_MAX || !api_key.as_ref().is_none_or(is_key) {
        return Err(WireError::Malformed("an answer out of bounds"));
    }
    Ok(RegisterAnswer { text: wire::printable(&text), api_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn meet(answer: RegisterAnswer) -> Result<RegisterAnswer, WireError> {
        let (mut asker, mut relay) = tokio::io::duplex(4096);
        let wish = Wish::Account { name: "alice".into(), email: "alice@example.org".into() };
        let request = RegisterRequest { software: "tern 0.1.0".into(), wish };
        let (got, ()) = tokio::join!(ask(&mut asker, &request), async {
            assert_eq!(read_request(&mut relay).await.expect("a request"), request);
            write_answer(&mut relay, &Ok(answer)).await.expect("written");
        });
        got
    }

    #[tokio::test]
    async fn answer_arrives_and_does_nothing_to_the_terminal() {
        let answer =
            |text: &str, key: &str| RegisterAnswer { text: text.into(), api_key: Some(key.into()) };
        let said = meet(answer("look into\x1b]0;x\x07 your mailbox", "tmk-abc")).await;
        assert_eq!(said.expect("said"), answer("look into]0;x your mailbox", "tmk-abc"));
        assert!(meet(answer("", "tmk-\x1b[0m")).await.is_err());
        assert!(meet(answer(&"x".repeat(TEXT_SIZE_MAX + 1), "")).await.is_err());
        assert!(!format!("{:?}", answer("text", "tmk-secret")).contains("tmk-"));
    }
}
