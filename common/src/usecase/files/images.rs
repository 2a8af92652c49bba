//! Images in prompts: which may come with a message, what a conversation shows of them later, and their bytes for a model.

use std::{collections::HashMap, time::Duration};

use data_encoding::BASE64;
use futures::TryStreamExt;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{content, media_type};
use crate::{
    Context, Result,
    domain::{
        file::File,
        ids::{FileId, UserId},
        message::{Image, Message},
        prompt::{ChatMessage, Role, image_file, image_part, text_part},
    },
    error::{Error, Wrong},
    problems::Problems,
    reader::Kind,
    store::{self, Querier},
};

/// Images of one message.
pub const MOST: usize = 8;
/// Images of one prompt: of more than twenty, Anthropic wants each to be small.
pub const MOST_OF_PROMPT: usize = 20;
/// Bytes of one. What providers bound is the base64 text (Anthropic: 5 MiB of it), which is a third longer.
const BYTES: i64 = 5 * 1_048_576 / 4 * 3;
/// Bytes of one prompt's: 16 MiB in base64, which leaves room in the 20 MB that Gemini takes of everything.
const BYTES_OF_PROMPT: i64 = 16 * 1_048_576 / 4 * 3;

/// Bytes of all prompts of this process, in base64. Who needs more waits until others have their answers.
const BYTES_OF_ALL: usize = 256 * 1_048_576;
/// A permit is for so many of them.
const PERMIT: usize = 1_024;
/// After that the job waits in the queue.
const FOR_ROOM: Duration = Duration::from_secs(5);
static ROOM_OF_ALL: Semaphore = Semaphore::const_new(BYTES_OF_ALL / PERMIT);

/// In place of images that a model is not shown.
const GONE: &str = "[An image that came with this message was deleted since.]";
const NONE: &str = "[An image that came with this message is none that can be shown.]";
const UNREAD: &str = "[An image that came with this message cannot be read now.]";
const LEFT_OUT: &str = "[An image that came with this message is left out: there are too many.]";

fn is_image(file: &File) -> bool {
    Kind::from_name(&file.kind).is_some_and(Kind::is_image)
}

/// Notes what is no image of the user's, or too large for a model. `named` says where each id stands.
pub async fn check(
    q: &mut impl Querier,
    user: UserId,
    named: &[(String, FileId)],
    problems: &mut Problems,
) -> Result<()> {
    let files = by_id(q, user, named.iter().map(|(_, id)| *id).collect()).await?;
    let mut sum = 0;
    for (field, id) in named {
        let wrong = match files.get(id) {
            None => Some("is no file of yours"),
            Some(file) if !is_image(file) => Some("is no image: PNG, JPEG, GIF or WebP"),
            Some(file) if file.bytes > BYTES => Some("has more than the 3.75 MiB that models take"),
            Some(file) => {
                sum += file.bytes;
                (sum > BYTES_OF_PROMPT).then_some("makes them more than the 12 MiB that models take at once")
            }
        };
        if let Some(why) = wrong {
            problems.add(field.as_str(), Wrong::Unfit(why));
        }
    }
    Ok(())
}

/// Those of the user's images that are there. No query for none.
async fn by_id(q: &mut impl Querier, user: UserId, mut ids: Vec<FileId>) -> Result<HashMap<FileId, File>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    ids.sort_unstable();
    ids.dedup();
    let found = store::files::named(q, user, &ids).await?;
    Ok(found.into_iter().map(|file| (file.id, file)).collect())
}

/// Of a message's images those that are still there.
pub async fn still_there(q: &mut impl Querier, user: UserId, images: &[Image]) -> Result<Vec<FileId>> {
    let ids: Vec<FileId> = images.iter().map(|image| image.file_id).collect();
    let found = by_id(q, user, ids.clone()).await?;
    Ok(ids.into_iter().filter(|id| found.contains_key(id)).collect())
}

/// Puts in what the images of messages are called now, and are. Those that are gone stay without a name.
pub async fn name(q: &mut impl Querier, user: UserId, messages: &mut [Message]) -> Result<()> {
    let ids = messages.iter().flat_map(|message| message.details.images.iter().map(|image| image.file_id));
    let found = by_id(q, user, ids.collect()).await?;
    for image in messages.iter_mut().flat_map(|message| &mut message.details.images) {
        if let Some(file) = found.get(&image.file_id) {
            image.name = Some(file.name.clone());
            image.media_type = Some(media_type(file).to_owned());
        }
    }
    Ok(())
}

/// Puts the bytes of images in where messages name them: the newest first, as far as models take them, and no more than `most` beside
/// those of the question. What is not shown is said to be missing. What comes back keeps their room in this process' memory.
pub async fn fill(
    ctx: &Context,
    user: UserId,
    messages: &mut [ChatMessage],
    most: usize,
) -> Result<Option<SemaphorePermit<'static>>> {
    let named = messages.iter().flat_map(|message| message.parts.iter().flatten().filter_map(image_file));
    let ids: Vec<FileId> = named.collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let files = by_id(&mut ctx.db.read().await?, user, ids).await?;
    let question = messages.iter().rposition(|message| message.role == Role::User);
    let asked = question.map_or(0, |at| messages[at].images());
    let mut room = Room { images: most.max(asked).min(MOST_OF_PROMPT), bytes: BYTES_OF_PROMPT };
    leave_out(messages, &files, &mut room);
    let held = hold(BYTES_OF_PROMPT - room.bytes.max(0)).await?;
    for (at, message) in messages.iter_mut().enumerate() {
        for part in message.parts.iter_mut().flatten() {
            let Some(file) = image_file(part).and_then(|id| files.get(&id)) else { continue };
            *part = match shown(ctx, user, file, &part["detail"]).await {
                Ok(part) => part,
                Err(error) if question == Some(at) => return Err(error),
                // What was said since must not wait for it.
                Err(error) => {
                    tracing::warn!(%error, file = %file.id, "an earlier image cannot be read");
                    text_part(UNREAD)
                }
            };
        }
        message.join_texts();
    }
    // Who holds room keeps its place, and gives neither up alone: so nobody waits for what another who waits has.
    Ok(held.filter(|_| messages.iter().any(|message| message.images() > 0)))
}

/// Says of what is gone, and of what there is no room for, that it is missing. The newest come first.
fn leave_out(messages: &mut [ChatMessage], files: &HashMap<FileId, File>, room: &mut Room) {
    for part in messages.iter_mut().rev().flat_map(|message| message.parts.iter_mut().flatten()) {
        let Some(id) = image_file(part) else { continue };
        match files.get(&id) {
            None => *part = text_part(GONE),
            Some(file) if !room.take(file) => *part = text_part(LEFT_OUT),
            Some(_) => {}
        }
    }
}

/// Waits for room in this process for so many bytes of files. Not for long: whoever waits keeps a place from others.
async fn hold(bytes: i64) -> Result<Option<SemaphorePermit<'static>>> {
    let permits = (bytes.max(0) as usize).div_ceil(3) * 4 / PERMIT;
    let permits = permits.clamp(1, BYTES_OF_ALL / PERMIT) as u32;
    let held = tokio::time::timeout(FOR_ROOM, ROOM_OF_ALL.acquire_many(permits)).await;
    let held = held.map_err(|late| Error::unavailable("room for images in this process", late))?;
    held.map(Some).map_err(Error::internal)
}

/// What of a prompt is left for images.
struct Room {
    images: usize,
    bytes: i64,
}

impl Room {
    /// `false`: there is none for this one, nor for any before it.
    fn take(&mut self, file: &File) -> bool {
        let fits = self.images > 0 && file.bytes <= self.bytes && file.bytes <= BYTES;
        (self.images, self.bytes) =
            if fits { (self.images - 1, self.bytes - file.bytes) } else { (0, self.bytes) };
        fits
    }
}

/// A file as a model is shown it. What it is tell its bytes, once more.
async fn shown(ctx: &Context, user: UserId, file: &File, detail: &Value) -> Result<Value> {
    let read: Result<Vec<bytes::Bytes>> = content(ctx, file, 0..file.bytes as u64).try_collect().await;
    let bytes = match read {
        Ok(parts) => parts.concat(),
        // Deleted in between, its bytes go right after its row. Else it is the store that is away.
        Err(error) => {
            let found = store::files::get(&mut ctx.db.read().await?, user, file.id).await?;
            return if found.is_none() { Ok(text_part(GONE)) } else { Err(error) };
        }
    };
    Ok(match Kind::of(&bytes).filter(|kind| kind.is_image()) {
        Some(kind) => {
            let url = format!("data:{};base64,{}", kind.media_type(), BASE64.encode(&bytes));
            image_part(&url, detail)
        }
        None => text_part(NONE),
    })
}
