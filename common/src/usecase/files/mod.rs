//! Files that users send: taken in, read, named by conversations and projects, searched, deleted.

mod attach;
mod clean;
mod finish;
pub mod images;
pub mod ingest;
mod part;
mod receive;
pub mod search;
pub mod sources;

pub use attach::{of_project, of_session, set_of_project, set_of_session};
pub use clean::{Round, clean, erase};
pub use receive::{Place, Receiver, begin, resume, withdraw};

use futures::Stream;

use crate::{
    Context, Error, Result, clock,
    domain::{
        file::{File, FileStatus, clean_name},
        ids::{FileId, UserId},
    },
    error::{Code, Wrong},
    reader::Kind,
    storage::PART,
    store::{self, Querier},
    telemetry::metrics::METRICS,
};

pub async fn get(q: &mut impl Querier, user: UserId, id: FileId) -> Result<File> {
    store::files::get(q, user, id).await?.ok_or_else(|| Error::not_found("file"))
}

pub async fn rename(ctx: &Context, user: UserId, id: FileId, name: &str) -> Result<File> {
    if name.trim().is_empty() {
        return Err(Error::field("name", Wrong::Unfit("must not be empty")));
    }
    let mut tx = ctx.db.begin().await?;
    if !store::files::rename(&mut tx, user, id, &clean_name(name), clock::now()).await? {
        return Err(Error::not_found("file"));
    }
    let file = get(&mut tx, user, id).await?;
    tx.commit().await?;
    Ok(file)
}

/// Deletes a file. Nobody finds it from the commit on; its passages and bytes go right after, or with the next sweep.
pub async fn delete(ctx: &Context, user: UserId, id: FileId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    // Before the rows that name the file: who sets those of a conversation takes it too.
    store::memory_log::take_version(&mut tx, user).await?;
    if !store::files::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("file"));
    }
    tx.commit().await?;
    METRICS.files.with_label_values(&["deleted"]).inc();
    if let Err(error) = clean::of_user(ctx, user).await {
        tracing::warn!(%error, "what is left of a deleted file goes with the next sweep");
    }
    Ok(())
}

/// Has a file read again: one that could not be read, or one that was read by an older version.
pub async fn retry(ctx: &Context, user: UserId, id: FileId) -> Result<File> {
    let new = ingest::job(ctx, user, id)?;
    ctx.depths.admit(new.queue(), ctx.settings.queue.max_depth)?;
    let job = new.id;
    let mut tx = ctx.db.begin().await?;
    let file = get(&mut tx, user, id).await?;
    let ready = store::jobs::enqueue(&mut tx, new).await?;
    if !store::files::queue(&mut tx, user, id, job, clock::now()).await? {
        let why = match file.status {
            FileStatus::Stored => "The file has no text to read.",
            _ => "The file is being read already.",
        };
        return Err(Error::new(Code::WrongState, why));
    }
    let file = get(&mut tx, user, id).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(file)
}

/// The media type of a file, by what it is.
pub fn media_type(file: &File) -> &'static str {
    Kind::from_name(&file.kind).map_or("application/octet-stream", Kind::media_type)
}

/// Bytes of a file from one place to another, a part at a time: what is read holds one in memory.
pub fn content(
    ctx: &Context,
    file: &File,
    range: std::ops::Range<u64>,
) -> impl Stream<Item = Result<bytes::Bytes>> + Send + use<> {
    let (storage, place, parts) = (ctx.storage.clone(), file.place.clone(), file.parts.clone());
    async_stream::try_stream! {
        let part_bytes = PART as u64;
        for (number, part) in parts.iter().enumerate() {
            let begins = number as u64 * part_bytes;
            let (from, to) = (range.start.max(begins), range.end.min(begins + part_bytes));
            if from < to {
                yield storage.range(&place, part, from - begins..to - begins).await?;
            }
        }
    }
}
