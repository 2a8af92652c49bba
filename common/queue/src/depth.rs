//! How much waits in each queue, as of the last second: for refusing what could not be done in time, and for metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Error, Result, clock,
    domain::job::Queue,
    error::Code,
    store::{Db, ledger},
    telemetry::metrics::METRICS,
};

const TICK: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
pub struct Depths(Arc<[AtomicU64; Queue::ALL.len()]>);

impl Depths {
    /// Must be called inside a Tokio runtime: it starts the task that counts.
    pub fn start(db: Db) -> Self {
        let depths = Self::default();
        let counted = Arc::downgrade(&depths.0);
        tokio::spawn(async move {
            loop {
                let Some(depths) = counted.upgrade() else { return };
                if let Err(error) = count(&db, &depths).await {
                    tracing::debug!(%error, "queues were not counted");
                }
                for (pool, open, idle) in db.pools() {
                    METRICS.pool_connections.with_label_values(&[pool, "open"]).set(open.into());
                    METRICS.pool_connections.with_label_values(&[pool, "idle"]).set(idle as i64);
                }
                drop(depths);
                tokio::time::sleep(TICK).await;
            }
        });
        depths
    }

    pub fn of(&self, queue: Queue) -> u64 {
        self.0[queue as usize].load(Ordering::Relaxed)
    }

    /// Refuses when a queue is full; otherwise counts one more until the next look.
    pub fn admit(&self, queue: Queue, max: u64) -> Result<()> {
        if self.of(queue) >= max {
            let detail = "Too much work is waiting already. Try again shortly.";
            return Err(Error::new(Code::Overloaded, detail).retry_after(5));
        }
        self.0[queue as usize].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn count(db: &Db, depths: &[AtomicU64; Queue::ALL.len()]) -> Result<()> {
    let rows = ledger::depths(&mut db.read().await?).await?;
    for queue in Queue::ALL {
        let row = rows.iter().find(|row| row.queue == queue.as_str());
        let waiting = row.map_or(0, |row| row.count);
        let oldest =
            row.and_then(|row| row.oldest).map_or(0, |oldest| (clock::now() - oldest).num_seconds().max(0));
        depths[queue as usize].store(waiting as u64, Ordering::Relaxed);
        METRICS.queue_depth.with_label_values(&[queue.as_str()]).set(waiting);
        METRICS.queue_oldest_seconds.with_label_values(&[queue.as_str()]).set(oldest);
    }
    Ok(())
}
