//! Tokens: what a viewer types as SSH user name. They are all that keeps strangers out, so they
//! come from the system's generator and can't be guessed.

use ring::rand::{SecureRandom, SystemRandom};

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
    // Bytes above the largest multiple of 55 are thrown away, else some letters were likelier.
    let bound = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
    let mut token = String::with_capacity(TOKEN_LENGTH);
    while token.len() < TOKEN_LENGTH {
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

/// Whether `text` has the form of a token, of either kind.
pub fn is_well_formed(text: &str) -> bool {
    let letters = text.strip_prefix(READ_ONLY_PREFIX).unwrap_or(text);
    letters.len() == TOKEN_LENGTH && letters.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// Whether a well-formed token is of the read-only kind.
pub fn is_read_only(text: &str) -> bool {
    text.starts_with(READ_ONLY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
            assert!(is_well_formed(&token) && !is_read_only(&token));
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
        assert!(is_well_formed(&read_only) && is_read_only(&read_only));
        for text in ["", "tern", "root", "ro-", &read_only[1..], &format!("{read_only}x")] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
