//! API keys: made, shown once, taken back.

use chrono::{DateTime, SubsecRound, Utc};
use data_encoding::BASE64URL_NOPAD;

use super::repeat::{Repeatable, repeated};
use crate::{
    Context, Error, Result,
    auth::{Caller, KEY_PREFIX, random_token, token_hash},
    clock,
    domain::{
        ids::{KeyId, UserId},
        texts::Name,
        user::Scope,
    },
    error::{Code, Wrong},
    problems::Problems,
    store::{self, keys::ApiKey},
};

pub(super) const KEYS_MAX: i64 = 100;

/// What bounds a key. What is `None` does not.
#[derive(Debug)]
pub struct Bounds {
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub monthly_tokens: Option<i64>,
}

impl Bounds {
    pub fn check(&self, problems: &mut Problems) {
        let known = |scopes: &Vec<String>| {
            !scopes.is_empty() && scopes.iter().all(|scope| scope.parse::<Scope>().is_ok())
        };
        let scopes = Wrong::SomeOf { values: Scope::names(), or_absent: true };
        problems.unless(self.scopes.as_ref().is_none_or(known), "scopes", scopes);
        let lasts = self.expires_at.is_none_or(|end| end > clock::now());
        problems.unless(lasts, "expires_at", Wrong::NotFuture);
        let fits = self.monthly_tokens.is_none_or(|tokens| (1..=1_000_000_000_000).contains(&tokens));
        problems.unless(fits, "monthly_tokens", Wrong::Range { min: 1, max: 1_000_000_000_000 });
    }
}

/// The text of a key that can be said again follows from its row's id too: the same `Idempotency-Key` on another day, or
/// after the key was deleted, makes another text.
fn key_text(ctx: &Context, user: UserId, repeatable: Option<&Repeatable>, id: KeyId) -> Result<String> {
    let random = match repeatable {
        Some(Repeatable { key, .. }) => {
            let (user, key, id) = (user.to_string(), key.as_str(), id.to_string());
            let parts: [&[u8]; 4] = [b"api key", user.as_bytes(), key.as_bytes(), id.as_bytes()];
            BASE64URL_NOPAD.encode(&ctx.auth.digest(&parts))
        }
        None => random_token()?,
    };
    Ok(format!("{KEY_PREFIX}{random}"))
}

/// Makes a key. Its text is given once and kept nowhere; with an `Idempotency-Key` it follows from our secret key and that
/// one, so that a repeat gets the same. `true`: this is one.
pub async fn create(
    ctx: &Context,
    caller: &Caller,
    name: Name,
    bounds: Bounds,
    repeatable: Option<&Repeatable>,
    address: Option<&str>,
) -> Result<(ApiKey, String, bool)> {
    let mut problems = Problems::default();
    bounds.check(&mut problems);
    problems.done()?;
    let now = clock::now();
    let mut scopes = bounds.scopes;
    if let Some(scopes) = &mut scopes {
        scopes.sort();
        scopes.dedup();
    }
    let id = KeyId::new();
    let text = key_text(ctx, caller.user, repeatable, id)?;
    let key = ApiKey {
        id,
        name: name.into_string(),
        prefix: text.chars().take(8).collect(),
        scopes,
        expires_at: bounds.expires_at.map(|end| end.trunc_subsecs(6)),
        monthly_tokens: bounds.monthly_tokens,
        last_used_at: None,
        created_at: now,
        is_client: false,
    };
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, caller.user, "api_key", repeatable, key.id).await? {
        let all = store::keys::list(&mut tx, caller.user).await?;
        let found = all.into_iter().find(|key| key.id == first);
        let text = key_text(ctx, caller.user, repeatable, first)?;
        return Ok((found.ok_or_else(|| Error::not_found("key"))?, text, true));
    }
    // Clients that did not come back are keys no more.
    store::oauth::drop_expired(&mut tx, caller.user, now).await?;
    if store::keys::count(&mut tx, caller.user).await? >= KEYS_MAX {
        return Err(Error::new(Code::Conflict, format!("An account has at most {KEYS_MAX} keys.")));
    }
    store::keys::insert(&mut tx, caller.user, &key, &token_hash(&text)).await?;
    super::audit::note(
        &mut tx,
        caller.user,
        "api_key_made",
        address,
        Some(serde_json::json!({"key": key.id})),
    )
    .await?;
    tx.commit().await?;
    Ok((key, text, false))
}

pub async fn delete(ctx: &Context, user: UserId, id: KeyId, address: Option<&str>) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !store::keys::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("key"));
    }
    super::audit::note(&mut tx, user, "api_key_deleted", address, Some(serde_json::json!({"key": id})))
        .await?;
    tx.commit().await?;
    ctx.auth.forget(user);
    Ok(())
}
