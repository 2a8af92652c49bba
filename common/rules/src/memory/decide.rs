//! What a new fact is to the memories there are: more evidence, something rejected, something new, or a contradiction.
//!
//! Code decides, on what is stored; the model only nominates (DESIGN §6). Deduplication adds evidence and deletes
//! nothing. A later statement closes the validity of an earlier one only for the same subject and the same functional
//! slot, and never that of a memory its user confirmed: then both stay, and the user is asked.

use super::{builtin_embedder::cosine, clash::Reading, extract::Fact, quote, slots};
use crate::domain::{
    ids::MemoryId,
    memory::{Memory, MemoryStatus, Relationship},
};

/// Cosine from which two texts of equal numbers, names and negation say the same.
pub const SAME: f32 = 0.95;
/// The same, against a fact that the user rejected: other words for it must not bring it back.
pub const SAME_AS_REJECTED: f32 = 0.85;

/// A memory that may have to do with the fact, and how like it is (cosine; 0 when unknown).
#[derive(Debug, Clone)]
pub struct Candidate {
    pub memory: Memory,
    pub cosine: f32,
    /// What the model says the fact is to it.
    pub nominated: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The user rejected this: it does not come back.
    Blocked(MemoryId),
    /// Known already: one more message says it.
    Evidence(MemoryId),
    /// Told before a later statement about the same: it was true, and is no more.
    Outdated { by: MemoryId },
    New {
        /// Whose validity ends where this one's begins.
        supersedes: Vec<MemoryId>,
        /// Confirmed ones that say otherwise: the user is asked.
        conflicts: Vec<MemoryId>,
        /// (to which, what)
        links: Vec<(MemoryId, Relationship)>,
    },
}

/// Same numbers, same names, and neither denies what the other says.
fn agree(fact: &Fact, memory: &Memory) -> bool {
    quote::numbers(&fact.text) == quote::numbers(&memory.content)
        && quote::is_negated(&fact.text) == quote::is_negated(&memory.content)
        && quote::names(&fact.text) == quote::names(&memory.content)
}

fn same_slot(fact: &Fact, memory: &Memory) -> bool {
    fact.slot.is_some() && fact.slot == memory.slot && fact.subject == memory.subject
}

fn says_the_same(fact: &Fact, candidate: &Candidate) -> bool {
    let memory = &candidate.memory;
    let least = if memory.status == MemoryStatus::Rejected { SAME_AS_REJECTED } else { SAME };
    let in_other_words = candidate.nominated.as_deref() == Some("same");
    fact.norm == memory.norm
        || same_slot(fact, memory)
            && fact.object == memory.object
            && polarity(fact) == quote::is_negated(&memory.content)
        || agree(fact, memory) && (candidate.cosine >= least || in_other_words)
}

fn polarity(fact: &Fact) -> bool {
    quote::is_negated(&fact.text)
}

pub fn decide(fact: &Fact, candidates: &[Candidate]) -> Decision {
    if let Some(rejected) =
        candidates.iter().find(|c| c.memory.status == MemoryStatus::Rejected && says_the_same(fact, c))
    {
        return Decision::Blocked(rejected.memory.id);
    }
    if let Some(known) = candidates.iter().find(|c| c.memory.is_active() && says_the_same(fact, c)) {
        return Decision::Evidence(known.memory.id);
    }
    let functional = fact.slot.as_deref().is_some_and(slots::is_functional);
    let (mut supersedes, mut conflicts, mut links) = (Vec::new(), Vec::new(), Vec::new());
    let reading = Reading::of_fact(fact);
    for candidate in candidates.iter().filter(|candidate| candidate.memory.is_active()) {
        let memory = &candidate.memory;
        let op = candidate.nominated.as_deref();
        let one_value = same_slot(fact, memory) && functional;
        let denied = same_slot(fact, memory) && fact.object == memory.object
            || reading.clash(&Reading::of_memory(memory)).is_some();
        // "I no longer like tea" ends "likes tea". "I hate tea" leaves open which of them holds: the user is asked.
        let ended = denied && reading.ends_something();
        if one_value || ended {
            let since = memory.valid_from.unwrap_or(memory.created_at);
            if memory.status == MemoryStatus::Confirmed || !fact.explicit {
                conflicts.push(memory.id);
            } else if fact.said < since {
                return Decision::Outdated { by: memory.id };
            } else {
                supersedes.push(memory.id);
            }
        } else {
            match op {
                Some("refines") if !denied => links.push((memory.id, Relationship::RelatesTo)),
                Some("supports") if !denied => links.push((memory.id, Relationship::Supports)),
                Some("contradicts" | "replaces") => conflicts.push(memory.id),
                _ if denied => conflicts.push(memory.id),
                _ => {}
            }
        }
    }
    Decision::New { supersedes, conflicts, links }
}

/// Cosine of two stored vectors; 0 when either is missing.
pub fn likeness(a: Option<&[f32]>, b: Option<&[f32]>) -> f32 {
    a.zip(b).map_or(0.0, |(a, b)| cosine(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        domain::{
            ids::{MessageId, UserId},
            memory::MemoryType,
        },
        memory::text,
    };
    use chrono::TimeDelta;

    fn fact(words: &str, slot: &str, object: &str) -> Fact {
        Fact {
            text: words.to_owned(),
            norm: text::normalise(words),
            memory_type: MemoryType::Fact,
            subject: Some("user".to_owned()),
            slot: Some(slot.to_owned()),
            object: Some(object.to_owned()),
            importance: 0.5,
            confidence: 0.9,
            explicit: true,
            sensitive: false,
            said: clock::now(),
            valid_from: clock::now(),
            message: MessageId::new(),
            quote: words.to_owned(),
            relations: vec![],
        }
    }

    fn known(words: &str, slot: &str, object: &str, status: MemoryStatus) -> Candidate {
        let long_ago = clock::now() - TimeDelta::days(30);
        let mut memory = Memory::new(UserId::new(), words, MemoryType::Fact, status, long_ago);
        memory.subject = Some("user".to_owned());
        memory.slot = Some(slot.to_owned());
        memory.object = Some(object.to_owned());
        Candidate { memory, cosine: 0.0, nominated: None }
    }

    #[test]
    fn a_rejected_fact_stays_away_in_other_words_too() {
        let rejected = known("Likes tea", "likes", "tea", MemoryStatus::Rejected);
        assert_eq!(
            decide(&fact("Is fond of tea", "likes", "tea"), std::slice::from_ref(&rejected)),
            Decision::Blocked(rejected.memory.id)
        );
        let mut near = known("Enjoys a cup of tea", "x", "y", MemoryStatus::Rejected);
        near.cosine = 0.9;
        let id = near.memory.id;
        assert_eq!(decide(&fact("Enjoys cups of tea", "likes", "tea"), &[near]), Decision::Blocked(id));
    }

    #[test]
    fn known_facts_gain_evidence() {
        let tea = known("Likes tea", "likes", "tea", MemoryStatus::Confirmed);
        assert_eq!(
            decide(&fact("likes tea!", "likes", "tea"), std::slice::from_ref(&tea)),
            Decision::Evidence(tea.memory.id)
        );
        let mut denied = known("Does not eat fish on 3 days", "x", "y", MemoryStatus::Pending);
        denied.cosine = 0.99;
        let other = fact("Does not eat fish on 4 days", "likes", "fish");
        assert!(
            matches!(decide(&other, &[denied]), Decision::New { .. }),
            "other numbers say something else"
        );
    }

    #[test]
    fn a_functional_slot_has_one_value_and_confirmed_ones_are_asked_about() {
        let london = known("Lives in London", "home_city", "london", MemoryStatus::Pending);
        let dhaka = fact("Lives in Dhaka", "home_city", "dhaka");
        let superseding =
            Decision::New { supersedes: vec![london.memory.id], conflicts: vec![], links: vec![] };
        assert_eq!(decide(&dhaka, std::slice::from_ref(&london)), superseding);
        let confirmed = known("Lives in London", "home_city", "london", MemoryStatus::Confirmed);
        let asking =
            Decision::New { supersedes: vec![], conflicts: vec![confirmed.memory.id], links: vec![] };
        assert_eq!(decide(&dhaka, &[confirmed]), asking);
        let mut old = dhaka.clone();
        old.said = clock::now() - TimeDelta::days(300);
        assert_eq!(decide(&old, std::slice::from_ref(&london)), Decision::Outdated { by: london.memory.id });
        let additive = known("Likes tea", "likes", "tea", MemoryStatus::Pending);
        let coffee = decide(&fact("Likes coffee", "likes", "coffee"), &[additive]);
        assert_eq!(coffee, Decision::New { supersedes: vec![], conflicts: vec![], links: vec![] });
    }

    #[test]
    fn the_opposite_of_what_is_known_is_asked_about() {
        let cats = known("Likes cats", "likes", "cats", MemoryStatus::Pending);
        let asking = Decision::New { supersedes: vec![], conflicts: vec![cats.memory.id], links: vec![] };
        let hates = fact("Does not like cats", "dislikes", "cats");
        assert_eq!(decide(&hates, std::slice::from_ref(&cats)), asking);
        assert_eq!(decide(&fact("Does not like cats", "likes", "cats"), &[cats]), asking);
    }

    #[test]
    fn a_denial_ends_what_it_denies() {
        let tea = known("Likes tea", "likes", "tea", MemoryStatus::Pending);
        let ended = decide(&fact("Does not like tea anymore", "likes", "tea"), std::slice::from_ref(&tea));
        assert_eq!(
            ended,
            Decision::New { supersedes: vec![tea.memory.id], conflicts: vec![], links: vec![] }
        );
    }
}
