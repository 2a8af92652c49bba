//! Tells a webhook's receiver, once: when to tell it again is the delivery's own row.

use rapport_common::{
    Context, Error,
    domain::job::Job,
    jobs::payload::{self, WebhookPayload},
    usecase::webhooks,
};

use super::outcome_of;
use crate::outcome::Outcome;

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: WebhookPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(user) = job.user_id else { return Outcome::Fail(Error::internal("a webhook job without user")) };
    match webhooks::deliver(ctx, job, user, payload.delivery_id).await {
        Ok(Some(result)) => Outcome::Done(result),
        Ok(None) => Outcome::Lost,
        Err(error) => outcome_of(error),
    }
}
