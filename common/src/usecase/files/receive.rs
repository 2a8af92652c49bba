//! Bytes that arrive: kept a part at a time, in a row that is there before the first of them. So memory stays flat, a request
//! that breaks off is gone on with, and no byte is ever nobody's: what nobody goes on with is swept.
//!
//! A file is there when all of it is: its row, its job and the end of its upload are one transaction.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::ingest;
use crate::{
    Context, Error, Result,
    auth::random_token,
    clock,
    domain::{
        file::{File, FileStatus, clean_name},
        ids::{FileId, UploadId, UserId},
    },
    error::{Code, Wrong},
    reader::Kind,
    storage::PART,
    store::{
        self, memory_log,
        uploads::{self, Upload},
    },
    telemetry::metrics::METRICS,
};

/// One request's share of an upload.
pub struct Receiver<'a> {
    ctx: &'a Context,
    user: UserId,
    pub upload: Upload,
    hash: Sha256,
    /// What is not stored yet, up to a part.
    held: BytesMut,
    /// A part that was stored before it was whole; it goes when it is stored again.
    tail: Option<String>,
    /// How many bytes there may be in all.
    room: u64,
}

/// A new upload. `length`: how many bytes there are to be, if that is known.
pub async fn begin<'a>(
    ctx: &'a Context,
    user: UserId,
    name: &str,
    length: Option<u64>,
) -> Result<Receiver<'a>> {
    let id = UploadId::new();
    let length = match length {
        Some(0) => return Err(empty()),
        Some(length) if length > ctx.settings.files.max_bytes => return Err(too_large(ctx)),
        length => length.map(|length| i64::try_from(length).unwrap_or(i64::MAX)),
    };
    let upload = Upload {
        id,
        name: clean_name(name),
        kind: None,
        length,
        received: 0,
        place: format!("{}/{}", user.0.simple(), id.0.simple()),
        parts: Vec::new(),
        state: None,
        claim: claim()?,
        file_id: None,
    };
    let mut tx = ctx.db.begin().await?;
    // One after another: two that begin at once must not both see the last room.
    memory_log::take_version(&mut tx, user).await?;
    let left = room(ctx, &mut tx, user, id).await?;
    if length.is_some_and(|length| length as u64 > left) {
        return Err(no_room());
    }
    uploads::insert(&mut tx, user, &upload, clock::now()).await?;
    tx.commit().await?;
    let room = left.min(ctx.settings.files.max_bytes);
    Ok(Receiver { ctx, user, upload, hash: Sha256::new(), held: BytesMut::new(), tail: None, room })
}

/// Goes on with an upload, behind what it has. Whoever was sending it before is cut off.
pub async fn resume<'a>(ctx: &'a Context, user: UserId, id: UploadId, offset: u64) -> Result<Receiver<'a>> {
    let found = uploads::get(&mut ctx.db.read().await?, user, id).await?;
    let mut upload = found.ok_or_else(|| Error::not_found("upload"))?;
    let elsewhere = |received: i64| {
        let detail = format!("The upload goes on at byte {received}: ask for its `Upload-Offset` first.");
        Error::new(Code::WrongState, detail)
    };
    if upload.file_id.is_some() || u64::try_from(upload.received) != Ok(offset) {
        return Err(elsewhere(upload.received));
    }
    let claim = claim()?;
    if !uploads::claim(&mut ctx.db.relaxed().await?, user, &upload, &claim, clock::now()).await? {
        return Err(elsewhere(upload.received));
    }
    upload.claim = claim;
    let hash = match &upload.state {
        Some(state) => restored(state)?,
        None => Sha256::new(),
    };
    let (mut held, mut tail) = (BytesMut::new(), None);
    if !offset.is_multiple_of(PART as u64)
        && let Some(part) = upload.parts.pop()
    {
        held.extend_from_slice(&ctx.storage.get(&upload.place, &part).await?);
        tail = Some(part);
    }
    let room = upload.length.map_or(ctx.settings.files.max_bytes, |length| length as u64);
    Ok(Receiver { ctx, user, upload, hash, held, tail, room })
}

/// Gives an upload up.
pub async fn withdraw(ctx: &Context, user: UserId, id: UploadId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !uploads::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("upload"));
    }
    tx.commit().await?;
    super::clean::of_user(ctx, user).await
}

/// Bytes that a user may still send, one upload left out.
async fn room(ctx: &Context, tx: &mut store::Tx, user: UserId, without: UploadId) -> Result<u64> {
    let limits = &ctx.settings.files;
    let (files, bytes) = store::files::used(tx, user, without).await?;
    if files as u64 >= limits.user_files {
        let detail = format!("You have {files} files, and no more are kept: delete one first.");
        return Err(Error::new(Code::QuotaSpent, detail));
    }
    Ok(limits.user_bytes.saturating_sub(bytes as u64))
}

fn claim() -> Result<String> {
    Ok(random_token()?.chars().filter(char::is_ascii_alphanumeric).take(10).collect())
}

fn restored(state: &[u8]) -> Result<Sha256> {
    let state =
        SerializedState::<Sha256>::try_from(state).map_err(|_| Error::internal("an upload's state"))?;
    Sha256::deserialize(&state).map_err(|_| Error::internal("an upload's state cannot be read"))
}

fn empty() -> Error {
    Error::field("file", Wrong::Unfit("must not be empty"))
}

fn too_large(ctx: &Context) -> Error {
    let most = ctx.settings.files.max_bytes;
    METRICS.files.with_label_values(&["refused"]).inc();
    Error::new(Code::TooLarge, format!("A file holds at most {most} bytes."))
}

fn no_room() -> Error {
    METRICS.files.with_label_values(&["refused"]).inc();
    Error::new(Code::QuotaSpent, "There is no room for this file beside your others: delete some first.")
}

fn unknown() -> Error {
    METRICS.files.with_label_values(&["refused"]).inc();
    let detail = "This is none of the kinds of files that are taken: text, Markdown, HTML, CSV, PDF, DOCX, XLSX, EPUB, PNG, \
                  JPEG, GIF and WebP. What counts is the content, not the name.";
    Error::new(Code::UnsupportedMediaType, detail)
}

impl Receiver<'_> {
    /// How much has come, stored or not.
    fn come(&self) -> u64 {
        let whole = self.upload.parts.len() as u64 * PART as u64;
        whole + self.held.len() as u64
    }

    /// Takes some more.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        if self.come() + bytes.len() as u64 > self.room {
            let declared = self.upload.length.is_some_and(|length| length as u64 == self.room);
            return Err(match declared {
                true => Error::new(Code::TooLarge, "More bytes came than `Upload-Length` said."),
                false if self.room < self.ctx.settings.files.max_bytes => no_room(),
                false => too_large(self.ctx),
            });
        }
        while !bytes.is_empty() {
            let more = bytes.split_to(bytes.len().min(PART - self.held.len()));
            self.hash.update(&more);
            self.held.extend_from_slice(&more);
            if self.held.len() == PART {
                self.store().await?;
            }
        }
        Ok(())
    }

    /// Stores what is held as the next part.
    async fn store(&mut self) -> Result<()> {
        if self.upload.parts.is_empty() && self.upload.kind.is_none() {
            self.upload.kind = Some(Kind::of(&self.held).ok_or_else(unknown)?.as_str().to_owned());
        }
        let (count, is_whole) = (self.held.len(), self.held.len() == PART);
        let part = format!("{:06}-{}-{count:x}", self.upload.parts.len(), self.upload.claim);
        let bytes = self.held.split().freeze();
        self.ctx.storage.put(&self.upload.place, &part, bytes.clone()).await?;
        self.upload.received = (self.upload.parts.len() * PART + count) as i64;
        self.upload.parts.push(part.clone());
        self.upload.state = Some(self.hash.serialize().to_vec());
        let mut conn = self.ctx.db.relaxed().await?;
        if !uploads::advance(&mut conn, self.user, &self.upload, clock::now()).await? {
            self.ctx.storage.delete(&self.upload.place, &part).await?;
            return Err(Error::new(Code::WrongState, "Another request goes on with this upload."));
        }
        drop(conn);
        METRICS.file_bytes.with_label_values(&["in"]).inc_by(count as u64);
        if let Some(tail) = self.tail.take() {
            self.ctx.storage.delete(&self.upload.place, &tail).await?;
        }
        if !is_whole {
            // More may come in this request, or in the next one.
            self.tail = self.upload.parts.pop();
            self.held.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Keeps what has come of a request that broke off, or that is not the last one.
    pub async fn keep(&mut self) -> Result<()> {
        if self.come() == self.upload.received as u64 { Ok(()) } else { self.store().await }
    }

    /// Whether all has come that was declared.
    pub fn is_whole(&self) -> bool {
        self.upload.length.is_some_and(|length| length == self.upload.received)
    }

    /// Makes the file. `true`: the user has this content already, and that file is given.
    pub async fn finish(&mut self) -> Result<(File, bool)> {
        self.keep().await?;
        self.upload.parts.extend(self.tail.take());
        if self.upload.received == 0 {
            return Err(empty());
        }
        let kind = self.upload.kind.as_deref().and_then(Kind::from_name).ok_or_else(unknown)?;
        let mut sha256 = String::new();
        for byte in self.hash.clone().finalize() {
            // Writing to a text does not fail.
            let _written = write!(sha256, "{byte:02x}");
        }
        let now = clock::now();
        let file = File {
            id: FileId::new(),
            name: self.upload.name.clone(),
            kind: kind.as_str().to_owned(),
            bytes: self.upload.received,
            sha256,
            place: self.upload.place.clone(),
            parts: self.upload.parts.clone(),
            status: if kind.has_text() { FileStatus::Queued } else { FileStatus::Stored },
            error: None,
            job_id: None,
            generation: None,
            pages: None,
            chunks: 0,
            words: 0,
            created_at: now,
            updated_at: now,
        };
        self.commit(file).await
    }

    async fn commit(&self, mut file: File) -> Result<(File, bool)> {
        let (ctx, user) = (self.ctx, self.user);
        let job = (file.status == FileStatus::Queued).then(|| ingest::job(ctx, user, file.id)).transpose()?;
        let job_id = job.as_ref().map(|job| job.id);
        let mut tx = ctx.db.begin().await?;
        memory_log::take_version(&mut tx, user).await?;
        if let Some(known) = store::files::by_content(&mut tx, user, &file.sha256).await? {
            if !uploads::became(&mut tx, user, &self.upload, known.id, file.created_at).await? {
                return Err(Error::new(Code::WrongState, "Another request goes on with this upload."));
            }
            uploads::discard(&mut tx, user, &file.place).await?;
            tx.commit().await?;
            METRICS.files.with_label_values(&["known"]).inc();
            if let Err(error) = super::clean::of_user(ctx, user).await {
                tracing::warn!(%error, "bytes that were known already go with the next sweep");
            }
            return Ok((known, true));
        }
        if room(ctx, &mut tx, user, self.upload.id).await? < file.bytes as u64 {
            return Err(no_room());
        }
        let ready = match job {
            Some(job) => store::jobs::enqueue(&mut tx, job).await?,
            None => None,
        };
        file.job_id = job_id;
        let stored = store::files::insert(&mut tx, user, &file).await?;
        if !stored || !uploads::became(&mut tx, user, &self.upload, file.id, file.created_at).await? {
            return Err(Error::new(Code::WrongState, "Another request goes on with this upload."));
        }
        tx.commit().await?;
        METRICS.files.with_label_values(&["taken"]).inc();
        ctx.announce(ready).await;
        Ok((file, false))
    }
}
