//! One file a kind of job. The match is exhaustive: a new kind does not compile without its handler.

mod chat;
mod probe;
mod title;

use rapport_common::{
    Context,
    domain::job::{Job, JobKind},
};

use crate::{outcome::Outcome, running::StopSignal};

pub async fn run(ctx: &Context, job: &Job, signal: StopSignal) -> Outcome {
    match job.kind {
        JobKind::Chat => chat::run(ctx, job, signal).await,
        JobKind::Title => title::run(ctx, job, signal).await,
        JobKind::Probe => probe::run(ctx, job, signal).await,
    }
}
