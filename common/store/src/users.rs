//! Accounts, logins (token families) and refresh tokens.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::{
        ids::{LoginId, RefreshId, UserId},
        user::{User, UserRole, appearance},
    },
    error::Result,
};

statements! {
    INSERT = "insert into users (id, email, username, name, password_hash, created_at, updated_at, username_skeleton)
    values ($1, $2, $3, $4, $5, $6, $6, $7)";
    GET = "select id, email, username, name, role, is_active, is_verified, created_at from users where id = $1";
    BY_NAME = "select id, password_hash, is_active, token_version from users where email = $1 or username = $1";
    AUTH_STATE = "select u.is_active, u.token_version, u.role, l.revoked_at is null as login_lives
    from users u join logins l on l.user_id = u.id where u.id = $1 and l.id = $2";
    INSERT_LOGIN = "insert into logins (id, user_id, created_at) values ($1, $2, $3)";
    REVOKE_LOGIN = "update logins set revoked_at = $3 where id = $1 and user_id = $2 and revoked_at is null";
    REVOKE_ALL = "update logins set revoked_at = $2 where user_id = $1 and revoked_at is null";
    RAISE_VERSION = "update users set token_version = token_version + 1, updated_at = $2 where id = $1";
    INSERT_REFRESH = "insert into refresh_tokens (id, login_id, token_hash, expires_at, created_at)
    values ($1, $2, $3, $4, $5)";
    FIND_REFRESH = "select r.id, r.login_id, r.expires_at, r.used_at, l.user_id,
        l.revoked_at is not null as revoked, u.is_active, u.token_version
    from refresh_tokens r join logins l on l.id = r.login_id join users u on u.id = l.user_id
    where r.token_hash = $1";
    USE_REFRESH = "update refresh_tokens set used_at = $2 where id = $1 and used_at is null";
    PASSWORD_HASH = "select password_hash from users where id = $1 and is_active";
    /// Locks the row, so that a change of the password waits for us or we for it.
    STILL = "update users set updated_at = updated_at where id = $1 and password_hash = $2 and is_active
    returning token_version";
    SET_PASSWORD = "update users set password_hash = $2, updated_at = $3 where id = $1";
    SET_VERIFIED = "update users set is_verified = true, updated_at = $2 where id = $1";
    SET_ACTIVE = "update users set is_active = $2, updated_at = $3 where id = $1";
    SET_ROLE = "update users set role = $2, updated_at = $3 where id = $1";
    /// Another address is not verified yet.
    SET_PROFILE =
        "update users set email = coalesce($2, email), username = coalesce($3, username), name = coalesce($4, name),
        is_verified = case when $2 is null then is_verified else false end, updated_at = $5,
        username_skeleton = coalesce($6, username_skeleton) where id = $1";
    /// Over all users, like the names themselves.
    OF_APPEARANCE =
        "select id, username from users where username_skeleton = $1 and username is not null order by id limit 1000";
    WITHOUT_APPEARANCE =
        "select id, username from users where username is not null and username_skeleton is null order by id limit 500";
    SET_APPEARANCE = "update users set username_skeleton = $3 where id = $1 and username = $2";
    /// Logins that can still get new tokens.
    LOGINS = "select count(*) from logins l where l.user_id = $1 and l.revoked_at is null and exists
    (select 1 from refresh_tokens r where r.login_id = l.id and r.used_at is null and r.expires_at > $2)";
    /// For the admin, over all users.
    LIST = "select id, email, username, name, role, is_active, is_verified, created_at from users
    where id < $1 and ($2 is null or lower(coalesce(email, '') || ' ' || coalesce(username, '') || ' ' || coalesce(name, '')) like $2 escape '\\')
    order by id desc limit $3";
    COUNT = "select count(*) from users";
    ANY = "select 1 from users limit 1";
}

pub struct NewUser {
    pub id: UserId,
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    pub password_hash: String,
    pub created_at: DateTime<Utc>,
}

pub async fn insert(tx: &mut Tx, user: &NewUser) -> Result<(), sqlx::Error> {
    let NewUser { id, email, username, name, password_hash, created_at } = user;
    let skeleton = username.as_deref().map(appearance);
    execute!(tx, INSERT, id, email, username, name, password_hash, created_at, skeleton).map(drop)
}

/// (whose, the name) of usernames with an appearance.
pub async fn of_appearance(
    q: &mut impl Querier,
    appearance: &str,
) -> Result<Vec<(UserId, String)>, sqlx::Error> {
    fetch_all!((UserId, String), q, OF_APPEARANCE, appearance)
}

/// Some usernames whose appearance was never noted: those from before it was. `false`: there was none.
pub async fn note_appearances(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let missing = fetch_all!((UserId, String), tx, WITHOUT_APPEARANCE)?;
    for (id, username) in &missing {
        execute!(tx, SET_APPEARANCE, id, username, appearance(username))?;
    }
    Ok(!missing.is_empty())
}

pub async fn get(q: &mut impl Querier, id: UserId) -> Result<Option<User>, sqlx::Error> {
    fetch_optional!(User, q, GET, id)
}

/// What a sign-in needs to know about an account.
pub struct Credentials {
    pub id: UserId,
    pub password_hash: String,
    pub is_active: bool,
    pub token_version: i64,
}

row!(Credentials: id, password_hash, is_active, token_version);

/// Of somebody named by id, email or username.
pub async fn id_by_any_name(q: &mut impl Querier, name: &str) -> Result<Option<UserId>, sqlx::Error> {
    if let Ok(id) = name.parse::<UserId>() {
        return Ok(get(q, id).await?.map(|user| user.id));
    }
    Ok(by_name(q, name).await?.map(|credentials| credentials.id))
}

/// Finds an account by its email or its username, both in their stored (normalised) form.
pub async fn by_name(q: &mut impl Querier, name: &str) -> Result<Option<Credentials>, sqlx::Error> {
    fetch_optional!(Credentials, q, BY_NAME, name)
}

/// What decides whether an access token is still good.
#[derive(Debug, Clone)]
pub struct AuthState {
    pub is_active: bool,
    pub token_version: i64,
    pub role: UserRole,
    pub login_lives: bool,
}

row!(AuthState: is_active, token_version, role, login_lives);

pub async fn auth_state(
    q: &mut impl Querier,
    id: UserId,
    login: LoginId,
) -> Result<Option<AuthState>, sqlx::Error> {
    fetch_optional!(AuthState, q, AUTH_STATE, id, login)
}

pub async fn insert_login(
    tx: &mut Tx,
    id: LoginId,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_LOGIN, id, user, now).map(drop)
}

pub async fn revoke_login(
    tx: &mut Tx,
    id: LoginId,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, REVOKE_LOGIN, id, user, now).map(drop)
}

/// Ends every login and every access token of a user.
pub async fn revoke_all(tx: &mut Tx, user: UserId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, REVOKE_ALL, user, now)?;
    execute!(tx, RAISE_VERSION, user, now).map(drop)
}

pub async fn insert_refresh(
    tx: &mut Tx,
    login: LoginId,
    hash: &[u8],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_REFRESH, RefreshId::new(), login, hash, expires_at, now).map(drop)
}

pub struct Refresh {
    pub id: RefreshId,
    pub login_id: LoginId,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    pub user_id: UserId,
    pub revoked: bool,
    pub is_active: bool,
    pub token_version: i64,
}

row!(Refresh: id, login_id, expires_at, used_at, user_id, revoked, is_active, token_version);

pub async fn find_refresh(tx: &mut Tx, hash: &[u8]) -> Result<Option<Refresh>, sqlx::Error> {
    fetch_optional!(Refresh, tx, FIND_REFRESH, hash)
}

/// Marks a refresh token used. `false` when another request was faster.
pub async fn use_refresh(tx: &mut Tx, id: RefreshId, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, USE_REFRESH, id, now)? == 1)
}

/// Whether anybody has registered.
pub async fn any(q: &mut impl Querier) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, ANY)?.is_some())
}

/// Of an account that is active.
pub async fn password_hash(q: &mut impl Querier, id: UserId) -> Result<Option<String>, sqlx::Error> {
    Ok(fetch_optional!((String,), q, PASSWORD_HASH, id)?.map(|row| row.0))
}

/// The token version of an account that is active and still has this password hash.
pub async fn still(tx: &mut Tx, id: UserId, hash: &str) -> Result<Option<i64>, sqlx::Error> {
    Ok(fetch_optional!((i64,), tx, STILL, id, hash)?.map(|row| row.0))
}

pub async fn set_password(
    tx: &mut Tx,
    id: UserId,
    hash: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, SET_PASSWORD, id, hash, now).map(drop)
}

pub async fn set_verified(tx: &mut Tx, id: UserId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, SET_VERIFIED, id, now).map(drop)
}

/// `false` when there is no such account.
pub async fn set_active(
    tx: &mut Tx,
    id: UserId,
    active: bool,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, SET_ACTIVE, id, active, now)? == 1)
}

pub async fn set_role(
    tx: &mut Tx,
    id: UserId,
    role: UserRole,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, SET_ROLE, id, role, now)? == 1)
}

pub async fn set_profile(
    tx: &mut Tx,
    id: UserId,
    email: Option<&str>,
    username: Option<&str>,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, SET_PROFILE, id, email, username, name, now, username.map(appearance)).map(drop)
}

/// How many logins live.
pub async fn logins(q: &mut impl Querier, user: UserId, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, LOGINS, user, now)?.0)
}

pub async fn list(
    q: &mut impl Querier,
    before: Option<UserId>,
    text: Option<&str>,
    limit: i64,
) -> Result<Vec<User>, sqlx::Error> {
    let before = before.unwrap_or(UserId(uuid::Uuid::from_bytes([0xff; 16])));
    fetch_all!(User, q, LIST, before, text.map(super::contains_pattern), limit)
}

pub async fn count(q: &mut impl Querier) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT)?.0)
}
