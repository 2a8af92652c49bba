//! What is kept for a time goes when its time is over (`RETENTION__…`).

use crate::{
    Context, Result, clock,
    store::retention::{self, Kept, PIECE},
    telemetry::metrics::METRICS,
};

/// Pieces of one kind in one go: the rest has time until the next.
const PIECES: usize = 40;

/// Takes away what is old, a piece at a time.
pub async fn prune(ctx: &Context) -> Result<()> {
    let kept = ctx.settings.retention;
    // Tokens before the logins that they keep.
    for (what, days) in [
        (Kept::Deliveries, kept.deliveries),
        (Kept::Tokens, kept.logins),
        (Kept::Logins, kept.logins),
        (Kept::Audit, kept.audit),
        (Kept::Jobs, kept.jobs),
    ] {
        let Some(days) = days else { continue };
        for _ in 0..PIECES {
            let mut conn = ctx.db.relaxed().await?;
            let count = retention::prune(&mut conn, what, clock::now() - days).await?;
            METRICS.rows_pruned.with_label_values(&[what.as_str()]).inc_by(count);
            if count < PIECE {
                break;
            }
        }
    }
    Ok(())
}
