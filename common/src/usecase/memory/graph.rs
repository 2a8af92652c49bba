//! Links between memories, made by hand.

use chrono::{DateTime, Utc};

use super::Changes;
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{RELATIONSHIPS, is_symmetric},
    },
    store::memory_links::{self, Link},
};

/// A link in its one form: what says the same in both directions goes from the older to the newer memory.
pub fn in_order(source: MemoryId, target: MemoryId, relationship: &str) -> Link {
    let (source, target) =
        if is_symmetric(relationship) && target < source { (target, source) } else { (source, target) };
    Link { source, target, relationship: relationship.to_owned() }
}

pub fn check_relationship(relationship: &str) -> Result<()> {
    if RELATIONSHIPS.contains(&relationship) {
        return Ok(());
    }
    Err(Error::field("relationship_type", format!("must be one of {}", RELATIONSHIPS.join(", "))))
}

/// Links two memories of one user; gives when that was. `false`: they were linked so already.
pub async fn link(
    ctx: &Context,
    user: UserId,
    source: MemoryId,
    target: MemoryId,
    relationship: &str,
) -> Result<(Link, DateTime<Utc>, bool)> {
    check_relationship(relationship)?;
    if source == target {
        return Err(Error::field("target_id", "must not be the memory itself"));
    }
    let mut changes = Changes::open(ctx, user, "user").await?;
    changes.get(source).await?;
    changes.get(target).await?;
    let link = in_order(source, target, relationship);
    let now = changes.now;
    let made = memory_links::insert(&mut changes.tx, user, &link, "user", now).await?;
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
    relationship: Option<&str>,
) -> Result<u64> {
    if let Some(relationship) = relationship {
        check_relationship(relationship)?;
    }
    let mut changes = Changes::open(ctx, user, "user").await?;
    let mut gone = memory_links::delete(&mut changes.tx, user, source, target, relationship).await?;
    // In the other direction too, for those that have none.
    for symmetric in
        RELATIONSHIPS.into_iter().filter(|name| is_symmetric(name) && relationship.is_none_or(|r| r == *name))
    {
        gone += memory_links::delete(&mut changes.tx, user, target, source, Some(symmetric)).await?;
    }
    if gone == 0 {
        return Err(Error::not_found("link"));
    }
    changes.commit(ctx).await?;
    Ok(gone)
}
