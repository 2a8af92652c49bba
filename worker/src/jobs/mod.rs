//! One file a kind of job. The match is exhaustive: a new kind does not compile without its handler.

mod account_export;
mod backfill;
mod chat;
mod consolidation;
mod embedding;
mod erase;
mod export;
mod extraction;
mod import;
mod mail;
mod probe;
mod title;
mod webhook;

use rapport_common::{
    Context,
    domain::job::{Job, JobKind},
};

use crate::{
    outcome::Outcome,
    running::{Stop, StopSignal, stopped},
    slot::Slot,
};

pub async fn run(ctx: &Context, job: &Job, signal: StopSignal, slot: &mut Slot) -> Outcome {
    match job.kind {
        JobKind::Chat => chat::run(ctx, job, signal, slot).await,
        JobKind::Title => attend(signal, title::run(ctx, job)).await,
        JobKind::MemoryExtraction => attend(signal, extraction::run(ctx, job)).await,
        JobKind::Embedding => given_up(ctx, job, attend(signal, embedding::run(ctx, job)).await),
        JobKind::Consolidation => given_up(ctx, job, attend(signal, consolidation::run(ctx, job)).await),
        JobKind::Backfill => given_up(ctx, job, attend(signal, backfill::run(ctx, job)).await),
        JobKind::Import => attend(signal, import::run(ctx, job)).await,
        JobKind::Export => attend(signal, export::run(ctx, job)).await,
        JobKind::Mail => attend(signal, mail::run(ctx, job)).await,
        JobKind::Erase => attend(signal, erase::run(ctx, job)).await,
        JobKind::AccountExport => attend(signal, account_export::run(ctx, job)).await,
        JobKind::Webhook => attend(signal, webhook::run(ctx, job)).await,
        JobKind::Probe => probe::run(ctx, job, signal).await,
    }
}

/// Runs a handler that may be dropped anywhere: all it does is repeatable, or commits with the job's end.
async fn attend(mut signal: StopSignal, handler: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        stop = stopped(&mut signal) => match stop {
            Stop::Cancelled => Outcome::Cancelled,
            Stop::Lost => Outcome::Lost,
            Stop::HandBack => Outcome::HandBack,
        },
        outcome = handler => outcome,
    }
}

/// A provider that fails is asked as often as for other jobs, though these may crash more often.
fn given_up(ctx: &Context, job: &Job, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retry(error, _)
            if error.code.as_str().starts_with("provider_")
                && extraction::failures(ctx, job) >= ctx.settings.queue.max_attempts =>
        {
            Outcome::Fail(error)
        }
        outcome => outcome,
    }
}

/// Whether an error of ours may pass by itself.
fn outcome_of(error: rapport_common::Error) -> Outcome {
    use rapport_common::error::Code;
    match error.code {
        Code::Unavailable
        | Code::StorageFull
        | Code::Internal
        | Code::ProviderFailed
        | Code::ProviderRateLimited
        | Code::ProviderTimeout => Outcome::Retry(error, None),
        _ => Outcome::Fail(error),
    }
}
