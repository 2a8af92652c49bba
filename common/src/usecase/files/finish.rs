//! The end of an upload: its last part, its row's end, the file and the job that reads it. The rows are one transaction.

use std::fmt::Write as _;

use super::{
    clean, ingest,
    part::NewPart,
    receive::{no_room, room},
};
use crate::{
    Context, Error, Result, clock,
    domain::{
        file::{File, FileStatus},
        ids::{FileId, UserId},
    },
    error::Code,
    reader::Kind,
    store::{
        self, memory_log,
        uploads::{self, Upload},
    },
    telemetry::metrics::METRICS,
};

/// The file that an upload becomes.
pub fn file_of(upload: &Upload, kind: Kind, hash: &[u8]) -> File {
    let mut sha256 = String::new();
    for byte in hash {
        // Writing to a text does not fail.
        let _written = write!(sha256, "{byte:02x}");
    }
    let now = clock::now();
    File {
        id: FileId::new(),
        name: upload.name.clone(),
        kind: kind.as_str().to_owned(),
        bytes: upload.received,
        sha256,
        place: upload.place.clone(),
        parts: upload.parts.clone(),
        status: if kind.has_text() { FileStatus::Queued } else { FileStatus::Stored },
        error: None,
        job_id: None,
        generation: None,
        pages: None,
        chunks: 0,
        words: 0,
        purpose: None,
        created_at: now,
        updated_at: now,
    }
}

/// Stores the last part and makes the file. `true`: the user has this content already, and that file is given.
pub async fn make(
    ctx: Context,
    user: UserId,
    upload: Upload,
    file: File,
    last: Option<NewPart>,
) -> Result<(File, bool)> {
    let place = file.place.clone();
    let commit = commit(&ctx, user, &upload, file);
    let (file, is_known) = match last {
        Some(last) => last.store(&ctx, &place, commit).await?,
        None => commit.await?,
    };
    METRICS.files.with_label_values(&[if is_known { "known" } else { "taken" }]).inc();
    let cleaned = match is_known {
        true => clean::of_user(&ctx, user).await,
        // Parts that requests before this one left.
        false => ctx.storage.keep_only(&place, &file.parts).await,
    };
    if let Err(error) = cleaned {
        tracing::warn!(%error, "bytes that no file needs stay for now");
    }
    Ok((file, is_known))
}

async fn commit(ctx: &Context, user: UserId, upload: &Upload, mut file: File) -> Result<(File, bool)> {
    let job = (file.status == FileStatus::Queued).then(|| ingest::job(ctx, user, file.id)).transpose()?;
    let job_id = job.as_ref().map(|job| job.id);
    let mut tx = ctx.db.begin().await?;
    // Whoever deletes a file takes it too: known content is there until this is over.
    memory_log::take_version(&mut tx, user).await?;
    if let Some(mut known) = store::files::by_content(&mut tx, user, &file.sha256).await? {
        if let Some(purpose) = file.purpose.take() {
            store::files::set_purpose(&mut tx, user, known.id, &purpose).await?;
            known.purpose = Some(purpose);
        }
        became(&mut tx, user, upload, known.id).await?;
        uploads::discard(&mut tx, user, &file.place).await?;
        tx.commit().await?;
        return Ok((known, true));
    }
    if room(ctx, &mut tx, user, upload.id).await? < file.bytes as u64 {
        return Err(no_room());
    }
    let ready = match job {
        Some(job) => store::jobs::enqueue(&mut tx, job).await?,
        None => None,
    };
    file.job_id = job_id;
    if !store::files::insert(&mut tx, user, &file).await? {
        return Err(another());
    }
    became(&mut tx, user, upload, file.id).await?;
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok((file, false))
}

pub(super) fn another() -> Error {
    Error::new(Code::WrongState, "Another request goes on with this upload.")
}

async fn became(tx: &mut store::Tx, user: UserId, upload: &Upload, file: FileId) -> Result<()> {
    if uploads::became(tx, user, upload, file, clock::now()).await? { Ok(()) } else { Err(another()) }
}
