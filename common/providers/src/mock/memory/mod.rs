//! How the mock reads conversations: by plain patterns, in English and a little Bengali. It also judges pairs, merges
//! and dates memories by rules, so that the whole of memory works, and can be tested, without a model.

mod judge;
mod patterns;
mod sentence;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::directives::{self, Directive};
pub use judge::{expiry, judge_pairs, merge};
use sentence::{clauses, facts_in};

/// The JSON lines of a request.
fn lines(content: &str) -> Vec<Value> {
    content.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Up to twelve words, verbatim from the sentence.
fn quote_of(sentence: &str) -> String {
    sentence.split_whitespace().take(12).collect::<Vec<_>>().join(" ")
}

/// What a user's words say literally as an answer of the model: `/facts TEXT` in a turn, for tests.
fn dictated(turns: &[&Value]) -> Option<String> {
    turns.iter().find_map(|turn| {
        directives::parse(turn["text"].as_str().unwrap_or_default()).into_iter().find_map(|directive| {
            match directive {
                Directive::Facts(text) => Some(text),
                _ => None,
            }
        })
    })
}

pub fn extract(content: &str) -> String {
    let lines = lines(content);
    let turns: Vec<&Value> = lines.iter().filter(|line| line["t"].is_u64()).collect();
    if let Some(text) = dictated(&turns) {
        return text;
    }
    let known: Vec<&Value> = lines.iter().filter(|line| line["m"].is_u64()).collect();
    let mut facts = Vec::new();
    for turn in turns.iter().filter(|turn| turn["role"] == "user") {
        let said = turn["text"].as_str().unwrap_or_default();
        for sentence in said.split_inclusive(['.', '!', '?', '\n', '।']) {
            if sentence.trim_end().ends_with('?') {
                continue;
            }
            for (sentence, told) in clauses(sentence)
                .into_iter()
                .flat_map(|clause| facts_in(clause).into_iter().map(move |told| (clause, told)))
            {
                let related: Vec<Value> = known
                    .iter()
                    .filter(|memory| {
                        told.replaces && !told.slot.is_empty() && memory["slot"] == told.slot.as_str()
                    })
                    .map(|memory| json!({"m": memory["m"], "op": "replaces"}))
                    .collect();
                facts.push(json!({
                    "text": told.text, "type": told.kind, "subject": told.subject,
                    "slot": Some(&told.slot).filter(|slot| !slot.is_empty()), "object": told.object,
                    "importance": told.importance, "confidence": 0.9, "when": told.when,
                    "src": format!("t{}", turn["t"]), "quote": quote_of(sentence), "explicit": true,
                    "sensitive": told.sensitive, "rel": related,
                }));
            }
        }
    }
    json!({"facts": facts}).to_string()
}
