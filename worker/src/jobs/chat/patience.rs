//! Waiting for providers that are away, without giving the attempt up (docs/decisions/0010-waiting-for-providers.md).
//!
//! The job stays running and its lease is renewed; its place is free for others meanwhile, unless its prompt has images. The reader is told with
//! `waiting` events. Nothing was said yet in this round, so there is nothing to take back.

use std::time::Duration;

use rand::Rng;
use rapport_common::{
    Context,
    providers::{ChatRequest, ProviderError},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    answer_log::{AnswerLog, Lost},
    running::{Stop, StopSignal, stopped},
    slot::Slot,
};

/// Between two looks at whether somebody is back. Who was away and answers another message ends all these pauses.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(2);
/// The same while no breaker says how long.
const UNTOLD: Duration = Duration::from_secs(1);
/// Between two `waiting` events.
const TELL: Duration = Duration::from_secs(5);

/// What came of waiting.
pub enum Waited {
    /// Somebody may be asked again.
    AskAgain,
    Stopped(Stop),
    /// For as long as one may.
    InVain,
}

/// How long an answer has waited for providers, and may yet.
pub struct Patience<'a> {
    ctx: &'a Context,
    most: Duration,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl<'a> Patience<'a> {
    pub fn new(ctx: &'a Context) -> Self {
        Self { ctx, most: ctx.settings.queue.provider_patience, since: None, told: None }
    }

    /// Whether it has waited since somebody answered last.
    pub fn is_tried(&self) -> bool {
        self.since.is_some()
    }

    /// Somebody answered.
    pub fn renew(&mut self) {
        (self.since, self.told) = (None, None);
    }

    pub async fn wait(
        &mut self,
        log: &mut AnswerLog<'_>,
        (choice, request): (&str, &ChatRequest),
        error: &ProviderError,
        signal: &mut StopSignal,
        slot: &Slot,
    ) -> Result<Waited, Lost> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.most;
        if self.most.is_zero() {
            return Ok(Waited::InVain);
        }
        // Images are too much to keep for as many as wait without a place.
        if request.images() == 0 {
            slot.leave();
        }
        loop {
            let back = self.ctx.providers.health.closes();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::InVain);
            }
            let away = self.ctx.providers.all_away(choice, request).unwrap_or(UNTOLD);
            // With jitter: many wait for the same.
            let pause = away.clamp(SHORTEST, LONGEST).mul_f64(rand::rng().random_range(0.6..=1.0)).min(left);
            self.tell(log, error, pause).await?;
            tokio::select! {
                biased;
                stop = stopped(signal) => return Ok(Waited::Stopped(stop)),
                () = slot.stopping() => return Ok(Waited::Stopped(Stop::HandBack)),
                () = back => {}
                () = tokio::time::sleep(pause) => {}
            }
            if self.ctx.providers.all_away(choice, request).is_none() {
                break;
            }
        }
        tokio::select! {
            biased;
            stop = stopped(signal) => Ok(Waited::Stopped(stop)),
            () = slot.take_again() => Ok(Waited::AskAgain),
        }
    }

    /// At once, and then every few seconds.
    async fn tell(
        &mut self,
        log: &mut AnswerLog<'_>,
        error: &ProviderError,
        pause: Duration,
    ) -> Result<(), Lost> {
        if self.told.is_some_and(|told| told.elapsed() < TELL) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let retry_in_ms = pause.as_millis().max(1) as u64;
        let data = json!({"reason": "provider_away", "provider": error.provider, "retry_in_ms": retry_in_ms});
        log.append("waiting", data).await?;
        // What the ledger knows of the answer has this event behind it: who lost it need not wait for the first word.
        log.flush().await
    }
}
