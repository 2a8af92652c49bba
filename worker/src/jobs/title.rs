//! Gives a session a short title, asked of the model.

use std::time::Duration;

use rapport_common::{
    Context, Result,
    chat::title,
    domain::{ids::UserId, job::Job},
    jobs::payload::TitlePayload,
    providers::{ChatRequest, Completion, ProviderError},
    store,
    usecase::finish_title::finish_title,
};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

/// Enough for six words, and a bound on a model that does not stop.
const TOKENS: u32 = 40;
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

impl Work for TitlePayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
        let mut spent = None;
        let title = match first_message(ctx, user, &self).await? {
            None => None, // the session is gone
            Some(first) => match ask(ctx, job, &self.provider, &first).await {
                Ok(answer) => {
                    let title = title::clean(&answer.text);
                    spent = Some(answer);
                    title
                }
                Err(error) if error.class.is_transient() => {
                    return Ok(Outcome::Retry(error.public(), error.retry_after));
                }
                Err(error) => return Ok(Outcome::Fail(error.public())),
            },
        };
        let end = || finish_title(ctx, job, user, self.session_id, title.as_deref(), spent.as_ref());
        Ok(attempt.commit(end).await)
    }
}

async fn first_message(ctx: &Context, user: UserId, payload: &TitlePayload) -> Result<Option<String>> {
    let mut conn = ctx.db.read().await?;
    let (messages, _) = store::messages::page(&mut conn, user, payload.session_id, 0, 1, 0).await?;
    Ok(messages.into_iter().next().map(|message| message.content))
}

async fn ask(
    ctx: &Context,
    job: &Job,
    provider: &str,
    first: &str,
) -> std::result::Result<Completion, ProviderError> {
    let choice = if ctx.providers.offers(provider) { provider } else { "auto" };
    let request = ChatRequest {
        messages: title::prompt(first).into(),
        temperature: Some(0.2),
        max_tokens: Some(TOKENS),
        trace: job.trace.clone(),
        ..ChatRequest::default()
    };
    ctx.providers.complete(choice, request, ANSWER_DEADLINE).await
}
