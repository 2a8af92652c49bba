//! Bodies that are files, kept as they arrive.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use rapport_common::{
    Context, Error,
    domain::{
        file::File,
        ids::{UploadId, UserId},
    },
    error::{Code, Wrong},
    usecase::files::{self, Receiver},
};

use crate::{
    error::Result,
    extract::{drain, unreadable},
    state::AppState,
};

/// Bytes of a form around its file.
const AROUND: u64 = 256 * 1_024;
/// A form is read in pieces of so many, whatever the connection gives at once.
const PIECE: usize = 16 * 1_024;

/// An upload that ends with its request, whichever way that ends.
struct Passing<'a> {
    ctx: &'a Context,
    user: UserId,
    id: UploadId,
    is_done: bool,
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (ctx, user, id) = (self.ctx.clone(), self.user, self.id);
        tokio::spawn(async move {
            if let Err(error) = files::withdraw(&ctx, user, id).await {
                tracing::debug!(%error, "an upload that broke off is swept later");
            }
        });
    }
}

/// The other fields of a form with a file, in their order: a name and a text. Another file has no text.
pub type Fields = Vec<(String, Vec<u8>)>;

/// Reads the fields of a form before its file is kept: what for, or why it is not taken.
pub type Reader = fn(Fields) -> Result<Option<String>, Error>;

/// The fields of our own form: they say nothing.
pub fn any(_: Fields) -> Result<Option<String>, Error> {
    Ok(None)
}

/// A whole file in one request. `true`: the user has its content already.
pub async fn whole(
    state: &AppState,
    user: UserId,
    name: Option<String>,
    headers: &HeaderMap,
    request: Request,
    reader: Reader,
) -> Result<(File, bool)> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let declared: Option<u64> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let mut body = Box::pin(request.into_body().into_data_stream().map(|chunk| chunk.map_err(unreadable)));
    let ctx = &state.ctx;
    let taken = match state.receiving.take(user).await {
        Ok(place) if kind.to_lowercase().starts_with("multipart/") => {
            form(ctx, user, (&kind, declared), &mut body, (Arc::new(place), reader)).await
        }
        Ok(place) => {
            let name = name.as_deref().unwrap_or("file");
            raw(ctx, user, name, declared, &mut body, Arc::new(place)).await
        }
        Err(error) => Err(error.into()),
    };
    if taken.is_err() {
        drain(body).await;
    }
    taken
}

fn too_large(ctx: &Context) -> Error {
    Error::new(Code::TooLarge, format!("A file holds at most {} bytes.", ctx.settings.files.max_bytes))
}

async fn raw(
    ctx: &Context,
    user: UserId,
    name: &str,
    declared: Option<u64>,
    body: &mut (impl Stream<Item = Result<Bytes, Error>> + Unpin),
    place: files::Place,
) -> Result<(File, bool)> {
    let mut receiver = files::begin(ctx, user, name, declared).await?.holding(place);
    let mut passing = Passing { ctx, user, id: receiver.upload.id, is_done: false };
    take(&mut receiver, body).await?;
    let made = receiver.finish().await?;
    passing.is_done = true;
    Ok(made)
}

/// All of a body, or of a form's part.
pub async fn take<E: Into<Error>>(
    receiver: &mut Receiver,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<(), Error> {
    while let Some(chunk) = body.next().await {
        receiver.write(chunk.map_err(Into::into)?).await?;
    }
    Ok(())
}

fn broken(error: multer::Error) -> Error {
    Error::new(Code::Malformed, "The form could not be read to its end.").because(error)
}

async fn form(
    ctx: &Context,
    user: UserId,
    (kind, declared): (&str, Option<u64>),
    body: &mut (impl Stream<Item = Result<Bytes, Error>> + Unpin + Send),
    (place, reader): (files::Place, Reader),
) -> Result<(File, bool)> {
    if declared.is_some_and(|length| length > ctx.settings.files.max_bytes.saturating_add(AROUND)) {
        return Err(too_large(ctx).into());
    }
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| Error::new(Code::Malformed, "The form's `Content-Type` names no boundary."))?;
    let bounds = Bounds::new(ctx.settings.files.max_bytes.saturating_add(AROUND));
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(1);
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let mut form = multer::Multipart::new(stream, boundary);
    let (feed, read) = (feed(body, sender, &bounds), async {
        let made = file_of(ctx, user, &mut form, &bounds, (place, reader)).await;
        // Whoever feeds it waits for room in it.
        drop(form);
        made
    });
    futures::join!(feed, read).1
}

/// Gives a form what comes, until its file has come or it was refused.
async fn feed(
    body: &mut (impl Stream<Item = Result<Bytes, Error>> + Unpin + Send),
    sender: tokio::sync::mpsc::Sender<std::io::Result<Bytes>>,
    bounds: &Bounds,
) {
    while let Some(chunk) = body.next().await {
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                let _left = sender.send(Err(std::io::Error::other(error))).await;
                return;
            }
        };
        while !chunk.is_empty() {
            let piece = bounds.admit(chunk.split_to(chunk.len().min(PIECE)));
            let is_over = piece.is_err();
            if sender.send(piece).await.is_err() || is_over {
                return;
            }
        }
    }
}

/// What a form may hold: in all, and of bytes that are not its file's. The library keeps all of those while it looks for a boundary, or
/// for the end of a part's headers: so they are counted before it has them.
struct Bounds {
    left: AtomicU64,
    outside: AtomicU64,
    is_in_file: AtomicBool,
}

impl Bounds {
    fn new(most: u64) -> Self {
        Self { left: most.into(), outside: AROUND.into(), is_in_file: false.into() }
    }

    /// What was read ahead of a file's beginning or end counts as outside, too.
    fn admit(&self, piece: Bytes) -> std::io::Result<Bytes> {
        let take = |from: &AtomicU64| {
            let left = from.load(Ordering::Relaxed).checked_sub(piece.len() as u64);
            left.map(|left| from.store(left, Ordering::Relaxed))
        };
        let fits = take(&self.left).is_some()
            && (self.is_in_file.load(Ordering::Relaxed) || take(&self.outside).is_some());
        if fits { Ok(piece) } else { Err(std::io::Error::other("more than a file")) }
    }

    fn enter_file(&self) {
        self.is_in_file.store(true, Ordering::Relaxed);
    }

    fn leave_file(&self) {
        self.is_in_file.store(false, Ordering::Relaxed);
        self.outside.store(AROUND, Ordering::Relaxed);
    }
}

/// A field beside the file. It is bounded by what may stand around a file.
async fn small(mut field: multer::Field<'_>) -> Result<(String, Vec<u8>)> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
    }
    Ok((name, bytes))
}

/// The one file of a form: what has a file's name, or is called `file`.
async fn file_of(
    ctx: &Context,
    user: UserId,
    form: &mut multer::Multipart<'_>,
    bounds: &Bounds,
    (place, reader): (files::Place, Reader),
) -> Result<(File, bool)> {
    let mut fields = Fields::new();
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.file_name().map(str::to_owned);
        if name.is_none() && field.name() != Some("file") {
            fields.push(small(field).await?);
            continue;
        }
        let receiver = files::begin(ctx, user, name.as_deref().unwrap_or("file"), None).await?;
        let mut receiver = receiver.holding(place);
        let mut passing = Passing { ctx, user, id: receiver.upload.id, is_done: false };
        bounds.enter_file();
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            receiver.write(chunk).await?;
        }
        drop(field);
        bounds.leave_file();
        // A file that breaks off must not pass for a whole one.
        while let Some(field) = form.next_field().await.map_err(broken)? {
            if field.file_name().is_some() {
                return Err(Error::field("file", Wrong::Unfit("must be the only file of the form")).into());
            }
            fields.push(small(field).await?);
        }
        receiver.purpose = reader(fields)?;
        let made = receiver.finish().await?;
        passing.is_done = true;
        return Ok(made);
    }
    reader(fields)?;
    Err(Error::field("file", Wrong::Required).into())
}
