//! Reading a file: its passages come in pieces under a name of their own (`generation`), which nobody searches until one fenced
//! transaction makes it the file's. Whatever dies before that leaves passages that are never found, and that the next reading
//! of the file, or its deletion, takes away.

use serde_json::json;

use super::clean::delete_passages;
use crate::{
    Context, Error, Result, clock,
    domain::{
        file::File,
        ids::{FileId, UserId},
        job::{Job, JobStatus},
    },
    error::Code,
    jobs::{Ended, payload::IngestPayload},
    memory::text,
    reader::Piece,
    store::{
        self,
        chunks::{self, NewChunk},
        extraction,
        files::{self, Indexed},
        jobs::NewJob,
        ledger::AttemptOf,
        memory_log,
    },
    telemetry::metrics::METRICS,
    usecase::{end_job::succeed, memory as memories},
};

/// Passages stored in one transaction.
const BATCH: usize = 100;

/// The job that reads a file.
pub fn job(ctx: &Context, user: UserId, file_id: FileId) -> Result<NewJob> {
    memories::job(ctx, user, &IngestPayload { file_id })
}

/// One reading of a file.
pub struct Reading<'a> {
    ctx: &'a Context,
    job: &'a Job,
    user: UserId,
    pub file: File,
    generation: String,
    chunks: i64,
    words: i64,
}

impl<'a> Reading<'a> {
    /// Marks the file as being read, and takes away what earlier readings left. `None`: it is gone, or another job's.
    pub async fn begin(ctx: &'a Context, job: &'a Job, user: UserId, id: FileId) -> Result<Option<Self>> {
        let mut tx = ctx.db.begin().await?;
        if !files::reading(&mut tx, user, id, job.id, clock::now()).await? {
            return Ok(None);
        }
        let Some(file) = files::get(&mut tx, user, id).await? else { return Ok(None) };
        tx.commit().await?;
        delete_passages(ctx, user, id, file.generation.as_deref().unwrap_or_default()).await?;
        // The attempt is part of it: one that was taken over writes beside the one that counts.
        let generation = format!("{}-{}", job.id.0.simple(), job.attempt);
        Ok(Some(Self { ctx, job, user, file, generation, chunks: 0, words: 0 }))
    }

    /// Stores passages, a piece at a time. `false`: this attempt has lost the job.
    pub async fn store(&mut self, pieces: Vec<Piece>) -> Result<bool> {
        let total = pieces.len();
        let mut pieces = pieces.into_iter();
        loop {
            let batch: Vec<Piece> = pieces.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(true);
            }
            let first = self.chunks;
            let new = tokio::task::spawn_blocking(move || as_chunks(batch, first));
            let new = new.await.map_err(Error::internal)?;
            let words = new.iter().flat_map(|chunk| chunk.terms.values()).sum::<i64>();
            let done = first + new.len() as i64;
            let mut tx = self.ctx.db.begin().await?;
            chunks::insert(&mut tx, self.user, self.file.id, &self.generation, &new).await?;
            let progress = json!({"done": done, "total": total, "note": "indexing"});
            if !extraction::set_progress_in(&mut tx, self.job.id, self.job.attempt, &progress).await? {
                return Ok(false);
            }
            tx.commit().await?;
            (self.chunks, self.words) = (done, self.words + words);
        }
    }

    /// Makes what was stored the file's passages, and ends the job. `None`: this attempt has lost the job.
    pub async fn finish(&self, pages: Option<u32>) -> Result<Option<Ended>> {
        let (ctx, user, file) = (self.ctx, self.user, self.file.id);
        let result = json!({"file_id": file, "passages": self.chunks, "pages": pages});
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        let Some(settled) = succeed(&mut tx, self.job, &result).await? else { return Ok(None) };
        let new = Indexed {
            generation: &self.generation,
            pages: pages.map(i64::from),
            chunks: self.chunks,
            words: self.words,
        };
        if !files::indexed(&mut tx, user, (file, self.job.id), new, clock::now()).await? {
            return Err(Error::not_found("file"));
        }
        let ready = memories::embed::enqueue(ctx, &mut tx, user).await?;
        tx.commit().await?;
        METRICS.files.with_label_values(&["indexed"]).inc();
        ctx.announce(ready).await;
        if let Err(error) = delete_passages(ctx, user, file, &self.generation).await {
            tracing::warn!(%error, "passages of an earlier reading go with the next one");
        }
        Ok(Some(Ended::new(settled, result)))
    }

    /// Ends the job, and says why the file cannot be read. `None`: this attempt has lost the job.
    pub async fn fail(&self, why: &str) -> Result<Option<Ended>> {
        let problem = Error::new(Code::FileUnreadable, why).problem(None);
        let now = clock::now();
        let mut tx = self.ctx.db.begin().await?;
        let attempt = AttemptOf::job(self.job);
        let settled =
            store::ledger::settle(&mut tx, attempt, JobStatus::Failed, None, Some(&problem), now).await?;
        let Some(settled) = settled else { return Ok(None) };
        files::failed(&mut tx, self.user, (self.file.id, self.job.id), why, now).await?;
        tx.commit().await?;
        METRICS.files.with_label_values(&["unreadable"]).inc();
        Ok(Some(Ended::new(settled, problem)))
    }
}

fn as_chunks(pieces: Vec<Piece>, first: i64) -> Vec<NewChunk> {
    let chunk = |(at, piece): (usize, Piece)| {
        // Its heading says what it is about, and often has the words that it is asked for by.
        let terms = text::terms(&format!("{}\n{}", piece.heading, piece.text));
        NewChunk {
            n: first + at as i64,
            page: piece.page.map(i64::from),
            heading: piece.heading,
            start: i64::try_from(piece.start).unwrap_or(i64::MAX),
            content: piece.text,
            terms,
        }
    };
    pieces.into_iter().enumerate().map(chunk).collect()
}
