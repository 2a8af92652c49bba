//! What the mock says of memories: which pairs clash, what is left of several, and when one ends.

use serde_json::{Value, json};

use super::lines;
use crate::memory::{clash::Reading, quote, text};

/// The words of a memory without what only fills it.
fn core(content: &str) -> Vec<String> {
    let mut words: Vec<String> = text::terms(content).into_keys().collect();
    words.sort();
    words
}

pub fn judge_pairs(content: &str) -> String {
    let verdict = |a: &str, b: &str| {
        let (words_a, words_b) = (core(a), core(b));
        let shared = words_a.iter().filter(|word| words_b.contains(word)).count();
        let (first_a, first_b) = (text::words(a), text::words(b));
        let same_opening = first_a.len() > 2 && first_b.len() > 2 && first_a[..2] == first_b[..2];
        let one_value = ["lives in", "works at", "works as", "is called", "has a birthday"]
            .iter()
            .any(|opening| a.to_lowercase().starts_with(opening));
        if words_a == words_b && quote::is_negated(a) == quote::is_negated(b) {
            ("duplicates", "They say the same.")
        } else if Reading::of(a, None).clash(&Reading::of(b, None)).is_some() {
            ("contradicts", "One denies what the other says.")
        } else if same_opening && one_value {
            ("contradicts", "They give different values for the same thing.")
        } else if quote::is_negated(a) != quote::is_negated(b) {
            ("unrelated", "They say different things.")
        } else if shared > 0 && (shared == words_a.len() || shared == words_b.len()) {
            ("refines", "One says more than the other.")
        } else if shared * 3 >= words_a.len().max(words_b.len()) * 2 {
            ("duplicates", "They say nearly the same.")
        } else {
            ("unrelated", "They are about different things.")
        }
    };
    let verdicts: Vec<Value> = lines(content)
        .iter()
        .filter(|line| line["p"].is_u64())
        .map(|line| {
            let (word, reason) =
                verdict(line["a"].as_str().unwrap_or_default(), line["b"].as_str().unwrap_or_default());
            json!({"p": line["p"], "verdict": word, "reason": reason})
        })
        .collect();
    json!({"verdicts": verdicts}).to_string()
}

/// Keeps each statement whose words are not all in another.
pub fn merge(content: &str) -> String {
    let lines = lines(content);
    let texts: Vec<&str> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let words = core(text);
        let covered = texts.iter().enumerate().any(|(other, by)| {
            let by_words = core(by);
            other != index
                && words.iter().all(|word| by_words.contains(word))
                && (words.len() < by_words.len() || other < index)
        });
        if !covered {
            kept.push(text.trim_end_matches('.'));
        }
    }
    let text: String = kept.join("; ").chars().take(1_500).collect();
    json!({"text": text}).to_string()
}

pub fn expiry(content: &str) -> String {
    const ENDS: [(&str, u32); 12] = [
        ("today", 1),
        ("tomorrow", 2),
        ("this weekend", 5),
        ("this week", 7),
        ("next week", 14),
        ("next month", 62),
        ("trip", 60),
        ("appointment", 30),
        ("exam", 30),
        ("interview", 30),
        ("this month", 31),
        ("plans to", 180),
    ];
    let all: Vec<Value> = lines(content)
        .iter()
        .filter_map(|line| {
            let text = line["text"].as_str()?.to_lowercase();
            let (word, days) = ENDS.iter().find(|(word, _)| text.contains(word))?;
            Some(json!({"m": line["m"], "should_expire": true, "days": days, "reason": format!("It says \"{word}\".")}))
        })
        .collect();
    json!({"expiry": all}).to_string()
}
