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
    /// From SIGTERM to the end, of each process that was asked to stop.
    pub stops: Vec<Duration>,
    pub warnings: u64,
    pub log_errors: u64,
    pub deadlocks: usize,
    /// Accepted in the last moments of a primary, and never on its replica.
    pub lost: usize,
    pub violations: usize,
}

/// Before anything was broken.
pub const NONE: &str = "(none)";

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
        let stop = self.stops.iter().max().map_or_else(|| "-".to_owned(), |stop| seconds(Some(*stop)));
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {stop} | {}/{} | {} |",
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

pub const HEAD: &str = "| fault | messages | requests | errors clients saw | failed jobs | ready s | drained s | slowest stop s | WARN/ERROR | violations |
| --- | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |";

/// `p50 1.0, p99 4.2, at most 4.2, n = 12`; what never came is longer than all others.
fn spread(times: impl Iterator<Item = Option<Duration>>) -> String {
    let mut times: Vec<Option<Duration>> = times.collect();
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
    if times.is_empty() {
        return "-".to_owned();
    }
    let (middle, most, all) = (seconds(at(50)), seconds(at(99)), seconds(at(100)));
    format!("p50 {middle}, p99 {most}, at most {all} (n = {})", times.len())
}

/// What the run came to, over all its faults.
pub fn last_lines(rows: &[Row], taken: Duration) -> String {
    let faults = || rows.iter().filter(|row| row.fault != NONE);
    let mut text = String::new();
    let mut say = |what: &str, figure: String| {
        let _always = writeln!(text, "chaos: {what}: {figure}");
    };
    say("seconds in all", seconds(Some(taken)));
    say("seconds until ready", spread(faults().map(|row| row.ready)));
    say("seconds until drained", spread(faults().map(|row| row.drained)));
    say("seconds from SIGTERM to the end", spread(rows.iter().flat_map(|row| &row.stops).copied().map(Some)));
    say("deadlocks in PostgreSQL", rows.iter().map(|row| row.deadlocks).sum::<usize>().to_string());
    if rows.iter().any(|row| row.fault.contains("pg_failover")) {
        say("lost in failover, and no violation", rows.iter().map(|row| row.lost).sum::<usize>().to_string());
    }
    text
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_is_the_longest() {
        let times = (1..=99).map(|second| Some(Duration::from_secs(second))).chain([None]);
        assert_eq!(spread(times), "p50 50.0, p99 99.0, at most never (n = 100)");
        assert_eq!(
            spread([Some(Duration::from_secs(2))].into_iter()),
            "p50 2.0, p99 2.0, at most 2.0 (n = 1)"
        );
        assert_eq!(spread(std::iter::empty()), "-");
    }
}
