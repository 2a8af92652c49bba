//! Changing, deactivating and erasing an account.

use serde_json::json;

use crate::{
    Context, Error, Result,
    auth::Caller,
    clock,
    domain::{
        ids::{JobId, UserId},
        job::{Job, JobKind},
        user::{User, name_problem, normalise_email, normalise_username},
    },
    error::{Code, FieldError},
    jobs::payload::{self, ErasePayload},
    store::{self, Tx, jobs::NewJob},
    usecase::accounts::Throttle,
};

#[derive(Debug, Default)]
pub struct ProfileChange {
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
}

pub async fn change(
    ctx: &Context,
    user: UserId,
    change: ProfileChange,
    address: Option<&str>,
) -> Result<User> {
    let mut errors = Vec::new();
    let mut problem = |field: &str, message: &str| {
        errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    };
    let email = change.email.as_deref().map(normalise_email);
    if email == Some(None) {
        problem("email", "is not a valid address");
    }
    let username = change.username.as_deref().map(normalise_username);
    if username == Some(None) {
        problem("username", "must be 3 to 50 letters, digits, `_`, `.` or `-`");
    }
    let name = change.name.as_deref().map(str::trim);
    if let Some(message) = name.and_then(name_problem) {
        problem("name", message);
    }
    if !errors.is_empty() {
        return Err(Error::fields(errors));
    }
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let before = store::users::get(&mut tx, user).await?.ok_or_else(|| Error::not_found("account"))?;
    let new_email = email.flatten().filter(|email| Some(email) != before.email.as_ref());
    if let Some(old) = before.email.as_deref().filter(|_| new_email.is_some()) {
        store::codes::delete_all(&mut tx, &super::codes::subject(ctx, old)).await?;
    }
    let username = username.flatten();
    let changed =
        store::users::set_profile(&mut tx, user, new_email.as_deref(), username.as_deref(), name, now);
    changed.await.map_err(super::accounts::taken)?;
    super::audit::note(&mut tx, user, "profile_changed", address, None).await?;
    let after = store::users::get(&mut tx, user).await?.ok_or_else(|| Error::not_found("account"))?;
    tx.commit().await?;
    Ok(after)
}

/// Guesses are counted as those of a login are: who took a token must not find the password with it.
async fn check_password(ctx: &Context, user: UserId, password: &str, address: Option<&str>) -> Result<()> {
    let throttle = Throttle::new(ctx, &user.to_string(), address.unwrap_or_default());
    throttle.check().await?;
    let hash = store::users::password_hash(&mut ctx.db.read().await?, user).await?;
    let plausible = if password.chars().count() <= 128 { password } else { "" };
    if ctx.auth.passwords.verify(plausible, hash).await? {
        return Ok(());
    }
    throttle.failed().await;
    Err(Error::new(Code::WrongPassword, "The password is wrong."))
}

/// Changes a password that is known. Every other login ends.
pub async fn change_password(
    ctx: &Context,
    caller: &Caller,
    old: &str,
    new: &str,
    address: Option<&str>,
) -> Result<()> {
    if let Some(message) = ctx.auth.passwords.problem(new) {
        return Err(Error::field("new_password", message));
    }
    check_password(ctx, caller.user, old, address).await?;
    let hash = ctx.auth.passwords.hash(new).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    store::users::set_password(&mut tx, caller.user, &hash, now).await?;
    store::users::revoke_others(&mut tx, caller.user, caller.login(), now).await?;
    super::audit::note(&mut tx, caller.user, "password_changed", address, None).await?;
    tx.commit().await?;
    ctx.auth.forget(caller.user);
    Ok(())
}

/// Ends every login and lets nobody in until an admin does.
pub async fn deactivate(ctx: &Context, user: UserId, password: &str, address: Option<&str>) -> Result<()> {
    check_password(ctx, user, password, address).await?;
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
pub async fn erase(ctx: &Context, user: UserId, password: &str, address: Option<&str>) -> Result<Job> {
    check_password(ctx, user, password, address).await?;
    let mut tx = ctx.db.begin().await?;
    close(&mut tx, user).await?;
    let job = enqueue_erasure(ctx, &mut tx, user).await?;
    tx.commit().await?;
    ctx.auth.forget(user);
    let ready = store::jobs::Ready { id: job.id, lane: job.lane(), priority: 0, run_at: job.run_at };
    ctx.announce([ready]).await;
    Ok(job)
}

pub async fn enqueue_erasure(ctx: &Context, tx: &mut Tx, user: UserId) -> Result<Job> {
    let now = clock::now();
    let id = JobId::new();
    let new = NewJob {
        id,
        kind: JobKind::Erase,
        user: None,
        session: None,
        session_order: None,
        payload: payload::write(&ErasePayload { user_id: user })?,
        max_attempts: ctx.settings.queue.max_attempts.max(20),
        priority: 0,
        run_at: now,
        dedupe_key: Some(format!("erase:{user}")),
        trace: None,
        created_at: now,
    };
    store::jobs::enqueue(tx, new).await?;
    let found = store::jobs::any_by_key(tx, &format!("erase:{user}")).await?;
    found.ok_or_else(|| Error::internal(format!("an erasure is gone: {}", json!(id))))
}
