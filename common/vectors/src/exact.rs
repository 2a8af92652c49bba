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

use super::{VectorError, VectorFilter, VectorIndex, rows::Vectors};
use crate::{
    domain::ids::UserId,
    store::{
        Db, memory_log,
        terms::Corpus,
        vector_index::{self, Point},
        vectors,
    },
    telemetry::metrics::METRICS,
};

/// Of the budget, this part is for others whatever one user has.
const OTHERS: usize = 4;

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

    /// Forgets whoever searched longest ago, until the rest fits: never `user`, who would have all read again at each word, and not all
    /// others for one who has more than everything. Users that search right now are left out of the sum.
    fn make_room(&self, user: UserId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sizes: Vec<(u64, Key, usize)> = kept
            .users
            .iter()
            .filter_map(|(key, (used, vectors))| Some((*used, *key, vectors.try_lock().ok()?.bytes())))
            .collect();
        let own: usize = sizes.iter().filter(|(_, key, _)| key.0 == user).map(|(_, _, bytes)| bytes).sum();
        sizes.retain(|(_, key, _)| key.0 != user);
        let mut total: usize = sizes.iter().map(|(_, _, bytes)| bytes).sum();
        let room = self.budget.saturating_sub(own).max(self.budget / OTHERS);
        sizes.sort_unstable();
        for (_, key, bytes) in sizes {
            if total <= room {
                return;
            }
            kept.users.remove(&key);
            METRICS.vectors_forgotten.with_label_values(&[key.1.as_str()]).inc();
            total -= bytes;
        }
    }

    /// Puts what changed since in, part by part; each is there once it is read, also when the next one fails. Whether anything did.
    async fn read_on(
        &self,
        user: UserId,
        corpus: Corpus,
        mut vectors: OwnedMutexGuard<Vectors>,
    ) -> Result<(OwnedMutexGuard<Vectors>, bool), VectorError> {
        let (mut grew, mut is_first) = (false, true);
        loop {
            let mut conn = self.db.read().await?;
            let (changed, until) =
                vectors::changed(&mut conn, user, corpus, vectors.version, &self.model).await?;
            let total = match until {
                Some(_) if is_first => vectors::count_of(&mut conn, user, corpus).await? as usize,
                _ => 0,
            };
            drop(conn);
            (grew, is_first) = (grew || !changed.is_empty(), false);
            let put = move |mut vectors: OwnedMutexGuard<Vectors>| {
                vectors.put_all(changed, total);
                vectors.version = until.unwrap_or(vectors.version);
                vectors
            };
            vectors = apart(grew, move || put(vectors)).await?;
            if until.is_none() {
                return Ok((vectors, grew));
            }
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
        let (version, deletions) = memory_log::state(&mut self.db.read().await?, user).await?;
        let mut grew = false;
        if version < vectors.version || deletions < vectors.deletions {
            *vectors = Vectors::default(); // a database that was restored
        }
        if version > vectors.version || deletions != vectors.deletions {
            let may_have_gone = !vectors.is_empty() && deletions != vectors.deletions;
            (vectors, grew) = self.read_on(user, corpus, vectors).await?;
            if may_have_gone {
                let mut conn = self.db.read().await?;
                let left = vectors::documents(&mut conn, user, corpus, &self.model).await?;
                drop(conn);
                let keep = move |mut vectors: OwnedMutexGuard<Vectors>| {
                    vectors.keep_only(&left);
                    vectors
                };
                vectors = apart(vectors.are_many(), move || keep(vectors)).await?;
            }
            vectors.version = vectors.version.max(version);
            vectors.deletions = deletions;
        }
        let found = apart(vectors.are_many(), move || use_them(&vectors)).await?;
        if grew {
            self.make_room(user);
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
            let mut all = vectors.nearest(&query, &filter, limit);
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
            docs.iter().filter_map(|doc| Some((*doc, vectors.of(*doc, &query)?))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::builtin_embedder::{embed, to_bytes},
        store::vectors::Changed,
    };

    fn put(exact: &Exact, key: Key, rows: u128) {
        let slot = exact.slot(key);
        let mut vectors = slot.try_lock().unwrap();
        for n in 0..rows {
            let vector = to_bytes(&embed(&format!("note {n}")));
            let (kind, status) = ("user".to_owned(), String::new());
            let doc_id = Uuid::from_u128(n);
            vectors.put(Changed { doc_id, version: 1, vector, kind, status, importance: 0.0 });
        }
    }

    fn kept(exact: &Exact) -> Vec<Key> {
        exact.kept.lock().unwrap().users.keys().copied().collect()
    }

    #[tokio::test]
    async fn whoever_searches_keeps_both_of_their_corpora_however_large() {
        let path = std::env::temp_dir().join(format!("rapport-vectors-{}.db", std::process::id()));
        let exact = Exact::new(Db::sqlite(&path).await.unwrap(), "m".to_owned(), 30_000);
        let (ann, bob) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        put(&exact, (ann, Corpus::Messages), 30);
        put(&exact, (ann, Corpus::Memories), 10);
        exact.make_room(ann);
        assert_eq!(kept(&exact).len(), 2, "both are over the budget, and hers");
        put(&exact, (bob, Corpus::Messages), 5);
        exact.make_room(bob);
        let left = kept(&exact);
        assert!(
            left.contains(&(bob, Corpus::Messages)) && !left.contains(&(ann, Corpus::Messages)),
            "{left:?}"
        );
        assert!(left.contains(&(ann, Corpus::Memories)), "the rest fits");
        let _temporary = std::fs::remove_file(path);
    }
}
