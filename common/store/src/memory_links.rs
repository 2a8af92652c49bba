//! Links between memories of one user, and the graph they make.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::db::{Pair, Querier, Tx, any_id, execute, fetch_all, fetch_optional, ids};
use crate::domain::{
    ids::{MemoryId, UserId},
    memory::{Actor, Relationship},
};

const INSERT: &str = "insert into memory_links (source, target, relationship, user_id, actor, created_at)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
const MADE_AT: &str = "select created_at from memory_links where source = $1 and target = $2 and relationship = $3 and user_id = $4";
const DELETE: &str = "delete from memory_links where source = $1 and target = $2 and ($3 is null or relationship = $3) and user_id = $4";
/// Breadth first from $2 to depth $3, both ways along links (of one kind, if $4 says so). `union` stops cycles: a memory
/// returns at most once a depth.
const RELATED: &str = "with recursive walk (id, depth) as (
        select id, 0 from memories where id = $2 and user_id = $1
        union
        select case when l.source = w.id then l.target else l.source end, w.depth + 1
        from walk w join memory_links l on (l.source = w.id or l.target = w.id) and l.user_id = $1
        where w.depth < $3 and ($4 is null or l.relationship = $4))
    select id, min(depth) from walk where depth > 0 and id <> $2 group by id order by min(depth), id limit $5";
const AMONG: Pair = Pair {
    pg: "select source, target, relationship from memory_links where user_id = $1
        and source in (select x::uuid from jsonb_array_elements_text($2) x)
        and target in (select x::uuid from jsonb_array_elements_text($2) x) order by source, target, relationship limit 5000",
    lite: "select source, target, relationship from memory_links where user_id = $1
        and source in (select unhex(value) from json_each($2)) and target in (select unhex(value) from json_each($2))
        order by source, target, relationship limit 5000",
};
const OF: Pair = any_id!(["select source, target, relationship from memory_links where user_id = $1 and source in "] 2
    [" order by source, target, relationship"]);
const ALL: &str = "select source, target, relationship from memory_links where user_id = $1 order by source, target, relationship limit $2";
const TOUCHING: &str = "select source, target, relationship from memory_links where user_id = $1 and (source = $2 or target = $2)
    order by source, target, relationship";
const LINKED_IDS: &str = "select distinct id from (select source as id from memory_links where user_id = $1
    union select target from memory_links where user_id = $1) l order by id limit $2";

pub(super) const SQL: &[&str] = &[INSERT, MADE_AT, DELETE, RELATED, ALL, TOUCHING, LINKED_IDS];
pub(super) const PAIRS: &[Pair] = &[AMONG, OF];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Link {
    #[schema(value_type = String)]
    pub source: MemoryId,
    #[schema(value_type = String)]
    pub target: MemoryId,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "supports")]
    pub relationship: Relationship,
}

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
    let sql = AMONG.of(q);
    fetch_all!(Link, q, sql, user, ids(of.iter().copied()))
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
