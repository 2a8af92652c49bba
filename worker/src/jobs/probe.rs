//! A probe: does nothing, waits, fails or ends the process, for measurements and fault tests.

use std::time::Duration;

use rapport_common::{
    Context, Error, clock,
    domain::job::Job,
    error::Code,
    jobs::payload::{self, ProbePayload},
    usecase::end_job,
};
use serde_json::json;

use crate::{
    outcome::Outcome,
    runner::persist,
    running::{Stop, StopSignal, stopped},
};

pub async fn run(ctx: &Context, job: &Job, mut signal: StopSignal) -> Outcome {
    let started = clock::now();
    let probe: ProbePayload = match payload::read(job) {
        Ok(probe) => probe,
        Err(error) => return Outcome::Fail(error),
    };
    tokio::select! {
        stop = stopped(&mut signal) => return match stop {
            Stop::Cancelled => Outcome::Cancelled,
            Stop::Lost => Outcome::Lost,
            Stop::HandBack => Outcome::HandBack,
        },
        () = tokio::time::sleep(Duration::from_millis(probe.sleep_ms)) => {}
    }
    if probe.abort {
        std::process::abort();
    }
    if let Some(detail) = probe.fail {
        return Outcome::Retry(Error::new(Code::JobFailed, detail), None);
    }
    let result = json!({"attempt": job.attempt, "started_micros": started.timestamp_micros()});
    match persist(|| end_job::succeed_job(ctx, job, &result)).await {
        Some(true) => Outcome::Done(result),
        _ => Outcome::Lost,
    }
}
