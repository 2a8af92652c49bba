//! Memories that a question may be about: joined, filtered, ranked.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{
    Document, Hit, Query,
    arms::both_arms,
    reason::{SHOWN, bearing, is_relevant, reason},
};
use crate::{
    Context, Result, clock,
    domain::ids::{MemoryId, UserId},
    memory::rank::{self, Explained},
    store::{memories, memory_conflicts},
    vectors::VectorFilter,
};

pub(super) async fn search(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
) -> Result<Vec<Hit>> {
    let now = clock::now();
    let filter = VectorFilter {
        memory_type: query.memory_type,
        statuses: query.statuses(),
        min_importance: query.min_importance,
        readings: Vec::new(),
    };
    let (by_word, weights, by_meaning) = both_arms(ctx, user, query, words, &filter).await?;
    let fused = rank::fuse(query.mode, ctx.embedder.weight(), &by_word, &by_meaning);
    let mut order: Vec<(Uuid, Explained)> = fused.into_iter().collect();
    order.sort_by(|a, b| b.1.relevance.total_cmp(&a.1.relevance).then(a.0.cmp(&b.0)));
    let mut hits = Vec::new();
    // Rows are read a chunk at a time, the best first, until enough of them pass the filters. Factors move a hit by a
    // third at most, so twice as many as wanted are enough to rank.
    let enough = query.limit * 2;
    for chunk in order.chunks((query.limit * 3).max(30)) {
        let ids: Vec<MemoryId> = chunk.iter().map(|(id, _)| MemoryId(*id)).collect();
        let (rows, disputed): (Result<_>, Result<_>) = tokio::join!(
            async { Ok(memories::get_many(&mut ctx.db.read().await?, user, &ids).await?) },
            async { Ok(memory_conflicts::contradictions(&mut ctx.db.read().await?, user, &ids).await?) },
        );
        let (rows, disputed) = (rows?, disputed?);
        let disputed: HashSet<MemoryId> = disputed.into_iter().flat_map(|(a, b)| [a, b]).collect();
        for memory in rows.into_iter().filter(|memory| query.wants(memory, now)) {
            let Some((_, explained)) = chunk.iter().find(|(id, _)| *id == memory.id.0) else { continue };
            let mut explained = explained.clone();
            rank::judge(&mut explained, &memory, disputed.contains(&memory.id), query.as_of.unwrap_or(now));
            let reason = reason(&explained, &memory.content, &weights);
            if !is_relevant(ctx, &explained, &weights, SHOWN) {
                continue; // nothing is said where nothing is known
            }
            let bearing = bearing(&explained, &weights);
            let is_relevant = is_relevant(ctx, &explained, &weights, 1.0);
            hits.push(Hit {
                document: Document::Memory(Box::new(memory)),
                explained,
                is_relevant,
                bearing,
                is_named: false,
                reason,
            });
        }
        if hits.len() >= enough {
            break;
        }
    }
    hits.sort_by(|a, b| b.explained.score.total_cmp(&a.explained.score));
    hits.truncate(query.limit);
    Ok(hits)
}
