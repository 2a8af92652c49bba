//! What a client has in its hands: a code that it trades once, access tokens, and refresh tokens that work once each. A code or a
//! refresh token that comes a second time was stolen, or its thief's was: the client is out, with all its tokens.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Here;
use crate::{
    Context, Error, Result,
    auth::{CLIENT_PREFIX, random_token, token_hash},
    clock,
    error::Code,
    store::{
        self, Tx,
        oauth::{Kind, Token},
    },
    usecase::audit,
};

const REFRESH_PREFIX: &str = "rr_";
/// How long after its end a token is still known, so that one that comes twice is seen.
const KNOWN: TimeDelta = TimeDelta::days(1);

/// What a client is given.
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds the access token is good for.
    pub expires_in: u64,
    pub scopes: Vec<String>,
}

/// What a client shows to get tokens.
#[derive(Debug)]
pub struct Shown<'a> {
    pub client_id: &'a str,
    pub proof: Proof<'a>,
    /// What it wants the tokens for, if it says so.
    pub resource: Option<&'a str>,
    /// Scopes; it may ask for no more than it was given.
    pub scope: Option<&'a str>,
    /// Where it comes from.
    pub address: &'a str,
}

#[derive(Debug)]
pub enum Proof<'a> {
    Code { code: &'a str, redirect_uri: &'a str, verifier: &'a str },
    Refresh(&'a str),
}

impl Proof<'_> {
    fn text(&self) -> &str {
        match self {
            Proof::Code { code, .. } => code,
            Proof::Refresh(token) => token,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Proof::Code { .. } => Kind::Code,
            Proof::Refresh(_) => Kind::Refresh,
        }
    }
}

fn refused() -> Error {
    Error::new(
        Code::OAuthGrant,
        "The code or refresh token is not valid (any more), or it is not this client's.",
    )
}

/// Trades a code or a refresh token for the next pair.
pub async fn trade(ctx: &Context, here: &Here, shown: Shown<'_>) -> Result<Tokens> {
    let (now, hash) = (clock::now(), token_hash(shown.proof.text()));
    let mut tx = ctx.db.begin().await?;
    let found = store::oauth::find(&mut tx, &hash).await?.ok_or_else(refused)?;
    // The user may be deleting the client at this moment: that is no theft.
    if !store::oauth::lock(&mut tx, found.user_id, found.key_id).await? {
        return Err(refused());
    }
    let found = store::oauth::find(&mut tx, &hash).await?.ok_or_else(refused)?;
    if found.kind != shown.proof.kind().as_str() || found.client != token_hash(shown.client_id) {
        return Err(refused());
    }
    if found.used_at.is_some() {
        return Err(replayed(ctx, tx, found, shown.address).await?);
    }
    check(here, &shown, &found, now)?;
    if !store::oauth::mark_used(&mut tx, &hash, now).await? {
        return Err(replayed(ctx, tx, found, shown.address).await?);
    }
    issue(ctx, tx, found, now).await
}

/// What must be so for a token that is the client's own and comes for the first time.
fn check(here: &Here, shown: &Shown<'_>, found: &Token, now: DateTime<Utc>) -> Result<()> {
    if !found.is_active || found.expires_at <= now {
        return Err(refused());
    }
    if let Proof::Code { redirect_uri, verifier, .. } = shown.proof {
        let challenge = Sha256::digest(verifier.as_bytes());
        if found.redirect_uri != redirect_uri || found.challenge != challenge.as_slice() {
            return Err(refused());
        }
    }
    let is_for = |resource: &str| here.is_resource(resource) && here.is_resource(&found.resource);
    if shown.resource.is_some_and(|resource| !is_for(resource)) {
        return Err(Error::new(Code::OAuthTarget, format!("`resource` must be {}.", found.resource)));
    }
    let given = |scope: &str| found.scopes.iter().any(|own| own == scope) || scope == "offline_access";
    if shown.scope.is_some_and(|scopes| !scopes.split_whitespace().all(given)) {
        return Err(Error::new(Code::OAuthScope, "More was asked for than the user gave."));
    }
    let is_named =
        |own: &String| shown.scope.is_none_or(|scopes| scopes.split_whitespace().any(|one| one == own));
    if !found.scopes.iter().all(is_named) {
        return Err(Error::new(Code::OAuthScope, "Tokens for less than the user gave are not made."));
    }
    Ok(())
}

async fn issue(ctx: &Context, mut tx: Tx, found: Token, now: DateTime<Utc>) -> Result<Tokens> {
    let access_token = format!("{CLIENT_PREFIX}{}", random_token()?);
    let refresh_token = format!("{REFRESH_PREFIX}{}", random_token()?);
    let (key, ttl) = (found.key_id, ctx.auth.keys.ttl);
    let until = now + ctx.auth.refresh_ttl;
    store::oauth::prune(&mut tx, key, now - KNOWN).await?;
    store::oauth::insert_token(&mut tx, key, Kind::Access, &token_hash(&access_token), now + ttl).await?;
    store::oauth::insert_token(&mut tx, key, Kind::Refresh, &token_hash(&refresh_token), until).await?;
    store::oauth::extend(&mut tx, found.user_id, key, until.max(now + ttl)).await?;
    tx.commit().await?;
    Ok(Tokens { access_token, refresh_token, expires_in: ttl.as_secs(), scopes: found.scopes })
}

/// Something came twice: the client is out. Gives what it is told.
async fn replayed(ctx: &Context, tx: Tx, found: Token, address: &str) -> Result<Error> {
    tracing::warn!(user = %found.user_id, key = %found.key_id, kind = found.kind, "a client's token came twice: it is out");
    let detail = json!({"key": found.key_id, "kind": found.kind});
    put_out(ctx, tx, &found, "client_token_replayed", (address, detail)).await?;
    Ok(refused())
}

/// Ends a client's access at its own wish (RFC 7009), by any token of it. A token that is not known is as good as ended.
pub async fn revoke(ctx: &Context, client_id: &str, token: &str, address: &str) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    let Some(found) = store::oauth::find(&mut tx, &token_hash(token)).await? else { return Ok(()) };
    if found.client != token_hash(client_id) {
        return Err(refused());
    }
    let detail = json!({"key": found.key_id});
    put_out(ctx, tx, &found, "client_left", (address, detail)).await
}

async fn put_out(
    ctx: &Context,
    mut tx: Tx,
    found: &Token,
    event: &str,
    (address, detail): (&str, serde_json::Value),
) -> Result<()> {
    store::keys::delete(&mut tx, found.user_id, found.key_id).await?;
    audit::note(&mut tx, found.user_id, event, Some(address), Some(detail)).await?;
    tx.commit().await?;
    ctx.auth.forget(found.user_id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{KeyId, UserId};

    #[test]
    fn tokens_are_for_what_the_user_gave_no_more_and_no_less() {
        let now = clock::now();
        let here = Here { url: "https://r.example".to_owned() };
        let found = Token {
            kind: Kind::Refresh.as_str().to_owned(),
            expires_at: now + TimeDelta::hours(1),
            used_at: None,
            key_id: KeyId::new(),
            user_id: UserId::new(),
            client: Vec::new(),
            redirect_uri: String::new(),
            challenge: Vec::new(),
            resource: here.resource(),
            scopes: vec!["memory".to_owned(), "chat".to_owned()],
            is_active: true,
        };
        let asked = |scope: Option<&str>| {
            let shown =
                Shown { client_id: "c", proof: Proof::Refresh("t"), resource: None, scope, address: "a" };
            check(&here, &shown, &found, now).map_err(|error| error.code)
        };
        for good in [None, Some("chat memory"), Some("memory chat offline_access")] {
            assert_eq!(asked(good), Ok(()), "{good:?}");
        }
        for bad in ["memory", "chat", "", "memory chat admin"] {
            assert_eq!(asked(Some(bad)), Err(Code::OAuthScope), "{bad}");
        }
    }
}
