//! Storing facts: what the decision about one comes to in rows.

use serde_json::json;
use uuid::Uuid;

use super::{Changes, forgotten_hash, forgotten_slot};
use crate::{
    Context, Result,
    domain::{
        ids::{ConflictId, MemoryId, SessionId, UserId},
        memory::{Action, Actor, ConflictStatus, Judgement, Memory, MemoryStatus, Relationship},
    },
    memory::{
        builtin_embedder::cosine,
        clash::Reading,
        decide::{Candidate, Decision, decide},
        extract::Fact,
        quote,
    },
    store::{
        memories,
        memory_conflicts::{self, Conflict},
        memory_links, past_turns,
        terms::Corpus,
        vectors,
    },
    usecase::settings::MemorySettings,
    vectors::VectorFilter,
};

/// A fact with its vector and the memories nearest to it.
pub struct Prepared {
    pub fact: Fact,
    pub vector: Vec<f32>,
    near: Vec<(Uuid, f32)>,
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Became {
    Created(MemoryId),
    /// Known, and now said once more.
    Evidence(MemoryId),
    /// Known from this very message.
    Known(MemoryId),
    /// A decision of the user keeps it out.
    Blocked,
    /// Less important than the user wants to keep.
    Ignored,
}

/// Vectors and neighbours of facts. Neither is needed: without them only the same words and the same slots tell twins.
pub async fn prepare(ctx: &Context, user: UserId, facts: Vec<Fact>) -> Vec<Prepared> {
    let texts: Vec<String> = facts.iter().map(|fact| fact.text.clone()).collect();
    let vectors = ctx.embedder.embed(&texts).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "facts without vectors");
        vec![Vec::new(); facts.len()]
    });
    let mut prepared = Vec::with_capacity(facts.len());
    for (fact, vector) in facts.into_iter().zip(vectors) {
        let near = if vector.is_empty() {
            Vec::new()
        } else {
            let found =
                ctx.vectors.search(user, Corpus::Memories, &vector, &VectorFilter::default(), 8).await;
            found.unwrap_or_else(|error| {
                tracing::warn!(%error, "facts without neighbours");
                Vec::new()
            })
        };
        prepared.push(Prepared { fact, vector, near });
    }
    prepared
}

/// Stores the facts of one session, one after another: each sees those before it.
pub async fn store(
    ctx: &Context,
    changes: &mut Changes,
    told: Told<'_>,
    prepared: &[Prepared],
) -> Result<Vec<Became>> {
    let mut stored: Vec<(MemoryId, &[f32])> = Vec::new();
    let mut all = Vec::with_capacity(prepared.len());
    for one in prepared {
        let became = store_one(ctx, changes, told, one, &stored).await?;
        if matches!(became, Became::Blocked) {
            past_turns::forget_turn(&mut changes.tx, changes.user, one.fact.message).await?;
        }
        if let Became::Created(id) = became {
            stored.push((id, &one.vector));
        }
        all.push(became);
    }
    Ok(all)
}

/// The memories a fact may have to do with: of the same words, the same slot, nearest in meaning, or nominated.
async fn candidates(
    changes: &mut Changes,
    one: &Prepared,
    known: &[Memory],
    stored: &[(MemoryId, &[f32])],
) -> Result<Vec<Candidate>> {
    let (fact, user) = (&one.fact, changes.user);
    let mut near: Vec<(MemoryId, f32)> =
        one.near.iter().map(|(id, cosine)| (MemoryId(*id), *cosine)).collect();
    near.extend(stored.iter().map(|(id, vector)| (*id, cosine(vector, &one.vector))));
    let nominated: Vec<(MemoryId, &String)> =
        fact.relations.iter().filter_map(|(index, op)| Some((known.get(*index)?.id, op))).collect();
    let sharing_words = super::clashes::neighbours(&mut changes.tx, user, &fact.text).await?;
    let ids: Vec<MemoryId> = near
        .iter()
        .map(|(id, _)| *id)
        .chain(nominated.iter().map(|(id, _)| *id))
        .chain(sharing_words)
        .collect();
    let mut found = memories::get_many(&mut changes.tx, user, &ids).await?;
    found.extend(memories::by_norm(&mut changes.tx, user, &fact.norm).await?);
    if let (Some(subject), Some(slot)) = (&fact.subject, &fact.slot) {
        found.extend(memories::by_slot(&mut changes.tx, user, subject, slot).await?);
    }
    found.sort_by_key(|memory| memory.id);
    found.dedup_by_key(|memory| memory.id);
    Ok(found
        .into_iter()
        .map(|memory| Candidate {
            cosine: near.iter().find(|(id, _)| *id == memory.id).map_or(0.0, |(_, cosine)| *cosine),
            nominated: nominated.iter().find(|(id, _)| *id == memory.id).map(|(_, op)| (*op).clone()),
            memory,
        })
        .collect())
}

/// Whether the user deleted or corrected just this.
async fn is_unwanted(ctx: &Context, changes: &mut Changes, fact: &Fact) -> Result<bool> {
    let user = changes.user;
    if memories::is_forgotten(&mut changes.tx, user, &forgotten_hash(ctx, &fact.norm)).await? {
        return Ok(true);
    }
    let (Some(subject), Some(slot), Some(object)) = (&fact.subject, &fact.slot, &fact.object) else {
        return Ok(false);
    };
    Ok(memories::is_forgotten(&mut changes.tx, user, &forgotten_slot(ctx, subject, slot, object)).await?)
}

/// The memory that this very message gave already, whatever became of it since.
async fn told_by_this_message(changes: &mut Changes, fact: &Fact) -> Result<Option<Memory>> {
    let found = memories::by_evidence(&mut changes.tx, changes.user, fact.message).await?;
    Ok(found.into_iter().find(|memory| {
        let same_slot = fact.slot.is_some() && memory.slot == fact.slot && memory.subject == fact.subject;
        // "I like cats. Actually I hate cats." tells two things.
        let same_object = memory.object == fact.object
            && quote::is_negated(&memory.content) == quote::is_negated(&fact.text);
        memory.norm == fact.norm || same_slot && (same_object || memory.object.is_none())
    }))
}

/// Where facts come from, and what is to be looked at beside them.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub session: SessionId,
    /// The memories that the model was shown.
    pub known: &'a [Memory],
    pub settings: &'a MemorySettings,
}

async fn store_one(
    ctx: &Context,
    changes: &mut Changes,
    told: Told<'_>,
    one: &Prepared,
    stored: &[(MemoryId, &[f32])],
) -> Result<Became> {
    let fact = &one.fact;
    if let Some(memory) = told_by_this_message(changes, fact).await? {
        return Ok(if memory.status == MemoryStatus::Rejected {
            Became::Blocked
        } else {
            Became::Known(memory.id)
        });
    }
    if is_unwanted(ctx, changes, fact).await? {
        return Ok(Became::Blocked);
    }
    if fact.importance < told.settings.memory_importance_threshold {
        return Ok(Became::Ignored);
    }
    let candidates = candidates(changes, one, told.known, stored).await?;
    // What was merged lives on in what it was merged into.
    if let Some(merged) =
        candidates.iter().find(|c| c.memory.status == MemoryStatus::Merged && c.memory.norm == fact.norm)
        && let Some(into) = merged.memory.merged_into
    {
        let memory = changes.get(into).await?;
        return add_evidence(changes, memory, fact).await;
    }
    match decide(fact, &candidates) {
        Decision::Blocked(_) => Ok(Became::Blocked),
        Decision::Evidence(id) => {
            let memory = changes.get(id).await?;
            add_evidence(changes, memory, fact).await
        }
        Decision::Outdated { by } => {
            let later = changes.get(by).await?;
            let mut memory = memory_of(changes, told.session, fact);
            memory.status = MemoryStatus::Superseded;
            memory.valid_to = Some(later.valid_from.unwrap_or(later.created_at));
            create(changes, &memory, one).await
        }
        Decision::New { supersedes, conflicts, links } => {
            let mut memory = memory_of(changes, told.session, fact);
            let trusted = fact.explicit && !fact.sensitive && conflicts.is_empty();
            let sure = |least: f64| fact.confidence >= least;
            if trusted && told.settings.auto_confirm_threshold.is_some_and(sure) {
                memory.status = MemoryStatus::Confirmed;
            }
            let became = create(changes, &memory, one).await?;
            supersede(changes, &memory, fact, supersedes).await?;
            for id in conflicts {
                let other = changes.get(id).await?;
                let clash = Reading::of_memory(&memory).clash(&Reading::of_memory(&other));
                let reason = clash.map(|clash| clash.reason());
                open_conflict(changes, &other, &memory, reason).await?;
            }
            for (id, relationship) in links {
                link(changes, memory.id, id, relationship).await?;
            }
            Ok(became)
        }
    }
}

/// Ends what a new memory says differently.
async fn supersede(
    changes: &mut Changes,
    memory: &Memory,
    fact: &Fact,
    supersedes: Vec<MemoryId>,
) -> Result<()> {
    for id in supersedes {
        changes.next_set();
        let before = changes.get(id).await?;
        let after = Memory {
            status: MemoryStatus::Superseded,
            // Never before it began: people tell late when things changed.
            valid_to: Some(fact.valid_from.max(before.valid_from.unwrap_or(before.created_at))),
            ..before.clone()
        };
        changes.update(&before, after, Action::Superseded).await?;
        link(changes, memory.id, id, Relationship::Contradicts).await?;
    }
    Ok(())
}

fn memory_of(changes: &Changes, session: SessionId, fact: &Fact) -> Memory {
    let mut memory =
        Memory::new(changes.user, &fact.text, fact.memory_type, MemoryStatus::Pending, changes.now);
    memory.subject.clone_from(&fact.subject);
    memory.slot.clone_from(&fact.slot);
    memory.object.clone_from(&fact.object);
    memory.importance = fact.importance;
    memory.confidence = fact.confidence;
    memory.explicit = fact.explicit;
    memory.sensitive = fact.sensitive;
    memory.valid_from = Some(fact.valid_from);
    memory.session_id = Some(session);
    memory.message_id = Some(fact.message);
    memory.quote = Some(fact.quote.clone());
    memory.extractor_version = Some(crate::memory::extract::VERSION.to_owned());
    memory.extracted_at = Some(changes.now);
    memory
}

async fn create(changes: &mut Changes, memory: &Memory, one: &Prepared) -> Result<Became> {
    changes.next_set();
    let vector = (!one.vector.is_empty()).then_some(one.vector.as_slice());
    changes.insert(memory, Action::Extracted, vector).await?;
    let (user, now) = (changes.user, changes.now);
    memories::add_evidence(&mut changes.tx, user, memory.id, one.fact.message, &one.fact.quote, now).await?;
    Ok(Became::Created(memory.id))
}

/// Evidence is counted, not a change to undo.
async fn add_evidence(changes: &mut Changes, before: Memory, fact: &Fact) -> Result<Became> {
    let (user, now) = (changes.user, changes.now);
    if !memories::add_evidence(&mut changes.tx, user, before.id, fact.message, &fact.quote, now).await? {
        return Ok(Became::Known(before.id));
    }
    let id = before.id;
    let mut after = before;
    after.support += 1;
    // What only a model had saved, its user has said now.
    after.explicit |= fact.explicit;
    after.confidence = (after.confidence + (1.0 - after.confidence) * 0.25).min(1.0);
    after.updated_at = now;
    memories::update(&mut changes.tx, &after).await?;
    Ok(Became::Evidence(id))
}

pub async fn link(
    changes: &mut Changes,
    source: MemoryId,
    target: MemoryId,
    relationship: Relationship,
) -> Result<()> {
    let link = super::graph::in_order(source, target, relationship);
    let (user, now) = (changes.user, changes.now);
    memory_links::insert(&mut changes.tx, user, &link, Actor::Extractor, now).await?;
    Ok(())
}

/// Writes down that two memories do not go together, once, for their user to answer.
pub async fn open_conflict(
    changes: &mut Changes,
    older: &Memory,
    newer: &Memory,
    reason: Option<String>,
) -> Result<bool> {
    let user = changes.user;
    if memory_conflicts::between(&mut changes.tx, user, older.id, newer.id).await?.is_some() {
        return Ok(false);
    }
    let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| match &newer.slot {
        Some(slot) if newer.slot == older.slot => {
            format!("Both say what your {} is, and they differ.", slot.replace('_', " "))
        }
        _ => "These two do not seem to be true together.".to_owned(),
    });
    let conflict = Conflict {
        id: ConflictId::new(),
        a: older.id,
        b: newer.id,
        kind: Judgement::Contradicts,
        reason,
        proposed: format!("Keep the newer one: {}", newer.content),
        status: ConflictStatus::Open,
        resolved_by: None,
        created_at: changes.now,
        resolved_at: None,
    };
    if !memory_conflicts::insert(&mut changes.tx, user, &conflict).await? {
        return Ok(false);
    }
    link(changes, newer.id, older.id, Relationship::Contradicts).await?;
    changes
        .event(
            "conflict_opened",
            json!({"id": conflict.id, "memories": [older.id, newer.id], "reason": conflict.reason}),
        )
        .await?;
    Ok(true)
}

/// The stored vectors of memories.
pub async fn vectors_of(ctx: &Context, user: UserId, ids: &[MemoryId]) -> Result<Vec<(MemoryId, Vec<f32>)>> {
    let model = ctx.embedder.model();
    let mut conn = ctx.db.read().await?;
    let rows = vectors::get(&mut conn, user, Corpus::Memories, &super::uuids(ids)).await?;
    let of_model = rows.into_iter().filter(|row| row.model == model);
    Ok(of_model
        .map(|row| (MemoryId(row.doc_id), crate::memory::builtin_embedder::from_bytes(&row.vector)))
        .collect())
}
