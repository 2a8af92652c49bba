//! Looks a user's memories through: keeps suggestions ready, merges on request, finds contradictions, dates what ends.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        job::Job,
    },
    error::Code,
    jobs::payload::{self, ConsolidationPayload},
    memory::judge,
    providers::ChatMessage,
    store::{memories, memory_conflicts::Suggestion},
    usecase::memory::{
        clashes, may_show_private, merge,
        review::{self, Judged, PAIRS, Pair},
    },
};
use serde_json::{Value, json};

use super::extraction::ask;
use crate::{outcome::Outcome, runner::persist};

/// Memories dated in one call, and merges worded in one review.
const DATED: usize = 100;
const WORDED: usize = 12;

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: ConsolidationPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(user) = job.user_id else {
        return Outcome::Fail(Error::internal("a consolidation without user"));
    };
    let done = match payload {
        ConsolidationPayload::Review => look_through(ctx, job, user).await,
        ConsolidationPayload::Merge { memory_ids } => merge_these(ctx, job, user, &memory_ids).await,
        ConsolidationPayload::Detect { memory_id } => detect(ctx, job, user, memory_id).await,
        ConsolidationPayload::Expiration { memory_ids } => date(ctx, job, user, &memory_ids).await,
    };
    match done {
        Ok(Some(result)) => Outcome::Done(result),
        Ok(None) => Outcome::Lost,
        Err(error) => super::outcome_of(error),
    }
}

/// Asks, reads, and asks once more when the answer cannot be read.
async fn ask_for<T>(
    ctx: &Context,
    job: &Job,
    prompt: Vec<ChatMessage>,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<T> {
    let schema = json!({"type": "object"});
    let first = ask(ctx, job, prompt.clone(), schema.clone()).await.map_err(|error| error.public())?;
    let problem = match read(&first.text) {
        Ok(answer) => return Ok(answer),
        Err(problem) => problem,
    };
    let again = rapport_common::memory::extract::repair(prompt, &first.text, &problem);
    let second = ask(ctx, job, again, schema).await.map_err(|error| error.public())?;
    read(&second.text).map_err(|problem| {
        Error::new(Code::ExtractionFailed, "The model's answer about these memories could not be read.")
            .because(problem)
    })
}

/// What clashes by its words needs no model; the model judges what is near each other besides.
async fn judge_all(ctx: &Context, job: &Job, user: UserId, of: Option<MemoryId>) -> Result<Vec<Judged>> {
    let mut judged = clashes::among(ctx, user, of).await?;
    let mut rest = review::pairs(ctx, user, of).await?;
    rest.retain(|pair| !judged.iter().any(|one| one.pair.a.id == pair.a.id && one.pair.b.id == pair.b.id));
    rest.truncate(PAIRS * 3);
    while !rest.is_empty() {
        let batch: Vec<Pair> = rest.drain(..rest.len().min(PAIRS)).collect();
        let of: Vec<_> = batch.iter().map(|pair| (&pair.a, &pair.b)).collect();
        let verdicts =
            ask_for(ctx, job, judge::pairs_prompt(&of), |text| judge::parse_pairs(text, of.len())).await?;
        judged.extend(review::judged(batch, &verdicts));
    }
    Ok(judged)
}

async fn look_through(ctx: &Context, job: &Job, user: UserId) -> Result<Option<Value>> {
    let judged = judge_all(ctx, job, user, None).await?;
    let mut suggestions = Vec::new();
    for (index, (memories, reason, score)) in review::clusters(&judged).into_iter().enumerate() {
        let suggested_content = if index < WORDED {
            ask_for(ctx, job, judge::merge_prompt(&memories), judge::parse_merge).await?
        } else {
            // Worded when it is merged.
            memories
                .iter()
                .map(|memory| memory.content.as_str())
                .max_by_key(|text| text.len())
                .unwrap_or_default()
                .to_owned()
        };
        let memory_ids = memories.iter().map(|memory| memory.id).collect();
        suggestions.push(Suggestion { memory_ids, reason, suggested_content, score });
    }
    let stored = persist(|| review::finish_review(ctx, job, user, &judged, &suggestions));
    Ok(stored.await.flatten())
}

async fn merge_these(ctx: &Context, job: &Job, user: UserId, ids: &[MemoryId]) -> Result<Option<Value>> {
    let originals = merge::check(ctx, user, ids).await?;
    let content = ask_for(ctx, job, judge::merge_prompt(&originals), judge::parse_merge).await?;
    review::finish_merge(ctx, job, user, ids, &content).await
}

async fn detect(ctx: &Context, job: &Job, user: UserId, of: Option<MemoryId>) -> Result<Option<Value>> {
    let judged = judge_all(ctx, job, user, of).await?;
    let stored = persist(|| review::finish_detection(ctx, job, user, of, &judged));
    Ok(stored.await.flatten())
}

async fn date(ctx: &Context, job: &Job, user: UserId, ids: &[MemoryId]) -> Result<Option<Value>> {
    let mut conn = ctx.db.read().await?;
    let mut looked_at = if ids.is_empty() {
        memories::without_expiry(&mut conn, user, DATED as i64).await?
    } else {
        memories::get_many(&mut conn, user, ids).await?
    };
    drop(conn);
    let shown = may_show_private(ctx, user).await?;
    looked_at.retain(|memory| shown || !memory.is_private);
    let verdicts = if looked_at.is_empty() {
        Vec::new()
    } else {
        let prompt = judge::expiry_prompt(&looked_at);
        ask_for(ctx, job, prompt, |text| judge::parse_expiry(text, looked_at.len())).await?
    };
    let stored = persist(|| review::finish_expiration(ctx, job, user, &looked_at, &verdicts));
    Ok(stored.await.flatten())
}
