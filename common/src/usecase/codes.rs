//! Codes by mail: verifying an address, and resetting a password.
//!
//! A code follows from a nonce in the database and our secret key, so neither the database nor a job holds one. What is
//! done for an address that nobody has is the same: the same rows, the same job; only no mail goes out.

use chrono::TimeDelta;
use data_encoding::{BASE32_NOPAD, HEXLOWER};

use crate::{
    Context, Error, Result,
    auth::random_token,
    clock,
    domain::{
        ids::{JobId, UserId},
        job::JobKind,
        user::normalise_email,
    },
    error::{Code, FieldError},
    jobs::payload::{self, MailPayload},
    limits::Rate,
    store::{self, Tx, jobs::NewJob},
};

/// Seconds a code is good for.
pub const GOOD_FOR: i64 = 300;
/// A reset's, which people find in their mail later.
const RESET_FOR: i64 = 3_600;
const TRIES: i64 = 5;
/// Mails to one address: nobody's mailbox is flooded from here. What is beyond is not sent, and not told.
const MAILS: Rate = Rate { per_minute: 2, burst: 5 };

/// What an address is called in the table of codes.
pub fn subject(ctx: &Context, email: &str) -> Vec<u8> {
    ctx.auth.digest(&[b"code", email.as_bytes()])
}

/// Six digits.
pub fn otp(ctx: &Context, email: &str, nonce: &str) -> String {
    let digest = ctx.auth.digest(&[b"otp", email.as_bytes(), nonce.as_bytes()]);
    let number = digest.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("{:06}", number % 1_000_000)
}

/// What a reset's link carries: 160 bits.
pub fn reset_token(ctx: &Context, email: &str, nonce: &str) -> String {
    BASE32_NOPAD
        .encode(&ctx.auth.digest(&[b"reset", email.as_bytes(), nonce.as_bytes()])[..20])
        .to_lowercase()
}

/// Sends a code to an address, if somebody has it. Says the same either way.
pub async fn send(ctx: &Context, email: &str, purpose: &'static str) -> Result<()> {
    let email = normalise_email(email).ok_or_else(|| Error::field("email", "is not a valid address"))?;
    let allowed = ctx
        .limits
        .check(&format!("mail:{purpose}:{}", HEXLOWER.encode(&subject(ctx, &email)[..16])), MAILS)
        .await;
    if !allowed.allowed {
        return Ok(());
    }
    let now = clock::now();
    let nonce = random_token()?;
    let lives = if purpose == "reset" { RESET_FOR } else { GOOD_FOR };
    let mut tx = ctx.db.begin().await?;
    let found = store::users::by_name(&mut tx, &email).await?.filter(|found| found.is_active);
    // A reset that was asked for again, perhaps by somebody else, leaves the link in the first mail good.
    let nonce = match purpose {
        "reset" => store::codes::get(&mut tx, &subject(ctx, &email), purpose, now).await?.unwrap_or(nonce),
        _ => nonce,
    };
    store::codes::put(&mut tx, &subject(ctx, &email), purpose, &nonce, now + TimeDelta::seconds(lives))
        .await?;
    let payload = MailPayload { purpose: purpose.to_owned(), user_id: found.map(|found| found.id) };
    let job = NewJob {
        id: JobId::new(),
        kind: JobKind::Mail,
        user: None, // a reset is nobody's job to look at
        session: None,
        session_order: None,
        payload: payload::write(&payload)?,
        max_attempts: ctx.settings.queue.max_attempts.max(5),
        priority: 0,
        run_at: now,
        dedupe_key: None,
        trace: None,
        created_at: now,
    };
    let ready = store::jobs::enqueue(&mut tx, job).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}

fn wrong() -> Error {
    Error::new(Code::BadCode, "The code is wrong, used, or too old. Ask for another one.")
}

/// Spends one of the tries for a code; the error is the same whatever was wrong. A right code is gone. A reset's token
/// has too many bits to be guessed and no tries to spend: wrong ones sent by others must not use up the owner's.
async fn spend(
    ctx: &Context,
    tx: &mut Tx,
    email: &str,
    purpose: &'static str,
    given: &str,
) -> Result<Option<UserId>> {
    let subject = subject(ctx, email);
    let now = clock::now();
    let nonce = match purpose {
        "reset" => store::codes::get(tx, &subject, purpose, now).await?,
        _ => store::codes::take_try(tx, &subject, purpose, now, TRIES).await?,
    };
    let Some(nonce) = nonce else { return Ok(None) };
    let right = if purpose == "reset" { reset_token(ctx, email, &nonce) } else { otp(ctx, email, &nonce) };
    // Compared as digests: how long it takes says nothing.
    if ctx.auth.digest(&[right.as_bytes()]) != ctx.auth.digest(&[given.trim().to_lowercase().as_bytes()]) {
        return Ok(None);
    }
    if !store::codes::delete(tx, &subject, purpose).await? {
        return Ok(None); // somebody was faster with the same one
    }
    let found = store::users::by_name(tx, email).await?;
    Ok(found.filter(|found| found.is_active).map(|found| found.id))
}

/// Marks an address as verified.
pub async fn verify(ctx: &Context, email: &str, code: &str, address: Option<&str>) -> Result<()> {
    let email = normalise_email(email).ok_or_else(wrong)?;
    let mut tx = ctx.db.begin().await?;
    let user = spend(ctx, &mut tx, &email, "verify", code).await?;
    if let Some(user) = user {
        store::users::set_verified(&mut tx, user, clock::now()).await?;
        super::audit::note(&mut tx, user, "email_verified", address, None).await?;
    }
    tx.commit().await?; // the try counts, right or wrong
    user.map(drop).ok_or_else(wrong)
}

/// Sets a new password by the token of a mail. All sessions end.
pub async fn reset(
    ctx: &Context,
    email: &str,
    token: &str,
    password: &str,
    address: Option<&str>,
) -> Result<()> {
    if let Some(message) = ctx.auth.passwords.problem(password) {
        let field = FieldError { field: "new_password".to_owned(), message };
        return Err(Error::fields(vec![field]));
    }
    let email = normalise_email(email).ok_or_else(wrong)?;
    let hash = ctx.auth.passwords.hash(password).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let user = spend(ctx, &mut tx, &email, "reset", token).await?;
    if let Some(user) = user {
        store::users::set_password(&mut tx, user, &hash, now).await?;
        store::users::revoke_all(&mut tx, user, now).await?;
        // Who reads the address's mail has shown that it is theirs.
        store::users::set_verified(&mut tx, user, now).await?;
        super::audit::note(&mut tx, user, "password_reset", address, None).await?;
    }
    tx.commit().await?;
    let user = user.ok_or_else(wrong)?;
    ctx.auth.forget(user);
    Ok(())
}
