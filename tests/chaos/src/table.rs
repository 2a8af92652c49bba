//! The result as a table.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

pub struct Row {
    pub fault: String,
    pub messages: usize,
    pub requests: u64,
    pub errors: BTreeMap<String, u64>,
    /// `kind code` and how many.
    pub failed: BTreeMap<String, u64>,
    /// `None`: not within its deadline.
    pub ready: Option<Duration>,
    pub drained: Option<Duration>,
    pub warnings: u64,
    pub log_errors: u64,
    pub violations: usize,
}

fn counts(counts: &BTreeMap<String, u64>, most: usize) -> String {
    let total: u64 = counts.values().sum();
    if total == 0 {
        return "0".to_owned();
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<String> =
        sorted.iter().take(most).map(|(name, count)| format!("{} {count}", name.trim())).collect();
    let more = if sorted.len() > most { ", …" } else { "" };
    format!("{total} ({}{more})", named.join(", "))
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
}

impl Row {
    pub fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {}/{} | {} |",
            self.fault,
            self.messages,
            self.requests,
            counts(&self.errors, 3),
            counts(&self.failed, 3),
            seconds(self.ready),
            seconds(self.drained),
            self.warnings,
            self.log_errors,
            self.violations
        )
    }
}

pub const HEAD: &str = "| fault | messages | requests | errors clients saw | failed jobs | ready s | drained s | WARN/ERROR | violations |
| --- | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |";

pub fn markdown(about: &str, rows: &[Row], violations: &BTreeMap<String, usize>) -> String {
    let mut text = format!("{about}\n\n{HEAD}\n");
    for row in rows {
        let _always = writeln!(text, "{}", row.line());
    }
    if !violations.is_empty() {
        text.push_str("\n| violation | times |\n| --- | ---: |\n");
        for (what, times) in violations {
            let _always = writeln!(text, "| {what} | {times} |");
        }
    }
    text
}
