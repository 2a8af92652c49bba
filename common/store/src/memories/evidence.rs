//! Which messages say a memory.

use chrono::{DateTime, Utc};

use crate::{
    db::{Querier, Tx, execute, fetch_all, ids, statements},
    domain::{
        ids::{MemoryId, MessageId, UserId},
        memory::Memory,
    },
};

statements! {
    ADD_EVIDENCE = "insert into memory_evidence (memory_id, message_id, user_id, quote, created_at)
    values ($1, $2, $3, $4, $5) on conflict do nothing";
    EVIDENCE_MESSAGES = "select memory_id, message_id from memory_evidence where ", checked!("user_id = $1"), " and memory_id in ", ids!(2);
    COPY_EVIDENCE = "insert into memory_evidence (memory_id, message_id, user_id, quote, created_at)
    select $3, message_id, user_id, quote, created_at from memory_evidence where memory_id = $2 and user_id = $1 on conflict do nothing";
    BY_EVIDENCE = "select ", columns!(),
        " from memories where user_id = $1 and id in (select memory_id from memory_evidence where message_id = $2 and user_id = $1)";
}

/// One more message that says it. `false`: it was known to.
pub async fn add_evidence(
    tx: &mut Tx,
    user: UserId,
    id: MemoryId,
    message: MessageId,
    quote: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, ADD_EVIDENCE, id, message, user, quote, now)? == 1)
}

/// What says one memory says the other too.
pub async fn copy_evidence(
    tx: &mut Tx,
    user: UserId,
    from: MemoryId,
    to: MemoryId,
) -> Result<(), sqlx::Error> {
    execute!(tx, COPY_EVIDENCE, user, from, to).map(drop)
}

/// What a message gave.
pub async fn by_evidence(
    q: &mut impl Querier,
    user: UserId,
    message: MessageId,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_EVIDENCE, user, message)
}

/// (memory, message that says it)
pub async fn evidence_messages(
    q: &mut impl Querier,
    user: UserId,
    of: &[MemoryId],
) -> Result<Vec<(MemoryId, MessageId)>, sqlx::Error> {
    fetch_all!((MemoryId, MessageId), q, EVIDENCE_MESSAGES, user, ids(of.iter().copied()))
}
