//! Deleting memories for good, so that they do not come back.

use super::{Changes, forgotten_hash, forgotten_slot};
use crate::{
    Context, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Actor, Memory},
    },
    store::{memories, past_turns},
};

pub async fn delete(ctx: &Context, user: UserId, id: MemoryId) -> Result<()> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let memory = changes.get(id).await?;
    forget(ctx, &mut changes, &memory).await?;
    changes.delete(&memory).await?;
    changes.commit(ctx).await
}

/// A hash of what it said stays, so that reading the conversation again does not bring it back; and the turns that said it are given to
/// no other conversation.
pub(super) async fn forget(ctx: &Context, changes: &mut Changes, memory: &Memory) -> Result<()> {
    memories::forget(&mut changes.tx, changes.user, &forgotten_hash(ctx, &memory.norm)).await?;
    past_turns::forget(&mut changes.tx, changes.user, memory.id).await?;
    if let (Some(subject), Some(slot), Some(object)) = (&memory.subject, &memory.slot, &memory.object) {
        memories::forget(&mut changes.tx, changes.user, &forgotten_slot(ctx, subject, slot, object)).await?;
    }
    Ok(())
}

/// What a bulk deletion names: ids, or all that match.
#[derive(Debug, Clone)]
pub enum Doomed {
    Ids(Vec<MemoryId>),
    Matching(memories::Criteria),
}

/// Deletes many. A dry run only counts. Ids that are not the user's are left out of the count.
pub async fn delete_many(ctx: &Context, user: UserId, doomed: &Doomed, dry_run: bool) -> Result<u64> {
    const BATCH: i64 = 500;
    let mut deleted = 0;
    match doomed {
        Doomed::Ids(ids) => {
            let mut changes = Changes::open(ctx, user, Actor::User).await?;
            let found = memories::get_many(&mut changes.tx, user, ids).await?;
            deleted += found.len() as u64;
            if !dry_run {
                for memory in &found {
                    forget(ctx, &mut changes, memory).await?;
                    changes.delete(memory).await?;
                }
                changes.commit(ctx).await?;
            }
        }
        Doomed::Matching(criteria) => {
            let mut after = MemoryId(uuid::Uuid::nil());
            loop {
                let mut changes = Changes::open(ctx, user, Actor::User).await?.quietly();
                let ids = memories::matching(&mut changes.tx, user, after, criteria, BATCH).await?;
                let Some(last) = ids.last() else { break };
                after = *last;
                deleted += ids.len() as u64;
                if !dry_run {
                    for memory in memories::get_many(&mut changes.tx, user, &ids).await? {
                        forget(ctx, &mut changes, &memory).await?;
                        changes.delete(&memory).await?;
                    }
                    changes
                        .event("memory_changed", serde_json::json!({"action": "deleted", "count": ids.len()}))
                        .await?;
                    changes.commit(ctx).await?;
                }
            }
        }
    }
    Ok(deleted)
}
