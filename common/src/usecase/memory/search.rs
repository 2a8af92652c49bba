//! Finding memories and past turns: candidates by words and by meaning, joined, filtered, ranked, explained.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryStatus, MemoryType},
    },
    memory::{
        concepts,
        rank::{self, Explained, Mode},
        text,
    },
    store::{
        memories, memory_conflicts,
        messages::{self, Found},
        terms::{self, Corpus},
    },
    vectors::VectorFilter,
};

/// Candidates an arm brings in.
const CANDIDATES: usize = 200;
/// What the message before one adds to its keyword score and its cosine: a question finds its answer.
const BEFORE_KEYWORD: f64 = 0.6;
const BEFORE_SEMANTIC: f64 = 0.25;
/// What a speaker who is asked about adds.
const SPEAKER: f64 = 0.1;
/// What a memory adds to the messages that say it.
const PROVENANCE: f64 = 0.2;

#[derive(Debug, Clone)]
pub struct Query {
    pub text: String,
    pub limit: usize,
    pub mode: Mode,
    pub memories: bool,
    pub messages: bool,
    pub memory_type: Option<MemoryType>,
    pub min_importance: Option<f64>,
    pub status: Option<MemoryStatus>,
    pub contexts: Vec<String>,
    /// What was true then, as opposed to now.
    pub as_of: Option<DateTime<Utc>>,
    /// Private memories are left out.
    pub without_private: bool,
}

impl Query {
    /// The best memories for a text, now.
    pub fn memories(text: &str, limit: usize, mode: Mode) -> Self {
        Self {
            text: text.to_owned(),
            limit,
            mode,
            memories: true,
            messages: false,
            memory_type: None,
            min_importance: None,
            status: None,
            contexts: Vec::new(),
            as_of: None,
            without_private: false,
        }
    }

    fn statuses(&self) -> Vec<MemoryStatus> {
        use MemoryStatus::{Confirmed, Expired, Pending, Superseded};
        match (self.status, self.as_of) {
            (Some(status), _) => vec![status],
            (None, None) => vec![Pending, Confirmed],
            (None, Some(_)) => vec![Pending, Confirmed, Superseded, Expired],
        }
    }

    fn wants(&self, memory: &Memory, now: DateTime<Utc>) -> bool {
        let at = self.as_of.unwrap_or(now);
        let current = match (self.status, self.as_of) {
            (_, Some(_)) => memory.held_at(at),
            (None, None) => memory.valid_to.is_none_or(|to| now < to),
            (Some(_), None) => true,
        };
        current
            && self.statuses().contains(&memory.status)
            && self.memory_type.is_none_or(|kind| kind == memory.memory_type)
            && self.min_importance.is_none_or(|least| memory.importance >= least)
            && (self.contexts.is_empty()
                || self.contexts.iter().any(|context| memory.contexts.contains(context)))
            && !(self.without_private && memory.is_private)
    }
}

#[derive(Debug, Clone)]
pub enum Document {
    Memory(Box<Memory>),
    Message(Box<Found>),
}

#[derive(Debug, Clone)]
pub struct Hit {
    pub document: Document,
    pub explained: Explained,
    /// Whether it is about the question at all, by an absolute measure: a prompt takes only such.
    pub is_relevant: bool,
    pub reason: String,
}

/// The words of a question and how much each counts.
struct Words {
    weights: Vec<(String, f64)>,
    ideal: f64,
}

async fn keyword(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    words: &HashMap<String, i64>,
) -> Result<(HashMap<Uuid, f64>, Words)> {
    let mut conn = ctx.db.read().await?;
    let mut terms: Vec<&str> = words.keys().map(String::as_str).collect();
    if terms.is_empty() {
        return Ok((HashMap::new(), Words { weights: Vec::new(), ideal: 1.0 }));
    }
    let own = terms.len();
    if corpus == Corpus::Memories {
        terms.extend(concepts::linked(words));
    }
    let frequencies = terms::frequencies(&mut conn, user, corpus, &terms).await?;
    let (size, mean) = ctx.sizes.of(&mut conn, user, corpus).await?;
    let weight =
        |term: &&str| ((*term).to_owned(), rank::idf(size, frequencies.get(*term).copied().unwrap_or(0)));
    let linked = terms.split_off(own);
    let mut weights: Vec<(String, f64)> = terms.iter().map(weight).collect();
    let ideal = rank::ideal(&weights);
    // Linked words stand for the question's own, and only where the user's memories have them.
    let best = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let found = linked.into_iter().filter(|term| frequencies.contains_key(*term));
    weights.extend(found.map(|term| (term.to_owned(), best * concepts::WEIGHT)));
    let found = if frequencies.is_empty() {
        Vec::new()
    } else {
        terms::score(&mut conn, user, corpus, &weights, mean, CANDIDATES as i64).await?
    };
    Ok((found.into_iter().collect(), Words { weights, ideal }))
}

/// The nearest to a question, and its vector.
async fn nearest(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    question: &str,
    filter: &VectorFilter,
) -> Result<(Arc<[f32]>, HashMap<Uuid, f64>)> {
    let vector = ctx.embedder.query(question).await.map_err(|error| error.public())?;
    let away = |error| Error::unavailable("vector index", error);
    let found = ctx.vectors.search(user, corpus, &vector, filter, CANDIDATES).await.map_err(away)?;
    Ok((vector, found.into_iter().map(|(id, cosine)| (id, f64::from(cosine))).collect()))
}

/// Cosines of the nearest, and of whatever the words found: both arms then know every candidate.
async fn with_cosines_of(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    (vector, mut cosines): (Arc<[f32]>, HashMap<Uuid, f64>),
    also: &HashMap<Uuid, f64>,
) -> Result<HashMap<Uuid, f64>> {
    let missing: Vec<Uuid> = also.keys().filter(|id| !cosines.contains_key(id)).copied().collect();
    if !missing.is_empty() {
        let scored = ctx.vectors.score(user, corpus, &vector, &missing).await;
        let scored = scored.map_err(|error| Error::unavailable("vector index", error))?;
        cosines.extend(scored.into_iter().map(|(id, cosine)| (id, f64::from(cosine))));
    }
    Ok(cosines)
}

/// Both arms at once, as the mode wants them. An arm of meaning that is away leaves the words, unless only meaning was
/// asked for.
async fn both_arms(
    ctx: &Context,
    user: UserId,
    corpus: Corpus,
    mode: Mode,
    words: &HashMap<String, i64>,
    question: &str,
    filter: &VectorFilter,
) -> Result<(HashMap<Uuid, f64>, Words, HashMap<Uuid, f64>)> {
    let no_words = || (HashMap::new(), Words { weights: Vec::new(), ideal: 1.0 });
    let (by_word, by_meaning) = tokio::join!(
        async {
            if mode == Mode::Semantic { Ok(no_words()) } else { keyword(ctx, user, corpus, words).await }
        },
        async {
            if mode == Mode::Keyword {
                Ok(None)
            } else {
                nearest(ctx, user, corpus, question, filter).await.map(Some)
            }
        },
    );
    let (by_word, weights) = by_word?;
    let joined = match by_meaning {
        Ok(None) => Ok(HashMap::new()),
        Ok(Some(found)) => with_cosines_of(ctx, user, corpus, found, &by_word).await,
        Err(error) => Err(error),
    };
    let by_meaning = match joined {
        Err(error) if mode == Mode::Hybrid => {
            tracing::warn!(%error, "searching by words alone");
            HashMap::new()
        }
        joined => joined?,
    };
    Ok((by_word, weights, by_meaning))
}

/// Searches; the best first.
pub async fn search(ctx: &Context, user: UserId, query: &Query) -> Result<Vec<Hit>> {
    let words = text::terms(&query.text);
    let (memories, messages) = tokio::join!(
        async {
            if query.memories { search_memories(ctx, user, query, &words).await } else { Ok(Vec::new()) }
        },
        async {
            if query.messages { search_messages(ctx, user, query, &words).await } else { Ok(Vec::new()) }
        },
    );
    let (mut hits, mut messages) = (memories?, messages?);
    if !hits.is_empty() && !messages.is_empty() {
        credit_sources(ctx, user, &hits, &mut messages).await?;
    }
    hits.append(&mut messages);
    hits.sort_by(|a, b| b.explained.score.total_cmp(&a.explained.score));
    hits.truncate(query.limit);
    ctx.touches.note(
        user,
        hits.iter().filter_map(|hit| match &hit.document {
            Document::Memory(memory) => Some(memory.id),
            Document::Message(_) => None,
        }),
    );
    Ok(hits)
}

/// Messages that found memories were taken from are better answers for it.
async fn credit_sources(ctx: &Context, user: UserId, memories: &[Hit], found: &mut [Hit]) -> Result<()> {
    let scores: HashMap<MemoryId, f64> = memories
        .iter()
        .filter_map(|hit| match &hit.document {
            Document::Memory(memory) => Some((memory.id, hit.explained.relevance)),
            Document::Message(_) => None,
        })
        .collect();
    let ids: Vec<MemoryId> = scores.keys().copied().collect();
    let evidence = memories::evidence_messages(&mut ctx.db.read().await?, user, &ids).await?;
    for hit in found {
        let Document::Message(message) = &hit.document else { continue };
        let said =
            evidence.iter().filter(|(_, of)| *of == message.id).filter_map(|(memory, _)| scores.get(memory));
        let most = said.copied().fold(0.0, f64::max);
        hit.explained.context += PROVENANCE * most;
        hit.explained.relevance += PROVENANCE * most;
        hit.explained.score = hit.explained.relevance * hit.explained.recency;
    }
    Ok(())
}

async fn search_memories(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
) -> Result<Vec<Hit>> {
    let now = clock::now();
    let filter = VectorFilter {
        memory_type: query.memory_type,
        statuses: query.statuses(),
        min_importance: query.min_importance,
    };
    let (by_word, weights, by_meaning) =
        both_arms(ctx, user, Corpus::Memories, query.mode, words, &query.text, &filter).await?;
    let fused = rank::fuse(query.mode, ctx.embedder.weight(), &by_word, &by_meaning);
    let mut order: Vec<(Uuid, Explained)> = fused.into_iter().collect();
    order.sort_by(|a, b| b.1.relevance.total_cmp(&a.1.relevance).then(a.0.cmp(&b.0)));
    let mut hits = Vec::new();
    // Rows are read a chunk at a time, the best first, until enough of them pass the filters. Factors move a hit by a
    // third at most, so twice as many as wanted are enough to rank.
    let enough = query.limit * 2;
    for chunk in order.chunks((query.limit * 3).max(30)) {
        let ids: Vec<MemoryId> = chunk.iter().map(|(id, _)| MemoryId(*id)).collect();
        let (rows, disputed): (Result<_>, Result<_>) = tokio::join!(
            async { Ok(memories::get_many(&mut ctx.db.read().await?, user, &ids).await?) },
            async { Ok(memory_conflicts::contradictions(&mut ctx.db.read().await?, user, &ids).await?) },
        );
        let (rows, disputed) = (rows?, disputed?);
        let disputed: HashSet<MemoryId> = disputed.into_iter().flat_map(|(a, b)| [a, b]).collect();
        for memory in rows.into_iter().filter(|memory| query.wants(memory, now)) {
            let Some((_, explained)) = chunk.iter().find(|(id, _)| *id == memory.id.0) else { continue };
            let mut explained = explained.clone();
            rank::judge(&mut explained, &memory, disputed.contains(&memory.id), query.as_of.unwrap_or(now));
            let reason = reason(&explained, &memory.content, &weights);
            if !is_relevant(ctx, &explained, &weights, SHOWN) {
                continue; // nothing is said where nothing is known
            }
            let is_relevant = is_relevant(ctx, &explained, &weights, 1.0);
            hits.push(Hit { document: Document::Memory(Box::new(memory)), explained, is_relevant, reason });
        }
        if hits.len() >= enough {
            break;
        }
    }
    hits.sort_by(|a, b| b.explained.score.total_cmp(&a.explained.score));
    hits.truncate(query.limit);
    Ok(hits)
}

async fn search_messages(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
) -> Result<Vec<Hit>> {
    let names = messages::names(&mut ctx.db.read().await?, user).await?;
    let asked_about = names.iter().find(|name| mentions(&query.text, name));
    // People speak of themselves in the first person: a question about them must too.
    let question = asked_about.map_or(query.text.clone(), |name| first_person(&query.text, name));
    let anything = VectorFilter::default();
    let (mut by_word, weights, mut by_meaning) =
        both_arms(ctx, user, Corpus::Messages, query.mode, words, &question, &anything).await?;
    add_what_came_before(ctx, user, &mut by_word, BEFORE_KEYWORD).await?;
    add_what_came_before(ctx, user, &mut by_meaning, BEFORE_SEMANTIC).await?;
    let fused = rank::fuse(query.mode, ctx.embedder.weight(), &by_word, &by_meaning);
    let mut order: Vec<(Uuid, Explained)> = fused.into_iter().collect();
    order.sort_by(|a, b| b.1.relevance.total_cmp(&a.1.relevance).then(a.0.cmp(&b.0)));
    order.truncate((query.limit * 3).max(60));
    let ids: Vec<Uuid> = order.iter().map(|(id, _)| *id).collect();
    let rows = messages::found(&mut ctx.db.read().await?, user, &ids).await?;
    let mut hits = Vec::new();
    for message in rows {
        if query.as_of.is_some_and(|as_of| message.created_at > as_of) {
            continue;
        }
        let Some((_, explained)) = order.iter().find(|(id, _)| *id == message.id.0) else { continue };
        let mut explained = explained.clone();
        if asked_about.is_some() && message.name.as_ref() == asked_about {
            explained.context += SPEAKER;
            explained.relevance += SPEAKER;
        }
        explained.recency = 1.0;
        explained.score = explained.relevance;
        let reason = reason(&explained, &message.content, &weights);
        let is_relevant = is_relevant(ctx, &explained, &weights, 1.0);
        hits.push(Hit { document: Document::Message(Box::new(message)), explained, is_relevant, reason });
    }
    hits.sort_by(|a, b| b.explained.score.total_cmp(&a.explained.score));
    hits.truncate(query.limit);
    Ok(hits)
}

/// Adds to each message a part of the score of the one right before it.
async fn add_what_came_before(
    ctx: &Context,
    user: UserId,
    scores: &mut HashMap<Uuid, f64>,
    part: f64,
) -> Result<()> {
    if scores.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = scores.keys().copied().collect();
    let next = messages::next(&mut ctx.db.read().await?, user, &ids).await?;
    let before = scores.clone();
    for (id, next) in next {
        if let (Some(next), Some(score)) = (next, before.get(&id)) {
            *scores.entry(next).or_default() += part * score;
        }
    }
    Ok(())
}

fn mentions(question: &str, name: &str) -> bool {
    let (question, name) = (text::words(question), text::words(name));
    !name.is_empty()
        && question
            .windows(name.len())
            .any(|part| part.iter().zip(&name).all(|(a, b)| a == b || *a == format!("{b}s")))
}

/// The question as the person it is about would put it.
fn first_person(question: &str, name: &str) -> String {
    question.replace(&format!("{name}'s"), "my").replace(&format!("{name}’s"), "my").replace(name, "I")
}

/// What search shows may be less near than what a prompt is given: whoever searches sees the score.
const SHOWN: f64 = 0.75;

/// By an absolute measure: near enough in meaning, or sharing enough of what is rare in the question.
fn is_relevant(ctx: &Context, explained: &Explained, words: &Words, share: f64) -> bool {
    explained.cosine >= ctx.embedder.floor() * share || explained.bm25 / words.ideal >= 0.12 * share
}

fn reason(explained: &Explained, content: &str, words: &Words) -> String {
    let terms = text::terms(content);
    let mut shared: Vec<&(String, f64)> =
        words.weights.iter().filter(|(term, _)| terms.contains_key(term)).collect();
    shared.sort_by(|a, b| b.1.total_cmp(&a.1));
    let shared: Vec<&str> = shared.iter().take(4).map(|(term, _)| term.as_str()).collect();
    match (shared.is_empty(), explained.cosine > 0.0) {
        (false, true) => format!("shares the words {}; likeness {:.2}", shared.join(", "), explained.cosine),
        (false, false) => format!("shares the words {}", shared.join(", ")),
        (true, true) => format!("close in meaning: likeness {:.2}", explained.cosine),
        (true, false) => "follows what was asked about".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_somebody_is_put_in_the_first_person() {
        assert!(mentions("What is Ana's dog called?", "Ana") && !mentions("What about bananas?", "Ana"));
        assert_eq!(first_person("When did Ana see Ana's dog?", "Ana"), "When did I see my dog?");
    }
}
