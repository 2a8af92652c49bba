//! Folding bags into parts, and taking what is deleted out of them. Whoever does either holds the user's `memory_state`.

use std::collections::HashSet;

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    encoding::{self, SLOTS},
    fill, hex, sheets,
};
use crate::{
    db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, statements},
    domain::ids::UserId,
};

statements! {
    WAITING = "select count(*) from (select 1 from message_words where user_id = $1 limit $2) w";
    /// The oldest. What another transaction deletes at this moment is skipped. PostgreSQL chooses them first, once: a choice that stands
    /// in the condition may be made again for each row, and then takes more than it may.
    TAKE = pg!("with chosen as materialized (
            select doc_id from message_words where user_id = $1 order by doc_id limit $2 for update skip locked)
        delete from message_words w using chosen c where w.user_id = $1 and w.doc_id = c.doc_id
        returning w.doc_id, cast(w.length as bigint), w.bag"),
        lite!("delete from message_words where user_id = $1 and doc_id in
        (select doc_id from message_words where user_id = $1 order by doc_id limit $2) returning doc_id, cast(length as bigint), bag");
    NEXT = "select coalesce(max(part), 0) + 1 from message_word_parts where user_id = $1";
    PART = "insert into message_word_parts (user_id, part, ids, lengths, sheet, stamp) values ($1, $2, $3, $4, $5, $6)";
    POSTINGS = "insert into message_postings (user_id, bucket, part, postings) select $1, t.bucket, $2, ",
        pg!("decode(t.bytes, 'hex')"), lite!("unhex(t.bytes)"), " from ", rows!(3, t, bucket int, bytes text), " where true";
    TO_PURGE = "select distinct user_id from message_words_gone limit 20";
    GONE = "select doc_id from message_words_gone where user_id = $1 limit 2000";
    FORGET_GONE = "delete from message_words_gone where user_id = $1 and doc_id in ", ids!(2);
    ONE = "select ids, lengths from message_word_parts where user_id = $1 and part = $2";
    OF_PART = "select cast(bucket as bigint), postings from message_postings where user_id = $1 and part = $2";
    SET_PART = "update message_word_parts set ids = $3, lengths = $4, stamp = $5 where user_id = $1 and part = $2";
    IDS = "select part, ids from message_word_parts where user_id = $1";
    /// Buckets that are left with nothing stay, empty, until their part goes.
    SET_POSTINGS = "update message_postings set postings = ", pg!("decode(t.bytes, 'hex')"), lite!("unhex(t.bytes)"), "
        from ", rows!(3, t, bucket int, bytes text), "
        where message_postings.user_id = $1 and message_postings.part = $2 and message_postings.bucket = t.bucket";
    DROP_POSTINGS = "delete from message_postings where user_id = $1 and part = $2";
    DROP_PART = "delete from message_word_parts where user_id = $1 and part = $2";
}

/// A message that becomes part of a part.
pub struct Folded {
    pub message: Uuid,
    /// Words.
    pub length: i64,
    pub bag: Vec<u8>,
}

/// Whether there are enough bags for a part.
pub async fn is_waiting(q: &mut impl Querier, user: UserId) -> Result<bool, sqlx::Error> {
    let (waiting,) = fetch_one!((i64,), q, WAITING, user, SLOTS as i64)?;
    Ok(waiting == SLOTS as i64)
}

/// Makes so many parts, if there are bags for them. How many it made.
pub async fn fold_some(tx: &mut Tx, user: UserId, most: usize) -> Result<usize, sqlx::Error> {
    let mut made = 0;
    while made < most && fold_one(tx, user).await? {
        made += 1;
    }
    Ok(made)
}

/// Folds 256 bags into a part, if there are so many. `false`: there are not.
pub async fn fold_one(tx: &mut Tx, user: UserId) -> Result<bool, sqlx::Error> {
    if !is_waiting(tx, user).await? {
        return Ok(false);
    }
    let taken = fetch_all!((Uuid, i64, Vec<u8>), tx, TAKE, user, SLOTS as i64)?;
    let folded = taken.into_iter().map(|(message, length, bag)| Folded { message, length, bag });
    let folded: Vec<Folded> = folded.collect();
    add_part(tx, user, &folded).await?;
    // Of bags that others hold at this moment there may be enough waiting, and still few to take.
    Ok(folded.len() == SLOTS)
}

/// At most [`SLOTS`] messages as one part.
pub(super) async fn add_part(tx: &mut Tx, user: UserId, folded: &[Folded]) -> Result<(), sqlx::Error> {
    if folded.is_empty() {
        return Ok(());
    }
    let (part,) = fetch_one!((i64,), tx, NEXT, user)?;
    let ids: Vec<u8> = folded.iter().flat_map(|one| one.message.into_bytes()).collect();
    let lengths = encoding::lengths(folded.iter().map(|one| one.length));
    let sheet = fill::of(tx, user, folded).await?;
    execute!(tx, PART, user, part, ids, lengths, sheet, sheets::stamp())?;
    let buckets = encoding::postings(folded.iter().map(|one| one.bag.as_slice()));
    let rows: Vec<_> =
        buckets.iter().map(|(bucket, bytes)| json!({"bucket": bucket, "bytes": hex(bytes)})).collect();
    execute!(tx, POSTINGS, user, part, Json(rows)).map(drop)
}

/// Users of whom something deleted is still in a part. For the sweep.
pub async fn users_to_purge(q: &mut impl Querier) -> Result<Vec<UserId>, sqlx::Error> {
    Ok(fetch_all!((UserId,), q, TO_PURGE)?.into_iter().map(|row| row.0).collect())
}

/// Takes what is deleted out of a user's parts, so many messages at once. `false`: there was nothing.
pub async fn purge(tx: &mut Tx, user: UserId) -> Result<bool, sqlx::Error> {
    let gone: Vec<Uuid> = fetch_all!((Uuid,), tx, GONE, user)?.into_iter().map(|row| row.0).collect();
    let mut slots = slots_of(tx, user, &gone).await?;
    slots.sort_unstable();
    for of_part in slots.chunk_by(|one, next| one.0 == next.0) {
        let Some((part, _)) = of_part.first() else { continue };
        let slots: Vec<u8> = of_part.iter().map(|(_, slot)| *slot).collect();
        purge_part(tx, user, *part, &slots).await?;
    }
    Ok(execute!(tx, FORGET_GONE, user, crate::db::ids(gone))? > 0)
}

/// The part and slot of each message that is in one.
async fn slots_of(tx: &mut Tx, user: UserId, messages: &[Uuid]) -> Result<Vec<(i64, u8)>, sqlx::Error> {
    let messages: HashSet<Uuid> = messages.iter().copied().collect();
    let mut slots = Vec::new();
    for (part, ids) in fetch_all!((i64, Vec<u8>), tx, IDS, user)? {
        for (slot, id) in (0..=u8::MAX).zip(ids.chunks_exact(16)) {
            if Uuid::from_slice(id).is_ok_and(|id| messages.contains(&id)) {
                slots.push((part, slot));
            }
        }
    }
    Ok(slots)
}

async fn purge_part(tx: &mut Tx, user: UserId, part: i64, gone: &[u8]) -> Result<(), sqlx::Error> {
    let Some((mut ids, mut lengths)) = fetch_optional!((Vec<u8>, Vec<u8>), tx, ONE, user, part)? else {
        return Ok(());
    };
    for slot in gone.iter().copied().map(usize::from) {
        ids.chunks_exact_mut(16).skip(slot).take(1).for_each(|id| id.fill(0));
        lengths.chunks_exact_mut(2).skip(slot).take(1).for_each(|length| length.fill(0));
    }
    if lengths.iter().all(|byte| *byte == 0) {
        execute!(tx, DROP_POSTINGS, user, part)?;
        return execute!(tx, DROP_PART, user, part).map(drop);
    }
    let mut changed = Vec::new();
    for (bucket, bytes) in fetch_all!((i64, Vec<u8>), tx, OF_PART, user, part)? {
        let kept = encoding::without(&bytes, gone);
        if kept.len() < bytes.len() {
            changed.push(json!({"bucket": bucket, "bytes": hex(&kept)}));
        }
    }
    execute!(tx, SET_POSTINGS, user, part, Json(changed))?;
    execute!(tx, SET_PART, user, part, ids, lengths, sheets::stamp()).map(drop)
}
