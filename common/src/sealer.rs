//! Values that must be read again, sealed: XChaCha20-Poly1305 under a key of the environment, bound to what they belong to.
//!
//! A sealed value is the key's id (4 bytes), a nonce (24) and the ciphertext. The id tells which key opens it, so that
//! keys rotate; what it belongs to is authenticated with it, so that one moved to another row does not open.

use std::sync::Arc;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};

use crate::{Error, Result, secret::Secret, settings::Settings};

const ID: usize = 4;
const NONCE: usize = 24;

struct Key {
    id: [u8; ID],
    cipher: XChaCha20Poly1305,
}

/// Makes and opens sealed values.
#[derive(Clone)]
pub struct Sealer {
    current: Arc<Key>,
    previous: Option<Arc<Key>>,
}

fn key(secret: &str) -> Arc<Key> {
    let of = |what: &str| Sha256::digest(format!("rapport {what} {secret}"));
    let mut id = [0u8; ID];
    id.copy_from_slice(&of("sealing key id")[..ID]);
    Arc::new(Key { id, cipher: XChaCha20Poly1305::new(&of("sealing key")) })
}

impl Sealer {
    pub fn new(settings: &Settings) -> Self {
        let auth = &settings.auth;
        let (current, previous) = match &settings.encryption_key {
            Some(given) => (given, settings.encryption_key_previous.as_ref().or(Some(&auth.secret_key))),
            None => (&auth.secret_key, auth.previous_key.as_ref()),
        };
        Self { current: key(current.expose()), previous: previous.map(|previous| key(previous.expose())) }
    }

    /// Seals a text for one place: its owner's and its own name.
    pub fn seal(&self, place: &str, text: &Secret) -> Result<Vec<u8>> {
        let mut nonce = [0u8; NONCE];
        OsRng.try_fill_bytes(&mut nonce).map_err(|error| Error::internal(error.to_string()))?;
        let payload = Payload { msg: text.expose().as_bytes(), aad: place.as_bytes() };
        let sealed = self.current.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("sealing failed"))?;
        Ok([self.current.id.as_slice(), &nonce, &sealed].concat())
    }

    /// `None`: it was not sealed for this place, or by a key that is gone.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (id, rest) = sealed.split_at_checked(ID)?;
        let (nonce, text) = rest.split_at_checked(NONCE)?;
        let key =
            [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.id == id)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let opened = key.cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
        String::from_utf8(opened).ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only_and_keys_rotate() {
        let old = Sealer { current: key("old"), previous: None };
        let new = Sealer { current: key("new"), previous: Some(key("old")) };
        let secret = Secret::new("sk-live");
        let sealed = old.seal("a|b", &secret).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("sk-live"));
        assert!(new.open("a|b", &sealed) == Some(secret.clone()));
        assert!(new.open("a|c", &sealed).is_none());
        let newer = new.seal("a|b", &secret).unwrap();
        assert!(old.open("a|b", &newer).is_none());
        assert_ne!(newer, new.seal("a|b", &secret).unwrap());
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(old.open("a|b", &broken).is_none(), "byte {at}");
        }
        assert!(old.open("a|b", &sealed[..10]).is_none());
    }
}
