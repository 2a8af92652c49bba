//! Whether every process is as it was before: memory, open files, and what it logs.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::Violation;

#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub rss_mb: u64,
    pub fds: usize,
    /// Open connections by the port at their other end.
    pub peers: BTreeMap<u16, usize>,
}

pub fn sample(pid: u32) -> Sample {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb: u64 = rss.and_then(|rss| rss.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Sample { rss_mb: kb / 1_024, fds, peers: peers(pid).unwrap_or_default() }
}

/// Of the process' own sockets: those of others stand in the same table of the kernel's.
fn peers(pid: u32) -> Option<BTreeMap<u16, usize>> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let sockets: HashSet<String> = links
        .filter_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut peers = BTreeMap::new();
    for line in std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?.lines().skip(1) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let port = columns.get(2).and_then(|peer| u16::from_str_radix(peer.split_once(':')?.1, 16).ok());
        if let (Some(port), Some(inode)) = (port, columns.get(9))
            && sockets.contains(*inode)
        {
            *peers.entry(port).or_default() += 1;
        }
    }
    Some(peers)
}

/// More than this, idle, and something was not let go.
pub fn compare(name: &str, before: &Sample, after: &Sample) -> Option<Violation> {
    let too_large = after.rss_mb > before.rss_mb * 2 + 150;
    let too_many = after.fds > before.fds + 40;
    (too_large || too_many).then(|| {
        let tell = |of: &Sample| {
            format!("{} MB, {} open files, connections by port {:?}", of.rss_mb, of.fds, of.peers)
        };
        let what = format!("{name}: {} before, {} when all is done", tell(before), tell(after));
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
