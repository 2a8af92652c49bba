//! Taking memories in from a file: rows in order, a batch a transaction, each batch fenced by the job's attempt. A row
//! that is wrong is reported with its number, and the rest goes in. What cannot be true beside what is known, or beside
//! another row, becomes a question at once.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Changes, compare, graph::in_order};
use crate::{
    Context, Error, Result,
    domain::{
        ids::{BlobId, UserId},
        job::Job,
        memory::{Action, Actor, Memory, MemoryStatus, Relationship},
    },
    jobs::{Ended, payload::ImportPayload},
    memory::transfer::{Row, combine, local_id},
    store::{self, extraction, memories, memory_links},
    usecase::{end_job::succeed, repeat::put_in},
};

pub const STRATEGIES: [&str; 3] = ["skip_duplicates", "overwrite", "merge"];
/// Rows of one file at most.
pub const ROWS: i64 = 1_000_000;
/// Errors reported one by one; the rest is counted.
const ERRORS: usize = 200;
/// Conflicts opened for one file; looking through all memories finds the rest.
const CONFLICTS: i64 = 1_000;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct RowError {
    /// Counted from 1; the header of a CSV file is not counted.
    pub row: i64,
    pub message: String,
}

/// How far an import is; also its result.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    pub done: i64,
    pub total: i64,
    pub imported: i64,
    pub skipped: i64,
    pub merged: i64,
    pub links: i64,
    pub conflicts: i64,
    pub errors: Vec<RowError>,
    pub errors_total: i64,
}

impl Tally {
    pub fn of(job: &Job, total: i64) -> Self {
        Self { total, ..job.noted_progress().unwrap_or_default() }
    }

    fn error(&mut self, row: i64, message: String) {
        self.errors_total += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(RowError { row, message: message.chars().take(300).collect() });
        }
    }

    pub fn result(&self) -> Value {
        json!({"imported": self.imported, "skipped": self.skipped, "merged": self.merged, "links": self.links,
            "conflicts": self.conflicts, "errors": self.errors, "errors_total": self.errors_total})
    }
}

/// Puts in the job that takes an uploaded file in.
pub async fn enqueue(ctx: &Context, user: UserId, payload: ImportPayload) -> Result<Job> {
    let new = super::job(ctx, user, &payload)?;
    Ok(put_in(ctx, user, new, "import", None).await?.0)
}

/// Stores rows, the first of which is number `tally.done + 1`. `false`: this attempt has lost the job.
pub async fn store_rows(
    ctx: &Context,
    job: &Job,
    user: UserId,
    strategy: &str,
    rows: Vec<Result<Row, String>>,
    tally: &mut Tally,
) -> Result<bool> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?.quietly();
    let (mut now_tally, before) = (tally.clone(), tally.imported + tally.merged);
    let mut written = Vec::new();
    for row in rows {
        now_tally.done += 1;
        let number = now_tally.done;
        match row.and_then(|row| row.memory(user, changes.now)) {
            Err(message) => now_tally.error(number, message),
            Ok(memory) => {
                written.extend(store_row(&mut changes, memory, strategy, &mut now_tally, number).await?);
            }
        }
    }
    now_tally.conflicts +=
        compare::ask_about(&mut changes, &written, CONFLICTS - now_tally.conflicts).await?;
    let count = now_tally.imported + now_tally.merged - before;
    if count > 0 {
        changes.event("memory_created", json!({"imported": count, "job_id": job.id})).await?;
    }
    let progress = serde_json::to_value(&now_tally).map_err(Error::internal)?;
    if !extraction::set_progress_in(&mut changes.tx, job.id, job.attempt, &progress).await? {
        return Ok(false);
    }
    changes.commit(ctx).await?;
    *tally = now_tally;
    Ok(true)
}

/// Gives the memory as it is now, if the row changed anything.
async fn store_row(
    changes: &mut Changes,
    memory: Memory,
    strategy: &str,
    tally: &mut Tally,
    row: i64,
) -> Result<Option<Memory>> {
    let user = changes.user;
    let counts = |memory: &Memory| memory.is_active() || memory.status == MemoryStatus::Rejected;
    let mut known = memories::get(&mut changes.tx, user, memory.id).await?;
    if known.is_none() && counts(&memory) {
        known = memories::by_norm(&mut changes.tx, user, &memory.norm).await?.filter(counts);
    }
    changes.next_set();
    let Some(known) = known else {
        changes.insert(&memory, Action::Imported, None).await?;
        tally.imported += 1;
        return Ok(Some(memory));
    };
    if strategy == "skip_duplicates" {
        tally.skipped += 1;
        return Ok(None);
    }
    let after = combine(&known, memory, strategy);
    let twin = memories::by_norm(&mut changes.tx, user, &after.norm)
        .await?
        .filter(|twin| twin.id != known.id && counts(twin));
    if twin.is_some() && counts(&after) {
        tally.error(row, "another memory says exactly this".to_owned());
    } else if after == known {
        tally.skipped += 1;
    } else {
        tally.merged += 1;
        return Ok(Some(changes.update(&known, after, Action::Imported).await?));
    }
    Ok(None)
}

/// What points from one row to another, once all rows are in.
#[derive(Debug, Clone, Deserialize)]
pub struct Relation {
    pub source: String,
    pub target: String,
    #[serde(rename = "type")]
    pub relationship: String,
}

/// Links, and what was merged into what. Those whose ends are not here are left out.
pub async fn store_relations(
    ctx: &Context,
    user: UserId,
    relations: &[Relation],
    merges: &[(String, String)],
    tally: &mut Tally,
) -> Result<()> {
    let mut changes = Changes::open(ctx, user, Actor::User).await?.quietly();
    let now = changes.now;
    for relation in relations {
        let Ok(relationship) = relation.relationship.parse::<Relationship>() else { continue };
        let (source, target) = (local_id(user, &relation.source), local_id(user, &relation.target));
        let both = memories::get_many(&mut changes.tx, user, &[source, target]).await?.len() == 2;
        if both && source != target {
            let link = in_order(source, target, relationship);
            tally.links +=
                i64::from(memory_links::insert(&mut changes.tx, user, &link, Actor::User, now).await?);
        }
    }
    for (from, into) in merges {
        let into = memories::get(&mut changes.tx, user, local_id(user, into)).await?;
        let from = memories::get(&mut changes.tx, user, local_id(user, from)).await?;
        if let (Some(from), Some(into)) = (from, into)
            && from.merged_into.is_none()
        {
            memories::update(&mut changes.tx, &Memory { merged_into: Some(into.id), ..from }).await?;
        }
    }
    changes.commit(ctx).await
}

/// Ends an import and throws the upload away. `None`: this attempt has lost the job.
pub async fn finish(
    ctx: &Context,
    job: &Job,
    user: UserId,
    blob: BlobId,
    tally: &Tally,
) -> Result<Option<Ended>> {
    let result = tally.result();
    let mut tx = ctx.db.begin().await?;
    let Some(settled) = succeed(&mut tx, job, &result).await? else { return Ok(None) };
    store::blobs::delete(&mut tx, user, blob).await?;
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}
