//! Vector stores, their files and batches, as OpenAI's clients see them.

use rapport_common::{
    domain::{
        file::FileStatus,
        ids::{BatchId, FileId, VectorStoreId},
    },
    store::vector_stores::{Batch, Count, Member, VectorStore},
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct FileCounts {
    in_progress: i64,
    completed: i64,
    failed: i64,
    /// Of a batch: those that are in the store no more.
    cancelled: i64,
    total: i64,
}

impl FileCounts {
    fn add(&mut self, status: FileStatus, files: i64) {
        self.total += files;
        match status {
            FileStatus::Queued | FileStatus::Reading => self.in_progress += files,
            FileStatus::Indexed => self.completed += files,
            FileStatus::Failed | FileStatus::Stored => self.failed += files,
        }
    }

    fn of(counts: &[Count]) -> Self {
        let mut all = Self::default();
        for (status, files, _) in counts {
            all.add(*status, *files);
        }
        all
    }
}

/// The words of a file's state in a store, and which states of ours they are.
pub const STATES: [(&str, &[FileStatus]); 4] = [
    ("in_progress", &[FileStatus::Queued, FileStatus::Reading]),
    ("completed", &[FileStatus::Indexed]),
    ("failed", &[FileStatus::Failed, FileStatus::Stored]),
    ("cancelled", &[]),
];

fn state(status: FileStatus) -> &'static str {
    STATES.iter().find(|(_, ours)| ours.contains(&status)).map_or("in_progress", |(word, _)| *word)
}

/// A vector store, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreObject {
    #[schema(value_type = String, example = "vs_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: VectorStoreId,
    #[schema(example = "vector_store")]
    object: &'static str,
    created_at: i64,
    name: String,
    /// `in_progress` while one of its files is not read yet, else `completed`.
    #[schema(example = "completed")]
    status: &'static str,
    /// Of its files, as they were sent.
    usage_bytes: i64,
    file_counts: FileCounts,
    #[schema(value_type = Object)]
    metadata: Value,
    /// When it, or what is in it, last changed.
    last_active_at: i64,
    /// Always null: nothing expires by itself.
    expires_after: Option<i64>,
    expires_at: Option<i64>,
}

impl VectorStoreObject {
    pub fn of(store: VectorStore, counts: &[Count]) -> Self {
        let file_counts = FileCounts::of(counts);
        Self {
            id: store.id,
            object: "vector_store",
            created_at: store.created_at.timestamp(),
            name: store.name,
            status: if file_counts.in_progress > 0 { "in_progress" } else { "completed" },
            usage_bytes: counts.iter().map(|(.., bytes)| bytes).sum(),
            file_counts,
            metadata: store.metadata,
            last_active_at: store.updated_at.timestamp(),
            expires_after: None,
            expires_at: None,
        }
    }
}

/// Why a file cannot be searched.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LastError {
    /// `invalid_file`, or `unsupported_file`.
    #[schema(example = "invalid_file")]
    code: &'static str,
    message: String,
}

/// A file in a vector store, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VectorStoreFileObject {
    #[schema(value_type = String, example = "file_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: FileId,
    #[schema(example = "vector_store.file")]
    object: &'static str,
    created_at: i64,
    #[schema(value_type = String, example = "vs_06dqz6ef8swq1bnx1rc6a2k8t4")]
    vector_store_id: VectorStoreId,
    /// `in_progress`, `completed`, or `failed` (see `last_error`).
    #[schema(example = "completed")]
    status: &'static str,
    last_error: Option<LastError>,
    usage_bytes: i64,
    #[schema(value_type = Object)]
    attributes: Value,
    /// `other`: passages of up to 1,000 characters that end with a sentence (docs/files.md).
    #[schema(value_type = Object)]
    chunking_strategy: Value,
}

impl VectorStoreFileObject {
    pub fn of(store: VectorStoreId, member: Member) -> Self {
        let Member { file, attributes, added_at } = member;
        let last_error = match file.status {
            FileStatus::Failed => Some(("invalid_file", file.error.unwrap_or_default())),
            FileStatus::Stored => Some(("unsupported_file", "The file has no text.".to_owned())),
            FileStatus::Queued | FileStatus::Reading | FileStatus::Indexed => None,
        };
        Self {
            id: file.id,
            object: "vector_store.file",
            created_at: added_at.timestamp(),
            vector_store_id: store,
            status: state(file.status),
            last_error: last_error.map(|(code, message)| LastError { code, message }),
            usage_bytes: file.bytes,
            attributes,
            chunking_strategy: json!({"type": "other"}),
        }
    }
}

/// Files that were put into a vector store at once, as OpenAI's clients expect it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FileBatchObject {
    #[schema(value_type = String, example = "vsfb_06dqz6ef8swq1bnx1rc6a2k8t4")]
    id: BatchId,
    #[schema(example = "vector_store.files_batch")]
    object: &'static str,
    created_at: i64,
    #[schema(value_type = String, example = "vs_06dqz6ef8swq1bnx1rc6a2k8t4")]
    vector_store_id: VectorStoreId,
    /// `in_progress`, `completed` (some may have failed), `failed` (all have), or `cancelled`.
    #[schema(example = "completed")]
    status: &'static str,
    file_counts: FileCounts,
}

impl FileBatchObject {
    /// `states`: of those of its files that are in the store.
    pub fn of(store: VectorStoreId, batch: &Batch, states: &[(FileStatus, i64)]) -> Self {
        let mut file_counts = FileCounts::default();
        for (status, files) in states {
            file_counts.add(*status, *files);
        }
        file_counts.cancelled = batch.files().len() as i64 - file_counts.total;
        file_counts.total += file_counts.cancelled;
        let status = match file_counts {
            FileCounts { in_progress: 1.., .. } => "in_progress",
            _ if batch.cancelled => "cancelled",
            FileCounts { failed, total, .. } if failed == total => "failed",
            _ => "completed",
        };
        Self {
            id: batch.id,
            object: "vector_store.files_batch",
            created_at: batch.created_at.timestamp(),
            vector_store_id: store,
            status,
            file_counts,
        }
    }
}
