//! Takes an uploaded file of memories in, a batch at a time; after a crash it goes on behind the last batch.

use rapport_common::{
    Context, Error, Result,
    domain::{
        ids::{BlobId, UserId},
        job::Job,
    },
    error::Wrong,
    jobs::payload::ImportPayload,
    memory::{
        records::{RECORD_MAX, Record, Splitter},
        transfer::Row,
    },
    plain,
    store::blobs,
    usecase::memory::import::{self, Relation, Tally},
};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

/// Rows in one transaction.
const BATCH: usize = 200;
/// And bytes of the file: what a row takes in memory may be thirty times what it takes in the file.
const BATCH_BYTES: usize = 512 * 1_024;
/// Links and merges held until all rows are in.
const RELATIONS: usize = 100_000;
/// Bytes of an id in them.
const ID: usize = 64;
/// Columns of a CSV file.
const COLUMNS: usize = 100;

impl Work for ImportPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        take_in(attempt, &self).await
    }
}

/// Records of an upload, read a part at a time.
struct Records<'a> {
    ctx: &'a Context,
    user: UserId,
    blob: BlobId,
    /// The number of the next part.
    next_part: i64,
    part: Vec<u8>,
    /// How much of the part was looked at.
    at: usize,
    splitter: Splitter,
}

impl<'a> Records<'a> {
    fn new(ctx: &'a Context, user: UserId, blob: BlobId, splitter: Splitter) -> Self {
        Self { ctx, user, blob, next_part: 0, part: Vec::new(), at: 0, splitter }
    }

    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.splitter.next(&self.part, &mut self.at) {
                return Ok(Some(record));
            }
            let mut conn = self.ctx.db.read().await?;
            let part = blobs::part(&mut conn, self.user, self.blob, self.next_part).await?;
            let Some(part) = part else { return Ok(self.splitter.last()) };
            (self.part, self.at) = (part, 0);
            self.next_part += 1;
        }
    }
}

async fn take_in(attempt: &Attempt<'_>, payload: &ImportPayload) -> Result<Outcome> {
    let (ctx, job, user) = (attempt.ctx, attempt.job, attempt.user()?);
    let csv = payload.format == "csv";
    let mut records = Records::new(ctx, user, payload.blob_id, Splitter::new(csv));
    let mut tally = Tally::of(job, payload.rows);
    let header = if csv { header(records.next().await?)? } else { Vec::new() };
    let (mut relations, mut merges) = (Vec::new(), Vec::new());
    let (mut batch, mut batch_bytes, mut number) = (Vec::new(), 0, 0);
    while let Some(record) = records.next().await? {
        let line = match &record {
            Record::Whole(line) => line.as_slice(),
            Record::TooLong => &[],
        };
        let has_room = relations.len() + merges.len() < RELATIONS;
        if !csv && line.first() == Some(&b'~') {
            relations.extend(link(&line[1..]).filter(|_| has_room));
            continue;
        }
        number += 1;
        let line_bytes = line.len();
        let row = match record {
            Record::TooLong => Err(too_long(csv)),
            Record::Whole(_) if csv => csv_row(&header, line),
            Record::Whole(_) => json_row(line),
        };
        if let Ok(Row { id: Some(id), merged_into: Some(into), .. }) = &row
            && has_room
            && is_short(id)
            && is_short(into)
        {
            merges.push((id.clone(), into.clone()));
        }
        if number <= tally.done {
            continue; // an earlier attempt stored it
        }
        batch.push(row);
        batch_bytes += line_bytes;
        if batch.len() < BATCH && batch_bytes < BATCH_BYTES {
            continue;
        }
        batch_bytes = 0;
        if !store(ctx, job, user, payload, &mut batch, &mut tally).await? {
            return Ok(Outcome::Lost);
        }
    }
    if !batch.is_empty() && !store(ctx, job, user, payload, &mut batch, &mut tally).await? {
        return Ok(Outcome::Lost);
    }
    if !relations.is_empty() || !merges.is_empty() {
        import::store_relations(ctx, user, &relations, &merges, &mut tally).await?;
    }
    Ok(attempt.commit(|| import::finish(ctx, job, user, payload.blob_id, &tally)).await)
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

/// A link between two rows, as the upload wrote it down.
fn link(line: &[u8]) -> Option<Relation> {
    let relation: Relation = serde_json::from_slice(line).ok()?;
    let names = [&relation.source, &relation.target, &relation.relationship];
    names.iter().all(|name| is_short(name)).then_some(relation)
}

fn is_short(id: &str) -> bool {
    id.len() <= ID
}

fn too_long(csv: bool) -> String {
    let quote = if csv { " (is a quote left open?)" } else { "" };
    format!("is longer than {RECORD_MAX} bytes{quote}")
}

fn record(line: &[u8]) -> Result<csv::StringRecord, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    let first = reader.records().next().ok_or("is empty")?;
    let record = first.map_err(|_| "is not readable as CSV in UTF-8".to_owned())?;
    if record.len() > COLUMNS {
        return Err(format!("has more than {COLUMNS} columns"));
    }
    Ok(record)
}

fn header(line: Option<Record>) -> Result<Vec<String>> {
    let refused = |said: String| Error::field("memories", Wrong::Columns(said));
    let line = match line {
        Some(Record::Whole(line)) => line,
        Some(Record::TooLong) => return Err(refused(format!("has a first line that {}", too_long(true)))),
        None => return Err(refused("must begin with a line of column names".to_owned())),
    };
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
