//! A typed reader over environment variables that remembers which keys were asked for and what was wrong.

use std::{
    collections::{BTreeSet, HashMap},
    ops::RangeInclusive,
    time::Duration,
};

use super::names;

#[derive(Default)]
pub struct Env {
    values: HashMap<String, String>,
    read: BTreeSet<String>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Env {
    /// The process's environment. A `.env` must have been loaded into it before.
    pub fn from_process() -> Self {
        let values = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { values, ..Self::default() }
    }

    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: pairs.into_iter().collect(), ..Self::default() }
    }

    /// What the command line says counts more than the environment.
    pub fn set(&mut self, key: &str, value: String) {
        self.values.insert(key.to_owned(), value);
    }

    /// The value, trimmed; an empty one counts as absent, so that `KEY=` in a compose file means the default. Another
    /// system's name for the key counts where ours is not set.
    pub fn optional(&mut self, key: &str) -> Option<String> {
        self.read.insert(key.to_owned());
        let mut found = self.elsewhere(key);
        for other in names::also_called(key) {
            match (&found, self.elsewhere(&other)) {
                (None, theirs) => found = theirs,
                (Some(found), Some(theirs)) if *found != theirs => {
                    self.warn(&format!("{other} is ignored: {key} is set too"));
                }
                _ => {}
            }
        }
        found
    }

    /// The value of a variable that is not ours.
    pub fn elsewhere(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub fn text(&mut self, key: &str, default: &str) -> String {
        self.optional(key).unwrap_or_else(|| default.to_owned())
    }

    pub fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.optional(key) else { return default };
        match text.parse::<u64>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(&format!(
                    "{key} must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                ));
                default
            }
        }
    }

    /// A duration in seconds; fractions are allowed.
    pub fn seconds(&mut self, key: &str, default: f64, range: RangeInclusive<f64>) -> Duration {
        let Some(text) = self.optional(key) else { return Duration::from_secs_f64(default) };
        match text.parse::<f64>() {
            Ok(number) if range.contains(&number) => Duration::from_secs_f64(number),
            _ => {
                self.problem(&format!(
                    "{key} must be a number of seconds from {} to {}",
                    range.start(),
                    range.end()
                ));
                Duration::from_secs_f64(default)
            }
        }
    }

    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.optional(key).map(|text| text.to_lowercase()).as_deref() {
            None => default,
            Some("true" | "1" | "yes" | "on") => true,
            Some("false" | "0" | "no" | "off") => false,
            Some(_) => {
                self.problem(&format!("{key} must be true or false"));
                default
            }
        }
    }

    /// A JSON list of strings; a plain comma-separated line is taken too.
    pub fn list(&mut self, key: &str, default: &[&str]) -> Vec<String> {
        let Some(text) = self.optional(key) else {
            return default.iter().map(|&item| item.to_owned()).collect();
        };
        if text.starts_with('[') {
            return serde_json::from_str(&text).unwrap_or_else(|_| {
                self.problem(&format!("{key} must be a JSON list of strings"));
                Vec::new()
            });
        }
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    pub fn problem(&mut self, problem: &str) {
        self.problems.push(problem.to_owned());
    }

    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Something an operator should know, though it can be lived with.
    pub fn warn(&mut self, warning: &str) {
        if !self.warnings.iter().any(|known| known == warning) {
            self.warnings.push(warning.to_owned());
        }
    }

    /// What was noted while reading, and what there is to say of variables that nobody read.
    pub fn warnings(&self) -> Vec<String> {
        let mut unread: Vec<String> =
            self.values.iter().filter_map(|(name, value)| names::remark(name, value, &self.read)).collect();
        unread.sort_unstable();
        self.warnings.iter().cloned().chain(unread).collect()
    }

    pub fn keys_read(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(String::as_str)
    }
}
