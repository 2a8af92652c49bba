//! Announcing what is due and was forgotten, some of it at a time.

use std::time::Duration;

use chrono::TimeDelta;
use rapport_common::{
    Result, clock,
    domain::job::{Lane, Queue},
    store,
};

use tokio::time::Instant;

use crate::Runtime;

/// Jobs announced in one sweep.
const BATCH: i64 = 5_000;
/// With this many on the wire the workers have enough to do: only the oldest few are announced again.
const PLENTY: u64 = 1_000;
const OLDEST: i64 = 200;
/// Between two looks at a queue of which one sweep could not announce all.
const TOP_UP: Duration = Duration::from_millis(200);
/// A job announced this recently is left to the wire.
const FRESH: TimeDelta = TimeDelta::milliseconds(1_000);

/// Whether more may be due than was announced.
pub async fn announce_due(runtime: &Runtime, queue: Queue) -> Result<bool> {
    // While the wire is away the workers ask the ledger themselves.
    let Ok(depth) = runtime.ctx.wire.depth(Lane::normal(queue)).await else { return Ok(false) };
    let limit = if depth >= PLENTY { OLDEST } else { BATCH };
    let mut conn = runtime.ctx.db.read().await?;
    let due = store::ledger::due(&mut conn, queue, clock::now() - FRESH, limit).await?;
    drop(conn);
    runtime.ctx.announce_again(&due).await;
    Ok(due.len() as i64 == limit)
}

/// Until the next sweep, brings more to queues of which one sweep could not announce all, before the workers have nothing to do.
pub async fn top_up(runtime: &Runtime, mut long: Vec<Queue>, until: Instant) {
    while !long.is_empty() && Instant::now() + TOP_UP < until {
        tokio::time::sleep(TOP_UP).await;
        for queue in std::mem::take(&mut long) {
            let depth = runtime.ctx.wire.depth(Lane::normal(queue)).await;
            let is_long = match depth {
                Ok(depth) if depth < PLENTY => announce_due(runtime, queue).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, %queue, "the next sweep announces more");
                    false
                }),
                Ok(_) => true,
                Err(_) => false,
            };
            if is_long {
                long.push(queue);
            }
        }
    }
    tokio::time::sleep_until(until).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    #[tokio::test]
    async fn a_long_queue_is_topped_up_before_it_is_empty() {
        let house = House::new().await;
        let ctx = &house.runtime.ctx;
        house.enqueue_due(BATCH + 300, FRESH * 2).await;
        let lane = Lane::normal(Queue::Probe);
        let depth = async || ctx.wire.depth(lane).await.unwrap();
        assert!(announce_due(&house.runtime, Queue::Probe).await.unwrap(), "more is due");
        assert_eq!(depth().await, BATCH as u64);
        let mut receiver = ctx.wire.receiver(lane).await.unwrap();
        let taken = receiver.pop(BATCH as usize - 10, Duration::from_secs(1)).await.unwrap();
        let mut conn = ctx.db.relaxed().await.unwrap();
        for job in taken {
            let lease = house.runtime.lease();
            store::ledger::claim(&mut conn, job, "a", lease, clock::now()).await.unwrap().unwrap();
        }
        drop(conn);
        let until = Instant::now() + Duration::from_secs(60);
        let ready = async {
            while depth().await != 310 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = top_up(&house.runtime, vec![Queue::Probe], until) => panic!("it is topped up"),
            () = ready => {}
        }
    }
}
