//! What is known of models: context size, list price, whether they see. Configuration extends it (`AI_SERVICES__MODELS`).
//!
//! A name is matched by its beginning, so that dated versions are found; the longest match counts. Prices are US dollars
//! per million tokens, prompt and completion, as the providers published them by November 2026; a model that is not here
//! has no known price.

use crate::{chat::tokens, domain::message::Usage, settings::Model};

const KNOWN: [(&str, u64, f64, f64); 24] = [
    ("gpt-4o-mini", 128_000, 0.15, 0.60),
    ("gpt-4o", 128_000, 2.50, 10.00),
    ("gpt-4.1-nano", 1_047_576, 0.10, 0.40),
    ("gpt-4.1-mini", 1_047_576, 0.40, 1.60),
    ("gpt-4.1", 1_047_576, 2.00, 8.00),
    ("gpt-5-nano", 400_000, 0.05, 0.40),
    ("gpt-5-mini", 400_000, 0.25, 2.00),
    ("gpt-5", 400_000, 1.25, 10.00),
    ("o4-mini", 200_000, 1.10, 4.40),
    ("gemini-2.5-flash-lite", 1_048_576, 0.10, 0.40),
    ("gemini-2.5-flash", 1_048_576, 0.30, 2.50),
    ("gemini-2.5-pro", 1_048_576, 1.25, 10.00),
    ("gemini-2.0-flash", 1_048_576, 0.10, 0.40),
    ("claude-haiku-4-5", 200_000, 1.00, 5.00),
    ("claude-sonnet-4", 200_000, 3.00, 15.00),
    ("claude-opus-4", 200_000, 15.00, 75.00),
    ("claude-3-5-haiku", 200_000, 0.80, 4.00),
    ("llama-3.3-70b-versatile", 131_072, 0.59, 0.79),
    ("llama-3.1-8b-instant", 131_072, 0.05, 0.08),
    ("openai/gpt-oss-120b", 131_072, 0.15, 0.60),
    ("llama3.2", 131_072, 0.0, 0.0),
    ("llama3.2-vision", 131_072, 0.0, 0.0),
    ("mock-", 1_000_000, 0.0, 0.0),
    ("mock-sees", 1_000_000, 0.0, 0.0),
];

/// Those of them that take no images.
const BLIND: [&str; 5] =
    ["llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b", "llama3.2", "mock-"];

/// Those that count far more tokens for an image than others do: of a square one of 1,024 pixels.
const COSTLY_IMAGES: [(&str, usize); 1] = [("gpt-4o-mini", 2_833 + 4 * 5_667)];

#[derive(Debug, Clone)]
pub struct Models(Vec<Model>);

impl Models {
    /// The known ones, behind those that configuration names.
    pub fn new(configured: &[Model]) -> Self {
        let known = KNOWN.iter().map(|(name, context, prompt, completion)| Model {
            name: (*name).to_owned(),
            context_tokens: Some(*context),
            prompt_price: Some(*prompt),
            completion_price: Some(*completion),
            images: BLIND.contains(name).then_some(false),
        });
        Self(configured.iter().cloned().chain(known).collect())
    }

    pub fn get(&self, model: &str) -> Option<&Model> {
        let bare = model.rsplit('/').next().unwrap_or(model);
        let matches = |known: &&Model| bare.starts_with(&known.name) || model.starts_with(&known.name);
        // Of names of one length the first, which is the configured one.
        self.0.iter().rev().filter(matches).max_by_key(|known| known.name.len())
    }

    /// Whether it is known to take no images.
    pub fn is_blind(&self, model: &str) -> bool {
        self.get(model).is_some_and(|known| known.images == Some(false))
    }

    /// Tokens that it counts for an image beyond [`tokens::IMAGE`].
    pub fn more_for_an_image(&self, model: &str) -> usize {
        let known = self.get(model).map_or("", |known| known.name.as_str());
        let costly = COSTLY_IMAGES.iter().find(|(name, _)| known.starts_with(name));
        costly.map_or(0, |(_, count)| count.saturating_sub(tokens::IMAGE))
    }

    /// In US dollars; `None` for a model whose price is not known.
    pub fn cost(&self, model: &str, usage: Usage) -> Option<f64> {
        let known = self.get(model)?;
        let (prompt, completion) = known.prompt_price.zip(known.completion_price)?;
        Some((usage.prompt_tokens as f64 * prompt + usage.completion_tokens as f64 * completion) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_name_counts_and_configuration_before_it() {
        let own = Model {
            name: "gpt-4o".to_owned(),
            context_tokens: Some(9),
            prompt_price: Some(1.0),
            completion_price: Some(1.0),
            images: Some(false),
        };
        let (plain, with_own) = (Models::new(&[]), Models::new(&[own]));
        let usage = Usage::new(1_000_000, 1_000_000);
        assert_eq!(plain.cost("openai/gpt-4o-mini-2024-07-18", usage), Some(0.75));
        assert_eq!(plain.cost("gpt-4o", usage), Some(12.5));
        assert_eq!(plain.cost("unknown", usage), None);
        assert_eq!(with_own.cost("gpt-4o-2024", usage), Some(2.0));
        assert_eq!(with_own.cost("gpt-4o-mini", usage), Some(0.75));
        assert_eq!(with_own.get("gpt-4o").unwrap().context_tokens, Some(9));
        assert_eq!((plain.is_blind("gpt-4o"), with_own.is_blind("gpt-4o")), (false, true));
        assert_eq!((plain.is_blind("llama3.2:3b"), plain.is_blind("llama3.2-vision:11b")), (true, false));
        assert_eq!((plain.is_blind("mock-1"), plain.is_blind("mock-sees")), (true, false));
        let more = |model| plain.more_for_an_image(model);
        assert_eq!((more("openai/gpt-4o-mini-2024"), more("gpt-4o"), more("unknown")), (24_501, 0, 0));
        assert!(plain.is_blind("meta/llama-3.3-70b-versatile") && !plain.is_blind("unknown"));
    }
}
