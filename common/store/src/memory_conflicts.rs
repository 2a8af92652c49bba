//! Memories that do not go together, and merges that are suggested.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_optional, ids, row, statements};
use crate::domain::{
    ids::{ChangeId, ConflictId, MemoryId, UserId},
    memory::{Actor, ConflictStatus, Judgement},
};

statements! {
    INSERT = "insert into memory_conflicts (id, user_id, a, b, kind, reason, proposed, status, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, 'open', $8) on conflict do nothing";
    GET = "select id, a, b, kind, reason, proposed, status, resolved_by, created_at, resolved_at from memory_conflicts
    where id = $1 and user_id = $2";
    LIST = "select id, a, b, kind, reason, proposed, status, resolved_by, created_at, resolved_at from memory_conflicts
    where user_id = $1 and ($2 is null or status = $2) order by created_at desc, id desc limit $3 offset $4";
    RESOLVE = "update memory_conflicts set status = $3, resolved_by = $4, resolved_at = $5, change_set = $6
    where id = $1 and user_id = $2 and status = 'open'";
    BETWEEN = "select id, a, b, kind, reason, proposed, status, resolved_by, created_at, resolved_at from memory_conflicts
    where user_id = $1 and ((a = $2 and b = $3) or (a = $3 and b = $2))";
    DISMISS_OF = "update memory_conflicts set status = 'dismissed', resolved_by = $3, resolved_at = $4, change_set = $5
    where user_id = $1 and (a = $2 or b = $2) and status = 'open'";
    /// Of a memory that came back: what closed them has been undone, and both of the two count again.
    REOPEN_OF = "update memory_conflicts set status = 'open', resolved_by = null, resolved_at = null, change_set = null
    where user_id = $1 and (a = $2 or b = $2) and status <> 'open'
    and exists (select 1 from memory_changes c where c.change_set = memory_conflicts.change_set and c.undone_at is not null)
    and not exists (select 1 from memories m where m.id in (a, b) and m.status not in ('pending', 'confirmed'))";
    IN_CONFLICT = "select a, b from memory_conflicts where user_id = $1 and status = 'open' and kind = 'contradicts'
        and (a in ", ids!(2), " or b in ", ids!(2), ")";
    CLEAR_SUGGESTIONS = "delete from memory_suggestions where user_id = $1";
    INSERT_SUGGESTION =
        "insert into memory_suggestions (id, user_id, memory_ids, reason, suggested_content, score, created_at)
    values ($1, $2, $3, $4, $5, $6, $7)";
    SUGGESTIONS = "select memory_ids, reason, suggested_content, score from memory_suggestions where user_id = $1
    order by score desc, id limit $2";
}

#[derive(Debug, Clone)]
pub struct Conflict {
    pub id: ConflictId,
    /// The earlier memory.
    pub a: MemoryId,
    pub b: MemoryId,
    pub kind: Judgement,
    pub reason: String,
    /// What to do about it, for people.
    pub proposed: String,
    pub status: ConflictStatus,
    pub resolved_by: Option<Actor>,
    pub created_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
}

row!(Conflict: id, a, b, kind, reason, proposed, status, resolved_by, created_at, resolved_at);

/// `false`: these two have a record already, answered or not.
pub async fn insert(tx: &mut Tx, user: UserId, conflict: &Conflict) -> Result<bool, sqlx::Error> {
    let Conflict { id, a, b, kind, reason, proposed, created_at, .. } = conflict;
    Ok(execute!(tx, INSERT, *id, user, *a, *b, *kind, reason, proposed, *created_at)? == 1)
}

pub async fn get(
    q: &mut impl Querier,
    user: UserId,
    id: ConflictId,
) -> Result<Option<Conflict>, sqlx::Error> {
    fetch_optional!(Conflict, q, GET, id, user)
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    status: Option<ConflictStatus>,
    limit: i64,
    skip: i64,
) -> Result<Vec<Conflict>, sqlx::Error> {
    fetch_all!(Conflict, q, LIST, user, status, limit, skip)
}

pub async fn between(
    q: &mut impl Querier,
    user: UserId,
    a: MemoryId,
    b: MemoryId,
) -> Result<Option<Conflict>, sqlx::Error> {
    fetch_optional!(Conflict, q, BETWEEN, user, a, b)
}

/// What became of a conflict.
pub struct Decision {
    pub status: ConflictStatus,
    pub by: Actor,
    /// The change that it is part of.
    pub set: ChangeId,
    pub now: DateTime<Utc>,
}

/// Answers it, until the changes of `set` are undone. `false`: it is not open any more.
pub async fn resolve(
    tx: &mut Tx,
    user: UserId,
    id: ConflictId,
    decision: Decision,
) -> Result<bool, sqlx::Error> {
    let Decision { status, by, set, now } = decision;
    Ok(execute!(tx, RESOLVE, id, user, status, by, now, set)? == 1)
}

/// Opens the conflicts of a memory again whose answer was undone. How many.
pub async fn reopen_of(tx: &mut Tx, user: UserId, memory: MemoryId) -> Result<u64, sqlx::Error> {
    execute!(tx, REOPEN_OF, user, memory)
}

/// Closes the open conflicts of a memory that does not count any more.
pub async fn dismiss_of(
    tx: &mut Tx,
    user: UserId,
    memory: MemoryId,
    by: Actor,
    set: ChangeId,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    execute!(tx, DISMISS_OF, user, memory, by, now, set)
}

/// The open contradictions any of these memories is in.
pub async fn contradictions(
    q: &mut impl Querier,
    user: UserId,
    of: &[MemoryId],
) -> Result<Vec<(MemoryId, MemoryId)>, sqlx::Error> {
    fetch_all!((MemoryId, MemoryId), q, IN_CONFLICT, user, ids(of.iter().copied()))
}

/// Memories that could be merged.
#[derive(Debug, Clone)]
pub struct Suggestion {
    pub memory_ids: Vec<MemoryId>,
    pub reason: String,
    pub suggested_content: String,
    pub score: f64,
}

row!(Suggestion: memory_ids as json, reason, suggested_content, score);

/// Puts new suggestions in the place of the old ones.
pub async fn replace_suggestions(
    tx: &mut Tx,
    user: UserId,
    all: &[Suggestion],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, CLEAR_SUGGESTIONS, user)?;
    for one in all {
        let id = ChangeId::new();
        execute!(
            tx,
            INSERT_SUGGESTION,
            id,
            user,
            Json(&one.memory_ids),
            &one.reason,
            &one.suggested_content,
            one.score,
            now
        )?;
    }
    Ok(())
}

pub async fn suggestions(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
) -> Result<Vec<Suggestion>, sqlx::Error> {
    fetch_all!(Suggestion, q, SUGGESTIONS, user, limit)
}
