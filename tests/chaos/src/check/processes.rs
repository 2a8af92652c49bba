//! Whether every process is as it was before: memory, open files, and what it logs.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::Violation;

#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    pub rss_mb: u64,
    pub fds: usize,
}

pub fn sample(pid: u32) -> Sample {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb: u64 = rss.and_then(|rss| rss.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Sample { rss_mb: kb / 1_024, fds }
}

/// More than this, idle, and something was not let go.
pub fn compare(name: &str, before: Sample, after: Sample) -> Option<Violation> {
    let too_large = after.rss_mb > before.rss_mb * 2 + 150;
    let too_many = after.fds > before.fds + 40;
    (too_large || too_many).then(|| {
        let what = format!("{name} was {before:?} before, and is {after:?} when all is done");
        Violation::new("I7 not back", what)
    })
}

/// What was logged since the last look.
#[derive(Debug, Default, Clone)]
pub struct Logged {
    pub lines: u64,
    pub warnings: u64,
    pub errors: u64,
    pub panics: Vec<String>,
    /// How often each message came.
    pub messages: HashMap<String, u64>,
}

#[derive(Default)]
pub struct Logs {
    read: HashMap<PathBuf, u64>,
}

impl Logs {
    pub fn look(&mut self, path: &Path, into: &mut Logged) {
        let from = self.read.entry(path.to_owned()).or_default();
        let Ok(mut file) = std::fs::File::open(path) else { return };
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(*from)).is_err() || file.read_to_end(&mut bytes).is_err() {
            return;
        }
        *from += bytes.len() as u64;
        for line in String::from_utf8_lossy(&bytes).lines() {
            into.lines += 1;
            let is = |level: &str| line.contains(&format!("\"level\":\"{level}\""));
            if line.contains("panicked") {
                into.panics.push(line.to_owned());
            }
            let (warn, error) = (is("WARN"), is("ERROR"));
            into.warnings += u64::from(warn);
            into.errors += u64::from(error);
            if warn || error {
                let parsed: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let said = parsed["fields"]["message"].as_str().or_else(|| parsed["message"].as_str());
                let level = if warn { "WARN" } else { "ERROR" };
                let key = format!("{level} {}", said.unwrap_or(line).chars().take(90).collect::<String>());
                *into.messages.entry(key).or_default() += 1;
            }
        }
    }
}
