//! Takes an uploaded file of conversations in, one after another; after a crash it goes on behind the last one.

use rapport_common::{
    Error, Result, error::Code, jobs::payload::ChatImportPayload, store::blobs, usecase::import_chats,
};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for ChatImportPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
        let mut tally = import_chats::Tally::of(job, self.conversations);
        let (mut number, mut part) = (0, 0);
        loop {
            let lines = blobs::part(&mut ctx.db.read().await?, user, self.blob_id, part).await?;
            let Some(lines) = lines else { break };
            part += 1;
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                number += 1;
                // An earlier attempt stored it.
                if number > tally.done
                    && !import_chats::store(ctx, job, self.extract, line, &mut tally).await?
                {
                    return Ok(Outcome::Lost);
                }
            }
        }
        if number != self.conversations {
            let gone =
                "The uploaded file is no longer there: upload it again. What was taken in of it stays.";
            return Ok(Outcome::Fail(Error::new(Code::JobFailed, gone)));
        }
        Ok(attempt.commit(|| import_chats::finish(ctx, job, self.blob_id, &tally)).await)
    }
}
