//! Bytes that arrive: kept a part at a time, in a row that is there before the first of them. So memory stays flat, a request
//! that breaks off is gone on with, and no byte is ever nobody's: what nobody goes on with is swept.
//!
//! A file is there when all of it is: its row, its job and the end of its upload are one transaction.

use std::{any::Any, sync::Arc};

use bytes::{Bytes, BytesMut};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use super::{finish, part::NewPart};
use crate::{
    Context, Error, Result,
    auth::random_token,
    clock,
    domain::{
        file::{File, clean_name},
        ids::{UploadId, UserId},
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

/// Given up when the last byte of a request is out of memory.
pub type Place = Arc<dyn Any + Send + Sync>;

/// One request's share of an upload.
pub struct Receiver {
    ctx: Context,
    user: UserId,
    pub upload: Upload,
    hash: Sha256,
    /// What is not stored as a whole part yet. With what an earlier request left of one, once bytes of this one have come.
    held: BytesMut,
    /// A part that was stored before it was whole; it goes when it is stored again.
    tail: Option<String>,
    /// Whether `held` lacks what an earlier request left.
    is_behind: bool,
    /// What its caller may have for as long as a part is in memory, also when the request is over before it is stored.
    place: Place,
    /// How many bytes there may be in all.
    room: u64,
    /// What for, if its sender says so.
    pub purpose: Option<String>,
}

/// A new upload. `length`: how many bytes there are to be, if that is known.
pub async fn begin(ctx: &Context, user: UserId, name: &str, length: Option<u64>) -> Result<Receiver> {
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
    Ok(Receiver::new(ctx, user, upload, Sha256::new(), room))
}

/// Goes on with an upload, behind what it has. Whoever was sending it before is cut off.
pub async fn resume(ctx: &Context, user: UserId, id: UploadId, offset: u64) -> Result<Receiver> {
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
    let room = upload.length.map_or(ctx.settings.files.max_bytes, |length| length as u64);
    let mut receiver = Receiver::new(ctx, user, upload, hash, room);
    if !offset.is_multiple_of(PART as u64) {
        receiver.tail = receiver.upload.parts.pop();
        receiver.is_behind = receiver.tail.is_some();
    }
    Ok(receiver)
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
pub(super) async fn room(ctx: &Context, tx: &mut store::Tx, user: UserId, without: UploadId) -> Result<u64> {
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

pub(super) fn no_room() -> Error {
    METRICS.files.with_label_values(&["refused"]).inc();
    Error::new(Code::QuotaSpent, "There is no room for this file beside your others: delete some first.")
}

fn unknown() -> Error {
    METRICS.files.with_label_values(&["refused"]).inc();
    let detail = "This is none of the kinds of files that are taken: text, Markdown, HTML, CSV, PDF, DOCX, XLSX, EPUB, PNG, \
                  JPEG, GIF and WebP. What counts is the content, not the name.";
    Error::new(Code::UnsupportedMediaType, detail)
}

impl Receiver {
    fn new(ctx: &Context, user: UserId, upload: Upload, hash: Sha256, room: u64) -> Self {
        let (ctx, held) = (ctx.clone(), BytesMut::new());
        let (place, purpose) = (Arc::new(()) as Place, None);
        Self { ctx, user, upload, hash, held, tail: None, is_behind: false, place, room, purpose }
    }

    pub fn holding(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// How much has come, stored or not.
    fn come(&self) -> u64 {
        if self.is_behind {
            return self.upload.received as u64;
        }
        self.upload.parts.len() as u64 * PART as u64 + self.held.len() as u64
    }

    /// Has what an earlier request left. Not before it is needed: a request that sends nothing holds nothing.
    async fn catch_up(&mut self) -> Result<()> {
        if self.is_behind
            && let Some(tail) = &self.tail
        {
            self.held.extend_from_slice(&self.ctx.storage.get(&self.upload.place, tail).await?);
            self.is_behind = false;
        }
        Ok(())
    }

    /// Takes some more.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        if self.come() + bytes.len() as u64 > self.room {
            let declared = self.upload.length.is_some_and(|length| length as u64 == self.room);
            return Err(match declared {
                true => Error::new(Code::TooLarge, "More bytes came than `Upload-Length` said."),
                false if self.room < self.ctx.settings.files.max_bytes => no_room(),
                false => too_large(&self.ctx),
            });
        }
        if !bytes.is_empty() {
            self.catch_up().await?;
        }
        while !bytes.is_empty() {
            // Not before more comes: the last part belongs into the transaction that makes the file.
            if self.held.len() == PART {
                self.store().await?;
            }
            let more = bytes.split_to(bytes.len().min(PART - self.held.len()));
            self.hash.update(&more);
            self.held.extend_from_slice(&more);
        }
        Ok(())
    }

    /// What it is, by its first part or by all of it: fewer bytes may look like something else.
    async fn decide_kind(&mut self) -> Result<()> {
        if self.upload.kind.is_some() || !self.upload.parts.is_empty() {
            return Ok(());
        }
        let Some(kind) = Kind::of(&self.held) else {
            // It can never become a file: nothing of it waits, nor takes room.
            if let Err(error) = withdraw(&self.ctx, self.user, self.upload.id).await {
                tracing::debug!(%error, "a refused upload is swept later");
            }
            return Err(unknown());
        };
        self.upload.kind = Some(kind.as_str().to_owned());
        Ok(())
    }

    /// What is held, as the next part.
    fn next_part(&mut self) -> NewPart {
        let (number, count) = (self.upload.parts.len(), self.held.len());
        let part = format!("{number:06}-{}-{count:x}", self.upload.claim);
        self.upload.received = (number * PART + count) as i64;
        self.upload.parts.push(part.clone());
        NewPart { part, bytes: self.held.split().freeze(), instead_of: self.tail.take() }
    }

    /// Stores what is held as the next part.
    async fn store(&mut self) -> Result<()> {
        let is_whole = self.held.len() == PART;
        if is_whole {
            self.decide_kind().await?;
        }
        let new = self.next_part();
        let bytes = new.bytes.clone();
        self.upload.state = Some(self.hash.serialize().to_vec());
        let (ctx, user, upload) = (self.ctx.clone(), self.user, self.upload.clone());
        let stored = async move { new.store(&ctx, &upload.place, noted(&ctx, user, &upload)).await };
        whatever_becomes_of_the_request(self.place.clone(), stored).await?;
        if !is_whole {
            // More may come in the next request.
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
        self.upload.length.is_some_and(|length| length as u64 == self.come())
    }

    /// Makes the file. `true`: the user has this content already, and that file is given.
    pub async fn finish(mut self) -> Result<(File, bool)> {
        self.catch_up().await?;
        if self.come() == 0 {
            return Err(empty());
        }
        self.decide_kind().await?;
        let has_new = self.come() > self.upload.received as u64;
        let last = has_new.then(|| self.next_part());
        self.upload.parts.extend(self.tail.take());
        let kind = self.upload.kind.as_deref().and_then(Kind::from_name).ok_or_else(unknown)?;
        let mut file = finish::file_of(&self.upload, kind, &self.hash.finalize());
        file.purpose = self.purpose.take();
        let made = finish::make(self.ctx, self.user, self.upload, file, last);
        whatever_becomes_of_the_request(self.place, made).await
    }
}

/// Does something to its end though its request is cut off: a part that landed after its upload was given up, and its bytes were
/// deleted, would be nobody's.
async fn whatever_becomes_of_the_request<T: Send + 'static>(
    place: Place,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = async move {
        let done = work.await;
        drop(place);
        done
    };
    tokio::spawn(work).await.map_err(|error| Error::internal("a part of a file").because(error))?
}

async fn noted(ctx: &Context, user: UserId, upload: &Upload) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if upload.length.is_none() {
        // What was declared has its room. Of the others, several may come at once.
        memory_log::take_version(&mut tx, user).await?;
        if room(ctx, &mut tx, user, upload.id).await? < upload.received as u64 {
            return Err(no_room());
        }
    }
    if !uploads::advance(&mut tx, user, upload, clock::now()).await? {
        return Err(finish::another());
    }
    tx.commit().await
}
