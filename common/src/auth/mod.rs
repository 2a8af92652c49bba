//! Who is calling: passwords, access tokens, refresh tokens.

pub mod access;
pub mod password;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    Error, Result,
    domain::ids::{LoginId, UserId},
    settings,
    store::{Db, users, users::AuthState},
};
use access::Keys;
use password::Passwords;

/// How long a process believes what it read about an account: a logout or deactivation takes effect within this.
const BELIEVED: Duration = Duration::from_secs(1);

pub struct Auth {
    pub passwords: Passwords,
    pub keys: Keys,
    pub refresh_ttl: Duration,
    secret: crate::secret::Secret,
    states: Mutex<HashMap<(UserId, LoginId), (Instant, AuthState)>>,
}

/// Somebody whose access token is good now.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: UserId,
    pub login: LoginId,
    pub role: String,
}

impl Auth {
    pub fn new(settings: &settings::Auth) -> Self {
        Self {
            passwords: Passwords::new(),
            keys: Keys::new(settings),
            refresh_ttl: settings.refresh_token,
            secret: settings.secret_key.clone(),
            states: Mutex::default(),
        }
    }

    /// Checks an access token against the key, the clock and the account.
    pub async fn caller(&self, db: &Db, token: &str) -> Result<Caller> {
        let claims = self.keys.verify(token)?;
        let (user, login) = (claims.user()?, claims.login()?);
        let state = self.state(db, user, login).await?.ok_or_else(access::not_valid)?;
        if !state.is_active || !state.login_lives || state.token_version != claims.ver {
            return Err(access::not_valid());
        }
        Ok(Caller { user, login, role: state.role })
    }

    /// Whether a caller that was let in before still may: for connections that last.
    pub async fn still_good(&self, db: &Db, caller: &Caller) -> Result<()> {
        match self.state(db, caller.user, caller.login).await? {
            Some(state) if state.is_active && state.login_lives => Ok(()),
            _ => Err(access::not_valid()),
        }
    }

    async fn state(&self, db: &Db, user: UserId, login: LoginId) -> Result<Option<AuthState>> {
        let key = (user, login);
        if let Some((read_at, state)) = self.states.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && read_at.elapsed() < BELIEVED
        {
            return Ok(Some(state.clone()));
        }
        let read_at = Instant::now();
        let state = users::auth_state(&mut db.read().await?, user, login).await?;
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() > 20_000 {
            states.retain(|_, (read_at, _)| read_at.elapsed() < BELIEVED);
        }
        if let Some(state) = &state {
            states.insert(key, (read_at, state.clone()));
        }
        Ok(state)
    }

    /// Forgets what this process believes of a user: after a logout.
    pub fn forget(&self, user: UserId) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| *of != user);
    }

    /// A keyed digest, for values that must be compared later but not kept (an idempotent request with a password).
    pub fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).expect("any key length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

/// 256 random bits as text.
pub fn random_token() -> Result<String> {
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// How a random token is stored: it has 256 bits, so a plain digest suffices.
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
