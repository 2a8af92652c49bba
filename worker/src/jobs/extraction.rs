//! Reads one window of a conversation and stores what its user said of themselves.
//!
//! One call a window. An answer nobody can read is asked for again once, then for the first half of the window; a single
//! turn that cannot be read ends as a dead job with the model's words on it. What was found commits with the cursor and
//! the job's end.

use std::time::Duration;

use rapport_common::{
    Context, Error, Result,
    domain::{ids::UserId, job::Job, memory::RunOutcome, message::Role},
    error::Code,
    jobs::payload::ExtractionPayload,
    memory::extract,
    providers::{ChatMessage, ChatRequest, Completion, ErrorClass, ProviderError, mock},
    telemetry::metrics::METRICS,
    usecase::{
        memory::extraction::{self, Read, Window},
        settings,
    },
};

use super::{Work, failures};
use crate::{
    attempt::Attempt,
    ending::persist,
    outcome::{Outcome, backoff},
};

/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at whether the provider is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a window could not be read.
pub enum Unread {
    Ours(Error),
    Provider(ProviderError),
    /// The last answer, and what is wrong with it.
    Unreadable(Box<Completion>, String),
}

impl<E: Into<Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

impl Work for ExtractionPayload {
    // Shrinks while a window cannot be read whole: what is given up is only what could not be read at all.
    async fn run(mut self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let least = attempt.ctx.settings.queue.max_attempts;
        Ok(match read_and_store(attempt, &mut self).await {
            Ok(outcome) => outcome,
            Err(Unread::Ours(error)) => return Err(error),
            // A provider that is away or overrun says nothing about the window, which waits as long as it takes.
            Err(Unread::Provider(error)) if waits(&error) => wait(attempt.job, &error),
            Err(Unread::Provider(error))
                if error.class.is_transient() && failures::<Self>(attempt.job, least) < least =>
            {
                Outcome::Retry(error.public(), error.retry_after)
            }
            Err(Unread::Provider(error)) => {
                give_up(attempt, &self, RunOutcome::ProviderError, &error.public(), None).await?
            }
            Err(Unread::Unreadable(answer, problem)) => {
                let detail = "The model's answer about this part of the conversation could not be read.";
                let error = Error::new(Code::ExtractionFailed, detail).because(problem);
                give_up(attempt, &self, RunOutcome::InvalidOutput, &error, Some(&answer)).await?
            }
        })
    }
}

/// Whether a failure is the provider's alone, and costs nothing to try again: not one of a call that a model may have
/// worked on, which would be paid for again and again. The mock fails only when it is told to.
pub fn waits(error: &ProviderError) -> bool {
    let refused = matches!(error.class, ErrorClass::RateLimited | ErrorClass::Overloaded);
    error.away || refused && error.provider != mock::NAME
}

/// Pauses that grow with each attempt, whether it counted or not.
pub fn wait(job: &Job, error: &ProviderError) -> Outcome {
    Outcome::Wait(error.public(), backoff(job, error.retry_after).min(LONGEST_PAUSE))
}

async fn give_up(
    attempt: &Attempt<'_>,
    payload: &ExtractionPayload,
    outcome: RunOutcome,
    error: &Error,
    answer: Option<&Completion>,
) -> Result<Outcome> {
    tracing::warn!(%error, %outcome, "a window was given up");
    let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
    let unread = extraction::Unread { job, user, window: payload, outcome, answer };
    let failed = persist(|| extraction::fail(ctx, &unread, error));
    Ok(match failed.await.flatten() {
        Some(ended) => {
            METRICS.windows.with_label_values(&[outcome.as_str()]).inc();
            Outcome::Dead(ended)
        }
        None => Outcome::Lost,
    })
}

async fn read_and_store(
    attempt: &Attempt<'_>,
    payload: &mut ExtractionPayload,
) -> std::result::Result<Outcome, Unread> {
    let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
    let ExtractionPayload { session_id, from_seq, .. } = *payload;
    let settings = settings::get(&mut ctx.db.read().await?, user).await?.memory_settings;
    let read = loop {
        if !settings.auto_memory_extraction {
            break None;
        }
        let window = extraction::load(ctx, user, session_id, from_seq, payload.to_seq).await?;
        let places: Vec<i64> =
            window.turns.iter().filter(|turn| turn.role == Role::User).map(|turn| turn.seq).collect();
        if places.is_empty() {
            break None; // deleted, or not to be remembered
        }
        match read_window(ctx, job, user, window).await {
            Ok(read) => break Some(read),
            Err(Unread::Unreadable(..)) if places.len() > 1 => payload.to_seq = places[places.len() / 2 - 1],
            Err(unread) => return Err(unread),
        }
    };
    let payload = &*payload;
    let outcome =
        attempt.commit(|| extraction::finish(ctx, job, user, payload, read.as_ref(), &settings)).await;
    if let Outcome::Done(ended) = &outcome {
        let result = &ended.data;
        METRICS.windows.with_label_values(&[result["outcome"].as_str().unwrap_or_default()]).inc();
        for became in ["created", "evidence", "known", "blocked", "ignored", "unsupported"] {
            METRICS.facts.with_label_values(&[became]).inc_by(result[became].as_u64().unwrap_or(0));
        }
    }
    Ok(outcome)
}

/// Asks about a window, once more when the answer cannot be read.
pub async fn read_window(
    ctx: &Context,
    job: &Job,
    user: UserId,
    window: Window,
) -> std::result::Result<Read, Unread> {
    let prompt = extract::prompt(&window.known, &window.earlier, &window.turns);
    let first = ask(ctx, job, prompt.clone(), extract::schema()).await.map_err(Unread::Provider)?;
    let (nominated, completion) = match extract::parse(&first.text) {
        Ok(nominated) => (nominated, first),
        Err(problem) => {
            let again = extract::repair(prompt, &first.text, &problem);
            let mut second = ask(ctx, job, again, extract::schema()).await.map_err(Unread::Provider)?;
            second.usage.prompt_tokens += first.usage.prompt_tokens;
            second.usage.completion_tokens += first.usage.completion_tokens;
            second.usage.total_tokens += first.usage.total_tokens;
            match extract::parse(&second.text) {
                Ok(nominated) => (nominated, second),
                Err(problem) => return Err(Unread::Unreadable(Box::new(second), problem)),
            }
        }
    };
    Ok(extraction::prepare(ctx, user, window, nominated, completion).await)
}

/// Asks whoever reads, judges and merges.
pub async fn ask(
    ctx: &Context,
    job: &Job,
    messages: Vec<ChatMessage>,
    schema: serde_json::Value,
) -> std::result::Result<Completion, ProviderError> {
    let request = ChatRequest {
        model: ctx.settings.memory.model.clone(),
        messages: messages.into(),
        temperature: Some(0.0),
        max_tokens: Some(4_000),
        schema: Some(schema),
        trace: job.trace.clone(),
        ..ChatRequest::default()
    };
    let answer = ctx.providers.complete(&ctx.settings.memory.provider, request, ANSWER_DEADLINE).await?;
    let label = if ctx.settings.memory.model.is_none() { answer.model.as_str() } else { "memory" };
    let count = |direction: &str, tokens: i64| {
        METRICS
            .tokens
            .with_label_values(&[answer.provider.as_str(), label, direction])
            .inc_by(tokens.max(0) as u64);
    };
    count("prompt", answer.usage.prompt_tokens);
    count("completion", answer.usage.completion_tokens);
    Ok(answer)
}
