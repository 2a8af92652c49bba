//! What happened to memories: the counter every change takes, the changes with their before-images, and the events
//! that streams resume from.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    db::{Conn, Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements},
    jobs::users_with_open,
};
use crate::{
    clock,
    domain::{
        ids::{ChangeId, MemoryId, UserId},
        memory::{Action, Actor, Memory},
    },
};

statements! {
    TAKE_VERSION = "insert into memory_state (user_id, version) values ($1, 1)
    on conflict (user_id) do update set version = memory_state.version + 1 returning version";
    ADD_DIRTY = "update memory_state set dirty = dirty + $2 where user_id = $1";
    STATE = "select version, deletions from memory_state where user_id = $1";
    CONSOLIDATED = "update memory_state set dirty = 0, consolidated_at = $2 where user_id = $1";
    DIRTY_USERS = "select s.user_id from memory_state s where s.dirty >= $1
    and s.user_id not in ", users_with_open!("'consolidation'"), " limit 100";
    INSERT_CHANGE =
        "insert into memory_changes (id, change_set, memory_id, user_id, actor, action, before, after, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    HISTORY = "select id, change_set, memory_id, actor, action, before, after, created_at, undone_at from memory_changes
    where memory_id = $1 and user_id = $2 order by id desc limit $3";
    LATEST_UNDOABLE = "select change_set from memory_changes where memory_id = $1 and user_id = $2 and undone_at is null
    and action <> 'undone' order by id desc limit 1";
    OF_SET = "select id, change_set, memory_id, actor, action, before, after, created_at, undone_at from memory_changes
    where change_set = $1 and user_id = $2 order by id";
    MARK_UNDONE = "update memory_changes set undone_at = $3 where change_set = $1 and user_id = $2";
    MERGE_SET_OF = "select change_set from memory_changes where memory_id = $1 and user_id = $2 and action = 'merge_made'
    and undone_at is null order by id desc limit 1";
    /// What was superseded or disputed in the transaction of a moment, in its order.
    DISPUTED_AT = "select d.id, m.content from (
        select memory_id as id, id as n from memory_changes where user_id = $1 and created_at = $2 and action = 'superseded'
        union all select a, id from memory_conflicts where user_id = $1 and created_at = $2) d
    join memories m on m.id = d.id order by d.n";
    INSERT_EVENT = "insert into user_events (user_id, n, name, data, created_at)
    values ($1, (select coalesce(max(n), 0) + 1 from user_events where user_id = $1), $2, $3, $4)";
    EVENTS_AFTER = "select n, name, data from user_events where user_id = $1 and n > $2 order by n limit $3";
    LAST_EVENT = "select coalesce(max(n), 0) from user_events where user_id = $1";
    /// The newest stays, so that numbers only grow.
    PRUNE_EVENTS = "delete from user_events where created_at < $1
    and n < (select max(e.n) from user_events e where e.user_id = user_events.user_id)";
}

/// Takes the user's next number. The row stays locked until the transaction ends: changes of one user's memory come one
/// after another.
pub async fn take_version(tx: &mut Tx, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), tx, TAKE_VERSION, user)?.0)
}

pub async fn add_dirty(tx: &mut Tx, user: UserId, by: i64) -> Result<(), sqlx::Error> {
    execute!(tx, ADD_DIRTY, user, by).map(drop)
}

/// (version, deletions)
pub async fn state(q: &mut impl Querier, user: UserId) -> Result<(i64, i64), sqlx::Error> {
    Ok(fetch_optional!((i64, i64), q, STATE, user)?.unwrap_or_default())
}

pub async fn consolidated(tx: &mut Tx, user: UserId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(tx, CONSOLIDATED, user, now).map(drop)
}

/// Users with so many changes since their last consolidation, and none under way. For the sweep, over all users.
pub async fn dirty_users(q: &mut impl Querier, least: i64) -> Result<Vec<UserId>, sqlx::Error> {
    Ok(fetch_all!((UserId,), q, DIRTY_USERS, least)?.into_iter().map(|row| row.0).collect())
}

/// One change of one memory.
#[derive(Debug, Clone)]
pub struct Change {
    pub id: ChangeId,
    /// Changes that were made, and are undone, together.
    pub change_set: ChangeId,
    pub memory_id: MemoryId,
    pub actor: Actor,
    pub action: Action,
    pub before: Option<Memory>,
    pub after: Option<Memory>,
    pub created_at: DateTime<Utc>,
    pub undone_at: Option<DateTime<Utc>>,
}

row!(Change:
    id, change_set, memory_id, actor, action, before as optional_json, after as optional_json, created_at,
    undone_at
);

pub async fn insert_change(tx: &mut Tx, user: UserId, change: &Change) -> Result<(), sqlx::Error> {
    let Change { id, change_set, memory_id, actor, action, before, after, created_at, .. } = change;
    execute!(
        tx,
        INSERT_CHANGE,
        *id,
        *change_set,
        *memory_id,
        user,
        *actor,
        *action,
        before.as_ref().map(Json),
        after.as_ref().map(Json),
        *created_at
    )
    .map(drop)
}

/// The newest first.
pub async fn history(
    q: &mut impl Querier,
    user: UserId,
    memory: MemoryId,
    limit: i64,
) -> Result<Vec<Change>, sqlx::Error> {
    fetch_all!(Change, q, HISTORY, memory, user, limit)
}

pub async fn latest_undoable(
    q: &mut impl Querier,
    user: UserId,
    memory: MemoryId,
) -> Result<Option<ChangeId>, sqlx::Error> {
    Ok(fetch_optional!((ChangeId,), q, LATEST_UNDOABLE, memory, user)?.map(|row| row.0))
}

/// The merge that made a memory.
pub async fn merge_that_made(
    q: &mut impl Querier,
    user: UserId,
    memory: MemoryId,
) -> Result<Option<ChangeId>, sqlx::Error> {
    Ok(fetch_optional!((ChangeId,), q, MERGE_SET_OF, memory, user)?.map(|row| row.0))
}

pub async fn of_set(q: &mut impl Querier, user: UserId, set: ChangeId) -> Result<Vec<Change>, sqlx::Error> {
    fetch_all!(Change, q, OF_SET, set, user)
}

pub async fn mark_undone(
    tx: &mut Tx,
    user: UserId,
    set: ChangeId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, MARK_UNDONE, set, user, now).map(drop)
}

/// (memory, what it says) of what was superseded or disputed at a moment.
pub async fn disputed_at(
    q: &mut impl Querier,
    user: UserId,
    at: DateTime<Utc>,
) -> Result<Vec<(MemoryId, String)>, sqlx::Error> {
    fetch_all!((MemoryId, String), q, DISPUTED_AT, user, at)
}

/// Tells whoever follows the user's memory. Inside the transaction that changes it, after [`take_version`].
pub async fn event(tx: &mut Tx, user: UserId, name: &str, data: &Value) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_EVENT, user, name, Json(data), clock::now()).map(drop)
}

/// What whoever follows a user's memory is told.
#[derive(Debug)]
pub struct Event {
    /// Numbers of a user's grow.
    pub n: i64,
    pub name: String,
    pub data: Value,
}

row!(Event: n, name, data as json);

pub async fn events_after(
    q: &mut impl Querier,
    user: UserId,
    n: i64,
    limit: i64,
) -> Result<Vec<Event>, sqlx::Error> {
    fetch_all!(Event, q, EVENTS_AFTER, user, n, limit)
}

pub async fn last_event(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, LAST_EVENT, user)?.0)
}

pub async fn prune_events(conn: &mut Conn, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    execute!(conn, PRUNE_EVENTS, before).map(drop)
}
