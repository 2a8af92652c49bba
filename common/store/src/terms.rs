//! The inverted index: which of a user's documents hold which words.

use std::collections::HashMap;

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one};
use crate::domain::ids::UserId;

/// What is searched: the same code over two pairs of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Corpus {
    Memories,
    Messages,
}

impl Corpus {
    pub const ALL: [Corpus; 2] = [Corpus::Memories, Corpus::Messages];

    pub fn as_str(self) -> &'static str {
        match self {
            Corpus::Memories => "memories",
            Corpus::Messages => "messages",
        }
    }
}

/// The statements of one corpus: its table of terms, and its documents.
macro_rules! texts_of {
    ($terms:literal, $docs:literal) => {
        $crate::db::statements! {
            pub(super) INSERT = "insert into ", $terms, " (user_id, term, doc_id, tf, length) select $1, t.term, $2, t.tf, $3
                from ", rows!(4, t, term text, tf int), " where true on conflict do nothing";
            /// Only of documents that are still there: no foreign key would refuse them.
            pub(super) INSERT_MANY = "insert into ", $terms, " (user_id, term, doc_id, tf, length) select $1, t.term, d.id, t.tf, t.length
                from ", rows!(2, t, doc uuid, term text, tf int, length int), "
                join ", $docs, " d on d.id = t.doc and d.user_id = $1 where true on conflict do nothing";
            pub(super) DELETE = "delete from ", $terms, " where doc_id = $1 and user_id = $2";
            pub(super) FREQUENCIES = "select t.term, count(*) from ", $terms, " t where t.user_id = $1 and t.term in ", texts!(2), " group by t.term";
            /// Okapi BM25, k1 1.2, b 0.75; $2 terms with their weights, $3 mean length, $4 how many. Each in the form that its planner
            /// goes along the index with.
            pub(super) SCORE = "select t.doc_id, ", pg!("sum(q.idf * t.tf * 2.2::float8 / (t.tf + 1.2::float8 * (0.25::float8 + 0.75::float8 * t.length / $3)))
                    as score from jsonb_to_recordset($2) as q(term text, idf float8) join ", $terms, " t on t.term = q.term
                    where t.user_id = $1"),
                lite!("sum((q.value ->> 'idf') * t.tf * 2.2 / (t.tf + 1.2 * (0.25 + 0.75 * t.length / $3)))
                    as score from json_each($2) q cross join ", $terms, " t on t.user_id = $1 and t.term = q.value ->> 'term'"),
                " group by t.doc_id order by score desc, t.doc_id limit $4";
            /// At most $3 documents for each term: a common one must cost no more than a rare one. SQLite has no lateral joins.
            pub(super) HOLDERS = pg!("select q.term, t.doc_id from jsonb_array_elements_text($2) as q(term) cross join lateral
                    (select doc_id from ", $terms, " where user_id = $1 and term = q.term limit $3) t"),
                lite!("select q.value, unhex(d.value) from json_each($2) q, json_each((select json_group_array(hex(s.doc_id)) from
                    (select t.doc_id from ", $terms, " t where t.user_id = $1 and t.term = q.value limit $3) s)) d");
            /// Long documents have more postings: the harmonic mean over a sample of those is the mean over documents.
            pub(super) SIZE = "select (select count(*) from ", $docs, " where user_id = $1),
                (select cast(1.0 / avg(1.0 / s.length) as double precision) from (select length from ", $terms, " where user_id = $1 limit 1000) s)";
        }
    };
}

pub(crate) mod of_memories {
    texts_of!("memory_terms", "memories");
}
pub(crate) mod of_messages {
    texts_of!("message_terms", "messages");
}

/// A statement of a corpus.
macro_rules! of {
    ($corpus:expr, $statement:ident) => {
        match $corpus {
            Corpus::Memories => of_memories::$statement,
            Corpus::Messages => of_messages::$statement,
        }
    };
}
pub(super) use of;

/// Terms as [`insert`] and the statement that accepts a message bind them.
pub fn as_rows(terms: &HashMap<String, i64>) -> serde_json::Value {
    terms.iter().map(|(term, tf)| json!({"term": term, "tf": tf})).collect()
}

/// How many words a document of these terms counts.
pub fn length(terms: &HashMap<String, i64>) -> i32 {
    terms.values().sum::<i64>().try_into().unwrap_or(i32::MAX)
}

/// Makes a document findable by its words, from the moment its transaction commits.
pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    corpus: Corpus,
    doc: Uuid,
    terms: &HashMap<String, i64>,
) -> Result<(), sqlx::Error> {
    if terms.is_empty() {
        return Ok(());
    }
    execute!(tx, of!(corpus, INSERT), user, doc, length(terms), Json(as_rows(terms))).map(drop)
}

/// The same for many documents at once.
pub async fn insert_many(
    tx: &mut Tx,
    user: UserId,
    corpus: Corpus,
    docs: &[(Uuid, HashMap<String, i64>)],
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = docs
        .iter()
        .flat_map(|(doc, terms)| {
            let (doc, length) = (doc.simple().to_string(), length(terms));
            terms.iter().map(move |(term, tf)| json!({"doc": doc, "term": term, "tf": tf, "length": length}))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    execute!(tx, of!(corpus, INSERT_MANY), user, Json(rows)).map(drop)
}

pub async fn delete(tx: &mut Tx, user: UserId, corpus: Corpus, doc: Uuid) -> Result<(), sqlx::Error> {
    execute!(tx, of!(corpus, DELETE), doc, user).map(drop)
}

/// How many of the user's documents hold each term.
pub async fn frequencies(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    terms: &[&str],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    Ok(fetch_all!((String, i64), q, of!(corpus, FREQUENCIES), user, Json(terms))?.into_iter().collect())
}

/// The best documents by BM25, with `weights` as the terms' inverse document frequencies.
pub async fn score(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    weights: &[(String, f64)],
    mean_length: f64,
    limit: i64,
) -> Result<Vec<(Uuid, f64)>, sqlx::Error> {
    let weights: Vec<_> = weights.iter().map(|(term, idf)| json!({"term": term, "idf": idf})).collect();
    fetch_all!((Uuid, f64), q, of!(corpus, SCORE), user, Json(weights), mean_length.max(1.0), limit)
}

/// (term, a document that holds it), with at most `limit` documents a term.
pub async fn holders(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    terms: &[&str],
    limit: i64,
) -> Result<Vec<(String, Uuid)>, sqlx::Error> {
    fetch_all!((String, Uuid), q, of!(corpus, HOLDERS), user, Json(terms), limit)
}

/// How many documents the user has, and about how many words each.
pub async fn size(q: &mut impl Querier, user: UserId, corpus: Corpus) -> Result<(i64, f64), sqlx::Error> {
    let (count, mean) = fetch_one!((i64, Option<f64>), q, of!(corpus, SIZE), user)?;
    Ok((count, mean.unwrap_or(1.0)))
}
