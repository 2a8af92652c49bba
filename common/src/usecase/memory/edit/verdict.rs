//! What users say of memories: that they are right, wrong, or nearly right.

use super::{Changes, clashes, forget, refuse_history};
use crate::{
    Context, Error, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{self, Actor, Memory, MemoryStatus},
        texts::{Content, Feedback},
    },
    error::Wrong,
};

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
    pub corrected_content: Option<Content>,
    pub corrected_importance: Option<f64>,
    pub feedback: Option<Feedback>,
}

impl Verdict {
    pub fn check(&self) -> Result<()> {
        let says_nothing = self.corrected_content.is_none() && self.corrected_importance.is_none();
        if self.action == Action::Correct && says_nothing {
            return Err(Error::field("corrected_content", Wrong::RequiredTo("correct a memory")));
        }
        if self.corrected_importance.is_some_and(|importance| !(0.0..=1.0).contains(&importance)) {
            return Err(Error::field("corrected_importance", Wrong::Range { min: 0, max: 1 }));
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
    after.feedback = verdict.feedback.clone().map(Feedback::into_string).or(after.feedback);
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
                after.content = content.to_string();
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
