//! What must never be missed: health, allergies, safety, and what the user is called. Such memories, once confirmed,
//! stand in every prompt, whatever search finds.

use super::text;
use crate::domain::memory::Memory;

/// How much one must matter to stand in every prompt.
pub const LEAST: f64 = 0.7;
/// How much one matters that its user adds without saying.
pub const IMPORTANCE: f64 = 0.9;

const SLOTS: [&str; 8] = [
    "allergy",
    "intolerance",
    "health",
    "condition",
    "medication",
    "disability",
    "blood_type",
    "emergency_contact",
];
/// Of the user only: what a pet is called can be missed.
const NAMES: [&str; 3] = ["name", "nickname", "pronouns"];
/// How words begin that speak of health and safety.
const WORDS: [&str; 17] = [
    "allerg",
    "anaphyla",
    "epipen",
    "intoleran",
    "celiac",
    "coeliac",
    "diabet",
    "insulin",
    "asthma",
    "epilep",
    "seizure",
    "pregnan",
    "pacemaker",
    "medication",
    "অ্যালার্জি",
    "এলার্জি",
    "ডায়াবেটিস",
];

pub fn is_essential(memory: &Memory) -> bool {
    let slot = memory.slot.as_deref().unwrap_or_default();
    let of_user = memory.subject.as_deref().is_none_or(|subject| subject == "user");
    SLOTS.contains(&slot)
        || of_user && NAMES.contains(&slot)
        || text::words(&memory.content).iter().any(|word| WORDS.iter().any(|begin| word.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        domain::{
            ids::UserId,
            memory::{MemoryStatus, MemoryType},
        },
    };

    #[test]
    fn health_and_the_users_name_are_essential_and_tastes_are_not() {
        let memory = |text: &str, slot: Option<&str>, subject: &str| {
            let mut memory =
                Memory::new(UserId::new(), text, MemoryType::Fact, MemoryStatus::Confirmed, clock::now());
            memory.slot = slot.map(str::to_owned);
            memory.subject = Some(subject.to_owned());
            is_essential(&memory)
        };
        assert!(
            memory("Is allergic to peanuts", None, "user") && memory("Has diabetes", Some("health"), "user")
        );
        assert!(memory("My son has asthma", None, "son") && memory("Is called Ana", Some("name"), "user"));
        assert!(
            !memory("Is called Rex", Some("name"), "dog") && !memory("Likes peanuts", Some("likes"), "user")
        );
    }
}
