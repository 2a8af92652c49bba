//! Finding memories and past turns: candidates by words and by meaning, joined, filtered, ranked, explained.

mod arms;
mod memories;
pub mod messages;
pub mod passages;
mod reason;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    Context, Result,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryStatus, MemoryType},
    },
    memory::{
        rank::{Explained, Mode},
        text,
    },
    store::{self, messages::Found},
};

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
    pub floor: Floor,
}

/// When past turns are worth showing: one of those found must bear on the question so much, or none is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Floor {
    /// The best guesses, whatever they are worth.
    None,
    /// As it was measured, for what the search went by.
    Usual,
    At(f64),
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
            floor: Floor::None,
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
    /// The share of what is rare in the question that it has, and half of its likeness to it: comparable between questions, as
    /// relevance is not.
    pub bearing: f64,
    /// It has a name or a number of the question that hardly anything else has: whoever looks for that wants it.
    pub is_named: bool,
    pub reason: String,
}

/// Searches; the best first.
pub async fn search(ctx: &Context, user: UserId, query: &Query) -> Result<Vec<Hit>> {
    let words = text::terms(&query.text);
    let (memories, messages) = tokio::join!(
        async {
            if query.memories { memories::search(ctx, user, query, &words).await } else { Ok(Vec::new()) }
        },
        async {
            if query.messages { messages::search(ctx, user, query, &words).await } else { Ok(Vec::new()) }
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
    let evidence = store::memories::evidence_messages(&mut ctx.db.read().await?, user, &ids).await?;
    for hit in found {
        let Document::Message(message) = &hit.document else { continue };
        let said =
            evidence.iter().filter(|(_, of)| *of == message.id).filter_map(|(memory, _)| scores.get(memory));
        let most = said.copied().fold(0.0, f64::max);
        hit.explained.context += PROVENANCE * most;
        hit.explained.relevance += PROVENANCE * most;
        if let Some(parts) = &mut hit.explained.parts {
            parts.memories = PROVENANCE * most;
        }
        hit.explained.score = hit.explained.relevance * hit.explained.recency;
    }
    Ok(())
}
