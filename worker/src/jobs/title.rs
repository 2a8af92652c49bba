//! Gives a session a short title, asked of the model.

use std::time::Duration;

use rapport_common::{
    Context, Error,
    chat::title,
    domain::{ids::UserId, job::Job},
    jobs::payload::{self, TitlePayload},
    providers::{ChatRequest, Completion, ProviderError},
    store,
    usecase::finish_title::finish_title,
};
use serde_json::json;

use crate::{outcome::Outcome, runner::persist};

/// Enough for six words, and a bound on a model that does not stop.
const TOKENS: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: TitlePayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(user) = job.user_id else { return Outcome::Fail(Error::internal("a title job without user")) };
    let first = match first_message(ctx, user, &payload).await {
        Ok(first) => first,
        Err(error) => return Outcome::Retry(error, None),
    };
    let mut spent = None;
    let title = match first {
        None => None, // the session is gone
        Some(first) => match ask(ctx, job, &payload.provider, &first).await {
            Ok(answer) => {
                let title = title::clean(&answer.text);
                spent = Some(answer);
                title
            }
            Err(error) if error.class.is_transient() => {
                return Outcome::Retry(error.public(), error.retry_after);
            }
            Err(error) => return Outcome::Fail(error.public()),
        },
    };
    let finished =
        persist(|| finish_title(ctx, job, user, payload.session_id, title.as_deref(), spent.as_ref()));
    match finished.await {
        Some(true) => Outcome::Done(json!({"session_id": payload.session_id, "title": title})),
        _ => Outcome::Lost,
    }
}

async fn first_message(ctx: &Context, user: UserId, payload: &TitlePayload) -> Result<Option<String>, Error> {
    let mut conn = ctx.db.read().await?;
    let (messages, _) = store::messages::page(&mut conn, user, payload.session_id, 0, 1, 0).await?;
    Ok(messages.into_iter().next().map(|message| message.content))
}

async fn ask(ctx: &Context, job: &Job, provider: &str, first: &str) -> Result<Completion, ProviderError> {
    let choice = if ctx.providers.offers(provider) { provider } else { "auto" };
    let request = ChatRequest {
        messages: title::prompt(first),
        temperature: Some(0.2),
        max_tokens: Some(TOKENS),
        trace: job.trace.clone(),
        ..ChatRequest::default()
    };
    ctx.providers.complete(choice, request, PATIENCE).await
}
