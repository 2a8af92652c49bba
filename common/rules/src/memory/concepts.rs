//! A few links between words that share no letters: a question about food finds an allergy. No thesaurus: only what
//! must not be missed.

use std::collections::HashMap;

/// (stems that ask, stems that answer)
const LINKS: &[(&[&str], &[&str])] = &[
    (
        &["food", "eat", "avoid", "meal", "dish", "ingredi", "snack", "recip", "restaur", "cook"],
        &["allerg", "allergi", "intoler", "celiac", "vegetarian", "vegan"],
    ),
    (&["খাবার", "খাওয়া"], &["অ্যালার্জি", "এলার্জি"]),
];
/// How much a linked word counts beside the best word of the question.
pub const WEIGHT: f64 = 0.6;

/// The stems that answer a question besides its own.
pub fn linked(terms: &HashMap<String, i64>) -> Vec<&'static str> {
    LINKS
        .iter()
        .filter(|(asks, _)| asks.iter().any(|stem| terms.contains_key(*stem)))
        .flat_map(|(_, answers)| answers.iter().copied())
        .filter(|stem| !terms.contains_key(*stem))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::text;

    #[test]
    fn food_leads_to_allergies_and_tea_does_not() {
        let linked = |question: &str| linked(&text::terms(question));
        for question in
            ["What food should I avoid?", "What can I eat tonight?", "Any good recipes or ingredients?"]
        {
            let all = linked(question);
            assert!(
                text::terms("Is allergic to nuts").keys().any(|term| all.contains(&term.as_str())),
                "{question}"
            );
            assert!(
                text::terms("Has an allergy").keys().any(|term| all.contains(&term.as_str())),
                "{question}"
            );
        }
        assert!(linked("Do I like tea?").is_empty());
    }
}
