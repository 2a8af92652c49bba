//! Password hashing: argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane), at most a few at once.
//!
//! Hashing takes a core for tens of milliseconds. A bounded number runs on the blocking pool, so that a login storm
//! slows logins and nothing else; beyond a queue of waiting ones, further logins are refused at once.
//! <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{
    Error, Result,
    domain::user::{PasswordRules, password_problem},
    error::{Code, Wrong},
};

/// Logins that may wait for a core.
const WAITING_MAX: usize = 200;

pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    rules: PasswordRules,
}

fn argon2() -> Argon2<'static> {
    #[expect(clippy::expect_used, reason = "the parameters are constants within argon2's limits")]
    let params = Params::new(19 * 1_024, 2, 1, None).expect("valid parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Verified when there is no such account, so that the answer takes the same time.
static DUMMY: LazyLock<String> =
    LazyLock::new(|| hash_now("no account has this password").unwrap_or_default());

fn hash_now(password: &str) -> Option<String> {
    argon2().hash_password(password.as_bytes()).ok().map(|hash: PasswordHash| hash.to_string())
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new(PasswordRules::default())
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    pub fn new(rules: PasswordRules) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        // Half the cores: the other half answers everybody else.
        Self { running: Arc::new(Semaphore::new((cores / 2).max(1))), waiting: AtomicUsize::new(0), rules }
    }

    /// What is wrong with a new password, or `None`.
    pub fn problem(&self, password: &str) -> Option<Wrong> {
        password_problem(password, self.rules)
    }

    async fn on_a_core<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(
                Error::new(Code::Overloaded, "Too many sign-ins at once. Try again shortly.").retry_after(5)
            );
        }
        let permit = self.running.clone().acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(Error::internal)
    }

    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        let hash = self.on_a_core(move || hash_now(&password)).await?;
        hash.ok_or_else(|| Error::internal("argon2 failed"))
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long and says no.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let password = password.to_owned();
        self.on_a_core(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| DUMMY.clone());
            let parsed = PasswordHash::new(&hash);
            let good =
                parsed.is_ok_and(|parsed| argon2().verify_password(password.as_bytes(), &parsed).is_ok());
            good && known
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again() {
        let passwords = Passwords::default();
        let hash = passwords.hash("Correct horse 1").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("Correct horse 1", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("Wrong horse 1", Some(hash)).await.unwrap());
        assert!(!passwords.verify("no account has this password", None).await.unwrap());
    }
}
