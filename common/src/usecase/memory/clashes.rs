//! Memories that clash by their words alone: found when one is made, and when all are looked through.

use std::collections::HashMap;

use super::{
    Changes,
    facts::{open_conflict, vectors_of},
    review::{Judged, LOOKED_AT, Pair},
};
use crate::{
    Context, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Judgement, Memory},
    },
    memory::{
        clash::{self, Reading},
        decide::likeness,
        text,
    },
    store::{Tx, memories, terms},
};

/// Memories compared with a new one: those that share the most words with it.
const NEIGHBOURS: i64 = 100;

/// The memories that share words with a text, within an open transaction. Whatever clashes with it shares some.
pub async fn neighbours(tx: &mut Tx, user: UserId, content: &str) -> Result<Vec<MemoryId>> {
    let weights: Vec<(String, f64)> = text::terms(content).into_keys().map(|term| (term, 1.0)).collect();
    if weights.is_empty() {
        return Ok(Vec::new());
    }
    let found = terms::score(tx, user, &weights, 5.0, NEIGHBOURS).await?;
    Ok(found.into_iter().map(|(id, _)| MemoryId(id)).collect())
}

/// For a memory its user made or changed: whatever cannot be true beside it becomes a question.
pub async fn ask(changes: &mut Changes, memory: &Memory) -> Result<()> {
    let user = changes.user;
    let ids = neighbours(&mut changes.tx, user, &memory.content).await?;
    let mut others = memories::get_many(&mut changes.tx, user, &ids).await?;
    if let (Some(subject), Some(slot)) = (&memory.subject, &memory.slot) {
        others.extend(memories::by_slot(&mut changes.tx, user, subject, slot).await?);
    }
    others.sort_by_key(|other| other.id);
    others.dedup_by_key(|other| other.id);
    let reading = Reading::of_memory(memory);
    for other in others.iter().filter(|other| other.id != memory.id && other.is_active()) {
        if let Some(clash) = reading.clash(&Reading::of_memory(other)) {
            open_conflict(changes, other, memory, Some(clash.reason())).await?;
        }
    }
    Ok(())
}

/// Fills the one-value slot that a plain statement names, unless its user named one.
pub fn infer_slot(memory: &mut Memory) {
    if memory.slot.is_none()
        && memory.object.is_none()
        && let Some((subject, slot, object)) = clash::slot_of(&memory.content)
        && memory.subject.as_ref().is_none_or(|named| *named == subject)
    {
        (memory.subject, memory.slot, memory.object) = (Some(subject), Some(slot), Some(object));
    }
}

/// The same after its words changed: a slot that was taken from the old words goes with them.
pub fn infer_slot_again(before: &Memory, after: &mut Memory) {
    let of_words = clash::slot_of(&before.content);
    let was_inferred = of_words.is_some_and(|(subject, slot, object)| {
        (before.subject.as_ref(), before.slot.as_ref(), before.object.as_ref())
            == (Some(&subject), Some(&slot), Some(&object))
    });
    let untouched = (&after.subject, &after.slot) == (&before.subject, &before.slot)
        && (after.object == before.object || after.object.is_none());
    if after.content == before.content || !untouched {
        return;
    }
    if was_inferred {
        (after.subject, after.slot, after.object) = (None, None, None);
    }
    infer_slot(after);
}

/// Pairs among a user's memories that clash, as if a model had judged them. Of one memory, or of all.
pub async fn among(ctx: &Context, user: UserId, of: Option<MemoryId>) -> Result<Vec<Judged>> {
    let active = memories::active(&mut ctx.db.read().await?, user, LOOKED_AT).await?;
    let touching = |a: &Memory, b: &Memory| of.is_none_or(|id| id == a.id || id == b.id);
    let found: Vec<(Memory, Memory, clash::Clash)> = clash::pairs(&active)
        .into_iter()
        .filter_map(|(a, b, clash)| Some((active.get(a)?.clone(), active.get(b)?.clone(), clash)))
        .filter(|(a, b, _)| touching(a, b))
        .collect();
    let ids: Vec<MemoryId> = found.iter().flat_map(|(a, b, _)| [a.id, b.id]).collect();
    let vectors: HashMap<MemoryId, Vec<f32>> = vectors_of(ctx, user, &ids).await?.into_iter().collect();
    let judged = found.into_iter().map(|(a, b, clash)| {
        let of = |id: MemoryId| vectors.get(&id).map(Vec::as_slice);
        let cosine = likeness(of(a.id), of(b.id));
        let (a, b) = if (a.created_at, a.id) <= (b.created_at, b.id) { (a, b) } else { (b, a) };
        Judged { pair: Pair { a, b, cosine }, verdict: Judgement::Contradicts, reason: clash.reason() }
    });
    Ok(judged.collect())
}
