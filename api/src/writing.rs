use std::{sync::Arc, time::Duration};

use rapport_common::{Result, store, usecase::ready};
use tokio::{sync::Mutex, time::Instant};

/// Whether the database can be written to, as of the last second: probes must not cost a durable write each.
#[derive(Clone, Default)]
pub struct Writing(Arc<Mutex<Option<Instant>>>);

impl Writing {
    const BELIEVED: Duration = Duration::from_secs(1);

    pub async fn check(&self, db: &store::Db) -> Result<()> {
        let mut worked = self.0.lock().await;
        if worked.is_some_and(|at| at.elapsed() < Self::BELIEVED) {
            return Ok(());
        }
        ready::try_writing(db).await?;
        *worked = Some(Instant::now());
        Ok(())
    }
}
