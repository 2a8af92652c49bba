//! Answers a message: context, ask, call tools, stream, commit.

mod images;
mod patience;
mod prompt;
mod rounds;
mod servers;
mod tools;

use rapport_common::{
    Context, Error, Result,
    domain::{
        job::Job,
        memory::Memory,
        message::{AnswerSource, Usage, Used},
    },
    jobs::payload::ChatPayload,
    providers::IMAGES,
    store::{self, chunks::Chunk, messages::Found},
    telemetry::metrics::METRICS,
    usecase::{
        files::{self, search::Knowledge},
        finish_chat::{Answer, finish_chat, owner},
        usage,
    },
};
use serde_json::json;

use super::Work;
use crate::{
    answer_log::{AnswerLog, Lost},
    attempt::Attempt,
    ending::persist,
    outcome::Outcome,
    running::{Stop, stopped},
};
use prompt::Prompt;
use rounds::{Rounds, Stopped};

impl Work for ChatPayload {
    const HEARS: bool = true;

    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let prompt = tokio::select! {
            biased;
            stop = stopped(&mut attempt.signal) => return Ok(stop.into()),
            prompt = prompt(attempt.ctx, attempt.job, &self) => prompt?,
        };
        Ok(answer(attempt, &self, prompt).await.unwrap_or(Outcome::Lost))
    }
}

/// What the model is asked, with the images in it.
async fn prompt(ctx: &Context, job: &Job, payload: &ChatPayload) -> Result<Prompt> {
    let mut prompt = prompt::build(ctx, job, payload).await?;
    // Nothing is read for whoever is known not to look at it.
    let blind = job.session_id.is_some()
        && !ctx.providers.may_see(&prompt.choice.provider, &prompt.choice.request(&prompt.own_keys));
    if blind {
        images::leave_out(&mut prompt.messages, images::UNSEEN);
    }
    prompt.room = files::images::fill(ctx, owner(job)?, &mut prompt.messages, prompt.images).await?;
    Ok(prompt)
}

async fn answer(
    attempt: &mut Attempt<'_>,
    payload: &ChatPayload,
    mut prompt: Prompt,
) -> std::result::Result<Outcome, Lost> {
    let (ctx, job) = (attempt.ctx, attempt.job);
    let mut log = AnswerLog::open(ctx, job).await?;
    let Knowledge { used: passages, told: search, .. } = std::mem::take(&mut prompt.knowledge);
    show_context(&mut log, &prompt.recall.used, &prompt.past.used, &passages).await?;
    let kept =
        |(memory, score): &(Memory, f64)| Used { id: memory.id, content: None, quote: None, score: *score };
    let memories: Vec<Used> = prompt.recall.used.iter().map(kept).collect();
    let has_servers = !prompt.servers.named.is_empty();
    let record = match servers::add(attempt, &mut log, &mut prompt).await? {
        Ok(record) => record,
        Err(outcome) => return Ok(outcome),
    };
    let mut rounds = Rounds::new(ctx, job, payload, (prompt, record), attempt.signal.clone(), attempt.slot);
    let stopped = rounds.run(&mut log).await.unwrap_or(Stopped::By(Stop::Lost));
    keep_tries(ctx, job, &rounds).await;
    let keeps_answer = matches!(stopped, Stopped::Whole | Stopped::By(Stop::Cancelled));
    count_in_vain(ctx, job, payload, &rounds, keeps_answer).await;
    let cancelled = match is_cancelled(ctx, job, stopped) {
        Ok(cancelled) => cancelled,
        Err(outcome) => return Ok(outcome),
    };
    let usage = rounds.usage;
    count_tokens(ctx, &rounds.provider, &rounds.model, usage);
    let content = storable(&log.text);
    let sources = log.while_waiting(sources(ctx, job, &content, &passages)).await;
    let answer = Answer {
        sources,
        content,
        cost: ctx.providers.cost(&rounds.model, usage),
        project: rounds.project,
        usage,
        finish_reason: if cancelled { "cancelled".to_owned() } else { rounds.finish_reason.to_owned() },
        cancelled,
        memories,
        tool_calls: rounds.called,
        logprobs: rounds.logprobs.all,
        handed: rounds.handed,
        search,
        servers: has_servers.then(|| rounds.record.told()),
        provider: rounds.provider,
        model: rounds.model,
    };
    // The last words go with the end, unless it takes too long.
    let stored = log.while_waiting(persist(|| finish_chat(ctx, job, payload, &answer))).await;
    let Some(ended) = stored.flatten() else { return Err(Lost) };
    // After the commit. Readers that miss it are told by the ledger.
    let _told = log.finish("done", ended.data.clone()).await;
    Ok(Outcome::Done(ended))
}

/// Whether an answer that is to be kept was cancelled; or what becomes of the job without one.
fn is_cancelled(ctx: &Context, job: &Job, stopped: Stopped) -> std::result::Result<bool, Outcome> {
    match stopped {
        Stopped::Whole => Ok(false),
        Stopped::By(Stop::Cancelled) => Ok(true),
        Stopped::By(stop) => Err(stop.into()),
        Stopped::Spent(error) => Err(error.into()),
        Stopped::Broken(mut error) => {
            // A message has its images there.
            if job.session_id.is_some() && error.field.as_deref() == Some(IMAGES) {
                error.field = Some("images".to_owned());
            }
            let public = error.public();
            // Waited for, and in vain: trying once more would be waiting once more.
            let waited = error.away && !ctx.settings.queue.provider_patience.is_zero();
            Err(if error.class.is_transient() && !waited {
                Outcome::Retry(public, error.retry_after)
            } else {
                Outcome::Fail(public)
            })
        }
    }
}

/// Tells whoever follows what the prompt has of the user's memories and files.
async fn show_context(
    log: &mut AnswerLog<'_>,
    memories: &[(Memory, f64)],
    turns: &[(Found, f64)],
    passages: &[(Chunk, String, f64)],
) -> std::result::Result<(), Lost> {
    let mut events = Vec::new();
    if !memories.is_empty() {
        let used = |(memory, score): &(Memory, f64)| json!({"id": memory.id, "content": memory.content, "score": score});
        let shown: Vec<_> = memories.iter().map(used).collect();
        events.push(("memory", json!({"memories": shown})));
    }
    if !turns.is_empty() {
        let used = |(turn, score): &(Found, f64)| json!({"message_id": turn.id, "session_id": turn.session_id, "role": turn.role, "at": turn.created_at, "score": score});
        let shown: Vec<_> = turns.iter().map(used).collect();
        events.push(("past_turns", json!({"turns": shown})));
    }
    if !passages.is_empty() {
        let shown = passages.iter().enumerate().map(|(at, (chunk, file, score))| {
            json!({"number": at + 1, "file_id": chunk.file_id, "file": file, "passage_id": chunk.id, "page": chunk.page, "score": score})
        });
        events.push(("knowledge", json!({"passages": shown.collect::<Vec<_>>()})));
    }
    log.append_all(events).await
}

/// What of the user's files an answer rests on. Without the database nothing can be checked, and nothing is claimed.
async fn sources(
    ctx: &Context,
    job: &Job,
    answer: &str,
    passages: &[(Chunk, String, f64)],
) -> Vec<AnswerSource> {
    let Some(user) = job.user_id else { return Vec::new() };
    files::sources::of_answer(ctx, user, answer, passages).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "an answer is stored without its sources");
        Vec::new()
    })
}

/// What was asked of models is paid for, though no answer is kept of it: calls that failed or broke off, and the rounds
/// of an attempt that ends without an answer. Budgets must see them. What is counted stands whoever has the job now, so
/// it is no part of the transaction that ends the attempt.
async fn count_in_vain(
    ctx: &Context,
    job: &Job,
    payload: &ChatPayload,
    rounds: &Rounds<'_>,
    keeps_answer: bool,
) {
    let Some(user) = job.user_id else { return };
    let calls = rounds.in_vain.iter().map(|call| (call.provider.as_str(), call.model.as_str(), call.usage()));
    let rest = (!keeps_answer).then_some((rounds.provider.as_str(), rounds.model.as_str(), rounds.usage));
    let used: Vec<_> = calls.chain(rest).filter(|(.., usage)| usage.total_tokens > 0).collect();
    if used.is_empty() {
        return;
    }
    let project = rounds.project.map(|id| id.to_string()).unwrap_or_default();
    let spent = used.into_iter().map(|(provider, model, usage)| store::usage::Spent {
        user,
        project: &project,
        api_key: payload.api_key.as_deref().unwrap_or_default(),
        provider,
        model,
        kind: job.kind.as_str(),
        usage,
        cost: ctx.providers.cost(model, usage),
        at: rapport_common::clock::now(),
    });
    if let Err(error) = usage::count(ctx, user, spent.collect()).await {
        tracing::warn!(%error, job = %job.id, "usage without an answer was not counted");
    }
}

/// What was tried in vain stays with the job. Losing it is no harm.
async fn keep_tries(ctx: &Context, job: &Job, rounds: &Rounds<'_>) {
    if rounds.tries.is_empty() {
        return;
    }
    let kept = async {
        let mut conn = ctx.db.relaxed().await?;
        store::tool_calls::tried(&mut conn, job, &json!(rounds.tries)).await?;
        Ok::<(), Error>(())
    };
    if let Err(error) = kept.await {
        tracing::debug!(%error, "the tries were not kept");
    }
}

/// PostgreSQL cannot hold NUL characters; no answer needs them.
fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() }
}

fn count_tokens(ctx: &Context, provider: &str, model: &str, usage: Usage) {
    let label = ctx.providers.label(provider, model);
    let count = |direction: &str, tokens: i64| {
        METRICS.tokens.with_label_values(&[provider, label, direction]).inc_by(tokens.max(0) as u64);
    };
    count("prompt", usage.prompt_tokens);
    count("completion", usage.completion_tokens);
}
