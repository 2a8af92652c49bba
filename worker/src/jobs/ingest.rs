//! Reads a file: its text is taken out of it by a process of its own, and becomes passages that searches find.

use rapport_common::{Result, jobs::payload::IngestPayload, usecase::files::ingest::Reading};
use serde_json::json;

use super::Work;
use crate::{
    attempt::Attempt,
    ending::persist,
    outcome::Outcome,
    reading::{self, Text},
};

impl Work for IngestPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
        let Some(mut reading) = Reading::begin(ctx, job, user, self.file_id).await? else {
            return Ok(attempt.succeed(json!({"file_id": self.file_id, "gone": true})).await);
        };
        match reading::read(ctx, &reading.file).await? {
            Text::Unreadable(why) => {
                let failed = persist(|| reading.fail(&why)).await.flatten();
                Ok(failed.map_or(Outcome::Lost, Outcome::Dead))
            }
            Text::Read { pieces, pages } => {
                if !reading.store(pieces).await? {
                    return Ok(Outcome::Lost);
                }
                Ok(attempt.commit(|| reading.finish(pages)).await)
            }
        }
    }
}
