//! What tokens cost, where it is known: US dollars per million, prompt and completion, by the beginning of the model's
//! name. List prices as published; a model that is not here has no known cost.

use crate::domain::message::Usage;

const PRICES: [(&str, f64, f64); 8] = [
    ("gpt-4o-mini", 0.15, 0.60),
    ("gpt-4o", 2.50, 10.00),
    ("gpt-4.1-nano", 0.10, 0.40),
    ("gpt-4.1-mini", 0.40, 1.60),
    ("gpt-4.1", 2.00, 8.00),
    ("llama-3.3-70b-versatile", 0.59, 0.79),
    ("mock-", 0.0, 0.0),
    ("llama3.2", 0.0, 0.0),
];

/// In US dollars; `None` for a model whose price is not known.
pub fn cost(model: &str, usage: Usage) -> Option<f64> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let (_, prompt, completion) = PRICES.iter().find(|(start, ..)| name.starts_with(start))?;
    Some((usage.prompt_tokens as f64 * prompt + usage.completion_tokens as f64 * completion) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_name_counts() {
        let usage = Usage::new(1_000_000, 1_000_000);
        assert_eq!(cost("openai/gpt-4o-mini-2024-07-18", usage), Some(0.75));
        assert_eq!(cost("gpt-4o", usage), Some(12.5));
        assert_eq!(cost("unknown", usage), None);
    }
}
