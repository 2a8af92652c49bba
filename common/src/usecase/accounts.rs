//! Registering, signing in, staying signed in, signing out.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    Context, Error, Result,
    auth::{Caller, random_token, token_hash},
    clock,
    domain::{
        idempotency::IdempotencyKey,
        ids::{LoginId, UserId},
        texts::PersonName,
        user::{User, normalise_email, normalise_login, normalise_username},
    },
    error::{Code, Wrong},
    problems::Problems,
    store::{self, Tx, idempotency::First, users::NewUser},
    usecase::{look_alike, repeat::mismatch, throttle::Throttle},
};

/// What a sign-in gives.
pub struct SignedIn {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds the access token is good for.
    pub expires_in: u64,
    /// Shown at a later sign-in, it gets through while others guess at the account.
    pub device_token: String,
    pub user: User,
}

#[derive(Debug, Default)]
pub struct Registration {
    pub email: Option<String>,
    pub username: Option<String>,
    pub password: String,
    pub name: Option<String>,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where it comes from.
    pub address: String,
}

struct Checked {
    email: Option<String>,
    username: Option<String>,
    name: Option<PersonName>,
}

fn check(ctx: &Context, registration: &Registration) -> Result<Checked> {
    let mut problems = Problems::default();
    let present = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let email = present(&registration.email).and_then(|text| {
        let email = normalise_email(&text);
        if email.is_none() {
            problems.add("email", Wrong::Email);
        }
        email
    });
    let username = present(&registration.username).and_then(|text| {
        let username = normalise_username(&text);
        if username.is_none() {
            problems.add("username", Wrong::Username);
        }
        username
    });
    if present(&registration.email).is_none() && present(&registration.username).is_none() {
        problems.add("email", Wrong::ThisOr("username"));
    }
    let name = problems.checked("name", present(&registration.name));
    if let Some(wrong) = ctx.auth.passwords.problem(&registration.password) {
        problems.add("password", wrong);
    }
    problems.done()?;
    Ok(Checked { email, username, name })
}

/// Makes an account and signs it in. `true` when this answers a repeated request with the same key.
pub async fn register(ctx: &Context, registration: Registration) -> Result<(SignedIn, bool)> {
    let Checked { email, username, name } = check(ctx, &registration)?;
    let password_hash = ctx.auth.passwords.hash(&registration.password).await?;
    let now = clock::now();
    let id = UserId::new();
    let mut tx = ctx.db.begin().await?;
    if let Some(key) = &registration.idempotency_key {
        let known = identity(ctx, key, &email, &username);
        let hash = request_hash(ctx, &registration.password, name.as_deref());
        let first =
            store::idempotency::claim(&mut tx, "register", &known, &hash, &id.to_string(), now).await?;
        if let Some(first) = first {
            drop(tx);
            let name = email.or(username).unwrap_or_default();
            return Ok((repeated(ctx, &registration, &name, &first, &hash).await?, true));
        }
    }
    if let Some(username) = &username {
        look_alike::refuse(&mut tx, id, username).await?;
    }
    let name = name.map(PersonName::into_string);
    let new = NewUser { id, email, username, name, password_hash, created_at: now };
    store::users::insert(&mut tx, &new).await.map_err(taken)?;
    let user =
        store::users::get(&mut tx, id).await?.ok_or_else(|| Error::internal("a new account is gone"))?;
    Ok((sign_in(ctx, tx, user, 0, now).await?, false))
}

/// Nobody is signed in: the keys of strangers meet in one place, and clients that count from 1 choose the same. A key counts
/// together with whom it registers.
fn identity(
    ctx: &Context,
    key: &IdempotencyKey,
    email: &Option<String>,
    username: &Option<String>,
) -> IdempotencyKey {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let (email, username) = (text(email), text(username));
    let parts: [&[u8]; 4] = [b"register", key.as_str().as_bytes(), email.as_bytes(), username.as_bytes()];
    IdempotencyKey::of_digest(&ctx.auth.digest(&parts))
}

fn request_hash(ctx: &Context, password: &str, name: Option<&str>) -> Vec<u8> {
    let name = name.unwrap_or_default();
    ctx.auth.digest(&[b"register", password.as_bytes(), name.as_bytes()])
}

/// Answers a registration that was made before. It signs in, so it is a guess at a password: another one in the body is
/// counted as a wrong one, and much may have happened since, so that whoever repeats must know the one of today.
async fn repeated(
    ctx: &Context,
    registration: &Registration,
    name: &str,
    first: &First,
    hash: &[u8],
) -> Result<SignedIn> {
    let address = registration.address.as_str();
    let paid = Throttle::of_sign_in(ctx, name, None, address).pay().await?;
    if !first.is(hash) {
        return Err(mismatch());
    }
    paid.back().await;
    let id = first.target.parse().map_err(|_| Error::internal("an idempotency key's target is no user"))?;
    let user = store::users::get(&mut ctx.db.read().await?, id).await?;
    let user = user.ok_or_else(|| Error::not_found("account"))?;
    let name = user.email.or(user.username).unwrap_or_default();
    let attempt = Attempt { name: &name, password: &registration.password, device: None, address };
    login(ctx, attempt).await
}

pub fn taken(error: sqlx::Error) -> Error {
    let detail = match store::violated(&error).as_deref() {
        Some("users_email") => "An account with this email exists already.",
        Some("users_username") => "This username is taken.",
        _ => return error.into(),
    };
    Error::new(Code::Taken, detail)
}

pub(super) async fn sign_in(
    ctx: &Context,
    mut tx: Tx,
    user: User,
    version: i64,
    now: DateTime<Utc>,
) -> Result<SignedIn> {
    let login = LoginId::new();
    store::users::insert_login(&mut tx, login, user.id, now).await?;
    issue(ctx, tx, user, login, version, now).await
}

/// Gives a login its next pair of tokens, and commits.
async fn issue(
    ctx: &Context,
    mut tx: Tx,
    user: User,
    login: LoginId,
    version: i64,
    now: DateTime<Utc>,
) -> Result<SignedIn> {
    let refresh_token = random_token()?;
    let expires_at = now + ctx.auth.refresh_ttl;
    store::users::insert_refresh(&mut tx, login, &token_hash(&refresh_token), expires_at, now).await?;
    let access_token = ctx.auth.keys.issue(&user, login, version, now)?;
    let device_token = ctx.auth.device_token(user.id, login, version);
    tx.commit().await?;
    Ok(SignedIn { access_token, refresh_token, expires_in: ctx.auth.keys.ttl.as_secs(), device_token, user })
}

/// What a sign-in shows.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// An email or a username.
    pub name: &'a str,
    pub password: &'a str,
    /// Of an earlier sign-in.
    pub device: Option<&'a str>,
    pub address: &'a str,
}

/// Signs in by email or username. Unknown accounts and wrong passwords look the same and take the same time.
pub async fn login(ctx: &Context, attempt: Attempt<'_>) -> Result<SignedIn> {
    let refused = || Error::new(Code::BadCredentials, "Unknown account or wrong password.");
    let Attempt { name, password, device, address } = attempt;
    let normalised = normalise_login(name);
    let found = match &normalised {
        Some(name) => store::users::by_name(&mut ctx.db.read().await?, name).await?,
        None => None,
    };
    let typed = normalised.unwrap_or_else(|| name.to_owned());
    let device = device
        .zip(found.as_ref())
        .and_then(|(token, found)| ctx.auth.known_device(token, found.id, found.token_version));
    let paid = Throttle::of_sign_in(ctx, &typed, device, address).pay().await?;
    let hash = found.as_ref().map(|found| found.password_hash.clone());
    // A password beyond the limit cannot be right, and hashing megabytes is work for nothing.
    let plausible = if password.chars().count() <= 128 { password } else { "" };
    let good = match ctx.auth.passwords.verify(plausible, hash).await {
        Ok(good) => good,
        Err(error) => {
            paid.back().await; // nothing was told about the password
            return Err(error);
        }
    };
    let Some(found) = found.filter(|found| good && found.is_active) else {
        return Err(refused());
    };
    paid.back().await;
    let mut tx = ctx.db.begin().await?;
    // Checking took a while: a reset that came in between ends the sessions there are, and this must not be one more.
    let version = store::users::still(&mut tx, found.id, &found.password_hash).await?.ok_or_else(refused)?;
    let user = store::users::get(&mut tx, found.id).await?.ok_or_else(refused)?;
    sign_in(ctx, tx, user, version, clock::now()).await
}

/// Trades a refresh token for a new pair. A token that was used before was stolen, or its thief's was: the whole
/// login ends. One that was used no longer than `forgiven` ago is taken for a request whose answer was lost.
pub async fn refresh(ctx: &Context, token: &str, forgiven: Duration) -> Result<SignedIn> {
    let refused =
        || Error::new(Code::BadRefreshToken, "The refresh token is not valid (any more). Sign in again.");
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let found = store::users::find_refresh(&mut tx, &token_hash(token)).await?.ok_or_else(refused)?;
    if found.revoked || !found.is_active || found.expires_at <= now {
        return Err(refused());
    }
    let lately = found.used_at.is_some_and(|used| (now - used).to_std().unwrap_or_default() < forgiven);
    let is_first = found.used_at.is_none() && store::users::use_refresh(&mut tx, found.id, now).await?;
    // Another request may have been faster by a moment: that is lately too.
    let is_late = found.used_at.is_some() || forgiven.is_zero();
    if !is_first && !lately && is_late {
        store::users::revoke_login(&mut tx, found.login_id, found.user_id, now).await?;
        tx.commit().await?;
        ctx.auth.forget(found.user_id);
        tracing::warn!(user = %found.user_id, "a refresh token was used twice: its login is revoked");
        return Err(refused());
    }
    let user = store::users::get(&mut tx, found.user_id).await?.ok_or_else(refused)?;
    issue(ctx, tx, user, found.login_id, found.token_version, now).await
}

/// Ends this login, or all of the user's.
pub async fn logout(ctx: &Context, caller: &Caller, all: bool) -> Result<()> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    if all {
        store::users::revoke_all(&mut tx, caller.user, now).await?;
    } else {
        let login =
            caller.login().ok_or_else(|| Error::new(Code::Forbidden, "An API key is not signed in."))?;
        store::users::revoke_login(&mut tx, login, caller.user, now).await?;
    }
    tx.commit().await?;
    ctx.auth.forget(caller.user);
    Ok(())
}
