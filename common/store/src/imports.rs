//! Conversations that are taken in from files: what of them is there already, and room for the rest.

use chrono::{DateTime, Utc};

use super::db::{Querier, Tx, execute, fetch_all, fetch_optional, ids, row, statements};
use crate::domain::{
    ids::{MessageId, SessionId, UserId},
    message::Role,
};

statements! {
    /// Also of answers that gave way to others.
    PLACES = "select id, session_id, seq from messages where ", checked!("user_id = $1"), " and id in ", ids!(2),
        " union all select id, session_id, seq from message_variants where ", checked!("user_id = $1"), " and id in ", ids!(2);
    ROOM = "select next_seq, message_count from sessions where id = $1 and user_id = $2 and status <> 'deleted'";
    /// What is not to be read counts as read, unless something before it still waits.
    GROW = "update sessions set next_seq = cast($3 as bigint), message_count = message_count + $4,
        updated_at = case when updated_at < $5 then $5 else updated_at end,
        active_hour = case when updated_at < $5 then ", hour!("$5"), " else active_hour end,
        pending_since = coalesce(pending_since, $6), extract_after = coalesce(extract_after, $6),
        extract_due = coalesce(extract_due, $6),
        extracted_seq = case when $7 and extracted_seq = $8 then cast($3 as bigint) - 1 else extracted_seq end
    where id = $1 and user_id = $2";
    ADD_VARIANT = "insert into message_variants (id, session_id, user_id, seq, content, status, model, created_at)
    values ($1, $2, $3, $4, $5, 'complete', $6, $7)";
    ROLE_AT = "select role from messages where session_id = $1 and ", checked!("user_id = $2"), " and seq = $3";
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub id: MessageId,
    pub session_id: SessionId,
    pub seq: i64,
}

row!(Place: id, session_id, seq);

/// Those of `of` that the user has.
pub async fn places(q: &mut impl Querier, user: UserId, of: &[MessageId]) -> Result<Vec<Place>, sqlx::Error> {
    fetch_all!(Place, q, PLACES, user, ids(of.iter().map(|id| id.0)))
}

/// What a session holds.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub next_seq: i64,
    pub message_count: i64,
}

row!(Room: next_seq, message_count);

/// Takes a session's row; `None`: it is gone.
pub async fn room(tx: &mut Tx, user: UserId, session: SessionId) -> Result<Option<Room>, sqlx::Error> {
    super::sessions::lock(tx, session).await?;
    fetch_optional!(Room, tx, ROOM, session, user)
}

/// How a session has grown.
pub struct Growth {
    pub session: SessionId,
    /// The place before the new messages, and how many those are.
    pub after: i64,
    pub count: i64,
    pub last: DateTime<Utc>,
    /// When they are to be read for memories; `None`: never.
    pub due: Option<DateTime<Utc>>,
}

pub async fn grow(tx: &mut Tx, user: UserId, growth: Growth) -> Result<(), sqlx::Error> {
    let Growth { session, after, count, last, due } = growth;
    let next = after + count + 1;
    execute!(tx, GROW, session, user, next, count, last, due, due.is_none(), after).map(drop)
}

/// An answer that another one took the place of.
pub struct NewVariant<'a> {
    pub place: Place,
    pub content: &'a str,
    pub model: Option<&'a str>,
    pub at: DateTime<Utc>,
}

pub async fn add_variant(tx: &mut Tx, user: UserId, variant: NewVariant<'_>) -> Result<(), sqlx::Error> {
    let NewVariant { place, content, model, at } = variant;
    execute!(tx, ADD_VARIANT, place.id, place.session_id, user, place.seq, content, model, at).map(drop)
}

/// Whose words a message's are; `None`: there is none.
pub async fn role_at(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
    seq: i64,
) -> Result<Option<Role>, sqlx::Error> {
    Ok(fetch_optional!((Role,), tx, ROLE_AT, session, user, seq)?.map(|row| row.0))
}
