//! Passages of files, and the index of their words. Only those of a file's own reading (`generation`) count: a search names the
//! readings that it looks into, so what a reading that died has left is never found.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, ids, row, statements};
use crate::domain::ids::{FileId, PassageId, UserId};

/// The reading that an attempt of a job `j` makes, as `usecase/files/ingest.rs` names it.
macro_rules! reading_of_j {
    () => {
        concat!(
            pg!("replace(cast(j.id as text), '-', '')"),
            lite!("lower(hex(j.id))"),
            " || '-' || cast(j.attempt as text)"
        )
    };
}

statements! {
    INSERT = "insert into chunks (id, user_id, file_id, generation, n, page, heading, start, content)
    select t.id, $1, $2, $3, t.n, t.page, t.heading, t.start, t.content
    from ", rows!(4, t, id uuid, n bigint, page bigint, heading text, start bigint, content text), " where true";
    INSERT_TERMS = "insert into chunk_terms (user_id, term, generation, doc_id, tf, length) select $1, t.term, $2, t.doc, t.tf, t.length
    from ", rows!(3, t, doc uuid, term text, tf int, length int), " where true on conflict do nothing";
    PAGE = "select c.id, c.file_id, c.n, c.page, c.heading, c.start, c.content from chunks c join files f on f.id = c.file_id
        and f.generation = c.generation
    where c.file_id = $1 and c.user_id = $2 and c.n > $3 order by c.n limit $4 offset $5";
    /// Of those that count.
    GET = "select c.id, c.file_id, c.n, c.page, c.heading, c.start, c.content from chunks c join files f on f.id = c.file_id
        and f.generation = c.generation
    where ", checked!("c.user_id = $1"), " and c.id in ", ids!(2);
    /// As memories have them ([`super::terms`]).
    FREQUENCIES = pg!("select t.term, count(*) from jsonb_array_elements_text($2) as q(term) cross join lateral
            (select term from chunk_terms where user_id = $1 and term = q.term and generation ", any_of!(3), " offset 0) t"),
        lite!("select t.term, count(*) from chunk_terms t where t.user_id = $1 and t.term in ", texts!(2),
            " and t.generation in ", texts!(3)), " group by t.term";
    /// Okapi BM25, as memories have it ([`super::terms`]).
    SCORE = "select t.doc_id, ", pg!("sum(q.idf * t.tf * 2.2::float8 / (t.tf + 1.2::float8 * (0.25::float8 + 0.75::float8 * t.length / $3)))
            as score from jsonb_to_recordset($2) as q(term text, idf float8) cross join lateral
            (select doc_id, tf, length from chunk_terms where user_id = $1 and term = q.term and generation ", any_of!(4), " offset 0) t"),
        lite!("sum((q.value ->> 'idf') * t.tf * 2.2 / (t.tf + 1.2 * (0.25 + 0.75 * t.length / $3)))
            as score from json_each($2) q cross join chunk_terms t on t.user_id = $1 and t.term = q.value ->> 'term' and t.generation in ", texts!(4)),
        " group by t.doc_id order by score desc, t.doc_id limit $5";
    DELETE_VECTORS = "delete from chunk_vectors where doc_id in
        (select id from chunks where file_id = $1 and user_id = $2 and generation = $3 order by id limit $4)";
    DELETE = "delete from chunks where id in
        (select id from chunks where file_id = $1 and user_id = $2 and generation = $3 order by id limit $4)";
    /// Neither the file's own, nor of the attempt that reads it now.
    STRAY = "select c.generation from chunks c where c.file_id = $1 and c.user_id = $2
        and not exists (select 1 from files f where f.id = c.file_id and f.user_id = $2 and f.generation = c.generation)
        and not exists (select 1 from files f join jobs j on j.id = f.job_id where f.id = c.file_id and f.user_id = $2
            and j.status = 'running' and c.generation = ", reading_of_j!(), ") limit 1";
    /// From one file's passages to the next one's along the index: what lies between is not read.
    LOOK = "with recursive p(file_id, n) as (
        select (select c.file_id from chunks c where c.file_id > $1 order by c.file_id limit 1), 1
        union all select (select c.file_id from chunks c where c.file_id > p.file_id order by c.file_id limit 1), p.n + 1
            from p where p.file_id is not null and p.n < $2)
    select p.file_id, (select c.user_id from chunks c where c.file_id = p.file_id limit 1) as user_id,
        f.id is null or exists (select 1 from chunks c where c.file_id = p.file_id and c.generation < coalesce(f.generation, ''))
            or exists (select 1 from chunks c where c.file_id = p.file_id and c.generation > coalesce(f.generation, '')) as has_others
    from p left join files f on f.id = p.file_id where p.file_id is not null order by p.file_id";
    COUNT_READING = "select count(*) from chunks where file_id = $1 and user_id = $2 and generation = $3";
    COUNT = "select count(*) from chunks where user_id = $1";
}

/// A passage, as it is found.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub id: PassageId,
    pub file_id: FileId,
    /// Its place in the file, from 0.
    pub n: i64,
    pub page: Option<i64>,
    pub heading: String,
    /// Where it begins in the file's text, in characters.
    pub start: i64,
    pub content: String,
}

row!(Chunk: id, file_id, n, page, heading, start, content);

/// A passage to be stored.
#[derive(Debug)]
pub struct NewChunk {
    pub n: i64,
    pub page: Option<i64>,
    pub heading: String,
    pub start: i64,
    pub content: String,
    /// What it is found by.
    pub terms: HashMap<String, i64>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    n: i64,
    page: Option<i64>,
    heading: &'a str,
    start: i64,
    content: &'a str,
}

/// Stores passages of a reading, with their words.
pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    file: FileId,
    generation: &str,
    new: &[NewChunk],
) -> Result<(), sqlx::Error> {
    let (mut rows, mut terms) = (Vec::new(), Vec::new());
    for chunk in new {
        let id = PassageId::new().0.simple().to_string();
        let length: i64 = chunk.terms.values().sum();
        terms.extend(
            chunk.terms.iter().map(|(term, tf)| json!({"doc": id, "term": term, "tf": tf, "length": length})),
        );
        let NewChunk { n, page, heading, start, content, .. } = chunk;
        rows.push(Row { id, n: *n, page: *page, heading, start: *start, content });
    }
    execute!(tx, INSERT, user, file, generation, Json(rows))?;
    execute!(tx, INSERT_TERMS, user, generation, Json(terms)).map(drop)
}

/// A file's passages in order, after one.
pub async fn page(
    q: &mut impl Querier,
    user: UserId,
    file: FileId,
    after: i64,
    limit: i64,
    skip: i64,
) -> Result<Vec<Chunk>, sqlx::Error> {
    fetch_all!(Chunk, q, PAGE, file, user, after, limit, skip)
}

pub async fn get(q: &mut impl Querier, user: UserId, of: &[Uuid]) -> Result<Vec<Chunk>, sqlx::Error> {
    fetch_all!(Chunk, q, GET, user, ids(of.iter().copied()))
}

/// How many passages of these readings hold each term.
pub async fn frequencies(
    q: &mut impl Querier,
    user: UserId,
    terms: &[&str],
    generations: &[&str],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let found = fetch_all!((String, i64), q, FREQUENCIES, user, Json(terms), Json(generations))?;
    Ok(found.into_iter().collect())
}

/// The best passages of these readings by BM25, with `weights` as the terms' inverse document frequencies.
pub async fn score(
    q: &mut impl Querier,
    user: UserId,
    (weights, mean_length): (&[(String, f64)], f64),
    generations: &[&str],
    limit: i64,
) -> Result<Vec<(Uuid, f64)>, sqlx::Error> {
    let weights: Vec<_> = weights.iter().map(|(term, idf)| json!({"term": term, "idf": idf})).collect();
    fetch_all!((Uuid, f64), q, SCORE, user, Json(weights), mean_length.max(1.0), Json(generations), limit)
}

/// A reading of a file that is neither its own nor under way, and that left passages.
pub async fn stray(q: &mut impl Querier, user: UserId, file: FileId) -> Result<Option<String>, sqlx::Error> {
    Ok(fetch_optional!((String,), q, STRAY, file, user)?.map(|row| row.0))
}

/// A file that there are passages of.
pub struct Looked {
    pub file_id: FileId,
    pub user_id: UserId,
    /// Whether there are others than its own: of a reading that is under way, or strays.
    pub has_others: bool,
}

row!(Looked: file_id, user_id, has_others);

/// Files that there are passages of, in order, after one. For the sweep, over all users.
pub async fn look(
    q: &mut impl Querier,
    after: Option<FileId>,
    limit: i64,
) -> Result<Vec<Looked>, sqlx::Error> {
    fetch_all!(Looked, q, LOOK, after.unwrap_or(FileId(Uuid::nil())), limit)
}

/// How many passages a reading has stored.
pub async fn count_reading(
    q: &mut impl Querier,
    user: UserId,
    file: FileId,
    generation: &str,
) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT_READING, file, user, generation)?.0)
}

/// Deletes passages of a reading, with their words and vectors: at most `limit`.
pub async fn delete(
    tx: &mut Tx,
    user: UserId,
    file: FileId,
    generation: &str,
    limit: i64,
) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE_VECTORS, file, user, generation, limit)?;
    execute!(tx, DELETE, file, user, generation, limit).map(drop)
}

pub async fn count(q: &mut impl Querier, user: UserId) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT, user)?.0)
}
