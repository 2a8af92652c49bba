//! Vector stores of OpenAI's API: sets of a user's files that are searched together.

pub mod search;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    repeat::{Repeatable, repeated},
    send_request::check_storable,
};
use crate::{
    Context, Error, Result, clock,
    domain::ids::{BatchId, FileId, UserId, VectorStoreId},
    error::{Code, Wrong},
    store::{
        self, Querier, Tx, memory_log,
        vector_stores::{self, Batch, Member, VectorStore},
    },
};

/// Files that are put in at once, at most.
pub const AT_ONCE: usize = 500;
/// Stores that a user has, at most.
const STORES: i64 = 1_000;

fn not_found() -> Error {
    Error::not_found("vector store")
}

fn no_file() -> Error {
    Error::not_found("file in this vector store")
}

pub async fn get(q: &mut impl Querier, user: UserId, id: VectorStoreId) -> Result<VectorStore> {
    vector_stores::some(q, user, &[id]).await?.pop().ok_or_else(not_found)
}

pub async fn member(q: &mut impl Querier, user: UserId, id: VectorStoreId, file: FileId) -> Result<Member> {
    vector_stores::member(q, user, id, file).await?.ok_or_else(no_file)
}

/// Takes the store's row. The user's comes first: whoever deletes a file takes that too, before the rows that name it.
async fn take(tx: &mut Tx, user: UserId, id: VectorStoreId) -> Result<()> {
    memory_log::take_version(tx, user).await?;
    match vector_stores::change(tx, user, id, (None, None), clock::now()).await? {
        true => Ok(()),
        false => Err(not_found()),
    }
}

/// Puts files in. All of them must be there, and the user's.
async fn put(
    tx: &mut Tx,
    user: UserId,
    id: VectorStoreId,
    files: &[(FileId, Value)],
    now: DateTime<Utc>,
) -> Result<()> {
    let different: HashSet<FileId> = files.iter().map(|(file, _)| *file).collect();
    if different.len() < files.len() {
        return Err(Error::field("file_ids", Wrong::GivenTwice));
    }
    if vector_stores::add(tx, user, id, files, now).await? < files.len() as u64 {
        return Err(Error::not_found("file"));
    }
    Ok(())
}

/// Makes a store. `true`: it was made before, by the same request.
pub async fn create(
    ctx: &Context,
    user: UserId,
    (name, metadata): (String, Value),
    files: &[(FileId, Value)],
    repeatable: Option<&Repeatable>,
) -> Result<(VectorStore, bool)> {
    check_storable(&metadata, "metadata")?;
    let now = clock::now();
    let made = VectorStore { id: VectorStoreId::new(), name, metadata, created_at: now, updated_at: now };
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, user, "vector_store", repeatable, made.id).await? {
        return Ok((get(&mut tx, user, first).await?, true));
    }
    memory_log::take_version(&mut tx, user).await?;
    if vector_stores::count(&mut tx, user).await? >= STORES {
        let detail = format!("You have {STORES} vector stores. Delete one first.");
        return Err(Error::new(Code::QuotaSpent, detail));
    }
    vector_stores::insert(&mut tx, user, &made).await?;
    put(&mut tx, user, made.id, files, now).await?;
    tx.commit().await?;
    Ok((made, false))
}

/// Changes what is given.
pub async fn change(
    ctx: &Context,
    user: UserId,
    id: VectorStoreId,
    name: Option<&str>,
    metadata: Option<&Value>,
) -> Result<VectorStore> {
    if let Some(metadata) = metadata {
        check_storable(metadata, "metadata")?;
    }
    let mut tx = ctx.db.begin().await?;
    if !vector_stores::change(&mut tx, user, id, (name, metadata), clock::now()).await? {
        return Err(not_found());
    }
    let changed = get(&mut tx, user, id).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Deletes a store. Its files stay.
pub async fn delete(ctx: &Context, user: UserId, id: VectorStoreId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    take(&mut tx, user, id).await?;
    vector_stores::delete(&mut tx, user, id).await?;
    tx.commit().await
}

/// Puts one file in.
pub async fn add(
    ctx: &Context,
    user: UserId,
    id: VectorStoreId,
    file: FileId,
    attributes: Value,
) -> Result<Member> {
    let mut tx = ctx.db.begin().await?;
    take(&mut tx, user, id).await?;
    put(&mut tx, user, id, &[(file, attributes)], clock::now()).await?;
    let added = member(&mut tx, user, id, file).await?;
    tx.commit().await?;
    Ok(added)
}

/// Puts several in, and notes that they came together. `true`: the same request did it before.
pub async fn add_batch(
    ctx: &Context,
    user: UserId,
    id: VectorStoreId,
    files: &[(FileId, Value)],
    repeatable: Option<&Repeatable>,
) -> Result<(Batch, bool)> {
    let (batch, now) = (BatchId::new(), clock::now());
    let ids: Vec<FileId> = files.iter().map(|(file, _)| *file).collect();
    let mut tx = ctx.db.begin().await?;
    let operation = format!("file_batch {id}");
    if let Some(first) = repeated(ctx, &mut tx, user, &operation, repeatable, batch).await? {
        return Ok((self::batch(&mut tx, user, id, first).await?, true));
    }
    take(&mut tx, user, id).await?;
    put(&mut tx, user, id, files, now).await?;
    // At the same moment: by this it is known which files came with it.
    vector_stores::insert_batch(&mut tx, user, id, (batch, &ids), now).await?;
    let added = self::batch(&mut tx, user, id, batch).await?;
    tx.commit().await?;
    Ok((added, false))
}

pub async fn batch(q: &mut impl Querier, user: UserId, id: VectorStoreId, batch: BatchId) -> Result<Batch> {
    let found = vector_stores::batch(q, user, id, batch).await?;
    found.ok_or_else(|| Error::not_found("batch in this vector store"))
}

/// Takes the files of a batch out that are not read yet: reading them goes on, since others may want them.
pub async fn cancel_batch(ctx: &Context, user: UserId, id: VectorStoreId, batch: BatchId) -> Result<Batch> {
    let mut tx = ctx.db.begin().await?;
    take(&mut tx, user, id).await?;
    let found = self::batch(&mut tx, user, id, batch).await?;
    store::vector_stores::cancel_batch(&mut tx, user, id, &found).await?;
    let cancelled = self::batch(&mut tx, user, id, batch).await?;
    tx.commit().await?;
    Ok(cancelled)
}

pub async fn set_attributes(
    ctx: &Context,
    user: UserId,
    id: VectorStoreId,
    file: FileId,
    attributes: &Value,
) -> Result<Member> {
    let mut tx = ctx.db.begin().await?;
    take(&mut tx, user, id).await?;
    vector_stores::set_attributes(&mut tx, user, id, file, attributes).await?;
    let changed = member(&mut tx, user, id, file).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Takes a file out. It stays the user's.
pub async fn remove(ctx: &Context, user: UserId, id: VectorStoreId, file: FileId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    take(&mut tx, user, id).await?;
    if !vector_stores::remove(&mut tx, user, id, file).await? {
        return Err(no_file());
    }
    tx.commit().await
}
