//! The key under which a request may be sent again.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer};

use crate::wrong::Wrong;

/// An `Idempotency-Key`: 1 to 255 visible ASCII characters, chosen by the client. A request with a key that was used in the
/// last 24 hours is answered with what the first one made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    const MAX: usize = 255;

    /// The key of one part of what a request makes. There is a space in it, so no client can send it.
    pub fn of_part(&self, part: &str) -> Self {
        Self(format!("{} ({part})", self.0))
    }

    /// A key of our own making, for requests whose keys need more than the client's word.
    pub fn of_digest(digest: &[u8]) -> Self {
        Self(HEXLOWER.encode(digest))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Wrong;

    fn try_from(text: String) -> Result<Self, Wrong> {
        let good = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text)) } else { Err(Wrong::Ascii { min: 1, max: Self::MAX }) }
    }
}

impl<'de> Deserialize<'de> for IdempotencyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(Wrong::through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        let key = |text: &str| IdempotencyKey::try_from(text.to_owned());
        assert_eq!(key("order-17").map(|key| key.as_str().to_owned()), Ok("order-17".to_owned()));
        assert!(key(&"k".repeat(255)).is_ok());
        for bad in ["", "a b", "ключ", "a\0", "a\n", &"k".repeat(256)] {
            assert_eq!(key(bad), Err(Wrong::Ascii { min: 1, max: 255 }), "{bad:?}");
        }
    }

    #[test]
    fn no_client_can_send_the_key_of_a_part() {
        let part = IdempotencyKey::try_from("order-17".to_owned()).unwrap().of_part("message");
        assert!(IdempotencyKey::try_from(part.as_str().to_owned()).is_err());
        assert!(IdempotencyKey::try_from(IdempotencyKey::of_digest(&[7; 32]).as_str().to_owned()).is_ok());
    }
}
