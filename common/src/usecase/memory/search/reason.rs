//! Whether what was found is about the question at all, and why it was found.

use crate::{
    Context,
    memory::{rank::Explained, text},
};

/// The words of a question and how much each counts.
pub(super) struct Words {
    pub weights: Vec<(String, f64)>,
    pub ideal: f64,
}

/// What search shows may be less near than what a prompt is given: whoever searches sees the score.
pub(super) const SHOWN: f64 = 0.75;

/// By an absolute measure: near enough in meaning, or sharing enough of what is rare in the question.
pub(super) fn is_relevant(ctx: &Context, explained: &Explained, words: &Words, share: f64) -> bool {
    explained.cosine >= ctx.embedder.floor() * share || explained.bm25 / words.ideal >= 0.12 * share
}

/// See [`Hit::bearing`](super::Hit::bearing).
pub(super) fn bearing(explained: &Explained, words: &Words) -> f64 {
    explained.bm25 / words.ideal.max(f64::MIN_POSITIVE) + explained.cosine.max(0.0) / 2.0
}

pub(super) fn reason(explained: &Explained, content: &str, words: &Words) -> String {
    let terms = text::terms(content);
    let mut shared: Vec<&(String, f64)> =
        words.weights.iter().filter(|(term, _)| terms.contains_key(term)).collect();
    shared.sort_by(|a, b| b.1.total_cmp(&a.1));
    let shared: Vec<&str> = shared.iter().take(4).map(|(term, _)| term.as_str()).collect();
    match (shared.is_empty(), explained.cosine > 0.0) {
        (false, true) => format!("shares the words {}; likeness {:.2}", shared.join(", "), explained.cosine),
        (false, false) => format!("shares the words {}", shared.join(", ")),
        (true, true) => format!("close in meaning: likeness {:.2}", explained.cosine),
        (true, false) => "follows what was asked about".to_owned(),
    }
}
