//! The user's answer to memories that do not go together.

use serde_json::json;

use super::Changes;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{ConflictId, MemoryId, UserId},
        memory::{Action, Actor, ConflictStatus, Memory, MemoryStatus},
        texts::Content,
    },
    error::{Code, Wrong},
    store::{
        memory_conflicts::{self, Conflict},
        past_turns,
    },
};

#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    One(MemoryId),
    Both,
    Neither,
}

/// Resolves a conflict: the one kept is confirmed (in better words, if given), the other's validity ends.
pub async fn resolve(
    ctx: &Context,
    user: UserId,
    id: ConflictId,
    keep: &Keep,
    correct_content: Option<&Content>,
) -> Result<Conflict> {
    if correct_content.is_some() && !matches!(keep, Keep::One(_)) {
        let wrong = Wrong::Unfit("needs `keep` to be the id of one of the two");
        return Err(Error::field("correct_content", wrong));
    }
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let conflict = memory_conflicts::get(&mut changes.tx, user, id)
        .await?
        .ok_or_else(|| Error::not_found("conflict"))?;
    if conflict.status != ConflictStatus::Open {
        return Err(Error::new(Code::WrongState, format!("This conflict is {} already.", conflict.status)));
    }
    let (a, b) = (changes.get(conflict.a).await?, changes.get(conflict.b).await?);
    match keep {
        Keep::One(kept) if *kept == a.id => keep_one(&mut changes, &a, &b, correct_content).await?,
        Keep::One(kept) if *kept == b.id => keep_one(&mut changes, &b, &a, correct_content).await?,
        Keep::One(_) => {
            return Err(Error::field(
                "keep",
                Wrong::Unfit("must be the id of one of the two, or both, or neither"),
            ));
        }
        Keep::Both => {
            for memory in [&a, &b] {
                set_status(&mut changes, memory, MemoryStatus::Confirmed, Action::Confirmed).await?;
            }
        }
        Keep::Neither => {
            for memory in [&a, &b] {
                set_status(&mut changes, memory, MemoryStatus::Rejected, Action::Rejected).await?;
            }
        }
    }
    let status = if *keep == Keep::Both { ConflictStatus::Dismissed } else { ConflictStatus::Resolved };
    let (set, now) = (changes.set, changes.now);
    memory_conflicts::resolve(
        &mut changes.tx,
        user,
        id,
        memory_conflicts::Decision { status, by: Actor::User, set, now },
    )
    .await?;
    changes
        .event("memory_changed", json!({"action": "conflict_resolved", "conflict_id": id, "status": status}))
        .await?;
    let resolved = memory_conflicts::get(&mut changes.tx, user, id)
        .await?
        .ok_or_else(|| Error::not_found("conflict"))?;
    changes.commit(ctx).await?;
    Ok(resolved)
}

async fn set_status(
    changes: &mut Changes,
    memory: &Memory,
    status: MemoryStatus,
    action: Action,
) -> Result<()> {
    if !memory.is_active() {
        return Ok(()); // what is history stays history
    }
    let mut after = memory.clone();
    after.status = status;
    after.verified_at = Some(changes.now);
    changes.update(memory, after, action).await.map(drop)
}

async fn keep_one(
    changes: &mut Changes,
    kept: &Memory,
    other: &Memory,
    content: Option<&Content>,
) -> Result<()> {
    if !kept.is_active() {
        return Err(Error::new(Code::WrongState, format!("The memory to keep is {} by now.", kept.status)));
    }
    if other.is_active() {
        let mut ended = other.clone();
        ended.status = MemoryStatus::Superseded;
        let ends = kept.valid_from.unwrap_or(kept.created_at);
        // Never before it began: an older fact that is kept ends a newer one at once.
        ended.valid_to = Some(ends.max(other.valid_from.unwrap_or(other.created_at)));
        changes.update(other, ended, Action::Superseded).await?;
    }
    let mut after = kept.clone();
    after.status = MemoryStatus::Confirmed;
    after.verified_at = Some(changes.now);
    if let Some(content) = content {
        // What was said is wrong.
        past_turns::forget(&mut changes.tx, changes.user, kept.id).await?;
        after.content = content.to_string();
        after.object = None;
    }
    changes
        .update(kept, after, if content.is_some() { Action::Corrected } else { Action::Confirmed })
        .await
        .map(drop)
}
