//! A job: one piece of slow work, its state, and what it came to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ids::{JobId, SessionId, UserId},
    words::words,
};
use crate::row;

words! {
    /// Every kind of job. The names are a wire format: a released one is never renamed, and one that is retired keeps a
    /// consumer (docs/jobs.md).
    JobKind as "job kind" {
        /// Answer one message.
        Chat = "chat",
        /// Give a session a short title.
        Title = "title",
        /// Read one window of a session and store what the user said of themselves.
        MemoryExtraction = "memory_extraction",
        /// Give a user's memories and messages their vectors, and the vector index its points.
        Embedding = "embedding",
        /// Look a user's memories through: merges, contradictions, what ends when.
        Consolidation = "consolidation",
        /// Read sessions again.
        Backfill = "backfill",
        /// Take the text out of a file, and index it.
        Ingest = "ingest",
        /// Take memories in from a file.
        Import = "import",
        /// Take conversations in from a file.
        ChatImport = "chat_import",
        /// Write memories to a file.
        Export = "export",
        /// Send a mail.
        Mail = "mail",
        /// Erase an account with all it owns.
        Erase = "erase",
        /// Write all of an account to one archive.
        AccountExport = "account_export",
        /// Tell a webhook what happened.
        Webhook = "webhook",
        /// Does nothing, waits, or aborts the process, as its payload says. Made by `rapport-bench` and the fault tests;
        /// no route makes one.
        Probe = "probe",
    }

    /// Every queue. Workers are scaled per queue (`rapport worker --queues chat,background`).
    Queue as "queue" {
        /// A person is waiting.
        Chat = "chat",
        /// Nobody is waiting.
        Background = "background",
        /// Reading, embedding and tidying memories.
        Memory = "memory",
        /// Measurements and fault tests.
        Probe = "probe",
    }

    JobStatus as "job status" {
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl JobKind {
    /// The queue its jobs wait in.
    pub fn queue(self) -> Queue {
        match self {
            JobKind::Chat => Queue::Chat,
            JobKind::Title
            | JobKind::ChatImport
            | JobKind::Mail
            | JobKind::Erase
            | JobKind::AccountExport
            | JobKind::Webhook => Queue::Background,
            JobKind::MemoryExtraction
            | JobKind::Embedding
            | JobKind::Consolidation
            | JobKind::Backfill
            | JobKind::Ingest
            | JobKind::Import
            | JobKind::Export => Queue::Memory,
            JobKind::Probe => Queue::Probe,
        }
    }
}

impl JobStatus {
    /// Whether the job will not change any more by itself.
    pub fn is_final(self) -> bool {
        matches!(self, JobStatus::Succeeded | JobStatus::Failed | JobStatus::Cancelled)
    }
}

/// Where ids of ready jobs wait: a queue, or the quarantine beside it for jobs that a process died with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    pub queue: Queue,
    pub quarantine: bool,
}

row!(Lane: queue, quarantine);

impl Lane {
    pub fn normal(queue: Queue) -> Self {
        Self { queue, quarantine: false }
    }
    pub fn quarantine(queue: Queue) -> Self {
        Self { queue, quarantine: true }
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

row!(Job:
    id, kind, queue, user_id, session_id, payload as json, status, attempt as number, max_attempts as number,
    quarantine, crashes as number, cancel_requested, run_at, progress as optional_json,
    result as optional_json, error as optional_json, trace, created_at, started_at, finished_at
);

impl Job {
    pub fn lane(&self) -> Lane {
        Lane { queue: self.queue, quarantine: self.quarantine }
    }

    /// How far an earlier attempt came. `None`: nowhere, or it was noted in a form that is not read any more.
    pub fn noted_progress<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        self.progress.as_ref().and_then(|progress| T::deserialize(progress).ok())
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
            ("ingest", "memory"),
            ("import", "memory"),
            ("chat_import", "background"),
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
