//! Writes all of an account into one ZIP archive of JSON files, which can be fetched for a day.
//!
//! The archive grows part by part into the database: at most one part and one page of rows are in memory.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use rapport_common::{
    Context, Error, Result,
    domain::{
        file::FileStatus,
        ids::{BlobId, ConversationId, JobId, SessionId, UserId, VectorStoreId},
        job::Job,
    },
    jobs::payload::{AccountExportPayload, ExportPayload},
    store::{
        self, analytics, conversations::Conversation, files::Part, projects, requests::Kept, sessions,
        vector_stores::VectorStore,
    },
    usecase::{blobs, files, memory::export, settings},
};
use serde::Serialize;
use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions, write::StreamWriter};

use super::Work;
use crate::{attempt::Attempt, outcome::Outcome};

const PART: usize = 512 * 1_024;
const PAGE: i64 = 200;
/// Bytes of files that an archive holds: it is kept in the database.
const FILES: i64 = 64 << 20;

impl Work for AccountExportPayload {
    async fn run(self, attempt: &mut Attempt<'_>) -> Result<Outcome> {
        let result = write(attempt.ctx, attempt.job, attempt.user()?).await?;
        Ok(attempt.succeed(result).await)
    }
}

/// What the archive has written and the database does not have yet.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Vec<u8>>>);

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Archive<'a> {
    ctx: &'a Context,
    user: UserId,
    blob: BlobId,
    zip: ZipWriter<StreamWriter<Waiting>>,
    waiting: Waiting,
    parts: i64,
    bytes: usize,
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(error)
}

impl Archive<'_> {
    fn begin(&mut self, name: &str) -> Result<()> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.zip.start_file(name, options).map_err(failed)
    }

    /// One line of the open file.
    async fn line(&mut self, row: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(row).map_err(failed)?;
        text.push(b'\n');
        self.bytes(&text).await
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.zip.write_all(bytes).map_err(failed)?;
        self.store(PART).await
    }

    /// Stores what waits, if it is at least so much.
    async fn store(&mut self, least: usize) -> Result<()> {
        let held = {
            let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < least.max(1) {
                return Ok(());
            }
            std::mem::take(&mut *waiting)
        };
        blobs::add(self.ctx, self.user, self.blob, self.parts, &held).await?;
        self.parts += 1;
        self.bytes += held.len();
        Ok(())
    }
}

async fn write(ctx: &Context, job: &Job, user: UserId) -> Result<Value> {
    let waiting = Waiting::default();
    let zip = ZipWriter::new_stream(waiting.clone());
    // An attempt after a crash writes the same parts again.
    let mut archive = Archive { ctx, user, blob: BlobId(job.id.0), zip, waiting, parts: 0, bytes: 0 };
    small_files(ctx, user, &mut archive).await?;
    conversations(ctx, user, &mut archive).await?;
    responses(ctx, user, &mut archive).await?;
    conversations_of_v1(ctx, user, &mut archive).await?;
    sent_files(ctx, user, &mut archive).await?;
    vector_stores(ctx, user, &mut archive).await?;
    archive.begin("memories.json")?;
    let spec =
        ExportPayload { format: "json".to_owned(), include_relationships: true, ..ExportPayload::default() };
    let mut pieces = std::pin::pin!(export::pieces(ctx.clone(), user, spec));
    while let Some(piece) = pieces.next().await {
        archive.bytes(&piece?).await?;
    }
    let Archive { zip, .. } = &mut archive;
    std::mem::replace(zip, ZipWriter::new_stream(Waiting::default())).finish().map_err(failed)?;
    archive.store(0).await?;
    let download = format!("/api/v1/users/me/exports/{}", job.id);
    Ok(json!({"download": download, "bytes": archive.bytes, "parts": archive.parts}))
}

async fn small_files(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    let mut conn = ctx.db.read().await?;
    let account = store::users::get(&mut conn, user).await?;
    let settings = settings::get(&mut conn, user).await?;
    let keys = store::keys::list(&mut conn, user).await?;
    let hooks = store::webhooks::list(&mut conn, user).await?;
    let usage = analytics::usage(&mut conn, user, "").await?;
    let audit = store::audit::list(&mut conn, None, Some(user), None, 10_000).await?;
    let (all, _) = projects::list(&mut conn, user, None, 10_000, 0).await?;
    drop(conn);
    archive.begin("account.json")?;
    archive.line(&account).await?;
    archive.begin("settings.json")?;
    archive.line(&settings).await?;
    archive.begin("api_keys.json")?;
    archive.line(&keys).await?;
    archive.begin("webhooks.json")?;
    archive.line(&hooks).await?;
    archive.begin("usage.json")?;
    archive.line(&usage).await?;
    archive.begin("security_events.json")?;
    archive.line(&audit).await?;
    archive.begin("projects.jsonl")?;
    for project in all {
        let mut conn = ctx.db.read().await?;
        let mut prompts = Vec::new();
        for prompt in projects::prompts(&mut conn, user, project.id).await? {
            let versions = projects::versions(&mut conn, user, prompt.id).await?;
            prompts.push(json!({"prompt": prompt, "versions": versions}));
        }
        let tools = store::http_tools::list(&mut conn, user, project.id).await?;
        drop(conn);
        archive.line(&json!({"project": project, "prompts": prompts, "tools": tools})).await?;
    }
    Ok(())
}

async fn conversations(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    archive.begin("conversations.jsonl")?;
    let filter = sessions::Filter { status: "all".to_owned(), project: None, q: None };
    let mut part = sessions::Part::first(PAGE);
    loop {
        let (page, _) = sessions::list(&mut ctx.db.read().await?, user, &filter, &part).await?;
        let Some(last) = page.last() else { return Ok(()) };
        part.after = Some((last.is_pinned, last.updated_at, last.id));
        for session in &page {
            archive.line(&json!({"session": session})).await?;
            messages(ctx, user, session.id, archive).await?;
        }
    }
}

/// What was stored by `/v1/responses`.
async fn responses(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    archive.begin("responses.jsonl")?;
    let mut after = JobId(Default::default());
    loop {
        let page = store::requests::page(&mut ctx.db.read().await?, user, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.job.id;
        for Kept { job, body, previous } in page {
            let line = json!({
                "job_id": job.id, "previous": previous, "status": job.status, "input": body["input"],
                "chosen": body["shown"], "result": job.result, "error": job.error, "created_at": job.created_at,
            });
            archive.line(&line).await?;
        }
    }
}

/// What was put together by `/v1/conversations`.
async fn conversations_of_v1(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    archive.begin("v1_conversations.jsonl")?;
    let mut after = ConversationId(Default::default());
    loop {
        let page = store::conversations::page(&mut ctx.db.read().await?, user, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for Conversation { id, metadata, created_at } in page {
            let items = store::conversations::items(&mut ctx.db.read().await?, user, id).await?;
            let line = json!({"id": id, "metadata": metadata, "items": items, "created_at": created_at});
            archive.line(&line).await?;
        }
    }
}

/// What is known of each file, and the files themselves up to [`FILES`] bytes in all: the rest is only named.
async fn sent_files(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    let (mut before, mut left, mut whole) = (None, FILES, Vec::new());
    archive.begin("files.jsonl")?;
    loop {
        let mut conn = ctx.db.read().await?;
        let (page, _) = store::files::list(&mut conn, user, None, before, PAGE, 0).await?;
        drop(conn);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for file in page {
            let is_here = file.bytes <= left;
            let line = json!({
                "id": file.id, "name": file.name, "kind": file.kind, "bytes": file.bytes, "sha256": file.sha256, "status": file.status,
                "purpose": file.purpose, "error": file.error, "created_at": file.created_at, "in_archive": is_here,
            });
            archive.line(&line).await?;
            if is_here {
                left -= file.bytes;
                whole.push(file);
            }
        }
    }
    for file in whole {
        archive.begin(&format!("files/{}/{}", file.id, file.name))?;
        let mut parts = std::pin::pin!(files::content(ctx, &file, 0..file.bytes as u64));
        while let Some(part) = parts.next().await {
            archive.bytes(&part?).await?;
        }
    }
    Ok(())
}

/// What was put together by `/v1/vector_stores`.
async fn vector_stores(ctx: &Context, user: UserId, archive: &mut Archive<'_>) -> Result<()> {
    let (mut after, mut all) = (None, Vec::new());
    archive.begin("vector_stores.jsonl")?;
    loop {
        let mut conn = ctx.db.read().await?;
        let part = Part { ascending: true, after, limit: PAGE };
        let page = store::vector_stores::list(&mut conn, user, part).await?;
        drop(conn);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for VectorStore { id, name, metadata, created_at, updated_at } in page {
            let batches = store::vector_stores::batches(&mut ctx.db.read().await?, user, id).await?;
            let batches: Vec<Value> = batches
                .into_iter()
                .map(|batch| {
                    json!({"id": batch.id, "files": batch.files(), "cancelled": batch.cancelled, "created_at": batch.created_at})
                })
                .collect();
            let line = json!({"id": id, "name": name, "metadata": metadata, "created_at": created_at, "updated_at": updated_at, "batches": batches});
            archive.line(&line).await?;
            all.push(id);
        }
    }
    archive.begin("vector_store_files.jsonl")?;
    for id in all {
        files_of_store(ctx, user, id, archive).await?;
    }
    Ok(())
}

async fn files_of_store(
    ctx: &Context,
    user: UserId,
    store: VectorStoreId,
    archive: &mut Archive<'_>,
) -> Result<()> {
    let mut after = None;
    loop {
        let mut conn = ctx.db.read().await?;
        let part = Part { ascending: true, after, limit: PAGE };
        let page =
            store::vector_stores::members(&mut conn, user, store, (&FileStatus::ALL, None), part).await?;
        drop(conn);
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.file.id);
        for member in page {
            let line = json!({
                "vector_store_id": store, "file_id": member.file.id, "attributes": member.attributes, "added_at": member.added_at,
            });
            archive.line(&line).await?;
        }
    }
}

async fn messages(ctx: &Context, user: UserId, session: SessionId, archive: &mut Archive<'_>) -> Result<()> {
    let mut after = 0;
    loop {
        let mut conn = ctx.db.read().await?;
        let page = store::messages::page(&mut conn, user, session, after, PAGE, 0).await?;
        let (mut messages, Some(last)) = page else { return Ok(()) };
        files::images::name(&mut conn, user, &mut messages).await?;
        drop(conn);
        for message in messages {
            archive.line(&json!({"session_id": session, "message": message})).await?;
        }
        after = last;
    }
}
