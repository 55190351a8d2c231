//! API keys: by them a host shows whose the names are that it wants.

use crate::hash::sha256;
use std::fmt;
use tern_bootstrap::token;

/// Every key begins with it, as tmate's.
const PREFIX: &str = "tmk-";
/// Random letters after the prefix, of 55: 150 bits, as tmate's.
const LETTERS_COUNT: usize = token::TOKEN_LENGTH;
/// Letters of a key that may be shown: enough to tell a person's keys apart, and 115 bits are left.
const LABEL_LETTERS_COUNT: usize = 6;

/// A whole key. Shown once, to its owner; never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(format!("{PREFIX}{}", token::letters(LETTERS_COUNT)))
    }

    /// `None`: it has not the form of a key.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.strip_prefix(PREFIX)?;
        let is_key = letters.len() == LETTERS_COUNT && token::is_of_alphabet(letters);
        is_key.then(|| Self(text.to_owned()))
    }

    /// For its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its beginning, by which people tell their keys apart.
    pub fn label(&self) -> &str {
        label_of(&self.0)
    }

    /// What is stored of it.
    pub fn hash(&self) -> String {
        sha256(&self.0)
    }
}

/// The label in what somebody gave: a whole key, or its beginning.
pub fn label_of(text: &str) -> &str {
    let end = PREFIX.len() + LABEL_LETTERS_COUNT;
    text.get(..end).unwrap_or(text)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}..)", self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_as_it_was_made_and_nothing_else_is_one() {
        let key = ApiKey::generate();
        assert_eq!(key.reveal().len(), 30, "as tmate's");
        assert_eq!(ApiKey::parse(key.reveal()), Some(key.clone()));
        let long = format!("{}x", key.reveal());
        for text in ["", "tmk-", &key.reveal()[4..], &long, &key.reveal().replace("tmk-", "tmk_")] {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hash_and_debug_output_do_not_show_the_key() {
        let key = ApiKey::generate();
        let shown = format!("{key:?} {}", key.hash());
        assert!(!shown.contains(&key.reveal()[key.label().len()..]), "{shown}");
        assert_eq!((key.hash().len(), label_of(key.reveal())), (64, key.label()));
        assert_ne!(key.hash(), ApiKey::generate().hash());
        assert_eq!(label_of("tmk-ab"), "tmk-ab");
    }
}
