//! What is stored of keys and codes.

use ring::digest;

/// SHA-256 in hexadecimal digits. A slow hash is for what people make up; 150 random bits can't be
/// found by trying, however fast. And as a guess is hashed before it is looked up, the time that the
/// look-up takes says nothing about what there is.
pub(crate) fn sha256(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
