//! Signs a webhook as the Standard Webhooks specification says, for which receivers have libraries:
//! `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` of the HMAC-SHA256 over
//! `ID.TIMESTAMP.BODY`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// What a secret in base64 begins with; the key follows.
const PREFIX: &str = "whsec_";
/// People lose the padding when they copy.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// What follows the prefix is no base64.
    #[error("behind whsec_ it must be base64 (any other secret is taken as text)")]
    NotBase64,
    /// Nothing follows it.
    #[error("there is no key behind whsec_")]
    Empty,
}

/// Signs with one secret.
#[derive(Debug, Clone)]
pub struct Signer(hmac::Key);

impl Signer {
    /// Of a secret: the bytes of a `whsec_...`, or the text itself. `None`: it is empty, and nothing is
    /// signed.
    pub fn of(secret: &str) -> Result<Option<Self>, BadSecret> {
        Ok(key_of(secret)?.map(|key| Self(hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    /// What `webhook-signature` says. `timestamp` in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

fn key_of(secret: &str) -> Result<Option<Vec<u8>>, BadSecret> {
    match secret.strip_prefix(PREFIX) {
        _ if secret.is_empty() => Ok(None),
        None => Ok(Some(secret.as_bytes().to_vec())),
        Some("") => Err(BadSecret::Empty),
        Some(encoded) => match DECODER.decode(encoded) {
            Ok(key) if !key.is_empty() => Ok(Some(key)),
            Ok(_) => Err(BadSecret::Empty),
            Err(_) => Err(BadSecret::NotBase64),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signer = Signer::of(secret).expect("a secret").expect("it isn't empty");
        signer.sign(id, timestamp, body)
    }

    #[test]
    fn signature_is_the_specifications() {
        // The example of the specification's own libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn secret_without_the_prefix_is_its_text() {
        assert_eq!(key_of("plain"), Ok(Some(b"plain".to_vec())));
        assert_eq!(key_of(""), Ok(None));
        assert_ne!(sign("a", "1", 1, b"x"), sign("a", "1", 2, b"x"));
        assert_ne!(sign("a", "1", 1, b"x"), sign("b", "1", 1, b"x"));
    }

    #[test]
    fn secret_with_the_prefix_is_base64_padded_or_not_and_never_empty() {
        for secret in ["whsec_a2V5MQ==", "whsec_a2V5MQ"] {
            assert_eq!(key_of(secret), Ok(Some(b"key1".to_vec())), "{secret}");
        }
        assert_eq!(key_of("whsec_"), Err(BadSecret::Empty));
        for secret in ["whsec_no base64!", "whsec_a2V5M", "whsec_===", "whsec_a-_b"] {
            assert_eq!(key_of(secret), Err(BadSecret::NotBase64), "{secret}");
        }
    }
}
