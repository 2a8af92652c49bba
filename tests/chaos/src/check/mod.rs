//! Whether the promises were kept: what clients saw beside what is stored.

pub mod database;
pub mod deadlocks;
pub mod outcomes;
pub mod processes;
pub mod sessions;
pub mod usage;

use chrono::SecondsFormat;

use crate::history::History;

/// A promise that was not kept, and the smallest history that shows it.
#[derive(Debug, Clone)]
pub struct Violation {
    pub kind: &'static str,
    pub what: String,
    /// The message (or whatever steps are written down under) it is about.
    pub about: Option<String>,
    pub evidence: Vec<String>,
}

impl Violation {
    pub fn new(kind: &'static str, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), about: None, evidence: Vec::new() }
    }

    pub fn about(mut self, marker: &str) -> Self {
        self.about = Some(marker.to_owned());
        self
    }

    pub fn with(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Adds what its client did and saw, in time order with what is stored.
    pub fn explain(&mut self, history: &History, stored: &database::Stored) {
        let Some(marker) = &self.about else { return };
        let mut lines: Vec<String> = history
            .steps_of(marker)
            .into_iter()
            .map(|step| format!("{} {}", step.at.to_rfc3339_opts(SecondsFormat::Millis, true), step.what))
            .collect();
        lines.extend(stored.lines_about(marker));
        lines.sort();
        self.evidence.append(&mut lines);
    }
}

#[cfg(test)]
mod tests;
