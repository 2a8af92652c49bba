//! Requests that may be sent again: the first with a key does the work, the others are told what it made.

use std::str::FromStr;

use bytes::Bytes;

use crate::{
    Context, Error, Result, clock,
    domain::{
        idempotency::IdempotencyKey,
        ids::{JobId, UserId},
        job::Job,
    },
    error::Code,
    store::{self, Tx, jobs::NewJob},
};

/// A request that its client may send again.
#[derive(Debug, Clone)]
pub struct Repeatable {
    pub key: IdempotencyKey,
    /// What it says: the same key with other words is a mistake.
    pub body: Bytes,
}

impl Repeatable {
    /// `None`: the client gave no key, and a second request is another one.
    pub fn of(key: Option<IdempotencyKey>, body: impl Into<Bytes>) -> Option<Self> {
        Some(Self { key: key?, body: body.into() })
    }

    /// What one part of the request makes may be repeated apart from the rest.
    pub fn part(&self, part: &str) -> Self {
        Self { key: self.key.of_part(part), body: self.body.clone() }
    }
}

/// What the first request with this key made, if there was one; otherwise remembers that it made `target`. `operation` is a
/// word for what the request asks for: the same key for something else is a mistake.
pub async fn repeated<T: FromStr + ToString>(
    ctx: &Context,
    tx: &mut Tx,
    user: UserId,
    operation: &str,
    repeatable: Option<&Repeatable>,
    target: T,
) -> Result<Option<T>> {
    let Some(Repeatable { key, body }) = repeatable else { return Ok(None) };
    let hash = ctx.auth.digest(&[operation.as_bytes(), body]);
    let (owner, target) = (user.to_string(), target.to_string());
    let first = store::idempotency::claim(tx, &owner, key, &hash, &target, clock::now()).await?;
    let Some(first) = first else { return Ok(None) };
    if !first.is(&hash) {
        return Err(mismatch());
    }
    let first = first.target.parse();
    first.map(Some).map_err(|_| Error::internal("the target of an idempotency key has another type"))
}

/// Whether a request with this key was accepted before: then only what it made matters, and not what it would read now.
pub async fn is_repeat(ctx: &Context, user: UserId, repeatable: Option<&Repeatable>) -> Result<bool> {
    let Some(Repeatable { key, .. }) = repeatable else { return Ok(false) };
    let mut conn = ctx.db.read().await?;
    Ok(store::idempotency::is_known(&mut conn, &user.to_string(), key, clock::now()).await?)
}

pub fn mismatch() -> Error {
    Error::new(Code::IdempotencyMismatch, "This Idempotency-Key was used with a different request.")
}

/// Puts a job in, unless a request with the same key did. `true`: it did.
pub async fn put_in(
    ctx: &Context,
    user: UserId,
    new: NewJob,
    operation: &str,
    repeatable: Option<&Repeatable>,
) -> Result<(Job, bool)> {
    ctx.depths.admit(new.queue(), ctx.settings.queue.max_depth)?;
    let mut tx = ctx.db.begin().await?;
    let gone = || Error::not_found("job: what the first request made has been deleted");
    let first: Option<JobId> = repeated(ctx, &mut tx, user, operation, repeatable, new.id).await?;
    if let Some(first) = first {
        return Ok((store::jobs::get(&mut tx, user, first).await?.ok_or_else(gone)?, true));
    }
    let mut id = new.id;
    let key = new.dedupe_key.clone();
    let ready = store::jobs::enqueue(&mut tx, new).await?;
    if let (None, Some(key)) = (ready, key) {
        // The same work is under way: that job is the answer.
        id = store::jobs::open_by_key(&mut tx, user, &key).await?.ok_or_else(gone)?;
    }
    let job = store::jobs::get(&mut tx, user, id).await?.ok_or_else(gone)?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok((job, false))
}
