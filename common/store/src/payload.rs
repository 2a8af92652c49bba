//! Payloads: a wire format. Each belongs to one kind of job ([`Payload`]). They hold ids and choices, never text; a field, once released, keeps its meaning, and new
//! ones have defaults. The fixtures in the tests are what released versions wrote.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, Result,
    domain::{
        ids::{BlobId, DeliveryId, FileId, MemoryId, MessageId, SessionId, UserId},
        job::{Job, JobKind},
        memory::{MemoryStatus, MemoryType},
    },
};

/// What jobs of one kind carry. A kind has one payload: no job is put in with another's, or read as another.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync {
    const KIND: JobKind;
    /// Tried so often at least, whatever `QUEUE__MAX_ATTEMPTS` says.
    const LEAST_ATTEMPTS: u32 = 1;
}

/// How often a job may be tried that finds what it did before: nobody waits for most of these, each attempt goes on where the
/// last one stopped, and a worker that dies often must not lose one. What a provider refuses is given up as early as for
/// other jobs.
const PATIENT: u32 = 10;

macro_rules! payloads {
    ($($payload:ident = $kind:ident $(, at least $attempts:expr)?;)*) => {
        $(impl Payload for $payload {
            const KIND: JobKind = JobKind::$kind;
            $(const LEAST_ATTEMPTS: u32 = $attempts;)?
        })*
    };
}

payloads! {
    ChatPayload = Chat;
    TitlePayload = Title;
    ExtractionPayload = MemoryExtraction, at least PATIENT;
    EmbeddingPayload = Embedding, at least PATIENT;
    ConsolidationPayload = Consolidation, at least PATIENT;
    BackfillPayload = Backfill, at least PATIENT;
    IngestPayload = Ingest;
    ImportPayload = Import, at least PATIENT;
    ChatImportPayload = ChatImport, at least PATIENT;
    ExportPayload = Export, at least PATIENT;
    MailPayload = Mail, at least 5;
    ErasePayload = Erase, at least 20;
    AccountExportPayload = AccountExport, at least PATIENT;
    WebhookPayload = Webhook;
    ProbePayload = Probe;
}

/// The provider of a request that named none: the project's, the user's, or `auto`.
pub const UNSPECIFIED: &str = "default";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatPayload {
    /// The user's message.
    pub message_id: MessageId,
    /// Its place in the session; the answer's is the next.
    pub seq: i64,
    /// The id the answer will have, whichever attempt writes it.
    pub answer_id: MessageId,
    pub provider: String,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    #[serde(default)]
    pub enable_memory: Option<bool>,
    /// `None`: as configured.
    #[serde(default)]
    pub tools: Option<ToolChoice>,
    /// The question was answered before: this answer takes that one's place.
    #[serde(default)]
    pub again: bool,
    /// Whether others may answer in the named provider's place. `None`: as the project says.
    #[serde(default)]
    pub fallback: Option<bool>,
    /// Of whom the request was signed in with.
    #[serde(default)]
    pub api_key: Option<String>,
    /// The request came by a key that may not see memories: what stands in a prompt can be asked for.
    #[serde(default)]
    pub without_memory: bool,
    /// What is asked, or comes beside the session's turn, stands in `requests`.
    #[serde(default)]
    pub request: bool,
    /// Nobody was promised that it outlives a power cut: it is accepted and ended by transactions that need not reach the disk.
    #[serde(default)]
    pub relaxed: bool,
}

impl ChatPayload {
    /// Whether memories may be looked for, and written by tools.
    pub fn uses_memory(&self) -> bool {
        self.enable_memory != Some(false) && !self.without_memory
    }
}

/// Which tools a model may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ToolChoice {
    Word(ToolWord),
    Names(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolWord {
    /// All that are configured.
    Auto,
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TitlePayload {
    pub session_id: SessionId,
    pub provider: String,
}

/// One window: the user's turns from one place of a session to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtractionPayload {
    pub session_id: SessionId,
    pub from_seq: i64,
    pub to_seq: i64,
}

/// A user's texts without vectors: the rows say which.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingPayload {}

/// All of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountExportPayload {}

/// Sessions to read again: one, or all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackfillPayload {
    pub session_id: Option<SessionId>,
    /// Only say what would change.
    pub dry_run: bool,
}

/// What to do with a user's memories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum ConsolidationPayload {
    /// Keep suggestions ready, and find contradictions.
    Review,
    Merge {
        memory_ids: Vec<MemoryId>,
    },
    Detect {
        memory_id: Option<MemoryId>,
    },
    Expiration {
        memory_ids: Vec<MemoryId>,
    },
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IngestPayload {
    pub file_id: FileId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportPayload {
    pub blob_id: BlobId,
    /// `json` or `csv`.
    pub format: String,
    /// `skip_duplicates`, `overwrite` or `merge`.
    pub merge_strategy: String,
    pub rows: i64,
}

/// A file of conversations: its parts hold one on each line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatImportPayload {
    pub blob_id: BlobId,
    pub conversations: i64,
    /// Whether they are read for memories.
    pub extract: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportPayload {
    pub format: String,
    pub include_relationships: bool,
    pub status: Option<MemoryStatus>,
    pub memory_type: Option<MemoryType>,
}

/// A mail: a code, which is made when it is sent, or news.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailPayload {
    /// `verify`, `reset`, or `address_changed`.
    pub purpose: String,
    /// `None`: nobody has the address it was asked for, and nothing is sent.
    pub user_id: Option<UserId>,
    /// Where it goes instead of the account's address: base64url, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_to: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErasePayload {
    pub user_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookPayload {
    pub delivery_id: DeliveryId,
}

/// What a probe does: for measurements and fault tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbePayload {
    /// Waits so long before it ends.
    pub sleep_ms: u64,
    /// Ends the whole process, without a word.
    pub abort: bool,
    /// Fails, for good or so that it is tried again.
    pub fail: Option<String>,
}

/// Reads a job's payload. An unreadable one can never run: the job must fail.
pub fn read<P: Payload>(job: &Job) -> Result<P> {
    if job.kind != P::KIND {
        return Err(Error::internal(format!("a {} job was read as {}", job.kind, P::KIND)));
    }
    serde_json::from_value(job.payload.clone()).map_err(|error| Error::internal(format!("payload: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads<T: DeserializeOwned>(fixture: &str) {
        assert!(serde_json::from_str::<T>(fixture).is_ok(), "{fixture}");
    }

    #[test]
    fn released_payloads_can_still_be_read() {
        // 0.1
        reads::<ChatPayload>(
            r#"{"message_id":"msg_06dqz6ef8swq1bnx1rc6a2k8t4","seq":1,"answer_id":"msg_06dqz6ef8swq1bnx1rc6a2k8t8",
                "provider":"auto","model":null,"temperature":0.5,"max_tokens":100}"#,
        );
        // 0.2
        let session_less = r#"{"message_id":"msg_06dqz6ef8swq1bnx1rc6a2k8t4","seq":0,"answer_id":"msg_06dqz6ef8swq1bnx1rc6a2k8t8",
                "provider":"auto","model":null,"temperature":null,"max_tokens":null,"enable_memory":false,"tools":"none",
                "without_memory":true,"request":true}"#;
        assert!(serde_json::from_str::<ChatPayload>(session_less).is_ok_and(|payload| payload.request));
        reads::<TitlePayload>(r#"{"session_id":"sess_06dqz6ef8swq1bnx1rc6a2k8t4","provider":"mock"}"#);
        reads::<ProbePayload>(r#"{"sleep_ms":5}"#);
        reads::<EmbeddingPayload>("{}");
        reads::<AccountExportPayload>("{}");
        let session = "sess_06dqz6ef8swq1bnx1rc6a2k8t4";
        reads::<ExtractionPayload>(&format!(r#"{{"session_id":"{session}","from_seq":1,"to_seq":9}}"#));
        reads::<BackfillPayload>(&format!(r#"{{"session_id":"{session}","dry_run":true}}"#));
        reads::<ConsolidationPayload>(r#"{"task":"review"}"#);
        reads::<ConsolidationPayload>(r#"{"task":"merge","memory_ids":["mem_06dqz6ef8swq1bnx1rc6a2k8t4"]}"#);
        reads::<ConsolidationPayload>(r#"{"task":"detect","memory_id":null}"#);
        reads::<ConsolidationPayload>(r#"{"task":"expiration","memory_ids":[]}"#);
        reads::<IngestPayload>(r#"{"file_id":"file_06dqz6ef8swq1bnx1rc6a2k8t4"}"#);
        reads::<ImportPayload>(
            r#"{"blob_id":"blob_06dqz6ef8swq1bnx1rc6a2k8t4","format":"csv","merge_strategy":"merge","rows":2}"#,
        );
        reads::<ChatImportPayload>(
            r#"{"blob_id":"blob_06dqz6ef8swq1bnx1rc6a2k8t4","conversations":2,"extract":true}"#,
        );
        let user = "user_06dqz6ef8swq1bnx1rc6a2k8t4";
        reads::<MailPayload>(r#"{"purpose":"verify","user_id":null}"#);
        reads::<ErasePayload>(&format!(r#"{{"user_id":"{user}"}}"#));
        reads::<WebhookPayload>(r#"{"delivery_id":"dlv_06dqz6ef8swq1bnx1rc6a2k8t4"}"#);
        reads::<ExportPayload>(r#"{"format":"json","include_relationships":true}"#);
    }
}
