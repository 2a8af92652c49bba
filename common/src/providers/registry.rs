//! The providers in force, and which of them a request gets.

use std::sync::Arc;

use super::{Provider, http, mock::Mock, openai::OpenAi};
use crate::settings::Ai;

#[derive(Clone)]
pub struct Providers {
    all: Vec<Arc<dyn Provider>>,
    order: Vec<String>,
}

impl Providers {
    /// `Err` when the HTTP client can't be made (no TLS roots, say).
    pub fn from_settings(settings: &Ai) -> Result<Self, reqwest::Error> {
        let mut all: Vec<Arc<dyn Provider>> = vec![Arc::new(Mock::new(settings.mock_delay))];
        let client = http::client(settings)?;
        for endpoint in &settings.endpoints {
            all.push(Arc::new(OpenAi::new(client.clone(), endpoint.clone(), settings)));
        }
        Ok(Self { all, order: settings.order.clone() })
    }

    /// The provider of a name; `auto` is the first of the configured order that is set up.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        if name == "auto" {
            let first = self.order.iter().find_map(|name| self.get(name));
            return first.or_else(|| self.get("mock"));
        }
        self.all.iter().find(|provider| provider.name() == name).cloned()
    }

    /// Name and default model of each, in the order `auto` tries them.
    pub fn list(&self) -> Vec<(String, String)> {
        let mut names: Vec<&String> = self.order.iter().collect();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| self.get(name))
            .map(|provider| (provider.name().to_owned(), provider.default_model().to_owned()))
            .collect()
    }
}

/// The names a request may give.
pub const NAMES: [&str; 8] =
    ["auto", "openai", "openrouter", "gemini", "groq", "anthropic", "ollama", "mock"];

/// Of these, the ones this version has no adapter for.
pub const RESERVED: [&str; 2] = ["gemini", "anthropic"];
