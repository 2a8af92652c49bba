//! Tells a webhook's receiver, once: when to tell it again is the delivery's own row.

use rapport_common::{Result, jobs::payload::WebhookPayload, usecase::webhooks};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for WebhookPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let ended = webhooks::deliver(attempt.ctx, attempt.job, attempt.user()?, self.delivery_id).await?;
        Ok(ended.into())
    }
}
