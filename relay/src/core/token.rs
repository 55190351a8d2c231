//! What the relay keeps of a token.

use ring::digest;
use std::fmt;

/// SHA-256 of a token: what the relay keeps of it. Looking it up takes a time that tells nothing
/// about the tokens that exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of this token, or of whatever else somebody gave as user name.
    pub fn of(token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tells_tokens_apart_and_shows_nothing() {
        assert_eq!(TokenHash::of("one"), TokenHash::of("one"));
        assert_ne!(TokenHash::of("one"), TokenHash::of("two"));
        assert_eq!(format!("{:?}", TokenHash::of("one")), "TokenHash(..)");
    }
}
