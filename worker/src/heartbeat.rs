//! Renews the leases of everything this process runs, by job and attempt, in one statement, a third of a lease apart; and
//! reads which jobs it has lost, and which it holds without running them.
//!
//! The last are claims whose answer was lost with the database's connection. One that is still there a beat later is
//! handed back.

use std::{collections::HashSet, sync::Arc, time::Duration};

use rapport_common::{Result, clock, domain::ids::JobId, domain::job::Queue, store};
use tokio_util::sync::CancellationToken;

use crate::{Runtime, running::Stop};

pub async fn run(runtime: Arc<Runtime>, queues: Vec<Queue>, concurrency: usize, end: CancellationToken) {
    let period = runtime.ctx.settings.queue.lease / 3;
    let queues = queues.iter().map(|queue| queue.as_str()).collect::<Vec<_>>().join(",");
    let mut orphans = HashSet::new();
    loop {
        let rest = match beat(&runtime, &queues, concurrency, &mut orphans).await {
            Ok(()) => period,
            Err(error) => {
                tracing::warn!(%error, "heartbeat failed");
                period.min(Duration::from_millis(500))
            }
        };
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn beat(
    runtime: &Runtime,
    queues: &str,
    concurrency: usize,
    orphans: &mut HashSet<(JobId, u32)>,
) -> Result<()> {
    let now = clock::now();
    // Before the statement: what starts meanwhile is not in its answer.
    let running = runtime.running.attempts();
    let mut conn = runtime.ctx.db.relaxed().await?;
    store::workers::beat(&mut conn, &runtime.name, queues, concurrency as i64, now).await?;
    if !running.is_empty() {
        store::ledger::renew(&mut conn, &running, runtime.lease(), now).await?;
    }
    let ours = store::ledger::held(&mut conn, &runtime.name).await?;
    for &(job, attempt) in &running {
        if ours.get(&job) != Some(&attempt) {
            // It may just have ended; then nobody hears this.
            runtime.running.stop(job, attempt, Stop::Lost);
        }
    }
    let now_running = runtime.running.attempts();
    let held: HashSet<(JobId, u32)> =
        ours.into_iter().filter(|held| !running.contains(held) && !now_running.contains(held)).collect();
    for &(job, attempt) in held.intersection(orphans) {
        tracing::warn!(job_id = %job, attempt, "held but not run: handed back");
        store::ledger::release(&mut conn, job, attempt, now).await?;
    }
    *orphans = held;
    Ok(())
}
