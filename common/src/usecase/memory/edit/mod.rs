//! What users do to their memories by hand: add, change, verify, delete, keep private, share.

mod delete;
mod draft;
mod privacy;
mod verdict;

pub use delete::{Doomed, delete, delete_many};
pub use draft::Draft;
pub use privacy::set_privacy;
pub use verdict::{Action, Verdict, verify, verify_many};

use super::{Changes, clashes, forgotten_hash, forgotten_slot};
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, MessageId, SessionId, UserId},
        memory::{self, Actor, Memory, MemoryStatus, MemoryType, MemoryView},
    },
    error::{Code, Wrong},
    memory::{essential, text},
    store::{Querier, memories, past_turns},
    usecase::repeat::{Repeatable, repeated},
};
use delete::forget;

/// What adding a memory came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    New,
    /// It was known, and is confirmed now.
    Known,
    /// An earlier request with the same key did it.
    Replayed,
}

/// Adds a memory by hand: confirmed.
pub async fn add(
    ctx: &Context,
    user: UserId,
    draft: Draft,
    repeatable: Option<&Repeatable>,
) -> Result<(Memory, Added)> {
    draft.checked()?;
    let content = draft.content.clone().ok_or_else(|| Error::field("content", Wrong::Required))?;
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let mut memory = Memory::new(user, &content, MemoryType::Fact, MemoryStatus::Confirmed, changes.now);
    if let Some(first) = repeated(ctx, &mut changes.tx, user, "memory", repeatable, memory.id).await? {
        return Ok((changes.get(first).await?, Added::Replayed));
    }
    let hash = forgotten_hash(ctx, &text::normalise(&content));
    memories::no_longer_forgotten(&mut changes.tx, user, &hash).await?;
    let known = memories::by_norm(&mut changes.tx, user, &text::normalise(&content)).await?;
    if let Some(known) = known.filter(|known| known.is_active() || known.status == MemoryStatus::Rejected) {
        let mut after = known.clone();
        draft.apply(&mut after);
        after.content.clone_from(&known.content);
        after.status = MemoryStatus::Confirmed;
        after.verified_at = Some(changes.now);
        let memory = changes.update(&known, after, memory::Action::Confirmed).await?;
        clashes::ask(&mut changes, &memory).await?;
        changes.commit(ctx).await?;
        return Ok((memory, Added::Known));
    }
    let names_importance = draft.importance.is_some();
    draft.apply(&mut memory);
    clashes::infer_slot(&mut memory);
    if !names_importance && essential::is_essential(&memory) {
        memory.importance = essential::IMPORTANCE;
    }
    memory.verified_at = Some(changes.now);
    changes.insert(&memory, memory::Action::Created, None).await?;
    clashes::ask(&mut changes, &memory).await?;
    changes.commit(ctx).await?;
    Ok((memory, Added::New))
}

/// Keeps what a model proposes: pending, until its user confirms it. What is known, or was rejected or deleted by the user,
/// is not kept again. Gives whether it was kept, and a note for the model.
pub async fn propose(
    ctx: &Context,
    user: UserId,
    source: (SessionId, MessageId),
    draft: Draft,
) -> Result<(bool, &'static str)> {
    draft.checked()?;
    let content = draft.content.clone().ok_or_else(|| Error::field("content", Wrong::Required))?;
    let norm = text::normalise(&content);
    let mut changes = Changes::open(ctx, user, Actor::Extractor).await?;
    if memories::is_forgotten(&mut changes.tx, user, &forgotten_hash(ctx, &norm)).await? {
        return Ok((false, "the user does not want this remembered"));
    }
    if let Some(known) = memories::by_norm(&mut changes.tx, user, &norm).await? {
        let rejected = known.status == MemoryStatus::Rejected;
        return Ok((false, if rejected { "the user does not want this remembered" } else { "it is known" }));
    }
    let mut memory = Memory::new(user, &content, MemoryType::Fact, MemoryStatus::Pending, changes.now);
    draft.apply(&mut memory);
    // A model's word: neither quoted nor explicit.
    (memory.session_id, memory.message_id) = (Some(source.0), Some(source.1));
    (memory.explicit, memory.confidence) = (false, 0.5);
    changes.insert(&memory, memory::Action::Created, None).await?;
    changes.commit(ctx).await?;
    Ok((true, "it awaits the user's confirmation"))
}

/// Changes what a memory says of its fact. What was merged or superseded is history and stays.
pub async fn change(ctx: &Context, user: UserId, id: MemoryId, draft: Draft) -> Result<Memory> {
    draft.checked()?;
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let before = changes.get(id).await?;
    refuse_history(&before)?;
    let mut after = before.clone();
    draft.apply(&mut after);
    clashes::infer_slot_again(&before, &mut after);
    if after == before {
        return Ok(before);
    }
    if after.content != before.content {
        past_turns::forget(&mut changes.tx, user, before.id).await?;
    }
    let memory = changes.update(&before, after, memory::Action::Edited).await?;
    if memory.is_active() && memory.content != before.content {
        clashes::ask(&mut changes, &memory).await?;
    }
    changes.commit(ctx).await?;
    Ok(memory)
}

fn refuse_history(memory: &Memory) -> Result<()> {
    if memory.status.is_history() {
        let detail =
            format!("This memory is {}: it is history, and does not change any more.", memory.status);
        return Err(Error::new(Code::WrongState, detail));
    }
    Ok(())
}

/// Memories as their owner sees them: with who may read them and what they were merged from.
pub async fn views(q: &mut impl Querier, user: UserId, all: Vec<Memory>) -> Result<Vec<MemoryView>> {
    let ids: Vec<MemoryId> = all.iter().map(|memory| memory.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let shares = memories::shares(q, user, &ids).await?;
    let merged = memories::merged_from(q, user, &ids).await?;
    Ok(all
        .into_iter()
        .map(|memory| {
            let id = memory.id;
            let mut view = MemoryView::from(memory);
            view.shared_with =
                shares.iter().filter(|(of, _)| *of == id).map(|(_, name)| name.clone()).collect();
            view.merged_from = merged.iter().filter(|(into, _)| *into == id).map(|(_, from)| *from).collect();
            view
        })
        .collect())
}

pub async fn view(q: &mut impl Querier, user: UserId, memory: Memory) -> Result<MemoryView> {
    let fallback = MemoryView::from(memory.clone());
    Ok(views(q, user, vec![memory]).await?.pop().unwrap_or(fallback))
}
