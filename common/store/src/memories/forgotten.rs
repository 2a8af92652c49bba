//! What was deleted and must not come back: hashes of its words.

use crate::{
    db::{Querier, Tx, execute, fetch_optional, statements},
    domain::ids::UserId,
};

statements! {
    FORGET = "insert into memory_forgotten (user_id, hash) values ($1, $2) on conflict do nothing";
    REMEMBER = "delete from memory_forgotten where user_id = $1 and hash = $2";
    FORGOTTEN = "select 1 from memory_forgotten where user_id = $1 and hash = $2";
}

/// Remembers the hash of a deleted memory's words, so that replay does not bring it back.
pub async fn forget(tx: &mut Tx, user: UserId, hash: &[u8]) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, user, hash).map(drop)
}

pub async fn no_longer_forgotten(tx: &mut Tx, user: UserId, hash: &[u8]) -> Result<(), sqlx::Error> {
    execute!(tx, REMEMBER, user, hash).map(drop)
}

pub async fn is_forgotten(q: &mut impl Querier, user: UserId, hash: &[u8]) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, FORGOTTEN, user, hash)?.is_some())
}
