//! Codes by mail: verifying an address, and resetting a password.
//!
//! A code follows from a nonce in the database and our secret key, so neither the database nor a job holds one. What is
//! done for an address that nobody has is the same: the same rows, the same job; only no mail goes out.

use chrono::TimeDelta;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use crate::{
    Context, Error, Result,
    auth::random_token,
    clock,
    domain::{
        ids::{LoginId, UserId},
        user::normalise_email,
    },
    error::{Code, Wrong},
    jobs::payload::MailPayload,
    limits::{Limits, Rate},
    secret::Secret,
    store::{
        self, Tx,
        jobs::{NewJob, Ready},
    },
    usecase::take_back,
};

/// Seconds a code is good for.
pub const GOOD_FOR: i64 = 300;
/// A reset's, which people find in their mail later.
const RESET_FOR: i64 = 3_600;
/// A reset's token is sent again to who asks again, with its end as it was; one with less left gives way to a new one.
const WORTH_SENDING: i64 = RESET_FOR / 4;
const TRIES: i64 = 5;
/// Mails of one kind to one address: nobody's mailbox is flooded from here. What is beyond is not sent, and not told. One an
/// hour there always is, so that strangers who ask cannot keep an owner from a token that is good.
const MAILS: Rate = Rate::per_minute(2, 5);
const MAILS_A_DAY: Rate = Rate::per_day(24, 10);

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

/// Whether one more mail may go to an address.
async fn may_mail(limits: &dyn Limits, subject: &[u8], purpose: &str) -> bool {
    let to = HEXLOWER.encode(&subject[..16]);
    limits.check(&format!("mail:{purpose}:{to}"), MAILS).await.allowed
        && limits.check(&format!("mails:{purpose}:{to}"), MAILS_A_DAY).await.allowed
}

/// Sends a code to an address, if somebody has it. Says the same either way.
pub async fn send(ctx: &Context, email: &str, purpose: &'static str) -> Result<()> {
    let email = normalise_email(email).ok_or_else(|| Error::field("email", Wrong::Email))?;
    let subject = subject(ctx, &email);
    if !may_mail(ctx.limits.as_ref(), &subject, purpose).await {
        return Ok(());
    }
    let now = clock::now();
    let lives = if purpose == "reset" { RESET_FOR } else { GOOD_FOR };
    let mut tx = ctx.db.begin().await?;
    let found = store::users::by_name(&mut tx, &email).await?.filter(|found| found.is_active);
    // A reset that was asked for again, perhaps by somebody else, leaves the link in the first mail good.
    let still_good = match purpose {
        "reset" => store::codes::get(&mut tx, &subject, purpose, now).await?,
        _ => None,
    };
    let still_good = still_good.filter(|code| code.expires_at - now > TimeDelta::seconds(WORTH_SENDING));
    let (nonce, end) = match still_good {
        Some(code) => (code.nonce, code.expires_at),
        None => (random_token()?, now + TimeDelta::seconds(lives)),
    };
    store::codes::put(&mut tx, &subject, purpose, &nonce, end).await?;
    let user_id = found.map(|found| found.id);
    let payload = MailPayload { purpose: purpose.to_owned(), user_id, sealed_to: None };
    let ready = enqueue(ctx, &mut tx, &payload).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}

/// What an address that is no longer somebody's is sealed for.
fn sealed_place(user: UserId) -> String {
    format!("mail {user}")
}

/// Opens [`MailPayload::sealed_to`].
pub fn open_address(ctx: &Context, user: UserId, sealed: &str) -> Option<Secret> {
    ctx.sealer.open(&sealed_place(user), &BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?)
}

/// Tells an address that it is its account's no longer. The row keeps no other address, so the job carries it, sealed.
pub async fn tell_old_address(ctx: &Context, tx: &mut Tx, user: UserId, old: &str) -> Result<Option<Ready>> {
    let purpose = "address_changed";
    if !may_mail(ctx.limits.as_ref(), &subject(ctx, old), purpose).await {
        return Ok(None); // it was told often today
    }
    let sealed = ctx.sealer.seal(&sealed_place(user), &Secret::new(old))?;
    let sealed_to = Some(BASE64URL_NOPAD.encode(&sealed));
    enqueue(ctx, tx, &MailPayload { purpose: purpose.to_owned(), user_id: Some(user), sealed_to }).await
}

async fn enqueue(ctx: &Context, tx: &mut Tx, payload: &MailPayload) -> Result<Option<Ready>> {
    // Nobody's job to look at, or to cancel.
    let job = NewJob::new(payload, ctx.settings.queue.max_attempts)?;
    Ok(store::jobs::enqueue(tx, job).await?)
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
        "reset" => store::codes::get(tx, &subject, purpose, now).await?.map(|code| code.nonce),
        _ => store::codes::take_try(tx, &subject, purpose, now, TRIES).await?,
    };
    let Some(nonce) = nonce else { return Ok(None) };
    let right = if purpose == "reset" { reset_token(ctx, email, &nonce) } else { otp(ctx, email, &nonce) };
    if !ctx.auth.is_same(&right, &given.trim().to_lowercase()) {
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

/// Sets a new password by the token of a mail. Whoever has lost their account gets it back alone: logins end, API keys and
/// webhooks are deleted. Gives a device token, so that who could read the mail gets through while others guess.
pub async fn reset(
    ctx: &Context,
    email: &str,
    token: &str,
    password: &str,
    address: Option<&str>,
) -> Result<String> {
    if let Some(wrong) = ctx.auth.passwords.problem(password) {
        return Err(Error::field("new_password", wrong));
    }
    let email = normalise_email(email).ok_or_else(wrong)?;
    let hash = ctx.auth.passwords.hash(password).await?;
    let now = clock::now();
    let mut tx = ctx.db.begin().await?;
    let user = spend(ctx, &mut tx, &email, "reset", token).await?.ok_or_else(wrong)?;
    store::users::set_password(&mut tx, user, &hash, now).await?;
    let taken = take_back::everything(&mut tx, user).await?;
    // Who reads the address's mail has shown that it is theirs.
    store::users::set_verified(&mut tx, user, now).await?;
    super::audit::note(&mut tx, user, "password_reset", address, Some(json!(taken))).await?;
    let version = store::users::still(&mut tx, user, &hash).await?.ok_or_else(wrong)?;
    tx.commit().await?;
    ctx.auth.forget(user);
    Ok(ctx.auth.device_token(user, LoginId::new(), version))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::LocalLimits;

    #[tokio::test(start_paused = true)]
    async fn an_address_gets_few_mails_a_day_and_always_one_an_hour() {
        let limits = LocalLimits::new();
        let (mut day, mut sent) = (Vec::new(), 0);
        // Somebody asks every ten seconds, for three days.
        for second in (0..3 * 86_400).step_by(10) {
            if may_mail(&limits, &[7; 32], "reset").await {
                sent += 1;
            }
            if second % 86_400 == 86_390 {
                day.push(std::mem::take(&mut sent));
            }
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert!(day[0] <= 10 + 24 && day[1] <= 24 && day[2] <= 24, "{day:?}");
        assert!(day[1] >= 23, "{day:?}");
        assert!(may_mail(&limits, &[8; 32], "reset").await, "others do not share");
    }
}
