//! What each kind of job does, one file a kind. The match below is the registry: it is exhaustive, so a new kind does not
//! compile without its line, and its payload ties the two together.

mod account_export;
mod backfill;
mod chat;
mod chat_import;
mod consolidation;
mod embedding;
mod erase;
mod export;
mod extraction;
mod import;
mod ingest;
mod mail;
mod probe;
mod title;
mod webhook;

use rapport_common::{
    Result,
    domain::job::JobKind,
    jobs::payload::{
        self, AccountExportPayload, BackfillPayload, ChatImportPayload, ChatPayload, ConsolidationPayload,
        EmbeddingPayload, ErasePayload, ExportPayload, ExtractionPayload, ImportPayload, IngestPayload,
        MailPayload, Payload, ProbePayload, TitlePayload, WebhookPayload,
    },
};

use crate::{attempt::Attempt, outcome::Outcome, running::stopped};

pub async fn run(attempt: &mut Attempt<'_>) -> Outcome {
    match attempt.job.kind {
        JobKind::Chat => work::<ChatPayload>(attempt).await,
        JobKind::Title => work::<TitlePayload>(attempt).await,
        JobKind::MemoryExtraction => work::<ExtractionPayload>(attempt).await,
        JobKind::Embedding => work::<EmbeddingPayload>(attempt).await,
        JobKind::Consolidation => work::<ConsolidationPayload>(attempt).await,
        JobKind::Backfill => work::<BackfillPayload>(attempt).await,
        JobKind::Ingest => work::<IngestPayload>(attempt).await,
        JobKind::Import => work::<ImportPayload>(attempt).await,
        JobKind::ChatImport => work::<ChatImportPayload>(attempt).await,
        JobKind::Export => work::<ExportPayload>(attempt).await,
        JobKind::Mail => work::<MailPayload>(attempt).await,
        JobKind::Erase => work::<ErasePayload>(attempt).await,
        JobKind::AccountExport => work::<AccountExportPayload>(attempt).await,
        JobKind::Webhook => work::<WebhookPayload>(attempt).await,
        JobKind::Probe => work::<ProbePayload>(attempt).await,
    }
}

/// What a job with this payload does.
trait Work: Payload {
    /// Whether it hears by itself when it must stop. Any other is dropped then, wherever it is: all it does is repeatable, or
    /// commits with the job's end.
    const HEARS: bool = false;

    /// An error is tried again if it may pass, and fails the job otherwise.
    fn run(self, attempt: &mut Attempt<'_>) -> impl Future<Output = Result<Outcome>> + Send;
}

async fn work<W: Work>(attempt: &mut Attempt<'_>) -> Outcome {
    let payload: W = match payload::read(attempt.job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let job = attempt.job;
    let least = attempt.ctx.settings.queue.max_attempts;
    let mut signal = attempt.signal.clone();
    // On the heap: the future of every kind would be as large as the largest.
    let run = Box::pin(payload.run(attempt));
    let outcome = if W::HEARS {
        run.await
    } else {
        tokio::select! {
            stop = stopped(&mut signal) => return stop.into(),
            outcome = run => outcome,
        }
    };
    match outcome.unwrap_or_else(Outcome::from) {
        // A provider that fails is asked as often as for other jobs, though these may be tried more often.
        Outcome::Retry(error, _)
            if error.code.as_str().starts_with("provider_") && failures::<W>(job, least) >= least =>
        {
            Outcome::Fail(error)
        }
        outcome => outcome,
    }
}

/// How often the job has failed, this time included; waits and crashes are no failures. `attempts`: as configured.
fn failures<P: Payload>(job: &rapport_common::domain::job::Job, attempts: u32) -> u32 {
    let left = job.max_attempts.saturating_sub(job.attempt);
    attempts.max(P::LEAST_ATTEMPTS).saturating_sub(left).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    #[tokio::test]
    async fn waits_and_crashes_are_no_failures() {
        let mut job = House::new().await.claimed("this-worker", 3).await;
        assert_eq!(failures::<ProbePayload>(&job, 3), 1, "the first attempt");
        // Each wait and each crash gives the attempt back: both numbers grow.
        (job.attempt, job.max_attempts) = (6, 8);
        assert_eq!(failures::<ProbePayload>(&job, 3), 1);
        (job.attempt, job.max_attempts) = (8, 8);
        assert_eq!(failures::<ProbePayload>(&job, 3), 3, "the last one");
        // A kind that may be tried more often counts from its own number.
        (job.attempt, job.max_attempts) = (3, 10);
        assert_eq!(failures::<ExtractionPayload>(&job, 3), 3);
    }
}
