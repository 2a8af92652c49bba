//! Access tokens: JWT, HS256 and nothing else, with the signing key's id in the header so that keys rotate.

use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Error, Result, clock,
    domain::{
        ids::{LoginId, UserId},
        user::User,
    },
    error::Code,
    settings,
};

const ISSUER: &str = "rapport";
const AUDIENCE: &str = "rapport-api";
/// Nobody's access token is longer: refuse before decoding.
const LONGEST: usize = 4_096;

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    sub: String,
    /// As it was when the token was made: for clients to show, never to decide by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    iat: i64,
    exp: i64,
    /// Ours have none; one that another holder of the key made may.
    #[serde(default, skip_serializing)]
    nbf: Option<i64>,
    jti: String,
    iss: String,
    aud: String,
    /// The account's token version: raised, all its tokens end.
    pub ver: i64,
    /// The login it belongs to.
    sid: String,
}

impl Claims {
    pub fn user(&self) -> Result<UserId> {
        self.sub.parse().map_err(|_| not_valid())
    }
    pub fn login(&self) -> Result<LoginId> {
        self.sid.parse().map_err(|_| not_valid())
    }
}

pub fn not_valid() -> Error {
    Error::new(Code::Unauthorized, "The access token is not valid (any more). Sign in again.")
}

struct Key {
    id: String,
    decoding: DecodingKey,
}

pub struct Keys {
    encoding: EncodingKey,
    current: Key,
    previous: Option<Key>,
    pub ttl: Duration,
}

fn key(secret: &str) -> Key {
    // From the digest, so the id says nothing about the key.
    let id = HEXLOWER.encode(&Sha256::digest(format!("rapport key id {secret}"))[..4]);
    Key { id, decoding: DecodingKey::from_secret(secret.as_bytes()) }
}

impl Keys {
    pub fn new(settings: &settings::Auth) -> Self {
        super::hs256::install();
        let secret = settings.secret_key.expose();
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            current: key(secret),
            previous: settings.previous_key.as_ref().map(|previous| key(previous.expose())),
            ttl: settings.access_token,
        }
    }

    pub fn issue(&self, user: &User, login: LoginId, version: i64, now: DateTime<Utc>) -> Result<String> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.current.id.clone());
        let claims = Claims {
            sub: user.id.to_string(),
            email: user.email.clone(),
            iat: now.timestamp(),
            exp: now.timestamp() + self.ttl.as_secs() as i64,
            nbf: None,
            jti: super::random_token()?,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            ver: version,
            sid: login.to_string(),
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(Error::internal)
    }

    pub fn verify(&self, token: &str) -> Result<Claims> {
        if token.len() > LONGEST {
            return Err(not_valid());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| not_valid())?;
        let kid = header.kid.as_deref().unwrap_or_default();
        let mut known = std::iter::once(&self.current).chain(self.previous.as_ref());
        let key = known.find(|key| key.id == kid).ok_or_else(not_valid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The times in it are those of the common clock, and the library would go by this machine's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let data =
            jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation).map_err(|_| not_valid())?;
        let (claims, now) = (data.claims, clock::now().timestamp());
        if claims.exp <= now || claims.nbf.is_some_and(|begins| begins > now) {
            return Err(not_valid());
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn ann() -> User {
        User {
            id: UserId::new(),
            email: Some("ann@example.com".to_owned()),
            username: None,
            name: None,
            role: crate::domain::user::UserRole::User,
            is_active: true,
            is_verified: false,
            created_at: clock::now(),
        }
    }

    fn keys(current: &str, previous: Option<&str>) -> Keys {
        Keys::new(&settings::Auth {
            secret_key: Secret::new(current),
            secret_key_origin: String::new(),
            previous_key: previous.map(Secret::new),
            password: Default::default(),
            access_token: Duration::from_secs(60),
            refresh_token: Duration::from_secs(60),
        })
    }

    #[test]
    fn keys_rotate_without_logging_anyone_out() {
        let (old, new) = ("old-key-0123456789-abcdefghijklmnop", "new-key-9876543210-ponmlkjihgfedcba");
        let token = keys(old, None).issue(&ann(), LoginId::new(), 0, clock::now()).unwrap();
        assert!(keys(new, Some(old)).verify(&token).is_ok());
        assert!(keys(new, None).verify(&token).is_err());
    }

    #[test]
    fn forged_and_expired_tokens_are_refused() {
        let ours = keys("our-key-0123456789-abcdefghijklmnop", None);
        let past = clock::now() - chrono::TimeDelta::seconds(61);
        assert!(ours.verify(&ours.issue(&ann(), LoginId::new(), 0, past).unwrap()).is_err());
        let good = ours.issue(&ann(), LoginId::new(), 0, clock::now()).unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        let none = data_encoding::BASE64URL_NOPAD
            .encode(format!(r#"{{"alg":"none","typ":"JWT","kid":"{}"}}"#, ours.current.id).as_bytes());
        assert!(ours.verify(&format!("{none}.{}.", parts[1])).is_err());
        assert!(ours.verify(&format!("{}.{}.{}", parts[0], parts[1], "AAAA")).is_err());
        for garbage in ["", ".", "..", "a.b.c", &"x".repeat(10_000)] {
            assert!(ours.verify(garbage).is_err());
        }
    }
}
