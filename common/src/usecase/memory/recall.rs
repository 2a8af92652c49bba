//! What a prompt is given of a user's memories: the best for the question, within a budget and a deadline.

use std::time::Duration;

use super::search::{self, Document, Query};
use crate::{
    Context, Result,
    domain::{ids::UserId, memory::Memory},
    memory::{frame::frame, rank::Mode},
    store::memories,
    telemetry::metrics::METRICS,
    usecase::settings,
};

/// Search that takes longer is not waited for: the answer does without.
const DEADLINE: Duration = Duration::from_millis(300);
const MOST: usize = 12;

/// What goes into a prompt.
#[derive(Debug, Default)]
pub struct Recall {
    /// For the system prompt; empty when nothing is known about the question.
    pub block: String,
    /// What is in it, with its score.
    pub used: Vec<(Memory, f64)>,
}

/// The memories for a question. Never fails: without them, the answer is given without them. `inside`: the provider is
/// part of this deployment; private memories go to no other unless their user allows it.
pub async fn recall(ctx: &Context, user: UserId, question: &str, inside: bool) -> Recall {
    let started = tokio::time::Instant::now();
    let found = tokio::time::timeout(DEADLINE, find(ctx, user, question, inside)).await;
    METRICS.recall_seconds.with_label_values::<&str>(&[]).observe(started.elapsed().as_secs_f64());
    let outcome = |word: &str| METRICS.recalls.with_label_values(&[word]).inc();
    match found {
        Ok(Ok(recall)) => {
            outcome(if recall.used.is_empty() { "empty" } else { "used" });
            recall
        }
        Ok(Err(error)) => {
            outcome("failed");
            tracing::warn!(%error, "answering without memories");
            Recall::default()
        }
        Err(_) => {
            outcome("late");
            tracing::warn!("answering without memories: search took too long");
            Recall::default()
        }
    }
}

async fn find(ctx: &Context, user: UserId, question: &str, inside: bool) -> Result<Recall> {
    let budget = ctx.settings.memory.context_tokens;
    let mut conn = ctx.db.read().await?;
    if budget == 0 || !memories::are_any(&mut conn, user).await? {
        return Ok(Recall::default()); // nothing is known
    }
    let settings = settings::get(&mut conn, user).await?.memory_settings;
    drop(conn);
    let mode = if settings.enable_semantic_search { Mode::Hybrid } else { Mode::Keyword };
    let question: String = question.chars().take(2_000).collect();
    let mut query = Query::memories(&question, MOST, mode);
    query.without_private = !inside && !settings.allow_private_in_context;
    let hits = search::search(ctx, user, &query).await?;
    let relevant: Vec<(Memory, f64)> = hits
        .into_iter()
        .filter(|hit| hit.is_relevant)
        .filter_map(|hit| match hit.document {
            // What is sensitive and nobody confirmed waits for its user.
            Document::Memory(memory) if memory.sensitive && memory.status == "pending" => None,
            Document::Memory(memory) => Some((*memory, hit.explained.score)),
            Document::Message(_) => None,
        })
        .collect();
    let (block, used) = frame(relevant.iter().map(|(memory, _)| memory), budget);
    let ids: Vec<_> = used.iter().map(|memory| memory.id).collect();
    let used = relevant.into_iter().filter(|(memory, _)| ids.contains(&memory.id)).collect();
    Ok(Recall { block, used })
}
