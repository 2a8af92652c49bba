//! The vector index: which of a user's documents are nearest to a question.
//!
//! The database holds every vector; an index is derived from it. Both adapters answer alike for the same data, but for
//! the approximation (`tests/it/conformance/vectors.rs`). A search never leaves its owner's documents.

pub(crate) use rapport_core::{domain, settings, telemetry};
pub(crate) use rapport_rules::memory;
pub(crate) use rapport_store as store;

mod exact;
mod qdrant;
mod rows;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::UserId,
        memory::{MemoryStatus, MemoryType},
    },
    store::{terms::Corpus, vector_index::Point},
};

pub use exact::Exact;
pub use qdrant::{Look, Qdrant};

#[derive(Debug, thiserror::Error)]
#[error("the vector index failed: {0}")]
pub struct VectorError(pub String);

impl From<sqlx::Error> for VectorError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is filtered before the nearest are chosen.
#[derive(Debug, Clone, Default)]
pub struct VectorFilter {
    pub memory_type: Option<MemoryType>,
    /// Any of these; empty is any.
    pub statuses: Vec<MemoryStatus>,
    pub min_importance: Option<f64>,
    /// Readings of files, any of these; empty is any.
    pub readings: Vec<String>,
}

impl VectorFilter {
    pub fn is_any(&self) -> bool {
        let Self { memory_type, statuses, min_importance, readings } = self;
        memory_type.is_none() && statuses.is_empty() && min_importance.is_none() && readings.is_empty()
    }
}

#[async_trait]
pub trait VectorIndex: Send + Sync {
    fn name(&self) -> &'static str;
    /// Whether it must be fed, as opposed to reading the database itself.
    fn is_outside(&self) -> bool;
    /// The nearest by cosine, the best first.
    async fn search(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        filter: &VectorFilter,
        limit: usize,
    ) -> Result<Vec<(Uuid, f32)>, VectorError>;
    /// The cosine of certain documents; those without a vector are left out.
    async fn score(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        docs: &[Uuid],
    ) -> Result<Vec<(Uuid, f32)>, VectorError>;
    /// Puts points in, or anew.
    async fn upsert(&self, corpus: Corpus, points: &[Point]) -> Result<(), VectorError>;
    async fn delete(&self, model: &str, docs: &[Uuid]) -> Result<(), VectorError>;
    async fn delete_owner(&self, user: UserId) -> Result<(), VectorError>;
    /// How many points there are.
    async fn count(&self) -> Result<u64, VectorError>;
    /// Ids of points after one, in order: for finding drift.
    async fn page(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<(Uuid, Corpus)>, VectorError>;
    /// Begins an index beside the one in use, and gives its name: what changes from now on changes in both. An index that
    /// reads the database itself has none to build.
    async fn begin_anew(&self) -> Result<String, VectorError> {
        Err(VectorError(format!("{} has nothing to build anew", self.name())))
    }
    /// Puts points into the new one alone.
    async fn fill(&self, anew: &str, _: Corpus, _: &[Point]) -> Result<(), VectorError> {
        Err(VectorError(format!("there is no {anew}")))
    }
    /// Takes points from the new one alone.
    async fn unfill(&self, anew: &str, _: &[Uuid]) -> Result<(), VectorError> {
        Err(VectorError(format!("there is no {anew}")))
    }
    /// Puts the new one in the place of the one in use, in one step, and drops that.
    async fn switch(&self, anew: &str) -> Result<(), VectorError> {
        Err(VectorError(format!("there is no {anew}")))
    }
    /// Drops the new one: it is not going to be filled.
    async fn abandon(&self, anew: &str) -> Result<(), VectorError> {
        Err(VectorError(format!("there is no {anew}")))
    }
}
