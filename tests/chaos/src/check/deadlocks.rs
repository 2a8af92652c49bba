//! Deadlocks that PostgreSQL broke, read from its log: its own counter (`pg_stat_database`) is lost with a server that dies.

use std::path::PathBuf;

#[derive(Default)]
pub struct Deadlocks {
    log: Option<PathBuf>,
    read: usize,
}

impl Deadlocks {
    pub fn of(log: Option<PathBuf>) -> Self {
        Self { log, read: 0 }
    }

    /// Those since the last look, each with its statements.
    pub fn look(&mut self) -> Vec<String> {
        let Some(log) = &self.log else { return Vec::new() };
        let bytes = std::fs::read(log).unwrap_or_default();
        let new = String::from_utf8_lossy(bytes.get(self.read..).unwrap_or_default()).into_owned();
        self.read = bytes.len();
        in_log(&new)
    }
}

fn in_log(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        // What belongs to a message goes on in lines of these kinds, or begins with a tab.
        let goes_on = ["DETAIL:", "HINT:", "CONTEXT:", "STATEMENT:"].iter().any(|kind| line.contains(kind));
        if line.contains("ERROR:  deadlock detected") {
            is_inside = true;
            found.push(line.to_owned());
        } else if is_inside && (goes_on || line.starts_with('\t')) {
            if let Some(last) = found.last_mut() {
                last.push(' ');
                last.push_str(&line.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        } else {
            is_inside = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::in_log;

    #[test]
    fn each_deadlock_comes_with_its_statements() {
        let log = "x LOG:  checkpoint\n\
            x [7] ERROR:  deadlock detected\n\
            x [7] DETAIL:  Process 7 waits for 8.\n\tProcess 7: update jobs\n\tProcess 8: update sessions\n\
            x [7] STATEMENT:  update jobs\n\
            x [9] ERROR:  duplicate key\n\
            x [9] STATEMENT:  insert\n\
            x [7] ERROR:  deadlock detected\n";
        let found = in_log(log);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("update sessions") && !found[0].contains("insert"));
    }
}
