//! Whom memories are shared with, and what they may read of each other's.

use crate::{
    db::{Querier, Tx, execute, fetch_all, fetch_optional, ids, statements},
    domain::{
        ids::{MemoryId, UserId},
        memory::Memory,
    },
};

statements! {
    /// One's own, or one shared with one.
    READABLE = "select ", columns!(),
        " from memories where id = $1 and (user_id = $2 or exists (select 1 from memory_shares s
        where s.memory_id = $1 and s.user_id = $2))";
    /// By their ids one after the other: with many of them PostgreSQL would go through everybody's memories.
    SHARED_WITH_ME = "select ", columns!(),
        " from memories where id ", pg!("= any(array(select memory_id from memory_shares where user_id = $1))"),
        lite!("in (select memory_id from memory_shares where user_id = $1)"), "
        and status in ('pending', 'confirmed') order by created_at desc, id desc limit $2 offset $3";
    SHARES = "select s.memory_id, s.name from memory_shares s join memories m on m.id = s.memory_id
    where ", checked!("m.user_id = $1"), " and s.memory_id in ", ids!(2), " order by s.memory_id, s.place";
    UNSHARE = "delete from memory_shares where memory_id = $1";
    SHARE = "insert into memory_shares (memory_id, place, name, user_id) values ($1, $2, $3, $4)";
}

/// One's own memory, or one that its owner shared with `user`.
pub async fn readable(
    q: &mut impl Querier,
    user: UserId,
    id: MemoryId,
) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, READABLE, id, user)
}

pub async fn shared_with_me(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
    skip: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, SHARED_WITH_ME, user, limit, skip)
}

/// Somebody a memory is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// As the owner wrote it.
    pub name: String,
    /// Who had that name then, if anybody did.
    pub user: Option<UserId>,
}

/// (memory, a name it is shared with) for each of the user's `of`, in the order its owner gave them.
pub async fn shares(
    q: &mut impl Querier,
    user: UserId,
    of: &[MemoryId],
) -> Result<Vec<(MemoryId, String)>, sqlx::Error> {
    fetch_all!((MemoryId, String), q, SHARES, user, ids(of.iter().copied()))
}

/// Shares a memory, which the caller has shown to own, with exactly these.
pub async fn share(tx: &mut Tx, id: MemoryId, with: &[Reader]) -> Result<(), sqlx::Error> {
    execute!(tx, UNSHARE, id)?;
    for (place, reader) in with.iter().enumerate() {
        execute!(tx, SHARE, id, place as i64, &reader.name, reader.user)?;
    }
    Ok(())
}
