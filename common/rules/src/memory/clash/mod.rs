//! Which memories cannot both be true, told from their words alone: no model is asked. Opposite words over the same
//! thing, a denial of what another says, and two values of what has one at a time.

mod claims;
#[cfg(test)]
mod table;
mod value_words;
mod values;

use std::collections::{BTreeSet, HashMap};

use claims::Claim;
use values::Value;

use super::{extract::Fact, slots};
use crate::domain::memory::Memory;

/// Why two do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// One denies what the other says.
    Opposite,
    /// Two values of this slot.
    OtherValue(String),
}

impl Clash {
    /// For people.
    pub fn reason(&self) -> String {
        match self {
            Clash::Opposite => "One says the opposite of the other.".to_owned(),
            Clash::OtherValue(slot) => {
                format!("Both say what your {} is, and they differ.", slot.replace('_', " "))
            }
        }
    }
}

/// A text, read: what it claims and what it gives values to.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Whom it is about, where that is known apart from its words.
    about: Option<String>,
    claims: Vec<Claim>,
    values: Vec<Value>,
}

impl Reading {
    pub fn of(text: &str, subject: Option<&str>) -> Self {
        let about = subject.map(slots::subject).filter(|subject| subject != "user");
        Self { about, claims: claims::claims(text), values: values::values(text) }
    }

    pub fn of_memory(memory: &Memory) -> Self {
        let subject = memory.subject.as_deref();
        let stored = memory.slot.as_deref().zip(memory.object.as_deref());
        Self::of(&memory.content, subject)
            .with_slot(stored.map(|(slot, object)| (subject.unwrap_or("user"), slot, object)))
    }

    /// What is stored counts more than what the words seem to say.
    fn with_slot(mut self, stored: Option<(&str, &str, &str)>) -> Self {
        if let Some((subject, slot, object)) = stored
            && slots::is_functional(slot)
        {
            let object = super::text::words(object);
            self.values = vec![Value { subject: subject.to_owned(), slot: slot.to_owned(), object }];
        }
        self
    }

    pub fn of_fact(fact: &Fact) -> Self {
        let stored = fact.subject.as_deref().zip(fact.slot.as_deref()).zip(fact.object.as_deref());
        Self::of(&fact.text, fact.subject.as_deref()).with_slot(stored.map(|((a, b), c)| (a, b, c)))
    }

    pub fn clash(&self, other: &Reading) -> Option<Clash> {
        if self.about != other.about {
            return None;
        }
        let opposite = self.claims.iter().any(|a| other.claims.iter().any(|b| a.contradicts(b)));
        if opposite {
            return Some(Clash::Opposite);
        }
        let pairs = self.values.iter().flat_map(|a| other.values.iter().map(move |b| (a, b)));
        pairs.into_iter().find(|(a, b)| a.differs(b)).map(|(a, _)| Clash::OtherValue(a.slot.clone()))
    }

    /// Says that something is over: "no longer", "stopped".
    pub fn ends_something(&self) -> bool {
        self.claims.iter().any(|claim| claim.is_ended && claim.is_denied)
    }

    /// The index terms of the words that what denies one of its claims has too: the last of each claim.
    pub fn claimed_terms(&self) -> BTreeSet<String> {
        let last = self.claims.iter().filter_map(|claim| claim.words.last());
        last.flat_map(|word| super::text::terms(word).into_keys().chain([word.clone()])).collect()
    }

    /// (subject, slot) of what it gives values to.
    pub fn slots(&self) -> BTreeSet<(String, String)> {
        self.values.iter().map(|value| (value.subject.clone(), value.slot.clone())).collect()
    }

    /// What readings that may clash with it have in common with it.
    fn keys(&self) -> Vec<String> {
        let claims = self.claims.iter().filter_map(|claim| claim.words.last().cloned());
        claims.chain(self.values.iter().map(|value| format!("{} {}", value.subject, value.slot))).collect()
    }
}

/// The slot and value of a plain statement about the user, if it gives just one.
pub fn slot_of(text: &str) -> Option<(String, String, String)> {
    let mut values = values::values(text);
    let value = values.pop().filter(|_| values.is_empty())?;
    Some((value.subject, value.slot, value.object.join(" ")))
}

/// All pairs among many that clash: only those with a last word or a slot in common are compared.
pub fn pairs(memories: &[Memory]) -> Vec<(usize, usize, Clash)> {
    let readings: Vec<Reading> = memories.iter().map(Reading::of_memory).collect();
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, reading) in readings.iter().enumerate() {
        for key in reading.keys() {
            let with_key = by_key.entry(key).or_default();
            if with_key.last() != Some(&index) {
                with_key.push(index);
            }
        }
    }
    let mut found: HashMap<(usize, usize), Clash> = HashMap::new();
    for same in by_key.values() {
        for (at, a) in same.iter().enumerate() {
            for b in &same[at + 1..] {
                if let Some(clash) = readings[*a].clash(&readings[*b]) {
                    found.insert((*a, *b), clash);
                }
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().map(|((a, b), clash)| (a, b, clash)).collect();
    found.sort_by_key(|(a, b, _)| (*a, *b));
    found
}
