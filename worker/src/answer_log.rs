//! Writes an answer's events as it grows.
//!
//! The first words go out at once; after that, what arrives within 15 ms goes out together, so a fast model costs few
//! writes. About once a second the text so far is written to the ledger, so that losing the event log costs its readers
//! a `reset` and a snapshot, not the answer. What a log that is away does not take goes with the next events; if that is
//! too much, the oldest are dropped: the readers see the hole and use the snapshot.

use std::{collections::VecDeque, time::Duration};

use rapport_common::{
    Context,
    domain::{
        event::{Event, EventId},
        job::Job,
    },
    events::EventsError,
    store,
    telemetry::metrics::METRICS,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const COALESCE: Duration = Duration::from_millis(15);
const CHECKPOINT: Duration = Duration::from_secs(1);
/// Events kept for a log that is away.
const UNWRITTEN: usize = 1_000;

/// The attempt is not the job's any more.
#[derive(Debug)]
pub struct Lost;

pub struct AnswerLog<'a> {
    ctx: &'a Context,
    job: &'a Job,
    /// The number of the last event.
    n: u32,
    pub text: String,
    /// How much of `text` is in events.
    logged: usize,
    /// Events that the log has not taken.
    unwritten: VecDeque<Event>,
    last_write: Option<Instant>,
    checkpointed: Instant,
}

impl<'a> AnswerLog<'a> {
    /// Opens the attempt's events; a later attempt begins with a `reset`.
    pub async fn open(ctx: &'a Context, job: &'a Job) -> Result<Self, Lost> {
        let mut log = Self {
            ctx,
            job,
            n: 0,
            text: String::new(),
            logged: 0,
            unwritten: VecDeque::new(),
            last_write: None,
            checkpointed: Instant::now(),
        };
        if job.attempt > 1 {
            let code =
                job.error.as_ref().and_then(|error| error["code"].as_str()).unwrap_or("worker_stopped");
            log.append("reset", json!({"reason": code})).await?;
        }
        Ok(log)
    }

    pub async fn append(&mut self, name: &str, data: Value) -> Result<(), Lost> {
        self.add(name, data);
        self.write().await
    }

    /// Several at once, in one write.
    pub async fn append_all(&mut self, events: Vec<(&str, Value)>) -> Result<(), Lost> {
        if events.is_empty() {
            return Ok(());
        }
        events.into_iter().for_each(|(name, data)| self.add(name, data));
        self.write().await
    }

    /// The last event, and the words that still wait, in one write.
    pub async fn finish(&mut self, name: &str, data: Value) -> Result<(), Lost> {
        self.add_words();
        self.append(name, data).await
    }

    fn add(&mut self, name: &str, data: Value) {
        self.n += 1;
        self.unwritten.push_back(Event::new(EventId::new(self.job.attempt, self.n), name, data));
    }

    /// The words that are in no event yet become one. `false`: there are none.
    fn add_words(&mut self) -> bool {
        let delta = self.text[self.logged..].to_owned();
        let is_new = !delta.is_empty();
        if is_new {
            self.logged = self.text.len();
            self.last_write = Some(Instant::now());
            self.add("token", json!({"delta": delta, "index": self.n + 1}));
        }
        is_new
    }

    async fn write(&mut self) -> Result<(), Lost> {
        match self.ctx.events.append(self.job.id, self.unwritten.make_contiguous()).await {
            Ok(()) => {
                METRICS.events.with_label_values(&["written"]).inc_by(self.unwritten.len() as u64);
                self.unwritten.clear();
                Ok(())
            }
            Err(EventsError::Stale) => {
                METRICS.events.with_label_values(&["stale"]).inc();
                Err(Lost)
            }
            Err(EventsError::Away(error)) => {
                tracing::debug!(%error, "event not written yet");
                if self.unwritten.len() > UNWRITTEN {
                    METRICS.events.with_label_values(&["dropped"]).inc();
                    self.unwritten.pop_front();
                }
                Ok(())
            }
        }
    }

    /// Another provider begins this part of the answer anew: what was said from byte `keep` on does not count.
    pub async fn restart(&mut self, reason: &str, keep: usize) -> Result<(), Lost> {
        self.text.truncate(keep);
        self.logged = 0;
        self.last_write = None;
        self.append("reset", json!({"reason": reason})).await?;
        self.flush().await
    }

    /// Takes some words; writes them now or with what follows.
    pub async fn push(&mut self, delta: &str) -> Result<(), Lost> {
        self.text.push_str(delta);
        if self.due().is_some_and(|due| due <= Instant::now()) { self.flush().await } else { Ok(()) }
    }

    /// When what waits must be written; `None` when nothing waits.
    pub fn due(&self) -> Option<Instant> {
        if self.logged == self.text.len() {
            return None;
        }
        Some(self.last_write.map_or_else(Instant::now, |last| last + COALESCE))
    }

    /// Waits for something that ends by itself, and writes the words meanwhile that are due. Whether the attempt is still the job's is
    /// for the ledger to say then. The work goes on while they are written, and no checkpoint is: it would wait for rows that
    /// the work may hold.
    pub async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let Some(due) = self.due() else { return work.await };
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep_until(due) => {}
        }
        self.add_words();
        let (done, _the_ledger_says) = tokio::join!(work, self.write());
        done
    }

    pub async fn flush(&mut self) -> Result<(), Lost> {
        if self.add_words() {
            self.write().await?;
        }
        if self.checkpointed.elapsed() >= CHECKPOINT {
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Lost> {
        self.checkpointed = Instant::now();
        let Ok(mut conn) = self.ctx.db.relaxed().await else { return Ok(()) };
        match store::ledger::checkpoint(&mut conn, self.job.id, self.job.attempt, &self.text, self.n).await {
            Ok(false) => Err(Lost),
            Ok(true) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "no checkpoint");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    /// SQLite has one writer, and the work is it until the words are out.
    #[tokio::test]
    async fn words_go_out_while_work_holds_what_a_checkpoint_would_wait_for() {
        let house = House::new().await;
        let job = house.claimed("this-worker", 1).await;
        let ctx = &house.runtime.ctx;
        let mut log = AnswerLog::open(ctx, &job).await.unwrap();
        log.push("First and ").await.unwrap();
        log.push("last words.").await.unwrap();
        log.checkpointed = Instant::now() - CHECKPOINT;
        let events = async || ctx.events.read_after(job.id, EventId::START).await.unwrap();
        let work = house.hold_the_writer_until(async || events().await.len() >= 2);
        let deadline = Duration::from_secs(10);
        tokio::time::timeout(deadline, log.while_waiting(work)).await.expect("one waits for the other");
        log.push(" And more.").await.unwrap();
        log.finish("done", json!({})).await.unwrap();
        let said: Vec<(String, Value)> = events()
            .await
            .into_iter()
            .map(|event| (event.name.clone(), event.data["delta"].clone()))
            .collect();
        let token = |words: &str| ("token".to_owned(), json!(words));
        let all = [
            token("First and "),
            token("last words."),
            token(" And more."),
            ("done".to_owned(), Value::Null),
        ];
        assert_eq!(said, all);
    }
}
