//! Which past turns may stand in the prompt of another conversation.

use crate::{
    db::{Querier, Tx, execute, fetch_all, ids, statements},
    domain::ids::{MemoryId, MessageId, ProjectId, UserId},
};

statements! {
    /// What a memory was taken from, when its user deletes it. A turn that its memory is taken out of has only itself to lose.
    FORGET = "insert into forgotten_turns (message_id, user_id)
    select message_id, user_id from memory_evidence where memory_id = $1 and user_id = $2 on conflict do nothing";
    /// Of some turns those of one project, or of none. Left out is what a memory was taken from that was forgotten or refused, or that
    /// awaits its user although it is sensitive; and what follows such a turn, since an answer says again what it answers. $4: so is
    /// what is private, and, as nobody can know that yet, what was not read.
    MAY_BE_SHOWN = "select m.id from messages m join sessions s on s.id = m.session_id
    where m.user_id = $1 and m.id in ", ids!(2), " and m.remember and s.status <> 'deleted' and s.project_id is not distinct from $3
    and not ($4 and m.seq > s.extracted_seq)
    and not exists (select 1 from messages w where w.session_id = m.session_id and w.seq between m.seq - 1 and m.seq and (
        not w.remember
        or exists (select 1 from forgotten_turns f where f.message_id = w.id)
        or exists (select 1 from memory_evidence e join memories x on x.id = e.memory_id where e.message_id = w.id
            and (x.status = 'rejected' or (x.status = 'pending' and x.sensitive) or ($4 and x.is_private)))))";
}

/// Notes that turns were the source of a memory that is being deleted.
pub async fn forget(tx: &mut Tx, user: UserId, memory: MemoryId) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, memory, user).map(drop)
}

/// Those of `of` that a prompt may have. `project`: of the conversation that is answered. `without_private`: the prompt goes outside, and
/// what is private must not.
pub async fn may_be_shown(
    q: &mut impl Querier,
    user: UserId,
    of: &[MessageId],
    project: Option<ProjectId>,
    without_private: bool,
) -> Result<Vec<MessageId>, sqlx::Error> {
    let rows =
        fetch_all!((MessageId,), q, MAY_BE_SHOWN, user, ids(of.iter().copied()), project, without_private)?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
