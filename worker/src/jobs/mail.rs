//! Sends a mail: a code, or news. A code is made here, of a nonce and our key: no job and no row holds one.

use rapport_common::{
    Context, Error, Result, clock,
    domain::{ids::UserId, job::Job},
    error,
    jobs::payload::MailPayload,
    mail::{Letter, MailError},
    store::{self, codes::Code},
    usecase::codes,
};
use serde_json::json;

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for MailPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        send(attempt.ctx, attempt.job, &self).await?;
        Ok(attempt.succeed(json!({"purpose": self.purpose})).await)
    }
}

async fn send(ctx: &Context, job: &Job, payload: &MailPayload) -> Result<()> {
    let Some(user) = payload.user_id else { return Ok(()) };
    let found = match &payload.sealed_to {
        Some(sealed) => news(ctx, user, sealed).await?,
        None => with_code(ctx, user, &payload.purpose).await?,
    };
    let Some((email, letter)) = found else { return Ok(()) };
    ctx.mailer.send(job.id, user, &email, &letter).await.map_err(|failed| match failed {
        MailError::Away(cause) => Error::unavailable("mail server", cause),
        other => Error::new(error::Code::JobFailed, "The mail could not be sent.").because(other.to_string()),
    })
}

/// `None`: there is nothing to send any more.
async fn with_code(ctx: &Context, user: UserId, purpose: &str) -> Result<Option<(String, Letter)>> {
    let mut conn = ctx.db.read().await?;
    let Some(email) = store::users::get(&mut conn, user).await?.and_then(|user| user.email) else {
        return Ok(None); // the account or its address is gone
    };
    let subject = codes::subject(ctx, &email);
    let Some(code) = store::codes::get(&mut conn, &subject, purpose, clock::now()).await? else {
        return Ok(None); // used, or too old meanwhile
    };
    let letter = letter(ctx, purpose, &email, &code);
    Ok(Some((email, letter)))
}

/// To an address that is its account's no longer. It does not say which one is now: whoever reads this may not be meant.
async fn news(ctx: &Context, user: UserId, sealed: &str) -> Result<Option<(String, Letter)>> {
    if store::users::get(&mut ctx.db.read().await?, user).await?.is_none() {
        return Ok(None); // erased meanwhile
    }
    let email = codes::open_address(ctx, user, sealed);
    let email = email.ok_or_else(|| Error::internal("the address of a mail cannot be opened any more"))?;
    let letter = Letter {
        subject: "Your mail address was changed".to_owned(),
        lines: vec![
            "The mail address of your account was changed. This address can no longer be used to sign in, or to reset the \
             password."
                .to_owned(),
            "If it was not you, somebody knows your password: write to whoever runs this service.".to_owned(),
        ],
        code: String::new(),
    };
    Ok(Some((email.expose().to_owned(), letter)))
}

fn letter(ctx: &Context, purpose: &str, email: &str, code: &Code) -> Letter {
    if purpose == "reset" {
        let end = code.expires_at.format("%H:%M UTC");
        return Letter {
            subject: "Reset your password".to_owned(),
            lines: vec![
                "Somebody, hopefully you, wants to set a new password for your account.".to_owned(),
                format!(
                    "Use this token before {end}. If it was not you, do nothing: your password stays as it is."
                ),
            ],
            code: codes::reset_token(ctx, email, &code.nonce),
        };
    }
    Letter {
        subject: "Your code".to_owned(),
        lines: vec![
            "Enter this code to verify your address. It is good for five minutes, once.".to_owned(),
            "If you did not ask for it, do nothing.".to_owned(),
        ],
        code: codes::otp(ctx, email, &code.nonce),
    }
}
