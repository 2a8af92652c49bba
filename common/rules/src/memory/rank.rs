//! Ranking: BM25 over the user's own corpus, cosine, and their weighted sum over the union of candidates.
//!
//! Reciprocal ranks are not used: with arms of unequal strength they drag the better one down (NOTES, "Memory facts").
//! Either arm may bring a candidate in alone. The weights were chosen on LoCoMo's development half
//! (`rapport-bench memory`, docs/benchmarks.md).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::memory::{Memory, MemoryStatus, MemoryType};

/// Okapi BM25: how soon more of the same word stops to count, and how much long texts lose.
pub const K1: f64 = 1.2;
pub const B: f64 = 0.75;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Semantic,
    Keyword,
    Hybrid,
}

/// Every term of a score, for `explain`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explained {
    /// BM25 as it is, and scaled to the query's best.
    pub bm25: f64,
    pub keyword: f64,
    /// Cosine as it is, and scaled between the query's worst and best candidate.
    pub cosine: f64,
    pub semantic: f64,
    /// For messages: what dates, speakers, questions and memories taken from it add.
    pub context: f64,
    /// For messages: what each part adds to `relevance`. Their `keyword` and `semantic` are those of the turn and the ones beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
    /// `keyword` and `semantic` weighted; for messages, the sum of `parts`, and never below 0.
    pub relevance: f64,
    /// Factors by which relevance is multiplied.
    pub status: f64,
    pub importance: f64,
    pub recency: f64,
    pub support: f64,
    pub score: f64,
}

/// What each part of a turn's relevance adds to it. Together they are the relevance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Parts {
    /// Words in the turn and the ones beside it.
    pub words: f64,
    /// Words in the passage around it, five turns either side.
    pub passage: f64,
    /// Likeness of the turn and the ones beside it.
    pub meaning: f64,
    /// The best likeness within two turns.
    pub nearby: f64,
    /// It was said when the question says.
    pub date: f64,
    /// The question asks for a time, and it says one.
    pub time: f64,
    /// Who is asked about said it.
    pub speaker: f64,
    /// It has many different words.
    pub length: f64,
    /// It ends with a question: nothing is answered there. Never above 0.
    pub asks: f64,
    /// Its speaker talks of himself.
    pub first_person: f64,
    /// Memories that were found were taken from it.
    pub memories: f64,
}

impl Parts {
    pub fn sum(&self) -> f64 {
        self.words + self.passage + self.meaning + self.nearby + self.context()
    }

    /// What is neither words nor meaning.
    pub fn context(&self) -> f64 {
        self.date + self.time + self.speaker + self.length + self.asks + self.first_person + self.memories
    }
}

/// How much a rare word counts (Robertson's idf, never below zero).
pub fn idf(documents: i64, with_term: i64) -> f64 {
    let documents = documents.max(with_term) as f64;
    let with_term = with_term as f64;
    (1.0 + (documents - with_term + 0.5) / (with_term + 0.5)).ln()
}

/// What BM25 approaches for a short document that is all query: to tell a good match from a poor one.
pub fn ideal(weights: &[(String, f64)]) -> f64 {
    weights.iter().map(|(_, idf)| idf * 1.6).sum::<f64>().max(1e-9)
}

/// `meaning`: how much the vectors count in hybrid mode, 0-1.
fn weights(mode: Mode, meaning: f64) -> (f64, f64) {
    match mode {
        Mode::Keyword => (1.0, 0.0),
        Mode::Semantic => (0.0, 1.0),
        Mode::Hybrid => (1.0 - meaning, meaning),
    }
}

/// Joins both arms: keyword scores scaled to the best, cosines between the worst and the best.
pub fn fuse(
    mode: Mode,
    meaning: f64,
    keyword: &HashMap<Uuid, f64>,
    semantic: &HashMap<Uuid, f64>,
) -> HashMap<Uuid, Explained> {
    let (keyword_weight, semantic_weight) = weights(mode, meaning);
    let mut all: HashMap<Uuid, Explained> = HashMap::new();
    if keyword_weight > 0.0 {
        let best = keyword.values().copied().fold(0.0, f64::max).max(1e-9);
        for (id, bm25) in keyword.iter().filter(|(_, bm25)| **bm25 > 0.0) {
            all.insert(*id, Explained { bm25: *bm25, keyword: bm25 / best, ..Explained::default() });
        }
    }
    if semantic_weight > 0.0 {
        let best = semantic.values().copied().fold(f64::MIN, f64::max);
        let worst = semantic.values().copied().fold(f64::MAX, f64::min).min(best - 1e-9).max(0.0).min(best);
        let span = (best - worst).max(1e-9);
        for (id, cosine) in semantic.iter().filter(|(_, cosine)| **cosine > 0.0) {
            let entry = all.entry(*id).or_default();
            entry.cosine = *cosine;
            entry.semantic = ((cosine - worst) / span).clamp(0.0, 1.0);
        }
    }
    for entry in all.values_mut() {
        entry.relevance = keyword_weight * entry.keyword + semantic_weight * entry.semantic;
    }
    all
}

/// Bounded factors: they order what is about equally relevant, and never lift what is not.
pub fn judge(explained: &mut Explained, memory: &Memory, in_conflict: bool, now: DateTime<Utc>) {
    explained.status = match memory.status {
        _ if in_conflict => 0.85,
        MemoryStatus::Confirmed => 1.05,
        MemoryStatus::Pending => 0.95,
        MemoryStatus::Rejected | MemoryStatus::Superseded | MemoryStatus::Merged | MemoryStatus::Expired => {
            0.9
        }
    };
    explained.importance = 1.0 + 0.1 * (memory.importance - 0.5) + 0.05 * (memory.confidence - 0.5);
    let since = memory.valid_from.unwrap_or(memory.created_at).max(memory.created_at);
    let days = (now - since).num_minutes().max(0) as f64 / 1_440.0;
    let half_life = match memory.memory_type {
        MemoryType::Goal => 30.0,
        MemoryType::Experience | MemoryType::Topic => 180.0,
        MemoryType::Preference | MemoryType::Fact | MemoryType::Relationship => 365.0,
    };
    explained.recency = 1.0 + 0.1 * ((-days / half_life).exp2() - 0.5);
    explained.support = 1.0 + 0.05 * ((1.0 + memory.support.max(0) as f64).ln() / 10f64.ln()).min(1.0);
    explained.score =
        explained.relevance * explained.status * explained.importance * explained.recency * explained.support;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_count_more_and_none_counts_against() {
        assert!(idf(100, 1) > idf(100, 50));
        assert!(idf(10, 10) >= 0.0 && idf(0, 3) >= 0.0);
    }

    #[test]
    fn either_arm_brings_a_candidate_in_alone() {
        let keyword = HashMap::from([(Uuid::from_u128(1), 4.0)]);
        let semantic = HashMap::from([(Uuid::from_u128(2), 0.6), (Uuid::from_u128(3), 0.1)]);
        let fused = fuse(Mode::Hybrid, 0.5, &keyword, &semantic);
        assert_eq!(fused[&Uuid::from_u128(1)].relevance, 0.5);
        assert_eq!(fused[&Uuid::from_u128(2)].relevance, 0.5);
        assert_eq!(fused[&Uuid::from_u128(3)].relevance, 0.0);
        assert_eq!(fuse(Mode::Keyword, 0.5, &keyword, &semantic).len(), 1);
    }

    #[test]
    fn factors_stay_near_one() {
        let now = crate::clock::now();
        let user = crate::domain::ids::UserId::new();
        let mut explained = Explained { relevance: 1.0, ..Explained::default() };
        judge(
            &mut explained,
            &Memory::new(user, "x", MemoryType::Fact, MemoryStatus::Confirmed, now),
            false,
            now,
        );
        assert!((0.8..1.3).contains(&explained.score), "{explained:?}");
    }
}
