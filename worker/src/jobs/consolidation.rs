//! Looks a user's memories through: keeps suggestions ready, merges on request, finds contradictions, dates what ends.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        job::Job,
    },
    error::Code,
    jobs::payload::ConsolidationPayload,
    memory::judge,
    providers::ChatMessage,
    store::{memories, memory_conflicts::Suggestion},
    usecase::memory::{
        clashes, may_show_private, merge,
        review::{self, Judged, PAIRS, Pair},
    },
};
use serde_json::json;

use super::{Work, extraction::ask};
use crate::{attempt::Attempt, outcome::Outcome};

/// Memories dated in one call, and merges worded in one review.
const DATED: usize = 100;
const WORDED: usize = 12;

impl Work for ConsolidationPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let user = attempt.user()?;
        match self {
            ConsolidationPayload::Review => look_through(attempt, user).await,
            ConsolidationPayload::Merge { memory_ids } => merge_these(attempt, user, &memory_ids).await,
            ConsolidationPayload::Detect { memory_id } => detect(attempt, user, memory_id).await,
            ConsolidationPayload::Expiration { memory_ids } => date(attempt, user, &memory_ids).await,
        }
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

async fn look_through(attempt: &Attempt<'_>, user: UserId) -> Result<Outcome> {
    let (ctx, job) = (attempt.ctx, attempt.job);
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
    Ok(attempt.commit(|| review::finish_review(ctx, job, user, &judged, &suggestions)).await)
}

async fn merge_these(attempt: &Attempt<'_>, user: UserId, ids: &[MemoryId]) -> Result<Outcome> {
    let (ctx, job) = (attempt.ctx, attempt.job);
    let originals = merge::check(ctx, user, ids).await?;
    let content = ask_for(ctx, job, judge::merge_prompt(&originals), judge::parse_merge).await?;
    // What was asked for may not be possible any more: that is an error of its own, and not tried again.
    let ended = review::finish_merge(ctx, job, user, ids, &content).await?;
    Ok(ended.into())
}

async fn detect(attempt: &Attempt<'_>, user: UserId, of: Option<MemoryId>) -> Result<Outcome> {
    let (ctx, job) = (attempt.ctx, attempt.job);
    let judged = judge_all(ctx, job, user, of).await?;
    Ok(attempt.commit(|| review::finish_detection(ctx, job, user, of, &judged)).await)
}

async fn date(attempt: &Attempt<'_>, user: UserId, ids: &[MemoryId]) -> Result<Outcome> {
    let (ctx, job) = (attempt.ctx, attempt.job);
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
    Ok(attempt.commit(|| review::finish_expiration(ctx, job, user, &looked_at, &verdicts)).await)
}
