//! Takes an uploaded file of memories in, a batch at a time; after a crash it goes on behind the last batch.

use std::collections::VecDeque;

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{BlobId, UserId},
        job::Job,
    },
    jobs::payload::{self, ImportPayload},
    memory::transfer::Row,
    plain,
    store::blobs,
    usecase::memory::import::{self, Relation, Tally},
};
use serde_json::Value;

use crate::{outcome::Outcome, runner::persist_for};

/// Rows in one transaction.
const BATCH: usize = 200;
/// Links and merges held until all rows are in.
const RELATIONS: usize = 100_000;

pub async fn run(ctx: &Context, job: &Job) -> Outcome {
    let payload: ImportPayload = match payload::read(job) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Fail(error),
    };
    let Some(user) = job.user_id else { return Outcome::Fail(Error::internal("an import without user")) };
    match take_in(ctx, job, user, &payload).await {
        Ok(Some(result)) => Outcome::Done(result),
        Ok(None) => Outcome::Lost,
        Err(error) => super::outcome_of(error),
    }
}

/// Lines of an upload, read a part at a time. In CSV a line break between quotes is part of its record.
struct Lines<'a> {
    ctx: &'a Context,
    user: UserId,
    blob: BlobId,
    part: i64,
    held: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
    csv: bool,
    quoted: bool,
    over: bool,
}

impl Lines<'_> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if self.over {
                return Ok(None);
            }
            let part = blobs::part(&mut self.ctx.db.read().await?, self.user, self.blob, self.part).await?;
            self.part += 1;
            match part {
                Some(bytes) => self.split(&bytes),
                None => {
                    self.over = true;
                    let last = std::mem::take(&mut self.held);
                    if last.iter().any(|byte| !byte.is_ascii_whitespace()) {
                        self.ready.push_back(last);
                    }
                }
            }
        }
    }

    fn split(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.csv && *byte == b'"' {
                self.quoted = !self.quoted;
            }
            if *byte == b'\n' && !self.quoted {
                let line = std::mem::take(&mut self.held);
                if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    self.ready.push_back(line);
                }
            } else {
                self.held.push(*byte);
            }
        }
    }
}

async fn take_in(ctx: &Context, job: &Job, user: UserId, payload: &ImportPayload) -> Result<Option<Value>> {
    let csv = payload.format == "csv";
    let mut lines = Lines {
        ctx,
        user,
        blob: payload.blob_id,
        part: 0,
        held: Vec::new(),
        ready: VecDeque::new(),
        csv,
        quoted: false,
        over: false,
    };
    let mut tally = Tally::of(job, payload.rows);
    let header = if csv { header(lines.next().await?)? } else { Vec::new() };
    let (mut relations, mut merges) = (Vec::new(), Vec::new());
    let (mut batch, mut number) = (Vec::new(), 0);
    while let Some(line) = lines.next().await? {
        if !csv && line.first() == Some(&b'~') {
            // A link, as the upload wrote it down.
            if let Ok(relation) = serde_json::from_slice::<Relation>(&line[1..])
                && relations.len() < RELATIONS
            {
                relations.push(relation);
            }
            continue;
        }
        number += 1;
        let row = if csv { csv_row(&header, &line) } else { json_row(&line) };
        if let Ok(Row { id: Some(id), merged_into: Some(into), .. }) = &row
            && merges.len() < RELATIONS
        {
            merges.push((id.clone(), into.clone()));
        }
        if number <= tally.done {
            continue; // an earlier attempt stored it
        }
        batch.push(row);
        if batch.len() >= BATCH && !store(ctx, job, user, payload, &mut batch, &mut tally).await? {
            return Ok(None);
        }
    }
    if !batch.is_empty() && !store(ctx, job, user, payload, &mut batch, &mut tally).await? {
        return Ok(None);
    }
    if !relations.is_empty() || !merges.is_empty() {
        import::store_relations(ctx, user, &relations, &merges, &mut tally).await?;
    }
    let finished =
        persist_for(ctx.settings.queue.lease, || import::finish(ctx, job, user, payload.blob_id, &tally));
    Ok(finished.await.flatten())
}

async fn store(
    ctx: &Context,
    job: &Job,
    user: UserId,
    payload: &ImportPayload,
    batch: &mut Vec<Result<Row, String>>,
    tally: &mut Tally,
) -> Result<bool> {
    import::store_rows(ctx, job, user, &payload.merge_strategy, std::mem::take(batch), tally).await
}

fn record(line: &[u8]) -> Result<csv::StringRecord, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    let first = reader.records().next().ok_or("is empty")?;
    first.map_err(|_| "is not readable as CSV in UTF-8".to_owned())
}

fn header(line: Option<Vec<u8>>) -> Result<Vec<String>> {
    let refused = |message: String| Error::field("memories", message);
    let line = line.ok_or_else(|| refused("must begin with a line of column names".to_owned()))?;
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
    let names: Vec<String> = record(line)
        .map_err(|problem| refused(format!("has a first line that {problem}")))?
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect();
    if !names.iter().any(|name| name == "content") {
        return Err(refused("must have a column called content".to_owned()));
    }
    Ok(names)
}

fn csv_row(header: &[String], line: &[u8]) -> Result<Row, String> {
    Row::from_cells(header, &record(line)?)
}

fn json_row(line: &[u8]) -> Result<Row, String> {
    serde_json::from_slice(line).map_err(|error| plain::of_row(&error))
}
