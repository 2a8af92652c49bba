//! Who is calling: passwords, access tokens, refresh tokens, API keys.

pub mod access;
mod device;
mod hs256;
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
    Error, Result, clock,
    domain::{
        ids::{KeyId, LoginId, UserId},
        user::{Scope, UserRole},
    },
    settings,
    store::{Db, keys, keys::KeyState, oauth, users, users::AuthState},
};
use access::Keys;
use password::Passwords;

/// How long a process believes what it read about an account: a logout or deactivation takes effect within this.
const BELIEVED: Duration = Duration::from_secs(1);
/// API keys begin so.
pub const KEY_PREFIX: &str = "rk_";
/// Access tokens of MCP clients begin so.
pub const CLIENT_PREFIX: &str = "rm_";
/// How often a key's last use is written down.
const USED_EVERY: Duration = Duration::from_secs(60);

pub struct Auth {
    pub passwords: Passwords,
    pub keys: Keys,
    pub refresh_ttl: Duration,
    secret: crate::secret::Secret,
    previous: Option<crate::secret::Secret>,
    logins: Mutex<HashMap<(UserId, LoginId), (Instant, AuthState)>>,
    api_keys: Mutex<HashMap<Vec<u8>, (Instant, KeyState)>>,
    used: Mutex<HashMap<KeyId, Instant>>,
}

/// What a caller showed to be let in.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// An access token of this login.
    Login(LoginId),
    /// An API key; `None` is no bound on what for.
    Key(KeyId, Option<Vec<String>>),
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: UserId,
    pub proof: Proof,
    pub role: UserRole,
}

impl Caller {
    pub fn login(&self) -> Option<LoginId> {
        match self.proof {
            Proof::Login(login) => Some(login),
            Proof::Key(..) => None,
        }
    }

    pub fn key(&self) -> Option<KeyId> {
        match self.proof {
            Proof::Key(key, _) => Some(key),
            Proof::Login(_) => None,
        }
    }

    /// Whether it may do what has this scope.
    pub fn may(&self, scope: Scope) -> bool {
        match &self.proof {
            Proof::Key(_, Some(scopes)) => scopes.iter().any(|own| own == scope.as_str()),
            Proof::Key(_, None) | Proof::Login(_) => true,
        }
    }
}

impl Auth {
    pub fn new(settings: &settings::Auth) -> Self {
        Self {
            passwords: Passwords::new(settings.password),
            keys: Keys::new(settings),
            refresh_ttl: settings.refresh_token,
            secret: settings.secret_key.clone(),
            previous: settings.previous_key.clone(),
            logins: Mutex::default(),
            api_keys: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// Checks an access token against the key, the clock and the account; or an API key against its digest.
    pub async fn caller(&self, db: &Db, token: &str) -> Result<Caller> {
        if token.starts_with(KEY_PREFIX) {
            return self.key_caller(db, token).await;
        }
        let claims = self.keys.verify(token)?;
        let (user, login) = (claims.user()?, claims.login()?);
        let state = self.login_state(db, user, login).await?.ok_or_else(access::not_valid)?;
        if !state.is_active || !state.login_lives || state.token_version != claims.ver {
            return Err(access::not_valid());
        }
        Ok(Caller { user, proof: Proof::Login(login), role: state.role })
    }

    /// The same for a route that MCP clients use: it takes their tokens too.
    pub async fn caller_or_client(&self, db: &Db, token: &str) -> Result<Caller> {
        if token.starts_with(CLIENT_PREFIX) {
            return self.key_caller(db, token).await;
        }
        self.caller(db, token).await
    }

    /// By an API key, or by a client's access token, which stands for one.
    async fn key_caller(&self, db: &Db, token: &str) -> Result<Caller> {
        let hash = token_hash(token);
        let known = self.api_keys.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        let state = match known.filter(|(read_at, _)| read_at.elapsed() < BELIEVED) {
            Some((_, state)) => state,
            None => {
                let read_at = Instant::now();
                let mut conn = db.read().await?;
                let found = match token.starts_with(CLIENT_PREFIX) {
                    true => oauth::by_access(&mut conn, &hash).await?,
                    false => keys::by_hash(&mut conn, &hash).await?,
                };
                drop(conn);
                let found = found.ok_or_else(access::not_valid)?;
                let mut all = self.api_keys.lock().unwrap_or_else(PoisonError::into_inner);
                if all.len() > 20_000 {
                    all.retain(|_, (read_at, _)| read_at.elapsed() < BELIEVED);
                }
                all.insert(hash, (read_at, found.clone()));
                found
            }
        };
        let caller = of_key(state)?;
        self.note_use(db, caller.key()).await;
        Ok(caller)
    }

    /// Writes down that a key was used, now and then. Losing it is no harm.
    async fn note_use(&self, db: &Db, key: Option<KeyId>) {
        let Some(key) = key else { return };
        {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if used.get(&key).is_some_and(|at| at.elapsed() < USED_EVERY) {
                return;
            }
            used.insert(key, Instant::now());
        }
        if let Ok(mut conn) = db.relaxed().await
            && let Err(error) = keys::used(&mut conn, key, clock::now()).await
        {
            tracing::debug!(%error, "a key's use was not noted");
        }
    }

    /// Whether a caller that was let in before still may: for connections that last, and tickets.
    pub async fn still_good(&self, db: &Db, caller: &Caller) -> Result<()> {
        match &caller.proof {
            Proof::Login(login) => match self.login_state(db, caller.user, *login).await? {
                Some(state) if state.is_active && state.login_lives => Ok(()),
                _ => Err(access::not_valid()),
            },
            Proof::Key(key, _) => {
                let state = keys::state(&mut db.read().await?, caller.user, *key).await?;
                of_key(state.ok_or_else(access::not_valid)?).map(drop)
            }
        }
    }

    /// The caller a ticket names, as they are now.
    pub async fn of_proof(
        &self,
        db: &Db,
        user: UserId,
        login: Option<LoginId>,
        key: Option<KeyId>,
    ) -> Result<Caller> {
        match (login, key) {
            (Some(login), _) => match self.login_state(db, user, login).await? {
                Some(state) if state.is_active && state.login_lives => {
                    Ok(Caller { user, proof: Proof::Login(login), role: state.role })
                }
                _ => Err(access::not_valid()),
            },
            (None, Some(key)) => {
                let state = keys::state(&mut db.read().await?, user, key).await?;
                of_key(state.ok_or_else(access::not_valid)?)
            }
            (None, None) => Err(access::not_valid()),
        }
    }

    async fn login_state(&self, db: &Db, user: UserId, login: LoginId) -> Result<Option<AuthState>> {
        let key = (user, login);
        if let Some((read_at, state)) = self.logins.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && read_at.elapsed() < BELIEVED
        {
            return Ok(Some(state.clone()));
        }
        let read_at = Instant::now();
        let state = users::auth_state(&mut db.read().await?, user, login).await?;
        let mut states = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| *of != user);
        self.api_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (_, state)| state.user_id != user);
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        mac(&self.secret, parts)
    }

    /// Whether something given is the digest of these parts. Takes as long wherever they differ.
    pub fn is_digest(&self, parts: &[&[u8]], given: &[u8]) -> bool {
        self.mac(parts).verify_slice(given).is_ok()
    }

    /// The same, also for a digest by the key before the present one.
    pub fn was_digest(&self, parts: &[&[u8]], given: &[u8]) -> bool {
        let previous = |key| mac(key, parts).verify_slice(given).is_ok();
        self.is_digest(parts, given) || self.previous.as_ref().is_some_and(previous)
    }

    /// Whether a text that was given is the one we expect. Takes as long wherever they differ.
    pub fn is_same(&self, expected: &str, given: &str) -> bool {
        self.is_digest(&[given.as_bytes()], &self.digest(&[expected.as_bytes()]))
    }

    /// A keyed digest, for values that must be compared later but not kept (an idempotent request with a password).
    pub fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(parts).finalize().into_bytes().to_vec()
    }
}

fn mac(key: &crate::secret::Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("any key length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn of_key(state: KeyState) -> Result<Caller> {
    if !state.is_active || state.expires_at.is_some_and(|end| end <= clock::now()) {
        return Err(access::not_valid());
    }
    let scopes = state.scopes;
    Ok(Caller { user: state.user_id, proof: Proof::Key(state.id, scopes), role: state.role })
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
