//! The one algorithm of our access tokens, for `jsonwebtoken`: HMAC with SHA-256. The library's own set brings RSA and
//! elliptic curves along: thirty crates that are compiled and never called.

use std::result::Result as Outcome;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result, new_error},
    signature::{Error as BadSignature, Signer, Verifier},
};
use sha2::Sha256;

static HS256_ALONE: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.family(), key.as_bytes())?)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.family(), key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Tells the library, once a process.
pub fn install() {
    // The one error says that it was told before.
    let _told_before = HS256_ALONE.install_default();
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> Result<Self> {
        if algorithm != Algorithm::HS256 {
            return Err(new_error(ErrorKind::InvalidAlgorithm));
        }
        let bad_key = || new_error(ErrorKind::InvalidKeyFormat);
        if family != AlgorithmFamily::Hmac {
            return Err(bad_key());
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| bad_key())
    }

    fn of(&self, message: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(message)
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Outcome<Vec<u8>, BadSignature> {
        Ok(self.of(message).finalize().into_bytes().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// In the same time wherever they differ.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Outcome<(), BadSignature> {
        self.of(message).verify_slice(signature).map_err(BadSignature::from_source)
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, EncodingKey, Header, crypto::verify};

    /// The example of RFC 7515, A.1.
    const SECRET: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const MESSAGE: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn it_is_the_standards_hs256_and_nothing_else() {
        install();
        install();
        let secret = data_encoding::BASE64URL_NOPAD.decode(SECRET.as_bytes()).unwrap();
        let key = DecodingKey::from_secret(&secret);
        let good = |signature: &str, algorithm| verify(signature, MESSAGE.as_bytes(), &key, algorithm);
        assert!(good(SIGNATURE, Algorithm::HS256).unwrap());
        assert!(!good(&SIGNATURE.replacen('d', "e", 1), Algorithm::HS256).unwrap());
        assert!(!good("", Algorithm::HS256).unwrap());
        assert!(good(SIGNATURE, Algorithm::HS512).is_err());
        assert!(good(SIGNATURE, Algorithm::RS256).is_err());
        let secret = EncodingKey::from_secret(b"secret");
        assert!(jsonwebtoken::encode(&Header::new(Algorithm::HS384), &"claims", &secret).is_err());
        let rsa = DecodingKey::from_rsa_der(b"not a shared secret");
        assert!(verify(SIGNATURE, MESSAGE.as_bytes(), &rsa, Algorithm::HS256).is_err());
    }
}
