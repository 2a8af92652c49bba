//! Writes a user's memories to a file that can be fetched for a day.

use futures::StreamExt;
use rapport_common::{
    Context, Result,
    domain::{
        ids::{BlobId, UserId},
        job::Job,
    },
    jobs::payload::ExportPayload,
    usecase::{blobs, memory::export},
};
use serde_json::{Value, json};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

const PART: usize = 512 * 1_024;

impl Work for ExportPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let result = write(attempt.ctx, attempt.job, attempt.user()?, self).await?;
        Ok(attempt.succeed(result).await)
    }
}

async fn write(ctx: &Context, job: &Job, user: UserId, spec: ExportPayload) -> Result<Value> {
    // An attempt after a crash writes the same parts again.
    let blob = BlobId(job.id.0);
    let mut pieces = std::pin::pin!(export::pieces(ctx.clone(), user, spec.clone()));
    let (mut held, mut part, mut bytes) = (Vec::new(), 0, 0);
    loop {
        let piece = pieces.next().await.transpose()?;
        let over = piece.is_none();
        held.extend(piece.unwrap_or_default());
        if held.len() >= PART || over {
            bytes += held.len();
            blobs::add(ctx, user, blob, part, &held).await?;
            part += 1;
            held.clear();
        }
        if over {
            break;
        }
    }
    let download = format!("/api/v1/memory/exports/{}", job.id);
    Ok(json!({"download": download, "format": spec.format, "bytes": bytes, "parts": part}))
}
