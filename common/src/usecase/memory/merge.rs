//! Merging memories into one: the originals stay as `merged`, their evidence and links count for the new one, and all of
//! it can be taken apart again.

use super::{Changes, graph::in_order, may_show_private};
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Action, Actor, Memory, MemoryStatus, MemoryType},
    },
    error::{Code, Wrong},
    store::{memories, memory_links},
};

pub const MOST: usize = 50;

/// Checks before anything is asked of a model: 2 to 50 different memories of this user, all of which count.
pub async fn check(ctx: &Context, user: UserId, ids: &[MemoryId]) -> Result<Vec<Memory>> {
    let mut distinct = ids.to_vec();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != ids.len() || !(2..=MOST).contains(&ids.len()) {
        return Err(Error::field("memory_ids", Wrong::DifferentMemories { min: 2, max: MOST }));
    }
    let found = memories::get_many(&mut ctx.db.read().await?, user, ids).await?;
    mergeable(&found, ids)?;
    if found.iter().any(|memory| memory.is_private) && !may_show_private(ctx, user).await? {
        let detail = "One of these is private, and merging would show it to a provider outside. The setting \
                      allow_private_in_context permits that.";
        return Err(Error::new(Code::Forbidden, detail));
    }
    Ok(found)
}

fn mergeable(found: &[Memory], ids: &[MemoryId]) -> Result<()> {
    if found.len() != ids.len() {
        return Err(Error::not_found("memory"));
    }
    if let Some(other) = found.iter().find(|memory| !memory.is_active()) {
        let detail =
            format!("{} is {}: only pending and confirmed memories can be merged.", other.id, other.status);
        return Err(Error::new(Code::WrongState, detail));
    }
    Ok(())
}

/// Merges within an open change, so that the job which asked the model ends in the same transaction.
pub async fn merge(changes: &mut Changes, ids: &[MemoryId], content: &str) -> Result<Memory> {
    let user = changes.user;
    let originals = memories::get_many(&mut changes.tx, user, ids).await?;
    mergeable(&originals, ids)?;
    let merged = merged_of(&originals, content, changes);
    for original in &originals {
        let after = Memory {
            status: MemoryStatus::Merged,
            // Set after the row it points to is there.
            merged_into: None,
            ..original.clone()
        };
        memories::update(&mut changes.tx, &after).await?;
    }
    changes.insert(&merged, Action::MergeMade, None).await?;
    for original in &originals {
        let after = Memory { status: MemoryStatus::Merged, merged_into: Some(merged.id), ..original.clone() };
        changes.update(original, after, Action::Merged).await?;
        changes.dismiss_conflicts(original.id, Actor::Consolidation).await?;
        memories::copy_evidence(&mut changes.tx, user, original.id, merged.id).await?;
        for link in memory_links::touching(&mut changes.tx, user, original.id).await? {
            let replaced = |end: MemoryId| if ids.contains(&end) { merged.id } else { end };
            let (source, target) = (replaced(link.source), replaced(link.target));
            if source != target {
                let link = in_order(source, target, link.relationship);
                memory_links::insert(&mut changes.tx, user, &link, Actor::Consolidation, changes.now).await?;
            }
        }
    }
    Ok(merged)
}

/// What all agree on stays; where they differ, the strongest counts.
fn merged_of(originals: &[Memory], content: &str, changes: &Changes) -> Memory {
    let most = |value: fn(&Memory) -> f64| originals.iter().map(value).fold(0.0, f64::max);
    let shared = |value: fn(&Memory) -> Option<&String>| {
        let first = originals.first().and_then(value);
        first.filter(|first| originals.iter().all(|memory| value(memory) == Some(*first))).cloned()
    };
    let confirmed = originals.iter().all(|memory| memory.status == MemoryStatus::Confirmed);
    let status = if confirmed { MemoryStatus::Confirmed } else { MemoryStatus::Pending };
    let mut merged = Memory::new(changes.user, content, MemoryType::Fact, status, changes.now);
    merged.memory_type = originals.first().map_or(MemoryType::Fact, |memory| memory.memory_type);
    merged.subject = shared(|m| m.subject.as_ref());
    merged.slot = shared(|m| m.slot.as_ref());
    merged.object = shared(|m| m.object.as_ref());
    merged.importance = most(|m| m.importance);
    merged.confidence = most(|m| m.confidence);
    merged.explicit = originals.iter().all(|memory| memory.explicit);
    merged.sensitive = originals.iter().any(|memory| memory.sensitive);
    merged.is_private = originals.iter().any(|memory| memory.is_private);
    merged.support = originals.iter().map(|memory| memory.support).sum();
    merged.valid_from = originals.iter().filter_map(|memory| memory.valid_from).min();
    merged.contexts = originals.iter().flat_map(|memory| memory.contexts.clone()).collect();
    merged.contexts.sort();
    merged.contexts.dedup();
    merged.contexts.truncate(20);
    merged
}
