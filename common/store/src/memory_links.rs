//! Links between memories of one user, and the graph they make.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_all, fetch_optional, ids, row, statements};
use crate::domain::{
    ids::{MemoryId, UserId},
    memory::{Actor, Relationship},
};

statements! {
    INSERT = "insert into memory_links (source, target, relationship, user_id, actor, created_at)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
    MADE_AT = "select created_at from memory_links where source = $1 and target = $2 and relationship = $3 and user_id = $4";
    DELETE =
        "delete from memory_links where source = $1 and target = $2 and ($3 is null or relationship = $3) and user_id = $4";
    /// Breadth first from $2 to depth $3, both ways along links (of one kind, if $4 says so). `union` stops cycles: a memory
    /// returns at most once a depth.
    RELATED = "with recursive walk (id, depth) as (
        select id, 0 from memories where id = $2 and user_id = $1
        union
        select case when l.source = w.id then l.target else l.source end, w.depth + 1
        from walk w join memory_links l on (l.source = w.id or l.target = w.id) and ", checked!("l.user_id = $1"), "
        where w.depth < $3 and ($4 is null or l.relationship = $4))
    select id, min(depth) from walk where depth > 0 and id <> $2 group by id order by min(depth), id limit $5";
    AMONG = "select source, target, relationship from memory_links where ", checked!("user_id = $1"), "
        and source in ", ids!(2), " and target in ", ids!(2), " order by source, target, relationship limit 5000";
    ALL =
        "select source, target, relationship from memory_links where user_id = $1 order by source, target, relationship limit $2";
    TOUCHING = "select source, target, relationship from memory_links where user_id = $1 and (source = $2 or target = $2)
    order by source, target, relationship";
    LINKED_IDS = "select distinct id from (select source as id from memory_links where user_id = $1
    union select target from memory_links where user_id = $1) l order by id limit $2";
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub source: MemoryId,
    pub target: MemoryId,
    pub relationship: Relationship,
}

row!(Link: source, target, relationship);

/// `false`: it was there.
pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    link: &Link,
    actor: Actor,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, INSERT, link.source, link.target, link.relationship, user, actor, now)? == 1)
}

/// When a link was made.
pub async fn made_at(
    q: &mut impl Querier,
    user: UserId,
    link: &Link,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let Link { source, target, relationship } = link;
    Ok(fetch_optional!((DateTime<Utc>,), q, MADE_AT, *source, *target, *relationship, user)?.map(|row| row.0))
}

/// Of one kind, or of any. How many.
pub async fn delete(
    tx: &mut Tx,
    user: UserId,
    source: MemoryId,
    target: MemoryId,
    relationship: Option<Relationship>,
) -> Result<u64, sqlx::Error> {
    execute!(tx, DELETE, source, target, relationship, user)
}

/// What is linked to a memory, with the distance, the nearest first.
pub async fn related(
    q: &mut impl Querier,
    user: UserId,
    from: MemoryId,
    depth: i32,
    relationship: Option<Relationship>,
    limit: i64,
) -> Result<Vec<(MemoryId, i32)>, sqlx::Error> {
    fetch_all!((MemoryId, i32), q, RELATED, user, from, depth, relationship, limit)
}

/// The links among these memories.
pub async fn among(q: &mut impl Querier, user: UserId, of: &[MemoryId]) -> Result<Vec<Link>, sqlx::Error> {
    fetch_all!(Link, q, AMONG, user, ids(of.iter().copied()))
}

pub async fn touching(q: &mut impl Querier, user: UserId, id: MemoryId) -> Result<Vec<Link>, sqlx::Error> {
    fetch_all!(Link, q, TOUCHING, user, id)
}

pub async fn all(q: &mut impl Querier, user: UserId, limit: i64) -> Result<Vec<Link>, sqlx::Error> {
    fetch_all!(Link, q, ALL, user, limit)
}

/// Memories that are linked to anything.
pub async fn linked(q: &mut impl Querier, user: UserId, limit: i64) -> Result<Vec<MemoryId>, sqlx::Error> {
    Ok(fetch_all!((MemoryId,), q, LINKED_IDS, user, limit)?.into_iter().map(|row| row.0).collect())
}
