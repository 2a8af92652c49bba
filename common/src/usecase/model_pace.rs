//! What one process has learned of how soon models begin to answer is kept for those that start after it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    Context, Result, clock,
    store::model_pace::{self as store, Pace},
};

/// For how long it is believed.
pub const BELIEVED: TimeDelta = TimeDelta::days(7);
/// Models that a process may recall.
const MOST: i64 = 256;

/// Keeps what is new.
pub async fn keep(ctx: &Context) -> Result<()> {
    let news = ctx.providers.pace_to_keep();
    if news.is_empty() {
        return Ok(());
    }
    let mut conn = ctx.db.relaxed().await?;
    for (provider, model, slowest) in news {
        let slowest_ms = i64::try_from(slowest.as_millis()).unwrap_or(i64::MAX);
        store::note(&mut conn, &Pace { provider, model, slowest_ms }, clock::now()).await?;
    }
    Ok(())
}

/// Recalls what was kept. Without it a process finds out by itself: an error is no more than a line in the log.
pub async fn recall(ctx: &Context) {
    let known = async { Ok(store::known(&mut ctx.db.read().await?, clock::now() - BELIEVED, MOST).await?) };
    match known.await {
        Ok(known) => {
            for pace in known {
                let slowest = Duration::from_millis(pace.slowest_ms.max(0).unsigned_abs());
                ctx.providers.pace_was(&pace.provider, &pace.model, slowest);
            }
        }
        Err::<_, crate::Error>(error) => tracing::info!(%error, "how quick the models are is not known yet"),
    }
}
