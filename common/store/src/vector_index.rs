//! What an index of vectors outside the database has of ours, and what it lacks.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    db::{Conn, Querier, execute, fetch_all, fetch_one, ids, row, statements},
    terms::{Corpus, of},
    vectors::{of_chunks, of_memories, of_messages},
};
use crate::domain::ids::UserId;

statements! {
    DELETIONS = "select doc_id, model from vector_deletions limit $1";
    /// Held as long as the connection; 2 keeps it apart from other users of advisory locks.
    REINDEX_ALONE = pg!("select pg_try_advisory_lock(hashtextextended('reindex', 2))");
    FORGET_DELETION = "delete from vector_deletions where doc_id = $1 and model = $2";
}

/// A vector for the index outside.
#[derive(Debug, Clone)]
pub struct Point {
    pub doc_id: Uuid,
    pub user_id: UserId,
    pub vector: Vec<u8>,
    pub version: i64,
    pub kind: String,
    pub status: String,
    pub importance: f64,
}

row!(Point: doc_id, user_id, vector, version, kind, status, importance);

/// What the index outside does not have as it is here. Of one user, or of all.
pub async fn unindexed(
    q: &mut impl Querier,
    corpus: Corpus,
    model: &str,
    user: Option<UserId>,
    limit: i64,
) -> Result<Vec<Point>, sqlx::Error> {
    fetch_all!(Point, q, of!(corpus, UNINDEXED), model, user, limit)
}

/// Notes that the index outside has these, as they were at `version`.
pub async fn mark_indexed(
    conn: &mut Conn,
    user: UserId,
    corpus: Corpus,
    docs: &[Uuid],
    version: i64,
) -> Result<(), sqlx::Error> {
    execute!(conn, of!(corpus, MARK_INDEXED), true, version, user, ids(docs.iter().copied())).map(drop)
}

/// All vectors in the order of their documents, over all users: for `rapport reindex`.
pub async fn page(
    q: &mut impl Querier,
    corpus: Corpus,
    model: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Point>, sqlx::Error> {
    fetch_all!(Point, q, of!(corpus, PAGE), model, after, limit)
}

/// Certain documents' vectors, over all users: for `rapport reindex`.
pub async fn points(
    q: &mut impl Querier,
    corpus: Corpus,
    model: &str,
    docs: &[Uuid],
) -> Result<Vec<Point>, sqlx::Error> {
    fetch_all!(Point, q, of!(corpus, POINTS), model, ids(docs.iter().copied()))
}

/// The version that each of these has by now; those that are gone are left out.
pub async fn versions(
    q: &mut impl Querier,
    corpus: Corpus,
    model: &str,
    docs: &[Uuid],
) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    fetch_all!((Uuid, i64), q, of!(corpus, VERSIONS), model, ids(docs.iter().copied()))
}

/// Whether this is the only reindex, for as long as the connection lives. PostgreSQL's alone.
pub async fn reindex_alone(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query_as::<_, (bool,)>(REINDEX_ALONE.pg()).fetch_one(connection).await?.0)
}

pub async fn count(q: &mut impl Querier, corpus: Corpus, model: &str) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, of!(corpus, COUNT), model)?.0)
}

/// Has everything indexed again.
pub async fn unindex_all(conn: &mut Conn, corpus: Corpus, model: &str) -> Result<u64, sqlx::Error> {
    execute!(conn, of!(corpus, UNINDEX_ALL), false, model)
}

/// Which of these documents have a vector of this model.
pub async fn present(
    q: &mut impl Querier,
    corpus: Corpus,
    model: &str,
    docs: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    Ok(fetch_all!((Uuid,), q, of!(corpus, PRESENT), model, ids(docs.iter().copied()))?
        .into_iter()
        .map(|row| row.0)
        .collect())
}

/// (document, model) that must go from the index outside.
pub async fn deletions(q: &mut impl Querier, limit: i64) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    fetch_all!((Uuid, String), q, DELETIONS, limit)
}

pub async fn forget_deletion(conn: &mut Conn, doc: Uuid, model: &str) -> Result<(), sqlx::Error> {
    execute!(conn, FORGET_DELETION, doc, model).map(drop)
}
