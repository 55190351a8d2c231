//! The code in the mail, by which whoever has the mailbox shows it.

use crate::hash::sha256;
use std::fmt;
use tern_bootstrap::token;

/// 150 bits, as a token: it can't be guessed within its hour.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// A new one.
    pub fn generate() -> Self {
        Self(token::generate())
    }

    /// `None`: it has not the form of a code.
    pub fn parse(text: &str) -> Option<Self> {
        let is_code = text.len() == token::TOKEN_LENGTH && token::is_of_alphabet(text);
        is_code.then(|| Self(text.to_owned()))
    }

    /// For the mail.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> String {
        sha256(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}
