//! Vector stores of OpenAI's API: sets of files, each file with attributes, and the batches in which files were put into them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::{
    db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, ids, row, statements},
    files::{Part, file_columns},
};
use crate::domain::{
    file::{File, FileStatus},
    ids::{BatchId, FileId, UserId, VectorStoreId},
};

/// Batches that a store keeps: who made an older one has long seen its end.
pub const BATCHES: i64 = 100;

macro_rules! store {
    () => {
        "select id, name, metadata, created_at, updated_at from vector_stores where user_id = $1"
    };
}

/// The files of store $1, of some states $3, and only some of them if $4 is given.
macro_rules! members {
    () => {
        concat!(
            "select l.attributes, l.added_at, ",
            file_columns!(),
            " from vector_store_files l join files f on f.id = l.file_id and ",
            checked!("f.user_id = l.user_id"),
            " where l.vector_store_id = $1 and l.user_id = $2"
        )
    };
}

statements! {
    INSERT = "insert into vector_stores (id, user_id, name, metadata, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)";
    FORWARD = store!(), " and ($2 is null or id > $2) order by id limit $3";
    BACKWARD = store!(), " and ($2 is null or id < $2) order by id desc limit $3";
    COUNT = "select count(*) from vector_stores where user_id = $1";
    SOME = store!(), " and id in ", ids!(2);
    /// Whoever changes what is in it takes its row first.
    CHANGE = "update vector_stores set name = coalesce($3, name), metadata = coalesce($4, metadata), updated_at = $5
    where id = $1 and user_id = $2";
    DELETE = "delete from vector_stores where id = $1 and user_id = $2";
    COUNTS = "select l.vector_store_id, f.status, count(*), cast(sum(f.bytes) as bigint) from vector_store_files l
    join files f on f.id = l.file_id where ", checked!("l.user_id = $1"), " and l.vector_store_id ",
        pg!("= any(array", ids!(2), ")"), lite!("in ", ids!(2)), " group by l.vector_store_id, f.status";
    ADD = "insert into vector_store_files (vector_store_id, file_id, user_id, attributes, added_at)
    select $1, f.id, f.user_id, t.attributes, $4 from ", rows!(3, t, file uuid, attributes jsonb), " join files f on f.id = t.file
    where f.user_id = $2 on conflict (vector_store_id, file_id) do update set attributes =
        case when excluded.attributes = '{}' then vector_store_files.attributes else excluded.attributes end";
    MEMBERS = "select count(*) from vector_store_files where user_id = $1";
    STATES = "select f.status, count(*) from vector_store_files l join files f on f.id = l.file_id and ", checked!("f.user_id = l.user_id"), "
    where l.vector_store_id = $1 and ", checked!("l.user_id = $2"), " and l.file_id in ", ids!(3), " group by f.status";
    MEMBER = members!(), " and l.file_id = $3";
    /// In the order of ids, which are those of the files' ages: a cursor is good also when its file is out of the store since.
    AHEAD = members!(), " and f.status in ", texts!(3), " and ($4 is null or f.id in ", ids!(4), ")
    and ($5 is null or l.file_id > $5) order by l.file_id limit $6";
    BACK = members!(), " and f.status in ", texts!(3), " and ($4 is null or f.id in ", ids!(4), ")
    and ($5 is null or l.file_id < $5) order by l.file_id desc limit $6";
    /// Those with passages of several stores.
    SEARCHED = "select l.attributes, l.added_at, ", file_columns!(), " from vector_store_files l join files f on f.id = l.file_id
    where ", checked!("l.user_id = $1"), " and ", checked!("f.user_id = $1"), " and l.vector_store_id in ", ids!(2), " and f.generation is not null order by l.added_at, l.file_id limit 10000";
    SET_ATTRIBUTES = "update vector_store_files set attributes = $4 where vector_store_id = $1 and user_id = $2 and file_id = $3";
    REMOVE = "delete from vector_store_files where vector_store_id = $1 and user_id = $2 and file_id = $3";
    /// Those that came with a batch, and that nobody can find yet.
    REMOVE_UNREAD = "delete from vector_store_files where vector_store_id = $1 and ", checked!("user_id = $2"), " and file_id in ", ids!(3), "
    and added_at = (select created_at from vector_store_batches where id = $4 and vector_store_id = $1)
    and file_id in (select id from files where ", checked!("user_id = $2"), " and status in ('queued', 'reading') and generation is null)";
    INSERT_BATCH = "insert into vector_store_batches (id, vector_store_id, user_id, file_ids, created_at) values ($1, $2, $3, $4, $5)";
    /// Not of the last day: whoever sends a request again is told of its batch.
    PRUNE_BATCHES = "delete from vector_store_batches where vector_store_id = $1 and user_id = $2 and created_at < $4 and id not in
        (select id from vector_store_batches where vector_store_id = $1 order by id desc limit $3)";
    BATCH = "select id, file_ids, cancelled, created_at from vector_store_batches
    where vector_store_id = $1 and user_id = $2 and id = $3";
    BATCHES_OF = "select id, file_ids, cancelled, created_at from vector_store_batches
    where vector_store_id = $1 and user_id = $2 order by id";
    CANCEL_BATCH = "update vector_store_batches set cancelled = true where vector_store_id = $1 and user_id = $2 and id = $3";
}

#[derive(Debug, Clone)]
pub struct VectorStore {
    pub id: VectorStoreId,
    pub name: String,
    pub metadata: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

row!(VectorStore: id, name, metadata as json, created_at, updated_at);

pub async fn insert(tx: &mut Tx, user: UserId, store: &VectorStore) -> Result<(), sqlx::Error> {
    let VectorStore { id, name, metadata, created_at, .. } = store;
    execute!(tx, INSERT, id, user, name, Json(metadata), created_at).map(drop)
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    part: Part<VectorStoreId>,
) -> Result<Vec<VectorStore>, sqlx::Error> {
    let Part { ascending, after, limit } = part;
    let sql = if ascending { FORWARD } else { BACKWARD };
    fetch_all!(VectorStore, q, sql, user, after, limit)
}

pub async fn count(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, user)?.0)
}

/// Those of the user's among them.
pub async fn some(
    q: &mut impl Querier,
    user: UserId,
    which: &[VectorStoreId],
) -> Result<Vec<VectorStore>, sqlx::Error> {
    fetch_all!(VectorStore, q, SOME, user, ids(which.iter().copied()))
}

/// Takes its row, and changes what is given. `false`: there is no such store.
pub async fn change(
    tx: &mut Tx,
    user: UserId,
    id: VectorStoreId,
    (name, metadata): (Option<&str>, Option<&Value>),
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, CHANGE, id, user, name, metadata.map(Json), now)? == 1)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: VectorStoreId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// How many files of a state a store has, and their bytes.
pub type Count = (FileStatus, i64, i64);

pub async fn counts(
    q: &mut impl Querier,
    user: UserId,
    which: &[VectorStoreId],
) -> Result<HashMap<VectorStoreId, Vec<Count>>, sqlx::Error> {
    let rows =
        fetch_all!((VectorStoreId, FileStatus, i64, i64), q, COUNTS, user, ids(which.iter().copied()))?;
    let mut counts: HashMap<VectorStoreId, Vec<Count>> = HashMap::new();
    for (store, status, files, bytes) in rows {
        counts.entry(store).or_default().push((status, files, bytes));
    }
    Ok(counts)
}

/// A file in a store.
#[derive(Debug, Clone)]
pub struct Member {
    pub file: File,
    pub attributes: Value,
    pub added_at: DateTime<Utc>,
}

row!(Member: file as flat, attributes as json, added_at);

/// Puts files in, each with its attributes; what is in already gets these attributes, or keeps its own if there are none now. How many of them are the user's.
pub async fn add(
    tx: &mut Tx,
    user: UserId,
    store: VectorStoreId,
    files: &[(FileId, Value)],
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let rows: Vec<Value> = files
        .iter()
        .map(|(file, attributes)| json!({"file": file.0.simple().to_string(), "attributes": attributes}))
        .collect();
    execute!(tx, ADD, store, user, Json(rows), now)
}

/// How many files all stores of a user have, one in two stores twice.
pub async fn count_members(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, MEMBERS, user)?.0)
}

/// Those of a batch that are in the store, by state.
pub async fn states(
    q: &mut impl Querier,
    user: UserId,
    store: VectorStoreId,
    batch: &Batch,
) -> Result<Vec<(FileStatus, i64)>, sqlx::Error> {
    fetch_all!((FileStatus, i64), q, STATES, store, user, ids(batch.files()))
}

pub async fn member(
    q: &mut impl Querier,
    user: UserId,
    store: VectorStoreId,
    file: FileId,
) -> Result<Option<Member>, sqlx::Error> {
    fetch_optional!(Member, q, MEMBER, store, user, file)
}

/// Files of a store that are in one of these states; only some of them, if those are named.
pub async fn members(
    q: &mut impl Querier,
    user: UserId,
    store: VectorStoreId,
    (states, among): (&[FileStatus], Option<&[FileId]>),
    part: Part<FileId>,
) -> Result<Vec<Member>, sqlx::Error> {
    let Part { ascending, after, limit } = part;
    let sql = if ascending { AHEAD } else { BACK };
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let among = among.map(|among| ids(among.iter().copied()));
    fetch_all!(Member, q, sql, store, user, Json(states), among, after, limit)
}

/// Files with passages of several stores; one that is in two of them is there twice.
pub async fn searched(
    q: &mut impl Querier,
    user: UserId,
    stores: &[VectorStoreId],
) -> Result<Vec<Member>, sqlx::Error> {
    fetch_all!(Member, q, SEARCHED, user, ids(stores.iter().copied()))
}

pub async fn set_attributes(
    tx: &mut Tx,
    user: UserId,
    store: VectorStoreId,
    file: FileId,
    attributes: &Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, SET_ATTRIBUTES, store, user, file, Json(attributes))? == 1)
}

/// Takes a file out. It stays the user's.
pub async fn remove(
    tx: &mut Tx,
    user: UserId,
    store: VectorStoreId,
    file: FileId,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, REMOVE, store, user, file)? == 1)
}

#[derive(Debug, Clone)]
pub struct Batch {
    pub id: BatchId,
    /// As [`ids`] writes them.
    file_ids: Vec<uuid::Uuid>,
    pub cancelled: bool,
    pub created_at: DateTime<Utc>,
}

row!(Batch: id, file_ids as json, cancelled, created_at);

impl Batch {
    pub fn files(&self) -> Vec<FileId> {
        self.file_ids.iter().copied().map(FileId).collect()
    }
}

/// Those that a store still knows, the oldest first.
pub async fn batches(
    q: &mut impl Querier,
    user: UserId,
    store: VectorStoreId,
) -> Result<Vec<Batch>, sqlx::Error> {
    fetch_all!(Batch, q, BATCHES_OF, store, user)
}

/// Notes which files were put in at once, and forgets all but the newest of such notes.
pub async fn insert_batch(
    tx: &mut Tx,
    user: UserId,
    store: VectorStoreId,
    (batch, files): (BatchId, &[FileId]),
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    execute!(tx, INSERT_BATCH, batch, store, user, ids(files.iter().copied()), now)?;
    execute!(tx, PRUNE_BATCHES, store, user, BATCHES, now - TimeDelta::days(1)).map(drop)
}

pub async fn batch(
    q: &mut impl Querier,
    user: UserId,
    store: VectorStoreId,
    id: BatchId,
) -> Result<Option<Batch>, sqlx::Error> {
    fetch_optional!(Batch, q, BATCH, store, user, id)
}

/// Takes the files out that came with a batch and are not read yet. What was in the store before, and what can be found already, stays.
pub async fn cancel_batch(
    tx: &mut Tx,
    user: UserId,
    store: VectorStoreId,
    batch: &Batch,
) -> Result<(), sqlx::Error> {
    if execute!(tx, REMOVE_UNREAD, store, user, ids(batch.files()), batch.id)? > 0 {
        execute!(tx, CANCEL_BATCH, store, user, batch.id)?;
    }
    Ok(())
}
