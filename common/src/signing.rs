//! Signatures of what we send to servers of others, as Standard Webhooks says: they tell that it comes from us, unchanged, and
//! when. <https://www.standardwebhooks.com>

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRngCore, rngs::OsRng};
use reqwest::header::{HeaderMap, HeaderValue};
use sha2::Sha256;

use crate::{Error, Result, secret::Secret};

/// A new secret, for the one who checks and for us.
pub fn new_secret() -> Result<Secret> {
    let mut key = [0u8; 32];
    OsRng.try_fill_bytes(&mut key).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Secret::new(format!("whsec_{}", BASE64.encode(&key))))
}

/// Whether a secret signs.
pub fn is_secret(secret: &Secret) -> bool {
    signature(secret, "", 0, "").is_some()
}

/// Adds the headers that sign a body. The same id means the same message, sent again.
pub fn sign(headers: &mut HeaderMap, secret: &Secret, id: &str, timestamp: i64, body: &str) {
    let signed = signature(secret, id, timestamp, body).unwrap_or_default();
    for (name, value) in
        [("webhook-id", id), ("webhook-timestamp", &timestamp.to_string()), ("webhook-signature", &signed)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body.
fn signature(secret: &Secret, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = BASE64.decode(secret.expose().strip_prefix("whsec_")?.as_bytes()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signatures_are_the_standards() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }
}
