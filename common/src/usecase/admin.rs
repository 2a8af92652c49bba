//! What an admin does, over HTTP or from the command line; each act is in the audit log.

use serde_json::json;

use super::{
    audit::by_admin,
    take_back::{self, TakenBack},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{JobId, UserId},
        job::{Lane, Queue},
        user::{User, UserRole, normalise_email, normalise_login, normalise_username},
    },
    error::{Code, Wrong},
    store::{self, Db, admin, jobs::Ready},
};

/// Who acts, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    pub name: String,
    pub address: Option<String>,
}

impl Actor {
    pub fn command_line() -> Self {
        Self { name: "command line".to_owned(), address: None }
    }
}

pub async fn set_active(ctx: &Context, actor: &Actor, user: UserId, active: bool) -> Result<User> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    if !store::users::set_active(&mut tx, user, active, now).await? {
        return Err(Error::not_found("user"));
    }
    if !active {
        store::users::revoke_all(&mut tx, user, now).await?;
    }
    let event = if active { "activated_by_admin" } else { "deactivated_by_admin" };
    by_admin(&mut tx, &actor.name, Some(user), event, actor.address.as_deref(), None).await?;
    let found = store::users::get(&mut tx, user).await?.ok_or_else(|| Error::not_found("user"))?;
    tx.commit().await?;
    ctx.auth.forget(user);
    Ok(found)
}

/// Sets what a user may spend a day; `None` is the service's default.
pub async fn set_quota(
    ctx: &Context,
    actor: &Actor,
    user: UserId,
    tokens: Option<i64>,
    cost: Option<f64>,
) -> Result<()> {
    super::budget::check_limits(tokens, cost)?;
    let mut tx = ctx.db.begin().await?;
    if store::users::get(&mut tx, user).await?.is_none() {
        return Err(Error::not_found("user"));
    }
    let micros = cost.map(|cost| (cost * 1e6).round() as i64);
    store::usage::set(&mut tx, &user.to_string(), tokens, micros).await?;
    let detail = json!({"daily_tokens": tokens, "daily_cost": cost});
    by_admin(&mut tx, &actor.name, Some(user), "quota_set", actor.address.as_deref(), Some(detail)).await?;
    tx.commit().await
}

pub async fn pause(ctx: &Context, actor: &Actor, queue: Queue, paused: bool) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    admin::pause(&mut tx, queue.as_str(), paused, clock::now()).await?;
    let event = if paused { "queue_paused" } else { "queue_resumed" };
    let detail = json!({"queue": queue.as_str()});
    by_admin(&mut tx, &actor.name, None, event, actor.address.as_deref(), Some(detail)).await?;
    tx.commit().await
}

/// Runs failed jobs again. Gives how many; those that cannot are left alone.
pub async fn retry_dead(ctx: &Context, actor: &Actor, ids: &[JobId]) -> Result<usize> {
    let mut count = 0;
    for &id in ids {
        let found = admin::dead_job(&mut ctx.db.read().await?, id).await?;
        let done = match found.map(|job| job.user_id) {
            Some(Some(user)) => match super::retry_job::retry_job(ctx, user, id).await {
                Ok(_) => true,
                Err(error) if matches!(error.code, Code::WrongState | Code::NotFound) => false,
                Err(error) => return Err(error),
            },
            Some(None) => revive(ctx, id).await?,
            None => false,
        };
        count += usize::from(done);
    }
    note_jobs(ctx, actor, "dead_jobs_retried", ids, count).await?;
    Ok(count)
}

async fn revive(ctx: &Context, id: JobId) -> Result<bool> {
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let revived = admin::revive(&mut tx, id, i64::from(ctx.settings.queue.max_attempts), now).await?;
    tx.commit().await?;
    if revived {
        let lane = Lane::normal(Queue::Background);
        ctx.announce([Ready { id, user_id: None, lane, priority: 0, run_at: now }]).await;
    }
    Ok(revived)
}

pub async fn discard_dead(ctx: &Context, actor: &Actor, ids: &[JobId]) -> Result<usize> {
    let mut count = 0;
    let mut tx = ctx.db.begin().await?;
    for &id in ids {
        count += usize::from(admin::discard(&mut tx, id).await?);
    }
    tx.commit().await?;
    note_jobs(ctx, actor, "dead_jobs_discarded", ids, count).await?;
    Ok(count)
}

async fn note_jobs(ctx: &Context, actor: &Actor, event: &str, ids: &[JobId], count: usize) -> Result<()> {
    let some: Vec<&JobId> = ids.iter().take(20).collect();
    let detail = json!({"asked": ids.len(), "done": count, "first": some});
    let mut tx = ctx.db.begin().await?;
    by_admin(&mut tx, &actor.name, None, event, actor.address.as_deref(), Some(detail)).await?;
    tx.commit().await
}

/// Makes an admin of a name that nobody has. Whoever registered it before could have left keys, a mail address and
/// webhooks behind: an account there is becomes an admin by [`promote`] alone, which shows and takes back.
pub async fn create(db: &Db, auth: &crate::auth::Auth, name: &str, password: &str) -> Result<User> {
    let (email, username) = if name.contains('@') {
        (Some(normalise_email(name).ok_or_else(|| Error::field("name", Wrong::Email))?), None)
    } else {
        let username = normalise_username(name);
        (None, Some(username.ok_or_else(|| Error::field("name", Wrong::Username))?))
    };
    check_free(db, name).await?;
    if let Some(wrong) = auth.passwords.problem(password) {
        return Err(Error::field("password", wrong));
    }
    let now = clock::now();
    let password_hash = auth.passwords.hash(password).await?;
    let id = UserId::new();
    let new = store::users::NewUser { id, email, username, name: None, password_hash, created_at: now };
    let mut tx = db.begin().await?;
    if let Some(username) = &new.username {
        super::look_alike::refuse(&mut tx, id, username).await?;
    }
    store::users::insert(&mut tx, &new).await.map_err(super::accounts::taken)?;
    store::users::set_role(&mut tx, id, UserRole::Admin, now).await?;
    by_admin(&mut tx, &Actor::command_line().name, Some(id), "admin_made", None, None).await?;
    let user = store::users::get(&mut tx, id).await?.ok_or_else(|| Error::internal("a new admin is gone"))?;
    tx.commit().await?;
    Ok(user)
}

/// Whether a new admin may have this name.
pub async fn check_free(db: &Db, name: &str) -> Result<()> {
    match named(db, name).await {
        Ok(_) => {
            let detail = format!(
                "There is an account {name} already, and somebody may have left keys to it. \
                 `rapport admin promote {name}` shows what it holds, and makes it an admin."
            );
            Err(Error::new(Code::Taken, detail))
        }
        Err(error) if error.code == Code::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// What an account has handed out.
pub struct Holdings {
    pub user: User,
    pub keys: Vec<store::keys::ApiKey>,
    pub webhooks: Vec<store::webhooks::Webhook>,
    pub logins: i64,
}

pub async fn holdings(db: &Db, name: &str) -> Result<Holdings> {
    let id = named(db, name).await?;
    let mut conn = db.read().await?;
    Ok(Holdings {
        user: store::users::get(&mut conn, id).await?.ok_or_else(|| Error::not_found("account"))?,
        keys: store::keys::list(&mut conn, id).await?,
        webhooks: store::webhooks::list(&mut conn, id).await?,
        logins: store::users::logins(&mut conn, id, clock::now()).await?,
    })
}

/// Makes an account an admin, and takes back what it had handed out before.
pub async fn promote(db: &Db, user: UserId) -> Result<TakenBack> {
    let mut tx = db.begin().await?;
    if !store::users::set_role(&mut tx, user, UserRole::Admin, clock::now()).await? {
        return Err(Error::not_found("account"));
    }
    let taken = take_back::everything(&mut tx, user).await?;
    by_admin(&mut tx, &Actor::command_line().name, Some(user), "promoted", None, Some(json!(taken))).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn named(db: &Db, name: &str) -> Result<UserId> {
    let name = normalise_login(name).unwrap_or_else(|| name.to_owned());
    let found = store::users::id_by_any_name(&mut db.read().await?, &name).await?;
    found.ok_or_else(|| Error::not_found("account"))
}

pub async fn reset_password(db: &Db, auth: &crate::auth::Auth, name: &str, password: &str) -> Result<()> {
    if let Some(wrong) = auth.passwords.problem(password) {
        return Err(Error::field("password", wrong));
    }
    let id = named(db, name).await?;
    let hash = auth.passwords.hash(password).await?;
    let now = clock::now();
    let mut tx = db.begin().await?;
    store::users::set_password(&mut tx, id, &hash, now).await?;
    let taken = Some(json!(take_back::everything(&mut tx, id).await?));
    by_admin(&mut tx, &Actor::command_line().name, Some(id), "password_reset_by_admin", None, taken).await?;
    tx.commit().await
}

pub async fn set_role(db: &Db, name: &str, role: UserRole) -> Result<()> {
    let id = named(db, name).await?;
    let mut tx = db.begin().await?;
    store::users::set_role(&mut tx, id, role, clock::now()).await?;
    let detail = json!({"role": role});
    by_admin(&mut tx, &Actor::command_line().name, Some(id), "role_set", None, Some(detail)).await?;
    tx.commit().await
}

pub async fn set_active_by_name(db: &Db, name: &str, active: bool) -> Result<()> {
    let id = named(db, name).await?;
    let now = clock::now();
    let mut tx = db.begin().await?;
    store::users::set_active(&mut tx, id, active, now).await?;
    if !active {
        store::users::revoke_all(&mut tx, id, now).await?;
    }
    let event = if active { "activated_by_admin" } else { "deactivated_by_admin" };
    by_admin(&mut tx, &Actor::command_line().name, Some(id), event, None, None).await?;
    tx.commit().await
}
