//! Changing, deactivating and erasing an account.

use serde_json::json;

use crate::{
    Context, Error, Result,
    auth::Caller,
    clock,
    domain::{
        ids::UserId,
        job::Job,
        texts::PersonName,
        user::{User, normalise_email, normalise_username},
    },
    error::{Code, Wrong},
    jobs::payload::ErasePayload,
    problems::Problems,
    store::{self, Tx, jobs::NewJob},
    usecase::{
        accounts::{SignedIn, sign_in},
        take_back::{self, TakenBack},
        throttle::Throttle,
    },
};

#[derive(Debug, Default)]
pub struct ProfileChange {
    /// Another one needs the password: mail resets it.
    pub email: Option<String>,
    pub password: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
}

pub async fn change(
    ctx: &Context,
    caller: &Caller,
    change: ProfileChange,
    address: Option<&str>,
) -> Result<User> {
    let mut problems = Problems::default();
    let email = change.email.as_deref().map(normalise_email);
    problems.unless(email != Some(None), "email", Wrong::Email);
    let username = change.username.as_deref().map(normalise_username);
    problems.unless(username != Some(None), "username", Wrong::Username);
    // Spaces around it, and line ends, are no part of it.
    let name = change.name.map(|name| name.trim().to_owned());
    let name: Option<PersonName> = problems.checked("name", name);
    problems.done()?;
    let user = caller.user;
    let before = store::users::get(&mut ctx.db.read().await?, user).await?;
    let before = before.ok_or_else(|| Error::not_found("account"))?;
    let new_email = email.flatten().filter(|email| Some(email) != before.email.as_ref());
    let shown = match (&new_email, &change.password) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Error::field("password", Wrong::RequiredTo("change the mail address")));
        }
        (Some(_), Some(password)) => Some(check_password(ctx, caller, password, address).await?),
    };
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    if let Some(hash) = &shown {
        still(&mut tx, user, hash).await?;
    }
    // As it is now, and not before the password was checked.
    let old = store::users::get(&mut tx, user).await?.and_then(|user| user.email);
    let told = match (&old, &new_email) {
        (Some(old), Some(new)) if old != new => {
            store::codes::delete_all(&mut tx, &super::codes::subject(ctx, old)).await?;
            super::codes::tell_old_address(ctx, &mut tx, user, old).await?
        }
        _ => None,
    };
    let username = username.flatten();
    if let Some(username) = &username {
        super::look_alike::refuse(&mut tx, user, username).await?;
    }
    let changed = store::users::set_profile(
        &mut tx,
        user,
        new_email.as_deref(),
        username.as_deref(),
        name.as_deref(),
        now,
    );
    changed.await.map_err(super::accounts::taken)?;
    let event = if new_email.is_some() { "email_changed" } else { "profile_changed" };
    super::audit::note(&mut tx, user, event, address, None).await?;
    let after = store::users::get(&mut tx, user).await?.ok_or_else(|| Error::not_found("account"))?;
    tx.commit().await?;
    ctx.announce(told).await;
    Ok(after)
}

fn wrong_password() -> Error {
    Error::new(Code::WrongPassword, "The password is wrong.")
}

/// Guesses are counted as those of a login are: who took a token must not find the password with it. Gives the hash that
/// the password belongs to.
async fn check_password(
    ctx: &Context,
    caller: &Caller,
    password: &str,
    address: Option<&str>,
) -> Result<String> {
    let address = address.unwrap_or_default();
    let hash = store::users::password_hash(&mut ctx.db.read().await?, caller.user).await?;
    let paid = Throttle::of_signed_in(ctx, caller.user, caller.login(), address).pay().await?;
    let plausible = if password.chars().count() <= 128 { password } else { "" };
    match (ctx.auth.passwords.verify(plausible, hash.clone()).await, hash) {
        (Ok(true), Some(hash)) => {
            paid.back().await;
            Ok(hash)
        }
        (Ok(_), _) => Err(wrong_password()),
        (Err(error), _) => {
            paid.back().await;
            Err(error)
        }
    }
}

/// Whether the password is still the one that was checked: a reset may have come in between. Gives the token version.
async fn still(tx: &mut Tx, user: UserId, hash: &str) -> Result<i64> {
    store::users::still(tx, user, hash).await?.ok_or_else(wrong_password)
}

/// Changes a password that is known. All logins end; the caller gets a new one, and goes on with its tokens.
pub async fn change_password(
    ctx: &Context,
    caller: &Caller,
    old: &str,
    new: &str,
    revoke_keys_and_webhooks: bool,
    address: Option<&str>,
) -> Result<SignedIn> {
    if let Some(wrong) = ctx.auth.passwords.problem(new) {
        return Err(Error::field("new_password", wrong));
    }
    let shown = check_password(ctx, caller, old, address).await?;
    let hash = ctx.auth.passwords.hash(new).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    still(&mut tx, caller.user, &shown).await?;
    store::users::set_password(&mut tx, caller.user, &hash, now).await?;
    let taken = if revoke_keys_and_webhooks {
        take_back::everything(&mut tx, caller.user).await?
    } else {
        store::users::revoke_all(&mut tx, caller.user, now).await?;
        TakenBack::default()
    };
    super::audit::note(&mut tx, caller.user, "password_changed", address, Some(json!(taken))).await?;
    let version = still(&mut tx, caller.user, &hash).await?;
    let user = store::users::get(&mut tx, caller.user).await?.ok_or_else(|| Error::not_found("account"))?;
    let signed_in = sign_in(ctx, tx, user, version, now).await;
    ctx.auth.forget(caller.user);
    signed_in
}

/// Ends every login and lets nobody in until an admin does.
pub async fn deactivate(ctx: &Context, caller: &Caller, password: &str, address: Option<&str>) -> Result<()> {
    check_password(ctx, caller, password, address).await?;
    let user = caller.user;
    let mut tx = ctx.db.begin().await?;
    close(&mut tx, user).await?;
    super::audit::note(&mut tx, user, "deactivated", address, None).await?;
    tx.commit().await?;
    ctx.auth.forget(user);
    Ok(())
}

async fn close(tx: &mut Tx, user: UserId) -> Result<()> {
    let now = clock::now();
    store::users::set_active(tx, user, false, now).await?;
    store::users::revoke_all(tx, user, now).await?;
    Ok(())
}

/// Closes an account at once and erases everything of it in a job. The job is nobody's: its owner will be gone.
pub async fn erase(ctx: &Context, caller: &Caller, password: &str, address: Option<&str>) -> Result<Job> {
    check_password(ctx, caller, password, address).await?;
    let user = caller.user;
    let mut tx = ctx.db.begin().await?;
    close(&mut tx, user).await?;
    let job = enqueue_erasure(ctx, &mut tx, user).await?;
    tx.commit().await?;
    ctx.auth.forget(user);
    ctx.words.forget(user);
    let ready = store::jobs::Ready::of(&job, job.lane(), job.run_at);
    ctx.announce([ready]).await;
    Ok(job)
}

pub async fn enqueue_erasure(ctx: &Context, tx: &mut Tx, user: UserId) -> Result<Job> {
    let new = NewJob::new(&ErasePayload { user_id: user }, ctx.settings.queue.max_attempts)?;
    let id = new.id;
    store::jobs::enqueue(tx, new.once(format!("erase:{user}"))).await?;
    let found = store::jobs::any_by_key(tx, &format!("erase:{user}")).await?;
    found.ok_or_else(|| Error::internal(format!("an erasure is gone: {}", json!(id))))
}
