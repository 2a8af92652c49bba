//! Counts of how often memories were read, written a few seconds later and together: no reader waits for them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock,
    domain::ids::{MemoryId, UserId},
    store::{Db, memories},
};

const PERIOD: Duration = Duration::from_secs(2);
/// More than this waits for nobody: counts are not worth the memory.
const MOST: usize = 100_000;

type Read = HashMap<UserId, HashSet<MemoryId>>;

#[derive(Clone, Default)]
pub struct Touches(Arc<Mutex<Read>>);

impl Touches {
    /// Must be called inside a Tokio runtime: it starts the task that writes.
    pub fn start(db: Db) -> Self {
        let touches = Self::default();
        let read = Arc::downgrade(&touches.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                let Some(read) = read.upgrade() else { return };
                Self(read).write(&db).await;
            }
        });
        touches
    }

    /// Writes what was counted so far.
    pub async fn write(&self, db: &Db) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = write(db, all).await {
            tracing::debug!(%error, "readings of memories were not counted");
        }
    }

    pub fn note(&self, user: UserId, ids: impl IntoIterator<Item = MemoryId>) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() < MOST {
            read.entry(user).or_default().extend(ids);
        }
    }
}

async fn write(db: &Db, all: Read) -> Result<(), sqlx::Error> {
    for (user, ids) in all.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let ids: Vec<MemoryId> = ids.into_iter().collect();
        memories::touch(&mut db.relaxed().await?, user, &ids, clock::now()).await?;
    }
    Ok(())
}
