//! Reading a file: its passages come in pieces under a name of their own (`generation`), which nobody searches until one fenced
//! transaction makes it the file's. Each piece is stored only while its attempt has the job and the job has the file, both held
//! until the commit: no passage comes after a file was deleted. Whatever dies before the end leaves passages that are never found,
//! and that the next reading of the file, its deletion, or the sweep takes away.

use serde_json::json;

use super::clean::delete_strays;
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

/// Why a reading goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The file was deleted, or is another job's.
    Gone,
    /// This attempt has lost the job.
    Lost,
}

impl<'a> Reading<'a> {
    /// Marks the file as being read, and takes away what earlier readings left.
    pub async fn begin(
        ctx: &'a Context,
        job: &'a Job,
        user: UserId,
        id: FileId,
    ) -> Result<Result<Self, Stopped>> {
        let mut tx = ctx.db.begin().await?;
        let progress = json!({"done": 0, "note": "reading"});
        if !extraction::set_progress_in(&mut tx, job.id, job.attempt, &progress).await? {
            return Ok(Err(Stopped::Lost));
        }
        let file = match files::reading(&mut tx, user, id, job.id, clock::now()).await? {
            true => files::get(&mut tx, user, id).await?,
            false => None,
        };
        tx.commit().await?;
        delete_strays(ctx, user, id).await?;
        let Some(file) = file else { return Ok(Err(Stopped::Gone)) };
        // The attempt is part of it: one that was taken over writes beside the one that counts.
        let generation = format!("{}-{}", job.id.0.simple(), job.attempt);
        Ok(Ok(Self { ctx, job, user, file, generation, chunks: 0, words: 0 }))
    }

    /// Stores passages, a piece at a time.
    pub async fn store(&mut self, pieces: Vec<Piece>) -> Result<Result<(), Stopped>> {
        let total = pieces.len();
        let mut pieces = pieces.into_iter();
        loop {
            let batch: Vec<Piece> = pieces.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(Ok(()));
            }
            let first = self.chunks;
            let new = tokio::task::spawn_blocking(move || as_chunks(batch, first));
            let new = new.await.map_err(Error::internal)?;
            let words = new.iter().flat_map(|chunk| chunk.terms.values()).sum::<i64>();
            let done = first + new.len() as i64;
            let mut tx = self.ctx.db.begin().await?;
            let progress = json!({"done": done, "total": total, "note": "indexing"});
            if !extraction::set_progress_in(&mut tx, self.job.id, self.job.attempt, &progress).await? {
                return Ok(Err(Stopped::Lost));
            }
            if !files::hold(&mut tx, self.user, (self.file.id, self.job.id)).await? {
                drop(tx);
                delete_strays(self.ctx, self.user, self.file.id).await?;
                return Ok(Err(Stopped::Gone));
            }
            chunks::insert(&mut tx, self.user, self.file.id, &self.generation, &new).await?;
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
        let stored = chunks::count_reading(&mut tx, user, file, &self.generation).await?;
        if stored != self.chunks {
            return Err(Error::internal(format!("{stored} passages are there of {} of {file}", self.chunks)));
        }
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
        if let Err(error) = delete_strays(ctx, user, file).await {
            tracing::warn!(%error, "passages of an earlier reading go with the next sweep");
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
