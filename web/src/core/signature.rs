//! Signs a webhook as the Standard Webhooks specification says, for which receivers have libraries:
//! `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` of the HMAC-SHA256 over
//! `ID.TIMESTAMP.BODY`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// What such a secret begins with; the key follows in base64.
const PREFIX: &str = "whsec_";

/// What `webhook-signature` says. `timestamp` in seconds since 1970.
pub fn sign(secret: &str, id: &str, timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key_of(secret));
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

/// The bytes of a secret: those of a `whsec_...`, or the text itself.
fn key_of(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(PREFIX);
    let decoded = encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn secret_in_any_other_form_is_its_text() {
        assert_eq!(key_of("plain"), b"plain");
        assert_eq!(key_of("whsec_no base64!"), b"whsec_no base64!");
        assert_ne!(sign("a", "1", 1, b"x"), sign("a", "1", 2, b"x"));
        assert_ne!(sign("a", "1", 1, b"x"), sign("b", "1", 1, b"x"));
    }
}
