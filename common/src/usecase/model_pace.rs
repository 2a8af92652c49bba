//! What one process has learned of how long models are usually silent is kept for those that start after it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{Context, Result, clock, providers::Pace, store::model_pace as store};

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
    let millis = |silence: Duration| i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
    for (provider, model, pace) in news {
        let slowest_ms = millis(pace.before_the_first_word);
        let row = store::Row { provider, model, slowest_ms, pause_ms: pace.between_words.map(millis) };
        store::note(&mut conn, &row, clock::now()).await?;
    }
    Ok(())
}

/// Recalls what was kept. Without it a process finds out by itself: an error is no more than a line in the log.
pub async fn recall(ctx: &Context) {
    let known = async { Ok(store::known(&mut ctx.db.read().await?, clock::now() - BELIEVED, MOST).await?) };
    match known.await {
        Ok(known) => {
            let duration = |ms: i64| Duration::from_millis(ms.max(0).unsigned_abs());
            for row in known {
                let before_the_first_word = duration(row.slowest_ms);
                let pace = Pace { before_the_first_word, between_words: row.pause_ms.map(duration) };
                ctx.providers.pace_was(&row.provider, &row.model, pace);
            }
        }
        Err::<_, crate::Error>(error) => tracing::info!(%error, "how quick the models are is not known yet"),
    }
}
