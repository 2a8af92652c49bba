//! API keys: made, shown once, taken back.

use chrono::{DateTime, SubsecRound, Utc};
use data_encoding::BASE64URL_NOPAD;
use sqlx::types::Json;

use super::repeat::{Repeatable, repeated};
use crate::{
    Context, Error, Result,
    auth::{Caller, KEY_PREFIX, random_token, token_hash},
    clock,
    domain::ids::{KeyId, UserId},
    error::{Code, FieldError, Wrong},
    store::{self, keys::ApiKey},
};

/// What a key may be bound to.
pub const SCOPES: [&str; 5] = ["chat", "memory", "projects", "account", "admin"];
const KEYS_MAX: i64 = 100;

#[derive(Debug, Default)]
pub struct NewKey {
    pub name: String,
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub monthly_tokens: Option<i64>,
}

fn check(new: &NewKey) -> Result<()> {
    let mut errors = Vec::new();
    let mut problem = |field: &str, wrong: Wrong| errors.push(FieldError::new(field, wrong));
    let length = new.name.trim().chars().count();
    if length == 0 || length > 100 || new.name.chars().any(char::is_control) {
        problem("name", Wrong::Line { min: 1, max: 100 });
    }
    if new.scopes.as_ref().is_some_and(|scopes| {
        scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str()))
    }) {
        problem("scopes", Wrong::SomeOf { values: SCOPES.join(", "), or_absent: true });
    }
    if new.expires_at.is_some_and(|end| end <= clock::now()) {
        problem("expires_at", Wrong::NotFuture);
    }
    if new.monthly_tokens.is_some_and(|tokens| !(1..=1_000_000_000_000).contains(&tokens)) {
        problem("monthly_tokens", Wrong::Range { min: 1, max: 1_000_000_000_000 });
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::fields(errors)) }
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
    new: NewKey,
    repeatable: Option<&Repeatable>,
    address: Option<&str>,
) -> Result<(ApiKey, String, bool)> {
    check(&new)?;
    let now = clock::now();
    let mut scopes = new.scopes;
    if let Some(scopes) = &mut scopes {
        scopes.sort();
        scopes.dedup();
    }
    let id = KeyId::new();
    let text = key_text(ctx, caller.user, repeatable, id)?;
    let key = ApiKey {
        id,
        name: new.name.trim().to_owned(),
        prefix: text.chars().take(8).collect(),
        scopes: scopes.map(Json),
        expires_at: new.expires_at.map(|end| end.trunc_subsecs(6)),
        monthly_tokens: new.monthly_tokens,
        last_used_at: None,
        created_at: now,
    };
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, caller.user, "api_key", repeatable, key.id).await? {
        let all = store::keys::list(&mut tx, caller.user).await?;
        let found = all.into_iter().find(|key| key.id == first);
        let text = key_text(ctx, caller.user, repeatable, first)?;
        return Ok((found.ok_or_else(|| Error::not_found("key"))?, text, true));
    }
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
