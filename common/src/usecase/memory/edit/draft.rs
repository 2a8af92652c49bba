//! What a user gives to add or change a memory: checked, and put into one.

use chrono::{DateTime, Utc};

use crate::{
    Error, Result,
    domain::{
        memory::{CONTENT_MAX, Memory, MemoryType},
        patch::Patch,
    },
    error::{FieldError, Wrong},
    memory::{slots, text},
};

/// What a user gives to add or change a memory; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub content: Option<String>,
    pub memory_type: Option<String>,
    pub subject: Option<String>,
    pub slot: Option<String>,
    pub object: Option<String>,
    pub importance: Option<f64>,
    pub confidence: Option<f64>,
    pub contexts: Option<Vec<String>>,
    pub is_private: Option<bool>,
    pub valid_from: Patch<DateTime<Utc>>,
    pub valid_to: Patch<DateTime<Utc>>,
    pub expires_at: Patch<DateTime<Utc>>,
}

impl Draft {
    pub fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut problem = |field: &str, wrong: Wrong| errors.push(FieldError::new(field, wrong));
        if let Some(content) = &self.content
            && let Some(wrong) = content_problem(content)
        {
            problem("content", wrong);
        }
        if let Some(memory_type) = &self.memory_type
            && memory_type.parse::<MemoryType>().is_err()
        {
            problem("memory_type", MemoryType::one_of());
        }
        for (field, value) in [("importance", self.importance), ("confidence", self.confidence)] {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                problem(field, Wrong::Range { min: 0, max: 1 });
            }
        }
        for (field, value) in [("subject", &self.subject), ("slot", &self.slot), ("object", &self.object)] {
            if value
                .as_ref()
                .is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control))
            {
                problem(field, Wrong::Line { min: 0, max: 200 });
            }
        }
        if let Some(contexts) = &self.contexts
            && (contexts.len() > 20
                || contexts
                    .iter()
                    .any(|c| c.trim().is_empty() || c.len() > 100 || c.chars().any(char::is_control)))
        {
            problem("contexts", Wrong::Phrases { max: 20, bytes: 100 });
        }
        if let (Patch::Set(from), Patch::Set(to)) = (self.valid_from, self.valid_to)
            && to < from
        {
            problem("valid_to", Wrong::Before("valid_from"));
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::fields(errors)) }
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
            memory.content = content.trim().to_owned();
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

/// Why a text cannot be a memory.
pub fn content_problem(content: &str) -> Option<Wrong> {
    let length = content.trim().chars().count();
    if text::normalise(content).is_empty() {
        Some(Wrong::NoWord)
    } else if length > CONTENT_MAX {
        Some(Wrong::TooLong { max: CONTENT_MAX, length })
    } else if content.contains('\0') {
        Some(Wrong::Nul)
    } else {
        None
    }
}
