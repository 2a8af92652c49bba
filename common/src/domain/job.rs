//! A job: one piece of slow work, its state, and what it came to.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::{JobId, SessionId, UserId};

/// Every kind of job. The names are a wire format: a released one is never renamed, and one that is retired keeps a
/// consumer (docs/jobs.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Answer one message.
    Chat,
    /// Give a session a short title.
    Title,
    /// Read one window of a session and store what the user said of themselves.
    MemoryExtraction,
    /// Give a user's memories and messages their vectors, and the vector index its points.
    Embedding,
    /// Look a user's memories through: merges, contradictions, what ends when.
    Consolidation,
    /// Read sessions again.
    Backfill,
    /// Take memories in from a file.
    Import,
    /// Write memories to a file.
    Export,
    /// Send a mail.
    Mail,
    /// Erase an account with all it owns.
    Erase,
    /// Write all of an account to one archive.
    AccountExport,
    /// Tell a webhook what happened.
    Webhook,
    /// Does nothing, waits, or aborts the process, as its payload says. Made by `rapport-bench` and the fault tests;
    /// no route makes one.
    Probe,
}

impl JobKind {
    pub const ALL: [JobKind; 13] = [
        JobKind::Chat,
        JobKind::Title,
        JobKind::MemoryExtraction,
        JobKind::Embedding,
        JobKind::Consolidation,
        JobKind::Backfill,
        JobKind::Import,
        JobKind::Export,
        JobKind::Mail,
        JobKind::Erase,
        JobKind::AccountExport,
        JobKind::Webhook,
        JobKind::Probe,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Chat => "chat",
            JobKind::Title => "title",
            JobKind::MemoryExtraction => "memory_extraction",
            JobKind::Embedding => "embedding",
            JobKind::Consolidation => "consolidation",
            JobKind::Backfill => "backfill",
            JobKind::Import => "import",
            JobKind::Export => "export",
            JobKind::Mail => "mail",
            JobKind::Erase => "erase",
            JobKind::AccountExport => "account_export",
            JobKind::Webhook => "webhook",
            JobKind::Probe => "probe",
        }
    }

    /// The queue its jobs wait in.
    pub fn queue(self) -> Queue {
        match self {
            JobKind::Chat => Queue::Chat,
            JobKind::Title | JobKind::Mail | JobKind::Erase | JobKind::AccountExport | JobKind::Webhook => {
                Queue::Background
            }
            JobKind::MemoryExtraction
            | JobKind::Embedding
            | JobKind::Consolidation
            | JobKind::Backfill
            | JobKind::Import
            | JobKind::Export => Queue::Memory,
            JobKind::Probe => Queue::Probe,
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("no job kind is called {text:?}"))
    }
}

/// Every queue. Workers are scaled per queue (`rapport worker --queues chat,background`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// A person is waiting.
    Chat,
    /// Nobody is waiting.
    Background,
    /// Reading, embedding and tidying memories.
    Memory,
    /// Measurements and fault tests.
    Probe,
}

impl Queue {
    pub const ALL: [Queue; 4] = [Queue::Chat, Queue::Background, Queue::Memory, Queue::Probe];

    pub fn as_str(self) -> &'static str {
        match self {
            Queue::Chat => "chat",
            Queue::Background => "background",
            Queue::Memory => "memory",
            Queue::Probe => "probe",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Queue {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|queue| queue.as_str()).collect();
            format!("no queue is called {text:?}: there are {}", names.join(", "))
        })
    }
}

/// Where ids of ready jobs wait: a queue, or the quarantine beside it for jobs that a process died with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    pub queue: Queue,
    pub quarantine: bool,
}

impl Lane {
    pub fn normal(queue: Queue) -> Self {
        Self { queue, quarantine: false }
    }
    pub fn quarantine(queue: Queue) -> Self {
        Self { queue, quarantine: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Queued => "queued",
            JobStatus::Running => "running",
            JobStatus::Succeeded => "succeeded",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
        }
    }

    /// Whether the job will not change any more by itself.
    pub fn is_final(self) -> bool {
        matches!(self, JobStatus::Succeeded | JobStatus::Failed | JobStatus::Cancelled)
    }
}

impl FromStr for JobStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [JobStatus::Queued, JobStatus::Running, JobStatus::Succeeded, JobStatus::Failed, JobStatus::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("no job status is called {text:?}"))
    }
}

/// A job as the ledger holds it.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    pub queue: Queue,
    pub user_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub payload: Value,
    pub status: JobStatus,
    /// How often it was started. 0 before the first claim; never goes down.
    pub attempt: u32,
    pub max_attempts: u32,
    /// Its last lease ended without a word from its worker: it runs again apart from the others.
    pub quarantine: bool,
    /// How often a process died while it ran this. These do not count as tries.
    pub crashes: u32,
    pub cancel_requested: bool,
    pub run_at: DateTime<Utc>,
    pub progress: Option<Value>,
    pub result: Option<Value>,
    pub error: Option<Value>,
    /// W3C `traceparent` of the request that made it.
    pub trace: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl Job {
    pub fn lane(&self) -> Lane {
        Lane { queue: self.queue, quarantine: self.quarantine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renaming one of these breaks the jobs that wait in somebody's database.
    #[test]
    fn kinds_and_queues_keep_their_names() {
        let names: Vec<_> = JobKind::ALL.iter().map(|kind| (kind.as_str(), kind.queue().as_str())).collect();
        let expected = [
            ("chat", "chat"),
            ("title", "background"),
            ("memory_extraction", "memory"),
            ("embedding", "memory"),
            ("consolidation", "memory"),
            ("backfill", "memory"),
            ("import", "memory"),
            ("export", "memory"),
            ("mail", "background"),
            ("erase", "background"),
            ("account_export", "background"),
            ("webhook", "background"),
            ("probe", "probe"),
        ];
        assert_eq!(names, expected);
        for kind in JobKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
