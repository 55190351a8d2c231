//! Tokens: what a viewer types as SSH user name. They are all that keeps strangers out, so they
//! come from the system's generator and can't be guessed; unless the host names its session, and
//! has `USER/NAME` for a token ([`name`]).

use crate::name;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;

/// Characters of a token, without the read-only prefix: 26 of 55 are 150.3 bits.
pub const TOKEN_LENGTH: usize = 26;
/// Read-only tokens begin with it.
pub const READ_ONLY_PREFIX: &str = "ro-";
/// Letters and digits without those that look alike (i l o I O 0 1), as in tmate.
const ALPHABET: &[u8; 55] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Random bytes from the system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system's random generator always answers");
    bytes
}

/// A new read-write token.
pub fn generate() -> String {
    letters(TOKEN_LENGTH)
}

/// So many random letters of a token.
pub fn letters(count: usize) -> String {
    // Bytes above the largest multiple of 55 are thrown away, else some letters were likelier.
    let bound = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
    let mut token = String::with_capacity(count);
    while token.len() < count {
        let [byte] = random();
        if byte < bound {
            token.push(ALPHABET[usize::from(byte) % ALPHABET.len()].into());
        }
    }
    token
}

/// A new read-only token, independent of the read-write one.
pub fn generate_read_only() -> String {
    format!("{READ_ONLY_PREFIX}{}", generate())
}

/// Whether `text` has the form of a token: a random one of either kind, or a named session's.
pub fn is_well_formed(text: &str) -> bool {
    name::split(text).is_some() || is_random(text.strip_prefix(READ_ONLY_PREFIX).unwrap_or(text))
}

/// Whether a well-formed token is of the read-only kind. `None`: it is a named session's, and only
/// its relay knows.
pub fn is_read_only(text: &str) -> Option<bool> {
    (!text.contains(name::SEPARATOR)).then(|| text.starts_with(READ_ONLY_PREFIX))
}

fn is_random(letters: &str) -> bool {
    letters.len() == TOKEN_LENGTH && is_of_alphabet(letters)
}

/// Whether `text` has nothing but a token's letters.
pub fn is_of_alphabet(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// SHA-256 of a token: what a relay keeps of it. Looking it up takes a time that tells nothing
/// about the tokens that exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of this token, or of whatever else somebody gave as user name. In names capital letters are
    /// as good as small ones.
    pub fn of(token: &str) -> Self {
        let folded = name::split(token).map(|_| name::fold(token));
        let token = folded.as_deref().unwrap_or(token);
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// One that was kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be kept.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
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
    use std::collections::BTreeSet;

    #[test]
    fn hash_tells_tokens_apart_and_shows_nothing() {
        assert_eq!(TokenHash::of("one"), TokenHash::of("one"));
        assert_ne!(TokenHash::of("one"), TokenHash::of("two"));
        assert_eq!(TokenHash::from_bytes(*TokenHash::of("one").as_bytes()), TokenHash::of("one"));
        assert_eq!(format!("{:?}", TokenHash::of("one")), "TokenHash(..)");
    }

    #[test]
    fn token_has_150_bits_at_least() {
        let bits = (ALPHABET.len() as f64).log2() * TOKEN_LENGTH as f64;
        assert!(bits >= 150.0, "{bits}");
        let distinct: BTreeSet<u8> = ALPHABET.iter().copied().collect();
        assert_eq!(distinct.len(), ALPHABET.len());
    }

    #[test]
    fn tokens_are_well_formed_and_all_letters_occur_about_equally_often() {
        let mut counts = [0u32; 256];
        for _ in 0..2000 {
            let token = generate();
            assert!(is_well_formed(&token) && is_read_only(&token) == Some(false));
            token.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        }
        // 52,000 letters: 945 of each expected, standard deviation 31.
        for &letter in ALPHABET {
            let count = counts[usize::from(letter)];
            assert!((700..1200).contains(&count), "{}: {count}", char::from(letter));
        }
    }

    #[test]
    fn other_texts_are_not_tokens() {
        let read_only = generate_read_only();
        assert!(is_well_formed(&read_only) && is_read_only(&read_only) == Some(true));
        for text in ["", "tern", "root", "ro-", &read_only[1..], &format!("{read_only}x")] {
            assert!(!is_well_formed(text), "{text}");
        }
    }

    #[test]
    fn named_token_says_nothing_of_its_kind_and_is_the_same_in_capitals() {
        assert!(is_well_formed("ro-alice/web") && is_read_only("ro-alice/web").is_none());
        assert_eq!(TokenHash::of("Alice/Web"), TokenHash::of("alice/web"));
        assert_ne!(TokenHash::of("Alice"), TokenHash::of("alice"), "random tokens are exact");
    }
}
