//! Writing memories: a row put in, changed, taken out, read once more.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    db::{Conn, Tx, execute, ids, statements},
    domain::{
        ids::{MemoryId, UserId},
        memory::Memory,
    },
    memory::essential,
};

statements! {
    INSERT = "insert into memories (", columns!(),
        ", essential) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
       $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)";
    UPDATE = "update memories set content = $3, norm = $4, memory_type = $5, subject = $6, slot = $7, object = $8,
        importance = $9, confidence = $10, status = $11, explicit = $12, sensitive = $13, support = $14, valid_from = $15,
        valid_to = $16, contexts = $17, is_private = $18, merged_into = $19, expires_at = $20, verified_at = $21,
        feedback = $22, updated_at = $23, embedded = case when norm = $4 then embedded else $24 end,
        essential = $25
    where id = $1 and user_id = $2";
    DELETE = "delete from memories where id = $1 and user_id = $2";
    TOUCH = "update memories set access_count = access_count + 1, last_accessed = $2 where ", checked!("user_id = $1"), " and id in ", ids!(3);
}

pub async fn insert(tx: &mut Tx, m: &Memory) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        INSERT,
        m.id,
        m.user_id,
        &m.content,
        &m.norm,
        m.memory_type,
        &m.subject,
        &m.slot,
        &m.object,
        m.importance,
        m.confidence,
        m.status,
        m.explicit,
        m.sensitive,
        m.support,
        m.valid_from,
        m.valid_to,
        Json(&m.contexts),
        m.is_private,
        m.session_id,
        m.message_id,
        &m.quote,
        &m.extractor_version,
        m.extracted_at,
        m.merged_into,
        m.expires_at,
        m.access_count,
        m.last_accessed,
        m.verified_at,
        &m.feedback,
        m.created_at,
        m.updated_at,
        essential::is_essential(m)
    )
    .map(drop)
}

/// Writes all that can change. Where it came from never does. A vector of other words is made anew.
pub async fn update(tx: &mut Tx, m: &Memory) -> Result<bool, sqlx::Error> {
    let changed = execute!(
        tx,
        UPDATE,
        m.id,
        m.user_id,
        &m.content,
        &m.norm,
        m.memory_type,
        &m.subject,
        &m.slot,
        &m.object,
        m.importance,
        m.confidence,
        m.status,
        m.explicit,
        m.sensitive,
        m.support,
        m.valid_from,
        m.valid_to,
        Json(&m.contexts),
        m.is_private,
        m.merged_into,
        m.expires_at,
        m.verified_at,
        &m.feedback,
        m.updated_at,
        false,
        essential::is_essential(m)
    )?;
    Ok(changed == 1)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: MemoryId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// Counts a reading of each.
pub async fn touch(
    conn: &mut Conn,
    user: UserId,
    read: &[MemoryId],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(conn, TOUCH, user, now, ids(read.iter().copied())).map(drop)
}
