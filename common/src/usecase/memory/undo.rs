//! Undoing changes: the before-images of a whole set come back in one transaction, or none does.

use serde_json::json;

use super::Changes;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{ChangeId, MemoryId, UserId},
        memory::{Action, Actor, Memory},
    },
    error::Code,
    store::{memories, memory_conflicts, memory_log},
};

fn refused(detail: &str) -> Error {
    Error::new(Code::WrongState, detail)
}

/// Undoes the latest change of a memory, with all that was changed together with it. Gives the memories as they are now.
pub async fn undo(ctx: &Context, user: UserId, id: MemoryId) -> Result<Vec<Memory>> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    changes.get(id).await?;
    let set = memory_log::latest_undoable(&mut changes.tx, user, id).await?;
    let set = set.ok_or_else(|| refused("There is nothing left to undo."))?;
    let restored = undo_set(&mut changes, set).await?;
    changes.commit(ctx).await?;
    Ok(restored)
}

/// Takes a merge apart: the originals are as they were, the merged memory is gone.
pub async fn unmerge(ctx: &Context, user: UserId, id: MemoryId) -> Result<Vec<Memory>> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    changes.get(id).await?;
    let set = memory_log::merge_that_made(&mut changes.tx, user, id).await?;
    let set = set.ok_or_else(|| refused("This memory was not made by a merge."))?;
    // What was done to the merged memory since goes with it.
    let restored = undo_parts(&mut changes, set, Some(id)).await?;
    changes.commit(ctx).await?;
    Ok(restored)
}

async fn undo_set(changes: &mut Changes, set: ChangeId) -> Result<Vec<Memory>> {
    undo_parts(changes, set, None).await
}

async fn undo_parts(
    changes: &mut Changes,
    set: ChangeId,
    may_have_changed: Option<MemoryId>,
) -> Result<Vec<Memory>> {
    let user = changes.user;
    let parts = memory_log::of_set(&mut changes.tx, user, set).await?;
    for part in &parts {
        let latest = memory_log::latest_undoable(&mut changes.tx, user, part.memory_id).await?;
        if latest != Some(set) && may_have_changed != Some(part.memory_id) {
            return Err(refused("A memory of this change has changed since: undo that first."));
        }
        if part.before.is_none() && part.actor == Actor::Extractor {
            return Err(refused(
                "This memory was extracted from a conversation: reject or delete it instead.",
            ));
        }
    }
    // What was made goes first: it may say what something restored says.
    for part in parts.iter().filter(|part| part.before.is_none()) {
        let current = changes.get(part.memory_id).await?;
        // What was said meanwhile says what it was made of.
        for other in parts.iter().filter(|other| other.before.is_some()) {
            memories::copy_evidence(&mut changes.tx, user, current.id, other.memory_id).await?;
        }
        changes.delete(&current).await?;
    }
    let mut restored = Vec::new();
    // The last first: a memory that changed twice in a set ends as it began.
    for part in parts.into_iter().rev() {
        let Some(before) = part.before else { continue };
        let current = changes.get(part.memory_id).await?;
        // Counts go on; sources never change.
        let image = Memory {
            access_count: current.access_count,
            last_accessed: current.last_accessed,
            support: current.support.max(before.support),
            ..before
        };
        let memory = changes.update(&current, image, Action::Undone).await?;
        restored.retain(|other: &Memory| other.id != memory.id);
        restored.push(memory);
    }
    memory_log::mark_undone(&mut changes.tx, user, set, changes.now).await?;
    let ids: Vec<MemoryId> = restored.iter().map(|memory| memory.id).collect();
    let mut reopened = 0;
    for id in &ids {
        reopened += memory_conflicts::reopen_of(&mut changes.tx, user, *id).await?;
    }
    if reopened > 0 {
        changes.event("memory_changed", json!({"action": "conflict_reopened", "count": reopened})).await?;
    }
    Ok(memories::get_many(&mut changes.tx, user, &ids).await?)
}
