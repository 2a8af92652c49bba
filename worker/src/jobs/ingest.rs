//! Reads a file: its text is taken out of it by a process of its own, and becomes passages that searches find.

use std::time::Duration;

use rapport_common::{
    Error, Result,
    domain::ids::FileId,
    error::Code,
    jobs::payload::IngestPayload,
    usecase::files::ingest::{Reading, Stopped},
};
use serde_json::json;

use super::Work;
use crate::{
    attempt::Attempt,
    ending::persist,
    outcome::{Outcome, backoff},
    reading::{self, Text},
};

/// Between two looks at whether it is a file's turn.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

async fn end(attempt: &Attempt<'_>, file: FileId, stopped: Stopped) -> Outcome {
    match stopped {
        Stopped::Gone => attempt.succeed(json!({"file_id": file, "gone": true})).await,
        Stopped::Lost => Outcome::Lost,
    }
}

impl Work for IngestPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
        // A job that waits for its turn in the queue keeps no other job from running.
        let Some(turn) = reading::turn(user) else {
            let busy = Error::new(Code::Overloaded, "Other files are read first.");
            return Ok(Outcome::Wait(busy, backoff(job, None).min(LONGEST_PAUSE)));
        };
        let mut reading = match Reading::begin(ctx, job, user, self.file_id).await? {
            Ok(reading) => reading,
            Err(stopped) => return Ok(end(attempt, self.file_id, stopped).await),
        };
        match reading::read(ctx, &reading.file, turn).await? {
            Text::Unreadable(why) => {
                let failed = persist(|| reading.fail(&why)).await.flatten();
                Ok(failed.map_or(Outcome::Lost, Outcome::Dead))
            }
            Text::Read { pieces, pages } => {
                if let Err(stopped) = reading.store(pieces).await? {
                    return Ok(end(attempt, self.file_id, stopped).await);
                }
                Ok(attempt.commit(|| reading.finish(pages)).await)
            }
        }
    }
}

#[cfg(test)]
mod testing;
