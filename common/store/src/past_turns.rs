//! Which past turns may stand in the prompt of another conversation.

use crate::{
    branches::line,
    db::{Querier, Tx, execute, fetch_all, ids, statements},
    domain::ids::{MemoryId, MessageId, ProjectId, SessionId, UserId},
    messages::{Found, as_found},
};

/// Whether a memory x forbids the words that it was taken from. $6: what is private is forbidden too.
macro_rules! forbids {
    () => {
        "(x.status = 'rejected' or (x.sensitive and x.status <> 'confirmed' and x.verified_at is null) or ($6 and x.is_private))"
    };
}

statements! {
    /// What a memory was taken from, when its user deletes it.
    FORGET = "insert into forgotten_turns (message_id, user_id)
    select message_id, user_id from memory_evidence where memory_id = $1 and user_id = $2
    union select message_id, user_id from memories where id = $1 and user_id = $2 and message_id is not null on conflict do nothing";
    FORGET_TURN = "insert into forgotten_turns (message_id, user_id) values ($1, $2) on conflict do nothing";
    /// Of some turns those that people said, in conversations of one project or of none: what a model answered would come back as if
    /// it were known, and may say again what was forgotten. Of the conversation itself, $1, only what stands before $5, and nothing of
    /// those it branched from or that branched from one of them. $6: nor what no model has read yet, since nobody knows whether it is
    /// private. The turns come first, by themselves: PostgreSQL would go through everybody's conversations for them.
    MAY_BE_SHOWN = line!(), ", named as materialized (
        select id, session_id, seq, role, content, name, created_at from messages where ", checked!("user_id = $2"), " and id in ", ids!(3), "
        and remember and (role = 'user' or name is not null))
    select ", as_found!(), " from named m join sessions s on s.id = m.session_id and ", checked!("s.user_id = $2"), "
    where s.status <> 'deleted' and s.project_id is not distinct from $4
    and ((s.id = $1 and m.seq < $5) or (s.id not in (select id from line)
        and (s.parent_session_id is null or s.parent_session_id not in (select id from line))))
    and not exists (select 1 from forgotten_turns f where f.message_id = m.id and ", checked!("f.user_id = $2"), ")
    and not exists (select 1 from memory_evidence e join memories x on x.id = e.memory_id
        where e.message_id = m.id and ", checked!("e.user_id = $2"), " and ", forbids!(), ")
    and not exists (select 1 from memories x where x.message_id = m.id and ", checked!("x.user_id = $2"), " and ", forbids!(), ")
    and (not $6 or exists (select 1 from extraction_runs r where r.session_id = m.session_id and ", checked!("r.user_id = $2"), "
        and m.seq between r.from_seq and r.to_seq and r.outcome in ('facts', 'no_facts')))";
}

/// Notes that turns were the source of a memory that is being deleted.
pub async fn forget(tx: &mut Tx, user: UserId, memory: MemoryId) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, memory, user).map(drop)
}

/// Notes that a turn says what its user does not want known.
pub async fn forget_turn(tx: &mut Tx, user: UserId, message: MessageId) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET_TURN, message, user).map(drop)
}

/// In whose prompt they are to stand.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    pub session: SessionId,
    pub project: Option<ProjectId>,
    /// Where its window begins.
    pub oldest: i64,
    /// The prompt goes outside, and what is private must not.
    pub without_private: bool,
}

/// Those of `of` that a prompt may have, in no order.
pub async fn may_be_shown(
    q: &mut impl Querier,
    user: UserId,
    of: &[MessageId],
    reader: Reader,
) -> Result<Vec<Found>, sqlx::Error> {
    let Reader { session, project, oldest, without_private } = reader;
    let of = ids(of.iter().copied());
    fetch_all!(Found, q, MAY_BE_SHOWN, session, user, of, project, oldest, without_private)
}
