//! What users do to their memories by hand: add, change, verify, delete, keep private, share.

use chrono::{DateTime, Utc};

use super::{Changes, Idempotency, clashes, forgotten_hash, forgotten_slot, repeated};
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, MessageId, SessionId, UserId},
        memory::{self, Actor, CONTENT_MAX, Memory, MemoryStatus, MemoryType, MemoryView},
        patch::Patch,
        texts,
        user::normalise_login,
    },
    error::{Code, FieldError, Wrong},
    memory::{essential, slots, text},
    store::{
        self, Querier,
        memories::{self, Reader},
    },
};

/// What a user gives to add or change a memory; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub content: Option<String>,
    pub memory_type: Option<String>,
    pub subject: Option<String>,
    pub slot: Option<String>,
    pub object: Option<String>,
    pub importance: Option<f64>,
    pub confidence: Option<f64>,
    pub contexts: Option<Vec<String>>,
    pub is_private: Option<bool>,
    pub valid_from: Patch<DateTime<Utc>>,
    pub valid_to: Patch<DateTime<Utc>>,
    pub expires_at: Patch<DateTime<Utc>>,
}

impl Draft {
    pub fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut problem = |field: &str, wrong: Wrong| errors.push(FieldError::new(field, wrong));
        if let Some(content) = &self.content
            && let Some(wrong) = content_problem(content)
        {
            problem("content", wrong);
        }
        if let Some(memory_type) = &self.memory_type
            && memory_type.parse::<MemoryType>().is_err()
        {
            problem("memory_type", MemoryType::one_of());
        }
        for (field, value) in [("importance", self.importance), ("confidence", self.confidence)] {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                problem(field, Wrong::Range { min: 0, max: 1 });
            }
        }
        for (field, value) in [("subject", &self.subject), ("slot", &self.slot), ("object", &self.object)] {
            if value
                .as_ref()
                .is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control))
            {
                problem(field, Wrong::Line { min: 0, max: 200 });
            }
        }
        if let Some(contexts) = &self.contexts
            && (contexts.len() > 20
                || contexts
                    .iter()
                    .any(|c| c.trim().is_empty() || c.len() > 100 || c.chars().any(char::is_control)))
        {
            problem("contexts", Wrong::Phrases { max: 20, bytes: 100 });
        }
        if let (Patch::Set(from), Patch::Set(to)) = (self.valid_from, self.valid_to)
            && to < from
        {
            problem("valid_to", Wrong::Before("valid_from"));
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::fields(errors)) }
    }

    fn apply(self, memory: &mut Memory) {
        let Draft {
            content,
            memory_type,
            subject,
            slot,
            object,
            importance,
            confidence,
            contexts,
            is_private,
            valid_from,
            valid_to,
            expires_at,
        } = self;
        if let Some(content) = content {
            memory.content = content.trim().to_owned();
        }
        memory.memory_type = memory_type.and_then(|word| word.parse().ok()).unwrap_or(memory.memory_type);
        if let Some(subject) = subject {
            memory.subject = Some(slots::subject(&subject));
        }
        if let Some(slot) = slot {
            memory.slot = slots::canonical(&slot);
        }
        if let Some(object) = object {
            memory.object = Some(text::normalise(&object)).filter(|object| !object.is_empty());
        }
        if memory.slot.is_some() && memory.subject.is_none() {
            memory.subject = Some("user".to_owned());
        }
        memory.importance = importance.unwrap_or(memory.importance);
        memory.confidence = confidence.unwrap_or(memory.confidence);
        if let Some(contexts) = contexts {
            memory.contexts = contexts.iter().map(|context| context.trim().to_owned()).collect();
        }
        memory.is_private = is_private.unwrap_or(memory.is_private);
        valid_from.apply(&mut memory.valid_from);
        valid_to.apply(&mut memory.valid_to);
        expires_at.apply(&mut memory.expires_at);
    }
}

/// Why a text cannot be a memory.
pub fn content_problem(content: &str) -> Option<Wrong> {
    let length = content.trim().chars().count();
    if text::normalise(content).is_empty() {
        Some(Wrong::NoWord)
    } else if length > CONTENT_MAX {
        Some(Wrong::TooLong { max: CONTENT_MAX, length })
    } else if content.contains('\0') {
        Some(Wrong::Nul)
    } else {
        None
    }
}

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
    idempotency: &Idempotency,
) -> Result<(Memory, Added)> {
    draft.check()?;
    let content = draft.content.clone().ok_or_else(|| Error::field("content", Wrong::Required))?;
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let mut memory =
        Memory::new(user, content.trim(), MemoryType::Fact, MemoryStatus::Confirmed, changes.now);
    let target = memory.id.to_string();
    if let Some(first) = repeated(ctx, &mut changes.tx, user, "memory", idempotency, &target).await? {
        let id = first.parse().map_err(|_| Error::not_found("memory"))?;
        return Ok((changes.get(id).await?, Added::Replayed));
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
    draft.check()?;
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
    let mut memory = Memory::new(user, content.trim(), MemoryType::Fact, MemoryStatus::Pending, changes.now);
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
    draft.check()?;
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let before = changes.get(id).await?;
    refuse_history(&before)?;
    let mut after = before.clone();
    draft.apply(&mut after);
    clashes::infer_slot_again(&before, &mut after);
    if after == before {
        return Ok(before);
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

pub async fn delete(ctx: &Context, user: UserId, id: MemoryId) -> Result<()> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let memory = changes.get(id).await?;
    forget(ctx, &mut changes, &memory).await?;
    changes.delete(&memory).await?;
    changes.commit(ctx).await
}

/// A hash of what it said stays, so that reading the conversation again does not bring it back.
async fn forget(ctx: &Context, changes: &mut Changes, memory: &Memory) -> Result<()> {
    memories::forget(&mut changes.tx, changes.user, &forgotten_hash(ctx, &memory.norm)).await?;
    if let (Some(subject), Some(slot), Some(object)) = (&memory.subject, &memory.slot, &memory.object) {
        memories::forget(&mut changes.tx, changes.user, &forgotten_slot(ctx, subject, slot, object)).await?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Confirm,
    Reject,
    Correct,
}

/// What a user says of a memory.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub action: Action,
    pub corrected_content: Option<String>,
    pub corrected_importance: Option<f64>,
    pub feedback: Option<String>,
}

impl Verdict {
    pub fn check(&self) -> Result<()> {
        match (self.action, &self.corrected_content) {
            (Action::Correct, None) if self.corrected_importance.is_none() => {
                return Err(Error::field("corrected_content", Wrong::RequiredTo("correct a memory")));
            }
            (Action::Correct, Some(content)) => {
                if let Some(wrong) = content_problem(content) {
                    return Err(Error::field("corrected_content", wrong));
                }
            }
            _ => {}
        }
        if self.corrected_importance.is_some_and(|importance| !(0.0..=1.0).contains(&importance)) {
            return Err(Error::field("corrected_importance", Wrong::Range { min: 0, max: 1 }));
        }
        if self.feedback.as_ref().is_some_and(|text| !texts::fits(text, 1_000)) {
            return Err(Error::field("feedback", Wrong::Text { min: 0, max: 1_000 }));
        }
        Ok(())
    }
}

/// Confirms, rejects or corrects. A rejected memory stays, and blocks its return.
pub async fn verify(ctx: &Context, user: UserId, id: MemoryId, verdict: &Verdict) -> Result<Memory> {
    verdict.check()?;
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let memory = apply_verdict(ctx, &mut changes, id, verdict).await?;
    changes.commit(ctx).await?;
    Ok(memory)
}

/// Many at once: all of them, or, when one of them is not to be had, none.
pub async fn verify_many(ctx: &Context, user: UserId, all: &[(MemoryId, Verdict)]) -> Result<Vec<Memory>> {
    for (_, verdict) in all {
        verdict.check()?;
    }
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let mut verified = Vec::with_capacity(all.len());
    for (id, verdict) in all {
        changes.next_set();
        verified.push(apply_verdict(ctx, &mut changes, *id, verdict).await?);
    }
    changes.commit(ctx).await?;
    Ok(verified)
}

async fn apply_verdict(
    ctx: &Context,
    changes: &mut Changes,
    id: MemoryId,
    verdict: &Verdict,
) -> Result<Memory> {
    let before = changes.get(id).await?;
    refuse_history(&before)?;
    let mut after = before.clone();
    after.feedback = verdict.feedback.clone().or(after.feedback);
    after.importance = verdict.corrected_importance.unwrap_or(after.importance);
    let action = match verdict.action {
        Action::Confirm => {
            after.status = MemoryStatus::Confirmed;
            memory::Action::Confirmed
        }
        Action::Reject => {
            after.status = MemoryStatus::Rejected;
            memory::Action::Rejected
        }
        Action::Correct => {
            after.status = MemoryStatus::Confirmed;
            if let Some(content) = &verdict.corrected_content {
                // What was said first must not come back beside its correction when the conversation is read again.
                forget(ctx, changes, &before).await?;
                after.content = content.trim().to_owned();
                after.object = None;
                clashes::infer_slot_again(&before, &mut after);
            }
            memory::Action::Corrected
        }
    };
    if after == before && before.verified_at.is_some() {
        return Ok(before); // said before: nothing changes
    }
    after.verified_at = Some(changes.now);
    if after.status == MemoryStatus::Confirmed {
        after.confidence = after.confidence.max(0.95);
    }
    let memory = changes.update(&before, after, action).await?;
    if memory.status == MemoryStatus::Rejected {
        changes.dismiss_conflicts(memory.id, Actor::User).await?;
    } else if memory.content != before.content {
        clashes::ask(changes, &memory).await?;
    }
    Ok(memory)
}

/// Keeps memories out of prompts that leave the deployment, and lets others read them.
pub async fn set_privacy(
    ctx: &Context,
    user: UserId,
    ids: &[MemoryId],
    is_private: bool,
    shared_with: Option<&[String]>,
) -> Result<usize> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let with = readers(&mut changes, shared_with.unwrap_or_default()).await?;
    for id in ids {
        let before = changes.get(*id).await?;
        let mut after = before.clone();
        after.is_private = is_private;
        if after.is_private != before.is_private {
            changes
                .update(
                    &before,
                    after,
                    if is_private { memory::Action::MadePrivate } else { memory::Action::MadePublic },
                )
                .await?;
        }
        if shared_with.is_some() {
            memories::share(&mut changes.tx, *id, &with).await?;
        }
    }
    changes.commit(ctx).await?;
    Ok(ids.len())
}

/// Names as they were given, each once, with who has them now. One that nobody has is kept like the others, and costs the
/// same: neither the answer, nor the memory, nor the time may say who has an account. It gives nobody a right, also not who
/// takes that name later.
async fn readers(changes: &mut Changes, names: &[String]) -> Result<Vec<Reader>> {
    let mut readers: Vec<Reader> = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        if name.is_empty() || name.chars().count() > 254 || name.chars().any(char::is_control) {
            return Err(Error::field("shared_with", Wrong::Names { min: 1, max: 254 }));
        }
        if readers.iter().any(|reader| reader.name == name) {
            continue;
        }
        let normal = normalise_login(name).unwrap_or_else(|| name.to_owned());
        let user = store::users::id_by_any_name(&mut changes.tx, &normal).await?;
        let user = user.filter(|reader| *reader != changes.user); // owners read their own anyway
        readers.push(Reader { name: name.to_owned(), user });
    }
    Ok(readers)
}

/// What a bulk deletion names: ids, or all that match.
#[derive(Debug, Clone)]
pub enum Doomed {
    Ids(Vec<MemoryId>),
    Matching(memories::Criteria),
}

/// Deletes many. A dry run only counts. Ids that are not the user's are left out of the count.
pub async fn delete_many(ctx: &Context, user: UserId, doomed: &Doomed, dry_run: bool) -> Result<u64> {
    const BATCH: i64 = 500;
    let mut deleted = 0;
    match doomed {
        Doomed::Ids(ids) => {
            let mut changes = Changes::open(ctx, user, Actor::User).await?;
            let found = memories::get_many(&mut changes.tx, user, ids).await?;
            deleted += found.len() as u64;
            if !dry_run {
                for memory in &found {
                    forget(ctx, &mut changes, memory).await?;
                    changes.delete(memory).await?;
                }
                changes.commit(ctx).await?;
            }
        }
        Doomed::Matching(criteria) => {
            let mut after = MemoryId(uuid::Uuid::nil());
            loop {
                let mut changes = Changes::open(ctx, user, Actor::User).await?.quietly();
                let ids = memories::matching(&mut changes.tx, user, after, criteria, BATCH).await?;
                let Some(last) = ids.last() else { break };
                after = *last;
                deleted += ids.len() as u64;
                if !dry_run {
                    for memory in memories::get_many(&mut changes.tx, user, &ids).await? {
                        forget(ctx, &mut changes, &memory).await?;
                        changes.delete(&memory).await?;
                    }
                    changes
                        .event("memory_changed", serde_json::json!({"action": "deleted", "count": ids.len()}))
                        .await?;
                    changes.commit(ctx).await?;
                }
            }
        }
    }
    Ok(deleted)
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
