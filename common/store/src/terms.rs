//! The words of memories: an inverted index of a row a word. Those of messages, of which there are many more, are in `words`.

use std::collections::HashMap;

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, statements};
use crate::domain::ids::UserId;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Corpus {
    Memories,
    Messages,
    /// Passages of files.
    Chunks,
}

impl Corpus {
    pub const ALL: [Corpus; 3] = [Corpus::Memories, Corpus::Messages, Corpus::Chunks];

    pub fn as_str(self) -> &'static str {
        match self {
            Corpus::Memories => "memories",
            Corpus::Messages => "messages",
            Corpus::Chunks => "chunks",
        }
    }
}

statements! {
    INSERT = "insert into memory_terms (user_id, term, doc_id, tf, length) select $1, t.term, $2, t.tf, $3
        from ", rows!(4, t, term text, tf int), " where true on conflict do nothing";
    DELETE = "delete from memory_terms where doc_id = $1 and user_id = $2";
    /// Term by term along the index: not knowing whose they are, PostgreSQL takes all terms of a user for few, and would read them.
    FREQUENCIES = pg!("select t.term, count(*) from jsonb_array_elements_text($2) as q(term) cross join lateral
            (select term from memory_terms where user_id = $1 and term = q.term offset 0) t"),
        lite!("select t.term, count(*) from memory_terms t where t.user_id = $1 and t.term in ", texts!(2)), " group by t.term";
    /// Okapi BM25, k1 1.2, b 0.75; $2 terms with their weights, $3 mean length, $4 how many. Each in the form that its planner
    /// goes along the index with.
    SCORE = "select t.doc_id, ", pg!("sum(q.idf * t.tf * 2.2::float8 / (t.tf + 1.2::float8 * (0.25::float8 + 0.75::float8 * t.length / $3)))
            as score from jsonb_to_recordset($2) as q(term text, idf float8) cross join lateral
            (select doc_id, tf, length from memory_terms where user_id = $1 and term = q.term offset 0) t"),
        lite!("sum((q.value ->> 'idf') * t.tf * 2.2 / (t.tf + 1.2 * (0.25 + 0.75 * t.length / $3)))
            as score from json_each($2) q cross join memory_terms t on t.user_id = $1 and t.term = q.value ->> 'term'"),
        " group by t.doc_id order by score desc, t.doc_id limit $4";
    /// At most $3 memories for each term: a common one must cost no more than a rare one. SQLite has no lateral joins.
    HOLDERS = pg!("select q.term, t.doc_id from jsonb_array_elements_text($2) as q(term) cross join lateral
            (select doc_id from memory_terms where user_id = $1 and term = q.term limit $3) t"),
        lite!("select q.value, unhex(d.value) from json_each($2) q, json_each((select json_group_array(hex(s.doc_id)) from
            (select t.doc_id from memory_terms t where t.user_id = $1 and t.term = q.value limit $3) s)) d");
    /// Long memories have more postings: the harmonic mean over a sample of those is the mean over memories.
    SIZE = "select (select count(*) from memories where user_id = $1),
        (select cast(1.0 / avg(1.0 / s.length) as double precision) from (select length from memory_terms where user_id = $1 limit 1000) s)";
}

/// The statement of a corpus, from the module of each.
macro_rules! of {
    ($corpus:expr, $statement:ident) => {
        match $corpus {
            Corpus::Memories => of_memories::$statement,
            Corpus::Messages => of_messages::$statement,
            Corpus::Chunks => of_chunks::$statement,
        }
    };
}
pub(super) use of;

/// Terms as [`insert`] binds them.
fn as_rows(terms: &HashMap<String, i64>) -> serde_json::Value {
    terms.iter().map(|(term, tf)| json!({"term": term, "tf": tf})).collect()
}

/// How many words a memory of these terms counts.
fn length(terms: &HashMap<String, i64>) -> i32 {
    terms.values().sum::<i64>().try_into().unwrap_or(i32::MAX)
}

/// Makes a memory findable by its words, from the moment its transaction commits.
pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    memory: Uuid,
    terms: &HashMap<String, i64>,
) -> Result<(), sqlx::Error> {
    if terms.is_empty() {
        return Ok(());
    }
    execute!(tx, INSERT, user, memory, length(terms), Json(as_rows(terms))).map(drop)
}

pub async fn delete(tx: &mut Tx, user: UserId, memory: Uuid) -> Result<(), sqlx::Error> {
    execute!(tx, DELETE, memory, user).map(drop)
}

/// How many of the user's memories hold each term.
pub async fn frequencies(
    q: &mut impl Querier,
    user: UserId,
    terms: &[&str],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    Ok(fetch_all!((String, i64), q, FREQUENCIES, user, Json(terms))?.into_iter().collect())
}

/// The best memories by BM25, with `weights` as the terms' inverse document frequencies.
pub async fn score(
    q: &mut impl Querier,
    user: UserId,
    weights: &[(String, f64)],
    mean_length: f64,
    limit: i64,
) -> Result<Vec<(Uuid, f64)>, sqlx::Error> {
    let weights: Vec<_> = weights.iter().map(|(term, idf)| json!({"term": term, "idf": idf})).collect();
    fetch_all!((Uuid, f64), q, SCORE, user, Json(weights), mean_length.max(1.0), limit)
}

/// (term, a memory that holds it), with at most `limit` memories a term.
pub async fn holders(
    q: &mut impl Querier,
    user: UserId,
    terms: &[&str],
    limit: i64,
) -> Result<Vec<(String, Uuid)>, sqlx::Error> {
    fetch_all!((String, Uuid), q, HOLDERS, user, Json(terms), limit)
}

/// How many memories the user has, and about how many words each.
pub async fn size(q: &mut impl Querier, user: UserId) -> Result<(i64, f64), sqlx::Error> {
    let (count, mean) = fetch_one!((i64, Option<f64>), q, SIZE, user)?;
    Ok((count, mean.unwrap_or(1.0)))
}
