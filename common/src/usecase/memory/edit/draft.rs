//! What a user gives to add or change a memory: checked, and put into one.

use chrono::{DateTime, Utc};

use crate::{
    Result,
    domain::{
        memory::{Memory, MemoryType},
        patch::Patch,
        texts::{Content, Part},
    },
    error::Wrong,
    memory::{slots, text},
    problems::Problems,
};

/// What a user gives to add or change a memory; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub content: Option<Content>,
    pub memory_type: Option<String>,
    pub subject: Option<Part>,
    pub slot: Option<Part>,
    pub object: Option<Part>,
    pub importance: Option<f64>,
    pub confidence: Option<f64>,
    pub contexts: Option<Vec<String>>,
    pub is_private: Option<bool>,
    pub valid_from: Patch<DateTime<Utc>>,
    pub valid_to: Patch<DateTime<Utc>>,
    pub expires_at: Patch<DateTime<Utc>>,
}

impl Draft {
    /// What is wrong with it beside its texts, which were checked where they were made.
    pub fn check(&self, problems: &mut Problems) {
        let known = self.memory_type.as_ref().is_none_or(|word| word.parse::<MemoryType>().is_ok());
        problems.unless(known, "memory_type", MemoryType::one_of());
        for (field, value) in [("importance", self.importance), ("confidence", self.confidence)] {
            let fits = value.is_none_or(|value| (0.0..=1.0).contains(&value));
            problems.unless(fits, field, Wrong::Range { min: 0, max: 1 });
        }
        let phrase = |text: &String| {
            !text.trim().is_empty() && text.len() <= 100 && !text.chars().any(char::is_control)
        };
        let fit =
            self.contexts.as_ref().is_none_or(|contexts| contexts.len() <= 20 && contexts.iter().all(phrase));
        problems.unless(fit, "contexts", Wrong::Phrases { max: 20, bytes: 100 });
        if let (Patch::Set(from), Patch::Set(to)) = (self.valid_from, self.valid_to) {
            problems.unless(from <= to, "valid_to", Wrong::Before("valid_from"));
        }
    }

    pub(super) fn checked(&self) -> Result<()> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.done()
    }

    pub(super) fn apply(self, memory: &mut Memory) {
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
            memory.content = content.into_string();
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
