//! What a prompt is given of a user's memories: what must never be missed, and the best for the question, within budgets
//! and a deadline.

use std::time::Duration;

use tokio::time::error::Elapsed;

use super::search::{self, Document, Query};
use crate::{
    Context, Result, clock,
    domain::{ids::UserId, memory::Memory},
    memory::{essential, frame::frame, rank::Mode},
    store::memories,
    telemetry::metrics::METRICS,
    usecase::settings::{self, MemorySettings},
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

/// Whose prompt it is, and what may be in it.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    pub user: UserId,
    pub settings: MemorySettings,
    /// The provider is part of this deployment; private memories go to no other unless their user allows it.
    pub inside: bool,
}

impl Asking {
    fn without_private(self) -> bool {
        self.settings.without_private(self.inside)
    }
}

/// The memories for a question of somebody who may have none, with the settings as they are.
pub async fn recall_any(ctx: &Context, user: UserId, question: &str, inside: bool) -> Result<Recall> {
    let mut conn = ctx.db.read().await?;
    if !memories::are_any(&mut conn, user).await? {
        return Ok(Recall::default());
    }
    let settings = settings::get(&mut conn, user).await?.memory_settings;
    drop(conn);
    Ok(recall(ctx, Asking { user, settings, inside }, question).await)
}

/// The memories for a question. Never fails: without them, the answer is given without them.
pub async fn recall(ctx: &Context, asking: Asking, question: &str) -> Recall {
    if ctx.settings.memory.context_tokens == 0 {
        return Recall::default();
    }
    let started = tokio::time::Instant::now();
    let outcome = |word: &str| METRICS.recalls.with_label_values(&[word]).inc();
    // Neither waits for the other, and each stands there when the other fails.
    let (essential, found) = tokio::join!(
        tokio::time::timeout(DEADLINE, essential(ctx, asking)),
        tokio::time::timeout(DEADLINE, find(ctx, asking, question)),
    );
    METRICS.recall_seconds.with_label_values::<&str>(&[]).observe(started.elapsed().as_secs_f64());
    let (essential, is_known) = told(essential, "what must never be missed");
    let (relevant, is_found) = told(found, "memories of the question");
    outcome(match (is_known, is_found) {
        (Told::Failed, _) | (_, Told::Failed) => "failed",
        (Told::Late, _) | (_, Told::Late) => "late",
        _ if relevant.is_empty() && essential.is_empty() => "empty",
        _ => "used",
    });
    let budgets = &ctx.settings.memory;
    let (block, used) = frame(&[
        (essential.iter().collect(), budgets.essential_tokens),
        (relevant.iter().map(|(memory, _)| memory).collect(), budgets.context_tokens),
    ]);
    let score = |memory: &Memory| {
        let found = relevant.iter().find(|(other, _)| other.id == memory.id);
        found.map_or(0.0, |(_, score)| *score)
    };
    let used = used.into_iter().map(|memory| (memory.clone(), score(memory))).collect();
    Recall { block, used }
}

/// What became of a look-up.
enum Told {
    There,
    Late,
    Failed,
}

/// What was looked up in time; what was not is left out of the prompt.
fn told<T>(found: std::result::Result<Result<Vec<T>>, Elapsed>, what: &str) -> (Vec<T>, Told) {
    match found {
        Ok(Ok(found)) => (found, Told::There),
        Ok(Err(error)) => {
            tracing::warn!(%error, "answering without {what}");
            (Vec::new(), Told::Failed)
        }
        Err(_) => {
            tracing::warn!("answering without {what}: it took too long");
            (Vec::new(), Told::Late)
        }
    }
}

async fn essential(ctx: &Context, asking: Asking) -> Result<Vec<Memory>> {
    let mut conn = ctx.db.read().await?;
    let mut essential = memories::essential(&mut conn, asking.user, essential::LEAST, clock::now()).await?;
    essential.retain(|memory| !(asking.without_private() && memory.is_private));
    Ok(essential)
}

/// What search finds for the question, with its score.
async fn find(ctx: &Context, asking: Asking, question: &str) -> Result<Vec<(Memory, f64)>> {
    let mode = if asking.settings.enable_semantic_search { Mode::Hybrid } else { Mode::Keyword };
    let question: String = question.chars().take(2_000).collect();
    let mut query = Query::memories(&question, MOST, mode);
    query.without_private = asking.without_private();
    let hits = search::search(ctx, asking.user, &query).await?;
    let relevant = hits.into_iter().filter(|hit| hit.is_relevant).filter_map(|hit| match hit.document {
        Document::Memory(memory) if memory.awaits_user() => None,
        Document::Memory(memory) => Some((*memory, hit.explained.score)),
        Document::Message(_) => None,
    });
    Ok(relevant.collect())
}
