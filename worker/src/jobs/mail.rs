//! Sends a mail with a code. The code is made here, of a nonce and our key: no job and no row holds one.

use rapport_common::{
    Context, Error, clock,
    domain::job::Job,
    error::Code,
    jobs::payload::{self, MailPayload},
    mail::{Letter, MailError},
    store,
    usecase::{codes, end_job},
};
use serde_json::json;

use super::outcome_of;
use crate::{outcome::Outcome, runner::persist_for};

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: MailPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    match send(ctx, job, &payload).await {
        Ok(()) => {}
        Err(error) => return outcome_of(error),
    }
    let result = json!({"purpose": payload.purpose});
    let ended = persist_for(ctx.settings.queue.lease, || end_job::succeed_job(ctx, job, &result));
    if ended.await == Some(true) { Outcome::Done(result) } else { Outcome::Lost }
}

async fn send(ctx: &Context, job: &Job, payload: &MailPayload) -> Result<(), Error> {
    let Some(user) = payload.user_id else { return Ok(()) };
    let mut conn = ctx.db.read().await?;
    let Some(email) = store::users::get(&mut conn, user).await?.and_then(|user| user.email) else {
        return Ok(()); // the account or its address is gone
    };
    let subject = codes::subject(ctx, &email);
    let purpose = payload.purpose.as_str();
    let Some(nonce) = store::codes::get(&mut conn, &subject, purpose, clock::now()).await? else {
        return Ok(()); // used, or too old meanwhile
    };
    drop(conn);
    let letter = letter(ctx, purpose, &email, &nonce);
    ctx.mailer.send(job.id, user, &email, &letter).await.map_err(|error| match error {
        MailError::Away(cause) => Error::unavailable("mail server", cause),
        other => Error::new(Code::JobFailed, "The mail could not be sent.").because(other.to_string()),
    })
}

fn letter(ctx: &Context, purpose: &str, email: &str, nonce: &str) -> Letter {
    if purpose == "reset" {
        return Letter {
            subject: "Reset your password".to_owned(),
            lines: vec![
                "Somebody, hopefully you, wants to set a new password for your account.".to_owned(),
                "Use this token within an hour. If it was not you, do nothing: your password stays as it is."
                    .to_owned(),
            ],
            code: codes::reset_token(ctx, email, nonce),
        };
    }
    Letter {
        subject: "Your code".to_owned(),
        lines: vec![
            "Enter this code to verify your address. It is good for five minutes, once.".to_owned(),
            "If you did not ask for it, do nothing.".to_owned(),
        ],
        code: codes::otp(ctx, email, nonce),
    }
}
