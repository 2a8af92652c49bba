//! Writes a user's memories to a file that can be fetched for a day.

use futures::StreamExt;
use rapport_common::{
    Context, Error, Result, clock,
    domain::{
        ids::{BlobId, UserId},
        job::Job,
    },
    jobs::payload::{self, ExportPayload},
    store::blobs,
    usecase::{end_job::succeed_job, memory::export},
};
use serde_json::{Value, json};

use crate::{outcome::Outcome, runner::persist};

const PART: usize = 512 * 1_024;

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: ExportPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(user) = job.user_id else { return Outcome::Fail(Error::internal("an export without user")) };
    match write(ctx, job, user, payload).await {
        Ok(Some(result)) => Outcome::Done(result),
        Ok(None) => Outcome::Lost,
        Err(error) => super::outcome_of(error),
    }
}

async fn write(ctx: &Context, job: &Job, user: UserId, spec: ExportPayload) -> Result<Option<Value>> {
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
            let mut tx = ctx.db.begin().await?;
            blobs::add(&mut tx, user, blob, part, &held, clock::now()).await?;
            tx.commit().await?;
            part += 1;
            held.clear();
        }
        if over {
            break;
        }
    }
    let download = format!("/api/v1/memory/exports/{}", job.id);
    let result = json!({"download": download, "format": spec.format, "bytes": bytes, "parts": part});
    Ok(match persist(|| succeed_job(ctx, job, &result)).await {
        Some(true) => Some(result),
        _ => None,
    })
}
