//! A probe: does nothing, waits, fails or ends the process, for measurements and fault tests.

use std::time::Duration;

use rapport_common::{Error, Result, clock, error::Code, jobs::payload::ProbePayload};
use serde_json::json;

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

impl Work for ProbePayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let started = clock::now();
        tokio::time::sleep(Duration::from_millis(self.sleep_ms)).await;
        if self.abort {
            std::process::abort();
        }
        if let Some(detail) = self.fail {
            return Ok(Outcome::Retry(Error::new(Code::JobFailed, detail), None));
        }
        let result = json!({"attempt": attempt.job.attempt, "started_micros": started.timestamp_micros()});
        Ok(attempt.succeed(result).await)
    }
}
