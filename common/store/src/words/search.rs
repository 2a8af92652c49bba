//! Which of a user's messages hold some words, and what stands around them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER_PERMISSIVE;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    encoding::{self, Line, Term},
    sheets::{self, Kept, Sheet},
};
use crate::{
    db::{Querier, fetch_all, row, statements},
    domain::ids::UserId,
    memory::turns::{Turn, passages::Holders},
};

const BAG: i64 = 0;
const PARTS: i64 = 1;
const POSTINGS: i64 = 2;
const GONE: i64 = 3;
const WAITING: i64 = 4;

statements! {
    /// One statement, so that it sees each message once, whether folded or not. `n` is a bag's length, or a bucket. What is of parts
    /// comes gathered: a row each would cost more than what is in it. Last come answers whose words are not known yet: they are found
    /// beside their questions. SQLite would read all of the user's messages for them.
    READ = "select cast(0 as bigint) as what, w.doc_id as doc, cast(w.length as bigint) as n, w.bag as bytes,
            m.session_id as session, m.seq, m.created_at, m.name
        from message_words w join messages m on m.id = w.doc_id and ", checked!("m.user_id = $1"), " where w.user_id = $1
    union all select 1, null, 0, ",
            pg!("convert_to(string_agg(p.part || ':' || p.stamp, ','), 'UTF8')"),
            lite!("cast(group_concat(p.part || ':' || p.stamp) as blob)"), ", null, null, null, null
        from message_word_parts p where p.user_id = $1
    union all select 2, null, cast(i.bucket as bigint), ",
            pg!("convert_to(string_agg(i.part || ':' || encode(i.postings, 'hex'), ','), 'UTF8')"),
            lite!("cast(group_concat(i.part || ':' || hex(i.postings)) as blob)"), ", null, null, null, null
        from message_postings i where i.user_id = $1 and i.bucket ",
        pg!("= any(array(select cast(b as smallint) from jsonb_array_elements_text($2) b))"),
        lite!("in (select value from json_each($2))"), " group by i.bucket
    union all select 3, g.doc_id, 0, null, null, null, null, null from message_words_gone g where g.user_id = $1
    union all select 4, a.id, 0, null, a.session_id, a.seq, a.created_at, a.name from (
        select id, session_id, seq, created_at, name from messages ", lite!("indexed by messages_unembedded"), "
        where user_id = $1 and not embedded and remember and role = 'assistant' and job_id is not null limit 2000) a";
}

struct Read {
    what: i64,
    doc: Option<Uuid>,
    n: i64,
    bytes: Option<Vec<u8>>,
    session: Option<Uuid>,
    seq: Option<i64>,
    created_at: Option<DateTime<Utc>>,
    name: Option<String>,
}

row!(Read: what, doc, n, bytes, session, seq, created_at, name);

impl Read {
    /// What is gathered in a row: of each part, its stamp or its postings in hex.
    fn gathered(&self) -> impl Iterator<Item = (i64, &str)> {
        let text = std::str::from_utf8(self.bytes.as_deref().unwrap_or_default()).unwrap_or_default();
        text.split(',').filter_map(|one| {
            let (part, value) = one.split_once(':')?;
            Some((part.parse().ok()?, value))
        })
    }

    /// A turn that is in no part.
    fn line(&self) -> Option<(Uuid, Line)> {
        let bag = self.bytes.as_deref().unwrap_or_default();
        let turn = Turn {
            session: 0,
            seq: sheets::narrow(self.seq?),
            at: self.created_at?.timestamp_millis(),
            length: self.n.clamp(0, i64::from(u16::MAX)) as u16,
            terms: encoding::different(bag),
            speaker: sheets::mark(self.name.as_deref()),
            traits: encoding::traits(bag),
        };
        Some((self.doc?, Line { session: self.session?, turn }))
    }
}

/// What an index says about some words: all that the user and the assistant said, in order, and which turns hold them.
pub struct Found {
    pub turns: Vec<Turn>,
    /// The message of each turn.
    pub ids: Vec<Uuid>,
    holders: HashMap<Term, Holders>,
    merged: sheets::Merged,
}

/// Looks some words up among all that a user said.
pub async fn find(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    terms: &[&str],
) -> Result<Found, sqlx::Error> {
    let wanted: Vec<Term> = terms.iter().map(|term| Term::of(term)).collect();
    let mut buckets: Vec<u8> = wanted.iter().map(|term| term.bucket()).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let rows = fetch_all!(Read, q, READ, user, Json(buckets))?;
    let stamps = rows.iter().filter(|row| row.what == PARTS).flat_map(Read::gathered);
    let parts: Vec<(i64, i64)> =
        stamps.filter_map(|(part, stamp)| Some((part, stamp.parse().ok()?))).collect();
    let sheet = kept.of(q, user, &parts).await?;
    Ok(Found::of(&rows, &wanted, &sheet))
}

impl Found {
    fn of(rows: &[Read], wanted: &[Term], sheet: &std::sync::Arc<Sheet>) -> Self {
        let of_kind = |what: i64| rows.iter().filter(move |row| row.what == what);
        let gone = of_kind(GONE).filter_map(|row| row.doc).collect();
        let mut loose: Vec<(Uuid, Line)> = of_kind(BAG).filter_map(Read::line).collect();
        let bags: HashMap<Uuid, &Read> = of_kind(BAG).filter_map(|row| Some((row.doc?, row))).collect();
        // One that is embedded again by another model has its words already.
        let waiting = of_kind(WAITING).filter_map(Read::line);
        loose.extend(waiting.filter(|(id, _)| !bags.contains_key(id) && !sheet.knows(*id)));
        let (turns, ids, merged) = sheets::merge(sheet, &loose, &gone);
        let holders = wanted.iter().map(|term| (*term, Holders::new())).collect();
        let mut found = Self { turns, ids, holders, merged };
        for row in of_kind(BAG) {
            found.add_bag(row);
        }
        for row in of_kind(POSTINGS) {
            found.add_postings(row);
        }
        found
    }

    fn add_bag(&mut self, row: &Read) {
        let Some(place) = row.doc.and_then(|doc| self.merged.place(doc)) else { return };
        for (term, count) in encoding::in_bag(row.bytes.as_deref().unwrap_or_default()) {
            if let Some(holders) = self.holders.get_mut(&term) {
                holders.push((place, count));
            }
        }
    }

    fn add_postings(&mut self, row: &Read) {
        let wanted: Vec<Term> =
            self.holders.keys().filter(|term| i64::from(term.bucket()) == row.n).copied().collect();
        for (part, postings) in row.gathered() {
            let Some(slots) = self.merged.slots(part) else { continue };
            let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(postings.as_bytes()) else { continue };
            for term in &wanted {
                let at = |(slot, count)| Some((self.merged.place_of_slot(slots, slot)?, count));
                let found = encoding::holders(&bytes, *term).filter_map(at);
                self.holders.entry(*term).or_default().extend(found);
            }
        }
    }

    /// The turns that hold a term.
    pub fn holders(&self, term: &str) -> Holders {
        self.holders.get(&Term::of(term)).cloned().unwrap_or_default()
    }

    /// Where a message stands.
    pub fn place(&self, message: Uuid) -> Option<u32> {
        self.merged.place(message)
    }
}
