//! Hears which running jobs somebody cancelled. The wish is a durable flag in the ledger; this process asks for its own
//! flagged jobs a few times a second, in one indexed query, as long as it runs anything.

use std::{sync::Arc, time::Duration};

use rapport_common::{Result, store};
use tokio_util::sync::CancellationToken;

use crate::{Runtime, running::Stop};

const PERIOD: Duration = Duration::from_millis(300);

pub async fn run(runtime: Arc<Runtime>, end: CancellationToken) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        if runtime.running.len() > 0
            && let Err(error) = look(&runtime).await
        {
            tracing::debug!(%error, "did not hear about cancelled jobs");
        }
    }
}

async fn look(runtime: &Runtime) -> Result<()> {
    let mut conn = runtime.ctx.db.read().await?;
    for (job, attempt) in store::ledger::cancelled(&mut conn, &runtime.name).await? {
        runtime.running.stop(job, attempt, Stop::Cancelled);
    }
    Ok(())
}
