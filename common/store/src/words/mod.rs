//! The words of messages, for an exact BM25 over what one user said: an inverted index that is written in two steps.
//!
//! A new message is one row with its bag of words: it is found from the moment its transaction commits. When a user has 256 of
//! those, they are folded into a part: an inverted index of 256 messages in up to 256 rows, one a bucket of terms. A search reads
//! the bags that are not folded yet, and of each part the buckets of its terms. What is deleted is noted by a trigger and taken
//! out by the sweep; searches leave it out at once. docs/decisions/0023-words-in-parts.md has the figures.
//!
//! Beside its words, a search wants to know what stands around a turn: each part has a sheet of its turns. Sheets, and the postings
//! that searches asked for, are kept in memory (docs/decisions/0024-retrieval.md).

pub mod convert;
mod encoding;
pub mod fill;
pub mod fold;
pub mod kept;
pub mod loose;
pub mod postings;
pub mod said;
pub mod search;
pub mod sheets;

use std::collections::HashMap;

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::db::{Tx, execute, statements};
use crate::{
    domain::ids::UserId,
    memory::{text, turns::Traits},
};

statements! {
    INSERT = "insert into message_words (user_id, doc_id, length, bag) values ($1, $2, $3, $4)";
    /// Only of messages that are still there, and stay until the transaction ends: their deletion takes the bag along.
    INSERT_LATE = "insert into message_words (user_id, doc_id, length, bag) select $1, m.id, t.length, ",
        pg!("decode(t.bag, 'hex')"), lite!("unhex(t.bag)"), " from ", rows!(2, t, doc uuid, length bigint, bag text), "
        join messages m on m.id = t.doc and ", checked!("m.user_id = $1"), " where m.remember and ($3 or not m.embedded) ",
        pg!("for key share of m "), "on conflict do nothing";
}

/// Whom a turn is said to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// People among themselves: an imported conversation, whose speakers have names.
    AmongPeople,
    WithModel,
}

impl Talk {
    /// By the speaker's name.
    pub fn of(name: Option<&str>) -> Self {
        if name.is_some() { Self::AmongPeople } else { Self::WithModel }
    }

    fn traits(self, content: &str) -> Traits {
        let traits = Traits::of(content);
        if self == Self::WithModel { traits.with_model() } else { traits }
    }
}

/// What a message is found by.
pub struct Heard {
    /// Words.
    pub length: i64,
    pub bag: Vec<u8>,
}

impl Heard {
    pub fn of(content: &str, talk: Talk) -> Self {
        Self::of_terms(&text::terms(content), talk.traits(content))
    }

    fn of_terms(terms: &HashMap<String, i64>, traits: Traits) -> Self {
        Self { length: terms.values().sum(), bag: encoding::bag(terms, traits) }
    }
}

/// Makes a message findable by its words, from the moment its transaction commits. One without words is a neighbour of others.
pub async fn insert(tx: &mut Tx, user: UserId, message: Uuid, heard: Heard) -> Result<(), sqlx::Error> {
    let Heard { length, bag } = heard;
    execute!(tx, INSERT, user, message, length, bag).map(drop)
}

/// Which messages get their words late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Those that have no vector yet: with one they have had their words, by another attempt at the same time.
    Unembedded,
    Any,
}

/// The same for messages stored before, if they are still there and may be remembered.
pub async fn insert_late(
    tx: &mut Tx,
    user: UserId,
    messages: &[(Uuid, Heard)],
    late: Late,
) -> Result<(), sqlx::Error> {
    let row = |(doc, heard): &(Uuid, Heard)| json!({"doc": doc.simple().to_string(), "length": heard.length, "bag": hex(&heard.bag)});
    let rows: Vec<_> = messages.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    execute!(tx, INSERT_LATE, user, Json(rows), late == Late::Any).map(drop)
}

/// Bytes as they stand in a bound JSON.
fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
