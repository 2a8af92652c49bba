//! Looking through a user's memories: what does not go together, what could be one, what ends.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Changes,
    facts::{self, vectors_of},
    may_show_private, merge,
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{MemoryId, UserId},
        job::Job,
        memory::{Action, Actor, Judgement, Memory, MemoryStatus},
    },
    jobs::Ended,
    memory::{builtin_embedder::cosine, judge, quote},
    store::{
        memories,
        memory_conflicts::{self, Suggestion},
        memory_log,
        terms::Corpus,
    },
    usecase::end_job::succeed,
    vectors::VectorFilter,
};

/// Memories looked at in one review, the newest; pairs judged in one call.
pub const LOOKED_AT: i64 = 2_000;
pub const PAIRS: usize = 40;
const SUGGESTIONS: usize = 50;

/// Two memories near each other, the older first.
#[derive(Debug, Clone)]
pub struct Pair {
    pub a: Memory,
    pub b: Memory,
    pub cosine: f32,
}

/// Pairs of active memories at least as like as configured, or telling different values of one slot; the most alike
/// first. Of one memory, or of all.
pub async fn pairs(ctx: &Context, user: UserId, of: Option<MemoryId>) -> Result<Vec<Pair>> {
    let least = ctx.settings.memory.similarity as f32;
    let shown = may_show_private(ctx, user).await?;
    let mut conn = ctx.db.read().await?;
    let mut active = memories::active(&mut conn, user, LOOKED_AT).await?;
    active.retain(|memory| shown || !memory.is_private);
    let looked_at: Vec<Memory> = match of {
        None => active.clone(),
        Some(id) => {
            vec![memories::get(&mut conn, user, id).await?.ok_or_else(|| Error::not_found("memory"))?]
        }
    };
    drop(conn);
    let by_id: HashMap<MemoryId, &Memory> = active.iter().map(|memory| (memory.id, memory)).collect();
    let mut found: BTreeMap<(MemoryId, MemoryId), f32> = BTreeMap::new();
    let mut put = |a: MemoryId, b: MemoryId, cosine: f32| {
        let best = found.entry((a.min(b), a.max(b))).or_insert(0.0);
        *best = best.max(cosine);
    };
    let ids: Vec<MemoryId> = looked_at.iter().map(|memory| memory.id).collect();
    let vectors = vectors_of(ctx, user, &ids).await?;
    let filter = VectorFilter {
        statuses: vec![MemoryStatus::Pending, MemoryStatus::Confirmed],
        ..VectorFilter::default()
    };
    for (id, vector) in &vectors {
        let near = ctx.vectors.search(user, Corpus::Memories, vector, &filter, 12).await;
        for (other, cosine) in near.map_err(|error| Error::unavailable("vector index", error))? {
            if MemoryId(other) != *id && cosine >= least {
                put(*id, MemoryId(other), cosine);
            }
        }
    }
    // Different values of a slot that has one at a time are near each other, whatever their words.
    let vector = |id: MemoryId| vectors.iter().find(|(of, _)| *of == id).map(|(_, vector)| vector.as_slice());
    for (a, b) in of_one_slot(&active).into_iter().filter(|(a, b)| of.is_none_or(|id| id == *a || id == *b)) {
        put(a, b, vector(a).zip(vector(b)).map_or(least, |(a, b)| cosine(a, b).max(least)));
    }
    let mut all: Vec<Pair> = found
        .into_iter()
        .filter_map(|((a, b), cosine)| {
            let (a, b) = ((*by_id.get(&a)?).clone(), (*by_id.get(&b)?).clone());
            let (a, b) = if a.created_at <= b.created_at { (a, b) } else { (b, a) };
            Some(Pair { a, b, cosine })
        })
        .collect();
    all.sort_by(|x, y| y.cosine.total_cmp(&x.cosine));
    Ok(all)
}

/// Pairs with different values of one slot that has one at a time.
fn of_one_slot(active: &[Memory]) -> Vec<(MemoryId, MemoryId)> {
    let of_slot = |memory: &Memory| Some((memory.subject.clone()?, memory.slot.clone()?));
    let mut slots: HashMap<(String, String), Vec<&Memory>> = HashMap::new();
    for memory in active {
        if let Some(key) = of_slot(memory).filter(|(_, slot)| crate::memory::slots::is_functional(slot)) {
            slots.entry(key).or_default().push(memory);
        }
    }
    let mut pairs = Vec::new();
    for same in slots.values() {
        for (index, a) in same.iter().enumerate() {
            let others = same.iter().skip(index + 1).filter(|b| b.object != a.object);
            pairs.extend(others.map(|b| (a.id, b.id)));
        }
    }
    pairs
}

/// A pair with what the model said of it.
pub struct Judged {
    pub pair: Pair,
    pub verdict: Judgement,
    pub reason: String,
}

pub fn judged(pairs: Vec<Pair>, verdicts: &[judge::Verdict]) -> Vec<Judged> {
    pairs
        .into_iter()
        .enumerate()
        .filter_map(|(index, pair)| {
            let verdict = verdicts.iter().find(|verdict| verdict.p == index + 1)?;
            Some(Judged { pair, verdict: verdict.verdict, reason: verdict.reason.clone() })
        })
        .collect()
}

#[derive(Debug, Serialize)]
struct Conflicting {
    id: MemoryId,
    content: String,
    similarity_score: f32,
    conflict_type: Judgement,
    reason: String,
    /// The other of the two, when all of a user's memories were looked at.
    other_id: MemoryId,
}

/// Ends a detection: conflict records and the job's result in one transaction. `None`: this attempt has lost the job.
pub async fn finish_detection(
    ctx: &Context,
    job: &Job,
    user: UserId,
    of: Option<MemoryId>,
    judged: &[Judged],
) -> Result<Option<Ended>> {
    let mut changes = Changes::open(ctx, user, Actor::Consolidation).await?;
    let mut conflicting = Vec::new();
    for one in judged.iter().filter(|one| one.verdict != Judgement::Unrelated) {
        if one.verdict == Judgement::Contradicts {
            facts::open_conflict(&mut changes, &one.pair.a, &one.pair.b, Some(one.reason.clone())).await?;
        }
        let (other, this) =
            if of == Some(one.pair.b.id) { (&one.pair.a, &one.pair.b) } else { (&one.pair.b, &one.pair.a) };
        conflicting.push(Conflicting {
            id: other.id,
            content: other.content.clone(),
            similarity_score: one.pair.cosine,
            conflict_type: one.verdict,
            reason: one.reason.clone(),
            other_id: this.id,
        });
    }
    let result =
        json!({"memory_id": of, "conflicting_memories": conflicting, "conflict_count": conflicting.len()});
    finish(ctx, changes, job, result).await
}

async fn finish(ctx: &Context, mut changes: Changes, job: &Job, result: Value) -> Result<Option<Ended>> {
    let Some(settled) = succeed(&mut changes.tx, job, &result).await? else { return Ok(None) };
    changes.commit(ctx).await?;
    Ok(Some(Ended::new(settled, result)))
}

/// Memories that could be one: duplicates and refinements, joined where they share a memory.
pub fn clusters(judged: &[Judged]) -> Vec<(Vec<Memory>, String, f64)> {
    let mut groups: Vec<(Vec<Memory>, String, f64)> = Vec::new();
    let mergeable = |one: &&Judged| {
        // What denies the other, or tells other numbers, is not the same, whatever the model says.
        let (a, b) = (&one.pair.a.content, &one.pair.b.content);
        matches!(one.verdict, Judgement::Duplicates | Judgement::Refines)
            && quote::is_negated(a) == quote::is_negated(b)
            && (one.verdict == Judgement::Refines || quote::numbers(a) == quote::numbers(b))
            // A merged memory is not merged again: no fact drifts through many hands.
            && one.pair.a.source_is_direct() && one.pair.b.source_is_direct()
    };
    for one in judged.iter().filter(mergeable) {
        let touching = |group: &(Vec<Memory>, String, f64)| {
            group.0.iter().any(|memory| memory.id == one.pair.a.id || memory.id == one.pair.b.id)
        };
        let (joined, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(touching);
        groups = rest;
        let mut members = vec![one.pair.a.clone(), one.pair.b.clone()];
        let (mut reason, mut score) = (one.reason.clone(), f64::from(one.pair.cosine));
        for (memories, why, best) in joined {
            members.extend(memories);
            reason = why;
            score = score.max(best);
        }
        members.sort_by_key(|memory| memory.id);
        members.dedup_by_key(|memory| memory.id);
        members.truncate(merge::MOST);
        if reason.is_empty() {
            reason = format!("They are {:.0} % alike.", score * 100.0);
        }
        groups.push((members, reason, score));
    }
    groups.sort_by(|a, b| b.2.total_cmp(&a.2));
    groups.truncate(SUGGESTIONS);
    groups
}

/// Ends a review: suggestions and conflicts in one transaction.
pub async fn finish_review(
    ctx: &Context,
    job: &Job,
    user: UserId,
    judged: &[Judged],
    suggestions: &[Suggestion],
) -> Result<Option<Ended>> {
    let mut changes = Changes::open(ctx, user, Actor::Consolidation).await?;
    let mut conflicts = 0;
    for one in judged.iter().filter(|one| one.verdict == Judgement::Contradicts) {
        let opened =
            facts::open_conflict(&mut changes, &one.pair.a, &one.pair.b, Some(one.reason.clone())).await?;
        conflicts += i64::from(opened);
    }
    let now = changes.now;
    memory_conflicts::replace_suggestions(&mut changes.tx, user, suggestions, now).await?;
    memory_log::consolidated(&mut changes.tx, user, now).await?;
    let result = json!({"pairs": judged.len(), "suggestions": suggestions.len(), "conflicts": conflicts});
    finish(ctx, changes, job, result).await
}

/// Ends a merge that was asked for.
pub async fn finish_merge(
    ctx: &Context,
    job: &Job,
    user: UserId,
    ids: &[MemoryId],
    content: &str,
) -> Result<Option<Ended>> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?;
    let merged = merge::merge(&mut changes, ids, content).await?;
    let result = json!({"consolidated_memory": {"id": merged.id, "content": merged.content, "merged_from": ids,
        "status": merged.status}});
    finish(ctx, changes, job, result).await
}

/// What the classification of one memory came to.
#[derive(Debug, Serialize)]
struct Classified {
    memory_id: MemoryId,
    should_expire: bool,
    #[serde(serialize_with = "crate::clock::rfc3339_millis::option::serialize")]
    expiration_date: Option<DateTime<Utc>>,
    reason: String,
}

/// Ends a classification: dates on the memories that end, and the job's result.
pub async fn finish_expiration(
    ctx: &Context,
    job: &Job,
    user: UserId,
    looked_at: &[Memory],
    verdicts: &[judge::Expiry],
) -> Result<Option<Ended>> {
    let mut changes = Changes::open(ctx, user, Actor::Consolidation).await?;
    let mut classified = Vec::new();
    for (index, memory) in looked_at.iter().enumerate() {
        let verdict = verdicts.iter().find(|verdict| verdict.m == index + 1);
        let ends = verdict.filter(|verdict| verdict.should_expire).and_then(|verdict| verdict.days);
        let date = ends.map(|days| memory.created_at + TimeDelta::minutes((days * 1_440.0) as i64));
        if let Some(date) = date {
            changes.next_set();
            // Gone meanwhile, or no longer active: nothing to date.
            if let Some(before) =
                memories::get(&mut changes.tx, user, memory.id).await?.filter(Memory::is_active)
            {
                let after = Memory { expires_at: Some(date), ..before.clone() };
                changes.update(&before, after, Action::ExpirySet).await?;
            }
        }
        classified.push(Classified {
            memory_id: memory.id,
            should_expire: date.is_some(),
            expiration_date: date,
            reason: verdict
                .map_or_else(|| "It is a lasting fact.".to_owned(), |verdict| verdict.reason.clone()),
        });
    }
    finish(ctx, changes, job, json!(classified)).await
}

/// Expires what is due. For the sweep. How many.
pub async fn expire_due(ctx: &Context) -> Result<usize> {
    let due = memories::due_to_expire(&mut ctx.db.read().await?, clock::now(), 500).await?;
    let mut by_user: HashMap<UserId, Vec<MemoryId>> = HashMap::new();
    for (id, user) in &due {
        by_user.entry(*user).or_default().push(*id);
    }
    for (user, ids) in by_user {
        super::go_on(user, expire(ctx, user, &ids).await)?;
    }
    Ok(due.len())
}

async fn expire(ctx: &Context, user: UserId, ids: &[MemoryId]) -> Result<()> {
    let mut changes = Changes::open(ctx, user, Actor::System).await?;
    for before in memories::get_many(&mut changes.tx, user, ids).await? {
        let is_due = before.expires_at.is_some_and(|at| at <= changes.now);
        if before.is_active() && is_due {
            changes.next_set();
            let after = Memory { status: MemoryStatus::Expired, ..before.clone() };
            changes.update(&before, after, Action::Expired).await?;
        }
    }
    changes.commit(ctx).await
}
