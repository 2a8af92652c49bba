//! How people sign in: keys, passwords, tokens.

use std::{path::Path, time::Duration};

use super::{Env, secret_key};
use crate::{domain::user::PasswordRules, secret::Secret};

#[derive(Debug, Clone)]
pub struct Auth {
    pub secret_key: Secret,
    /// Where the key came from, for `doctor`.
    pub secret_key_origin: String,
    pub previous_key: Option<Secret>,
    pub password: PasswordRules,
    pub access_token: Duration,
    pub refresh_token: Duration,
}

pub fn auth(env: &mut Env, data_dir: &Path, database_given: bool, makes_key: bool) -> Auth {
    let given = env.optional("SECRET_KEY");
    let (secret_key, secret_key_origin) =
        match secret_key::resolve(given.as_deref(), data_dir, database_given, makes_key) {
            Ok(found) => found,
            Err(problem) => {
                env.problem(&problem);
                (Secret::new(""), String::new())
            }
        };
    let previous_key = env.optional("SECRET_KEY_PREVIOUS").map(Secret::new);
    if let Some(problem) = previous_key.as_ref().and_then(|key| secret_key::problem(key.expose())) {
        env.problem(&format!("SECRET_KEY_PREVIOUS {problem}"));
    }
    Auth {
        secret_key,
        secret_key_origin,
        previous_key,
        password: PasswordRules {
            min_length: env.number("PASSWORD__MIN_LENGTH", 8, 6..=128) as usize,
            upper: env.flag("PASSWORD__REQUIRE_UPPER", true),
            lower: env.flag("PASSWORD__REQUIRE_LOWER", true),
            digit: env.flag("PASSWORD__REQUIRE_DIGIT", true),
        },
        access_token: Duration::from_secs(60 * env.number("ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1..=10_080)),
        refresh_token: Duration::from_secs(86_400 * env.number("REFRESH_TOKEN_EXPIRE_DAYS", 30, 1..=3_650)),
    }
}
