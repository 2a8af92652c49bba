//! Links between memories, made by hand.

use chrono::{DateTime, Utc};

use super::Changes;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Actor, Relationship},
    },
    error::Wrong,
    store::memory_links::{self, Link},
};

/// A link in its one form: what says the same in both directions goes from the older to the newer memory.
pub fn in_order(source: MemoryId, target: MemoryId, relationship: Relationship) -> Link {
    let (source, target) =
        if relationship.is_symmetric() && target < source { (target, source) } else { (source, target) };
    Link { source, target, relationship }
}

/// Links two memories of one user; gives when that was. `false`: they were linked so already.
pub async fn link(
    ctx: &Context,
    user: UserId,
    source: MemoryId,
    target: MemoryId,
    relationship: Relationship,
) -> Result<(Link, DateTime<Utc>, bool)> {
    if source == target {
        return Err(Error::field("target_id", Wrong::Unfit("must not be the memory itself")));
    }
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    changes.get(source).await?;
    changes.get(target).await?;
    let link = in_order(source, target, relationship);
    let now = changes.now;
    let made = memory_links::insert(&mut changes.tx, user, &link, Actor::User, now).await?;
    let at = memory_links::made_at(&mut changes.tx, user, &link).await?.unwrap_or(now);
    changes.commit(ctx).await?;
    Ok((link, at, made))
}

/// Takes a link away: of one kind, or of all. How many.
pub async fn unlink(
    ctx: &Context,
    user: UserId,
    source: MemoryId,
    target: MemoryId,
    relationship: Option<Relationship>,
) -> Result<u64> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let mut gone = memory_links::delete(&mut changes.tx, user, source, target, relationship).await?;
    // In the other direction too, for those that have none.
    let asked = |other: &Relationship| relationship.is_none_or(|one| one == *other);
    for symmetric in Relationship::ALL.into_iter().filter(|other| other.is_symmetric() && asked(other)) {
        gone += memory_links::delete(&mut changes.tx, user, target, source, Some(symmetric)).await?;
    }
    if gone == 0 {
        return Err(Error::not_found("link"));
    }
    changes.commit(ctx).await?;
    Ok(gone)
}
