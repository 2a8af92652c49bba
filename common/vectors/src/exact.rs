//! Exact search: one pass over the user's own vectors, as the database has them.
//!
//! Vectors of users who search are kept in memory, up to a budget. Each search asks the database for the user's number
//! first, and loads only what changed since: what it answers is never older than what was committed before it began.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::{VectorError, VectorFilter, VectorIndex};
use crate::{
    domain::{
        ids::UserId,
        memory::{MemoryStatus, MemoryType},
    },
    memory::{
        builtin_embedder::{dot, from_bytes},
        coarse::Coarse,
    },
    store::{
        Db, memory_log,
        terms::Corpus,
        vector_index::{self, Point},
        vectors,
    },
};

/// Rows from which on a coarse look comes first.
const MANY: usize = 2_000;

pub struct Exact {
    db: Db,
    model: String,
    budget: usize,
    kept: Mutex<Kept>,
}

type Key = (UserId, Corpus);

#[derive(Default)]
struct Kept {
    users: HashMap<Key, (u64, Arc<tokio::sync::Mutex<Vectors>>)>,
    /// Counts searches, to know who was here longest ago.
    clock: u64,
}

/// One user's vectors of one corpus, one after another.
#[derive(Default)]
struct Vectors {
    version: i64,
    deletions: i64,
    position: HashMap<Uuid, usize>,
    rows: Vec<Row>,
    matrix: Vec<f32>,
    coarse: Coarse,
    dimensions: usize,
}

struct Row {
    id: Uuid,
    kind: String,
    memory_type: Option<MemoryType>,
    status: Option<MemoryStatus>,
    importance: f64,
}

impl Vectors {
    fn put(&mut self, changed: vectors::Changed) {
        let vector = from_bytes(&changed.vector);
        if self.dimensions == 0 {
            self.dimensions = vector.len();
        }
        if vector.len() != self.dimensions || self.dimensions == 0 {
            return; // of another length than its model says: nothing to compare it with
        }
        let row = Row {
            id: changed.doc_id,
            memory_type: changed.kind.parse().ok(),
            kind: changed.kind,
            status: changed.status.parse().ok(),
            importance: changed.importance,
        };
        let known = self.position.get(&changed.doc_id).copied();
        match known {
            Some(at) => {
                self.matrix[at * self.dimensions..(at + 1) * self.dimensions].copy_from_slice(&vector);
                self.rows[at] = row;
            }
            None => {
                self.position.insert(changed.doc_id, self.rows.len());
                self.rows.push(row);
                self.matrix.extend_from_slice(&vector);
            }
        }
        // Who has few needs no coarse look; with the row that makes them many come all before it.
        if self.rows.len() >= MANY {
            let at = known.unwrap_or(self.rows.len() - 1);
            let first = if self.coarse.rows() == 0 { 0 } else { at };
            for (at, vector) in self.matrix.chunks_exact(self.dimensions).enumerate().take(at + 1).skip(first)
            {
                self.coarse.put(at, vector);
            }
        }
    }

    fn cosine(&self, at: usize, query: &[f32]) -> f32 {
        dot(&self.matrix[at * self.dimensions..(at + 1) * self.dimensions], query)
    }

    fn bytes(&self) -> usize {
        self.matrix.len() * 4 + self.coarse.bytes() + self.rows.len() * 160
    }

    /// The rows that pass a filter and may be of the nearest.
    fn may_be_nearest(&self, query: &[f32], filter: &VectorFilter, limit: usize) -> Vec<usize> {
        let is_any = filter.is_any();
        let may = |at: usize| is_any || self.rows.get(at).is_some_and(|row| passes(row, filter));
        if self.rows.len() < MANY {
            return (0..self.rows.len()).filter(|at| may(*at)).collect();
        }
        self.coarse.may_be_nearest(query, may, limit)
    }
}

/// Does what may take long where it holds up no other request, nor the words of this one.
async fn apart<T: Send + 'static>(
    is_long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, VectorError> {
    if !is_long {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| VectorError(error.to_string()))
}

fn passes(row: &Row, filter: &VectorFilter) -> bool {
    filter.memory_type.is_none_or(|kind| row.memory_type == Some(kind))
        && (filter.statuses.is_empty() || row.status.is_some_and(|status| filter.statuses.contains(&status)))
        && (filter.readings.is_empty() || filter.readings.contains(&row.kind))
        && filter.min_importance.is_none_or(|least| row.importance >= least)
}

impl Exact {
    /// `budget`: bytes of vectors kept in memory.
    pub fn new(db: Db, model: String, budget: usize) -> Self {
        Self { db, model, budget, kept: Mutex::default() }
    }

    fn slot(&self, key: Key) -> Arc<tokio::sync::Mutex<Vectors>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let entry = kept.users.entry(key).or_default();
        entry.0 = now;
        Arc::clone(&entry.1)
    }

    /// Forgets whoever searched longest ago, until the rest fits. Users that search right now are left out of the sum.
    fn make_room(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sizes: Vec<(u64, Key, usize)> = kept
            .users
            .iter()
            .filter_map(|(key, (used, vectors))| Some((*used, *key, vectors.try_lock().ok()?.bytes())))
            .collect();
        let mut total: usize = sizes.iter().map(|(_, _, bytes)| bytes).sum();
        sizes.sort_unstable();
        for (_, key, bytes) in sizes {
            if total <= self.budget {
                return;
            }
            kept.users.remove(&key);
            total -= bytes;
        }
    }

    /// `fresh`: brought up to date first. A look at certain documents right after a search needs that not.
    async fn with<T: Send + 'static>(
        &self,
        user: UserId,
        corpus: Corpus,
        fresh: bool,
        use_them: impl FnOnce(&Vectors) -> T + Send + 'static,
    ) -> Result<T, VectorError> {
        let mut vectors = self.slot((user, corpus)).lock_owned().await;
        if !fresh && vectors.version > 0 {
            return Ok(use_them(&vectors));
        }
        let mut conn = self.db.read().await?;
        let (version, deletions) = memory_log::state(&mut conn, user).await?;
        let mut grew = false;
        if deletions != vectors.deletions {
            *vectors = Vectors::default();
        }
        if version > vectors.version || deletions != vectors.deletions {
            let since = vectors.version;
            let changed = vectors::changed(&mut conn, user, corpus, since, &self.model).await?;
            drop(conn);
            grew = !changed.is_empty();
            let put = move |mut vectors: OwnedMutexGuard<Vectors>| {
                changed.into_iter().for_each(|one| vectors.put(one));
                (vectors.version, vectors.deletions) = (version, deletions);
                vectors
            };
            vectors = apart(grew, move || put(vectors)).await?;
        }
        let found = apart(vectors.rows.len() >= MANY, move || use_them(&vectors)).await?;
        if grew {
            self.make_room();
        }
        Ok(found)
    }
}

#[async_trait]
impl VectorIndex for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn is_outside(&self) -> bool {
        false
    }

    async fn search(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        filter: &VectorFilter,
        limit: usize,
    ) -> Result<Vec<(Uuid, f32)>, VectorError> {
        let (query, filter) = (query.to_vec(), filter.clone());
        self.with(user, corpus, true, move |vectors| {
            if query.len() != vectors.dimensions {
                return Vec::new();
            }
            let rows = vectors.may_be_nearest(&query, &filter, limit);
            let mut all: Vec<(Uuid, f32)> =
                rows.into_iter().map(|at| (vectors.rows[at].id, vectors.cosine(at, &query))).collect();
            let best_first = |a: &(Uuid, f32), b: &(Uuid, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if all.len() > limit && limit > 0 {
                all.select_nth_unstable_by(limit - 1, best_first);
            }
            all.truncate(limit);
            all.sort_unstable_by(best_first);
            all
        })
        .await
    }

    async fn score(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        docs: &[Uuid],
    ) -> Result<Vec<(Uuid, f32)>, VectorError> {
        let (query, docs) = (query.to_vec(), docs.to_vec());
        self.with(user, corpus, false, move |vectors| {
            if query.len() != vectors.dimensions {
                return Vec::new();
            }
            docs.iter()
                .filter_map(|doc| Some((*doc, vectors.cosine(*vectors.position.get(doc)?, &query))))
                .collect()
        })
        .await
    }

    async fn upsert(&self, _: Corpus, _: &[Point]) -> Result<(), VectorError> {
        Ok(())
    }

    async fn delete(&self, _: &str, _: &[Uuid]) -> Result<(), VectorError> {
        Ok(())
    }

    async fn delete_owner(&self, user: UserId) -> Result<(), VectorError> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).users.retain(|(owner, _), _| *owner != user);
        Ok(())
    }

    async fn count(&self) -> Result<u64, VectorError> {
        let mut conn = self.db.read().await?;
        let mut total = 0;
        for corpus in Corpus::ALL {
            total += vector_index::count(&mut conn, corpus, &self.model).await? as u64;
        }
        Ok(total)
    }

    async fn page(&self, _: Option<Uuid>, _: u32) -> Result<Vec<(Uuid, Corpus)>, VectorError> {
        Ok(Vec::new())
    }
}
