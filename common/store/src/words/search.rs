//! Which of a user's messages hold some words, and what stands around them.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER_PERMISSIVE;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    encoding::{self, Line, Term},
    kept::Kept,
    loose::{self, AllLoose, Listed},
    sheets::{self, Sheet},
};
use crate::{
    db::{Querier, fetch_all, row, statements},
    domain::ids::UserId,
    memory::turns::{Turn, passages::Holders},
};

const BAGS: i64 = 0;
const PARTS: i64 = 1;
const POSTINGS: i64 = 2;
const GONE: i64 = 3;
const WAITING: i64 = 4;
const STATE: i64 = 5;

statements! {
    /// One statement, so that it sees each message once, whether folded or not. All comes gathered: a row each would cost more than
    /// what is in it. Last come answers whose words are not known yet: they are found beside their questions. SQLite would read all
    /// of the user's messages for them.
    READ = "select cast(0 as bigint) as what, cast(0 as bigint) as n, ", gathered!("w.doc_id"), " as bytes
        from message_words w where w.user_id = $1
    union all select 1, 0, ",
            pg!("convert_to(string_agg(p.part || ':' || p.stamp, ','), 'UTF8')"),
            lite!("cast(group_concat(p.part || ':' || p.stamp) as blob)"), "
        from message_word_parts p where p.user_id = $1
    union all select 2, cast(i.bucket as bigint), ",
            pg!("convert_to(string_agg(i.part || ':' || encode(i.postings, 'hex'), ','), 'UTF8')"),
            lite!("cast(group_concat(i.part || ':' || hex(i.postings)) as blob)"), "
        from message_postings i where i.user_id = $1 and i.bucket ",
        pg!("= any(array(select cast(b as smallint) from jsonb_array_elements_text($2) b))"),
        lite!("in (select value from json_each($2))"), " group by i.bucket
    union all select 3, 0, ", gathered!("g.doc_id"), " from message_words_gone g where g.user_id = $1
    union all select 4, 0, ", gathered!("a.id"), " from (
        select id from messages ", lite!("indexed by messages_unembedded"), "
        where user_id = $1 and not embedded and remember and role = 'assistant' and job_id is not null limit 2000) a
    union all select 5, s.deletions, null from memory_state s where s.user_id = $1";
}

struct Read {
    what: i64,
    /// Of postings their bucket, of the state how much was deleted.
    n: i64,
    bytes: Option<Vec<u8>>,
}

row!(Read: what, n, bytes);

impl Read {
    /// Of each part, its stamp or its postings in hex.
    fn parts(&self) -> impl Iterator<Item = (i64, &str)> {
        let text = std::str::from_utf8(self.bytes.as_deref().unwrap_or_default()).unwrap_or_default();
        text.split(',').filter_map(|one| {
            let (part, value) = one.split_once(':')?;
            Some((part.parse().ok()?, value))
        })
    }

    /// Messages, from their bytes in hex.
    fn messages(&self) -> Vec<Uuid> {
        let bytes = HEXLOWER_PERMISSIVE.decode(self.bytes.as_deref().unwrap_or_default()).unwrap_or_default();
        bytes.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect()
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
    let mut attempt = 1;
    loop {
        let rows = fetch_all!(Read, q, READ, user, Json(&buckets))?;
        let of_kind = |what: i64| rows.iter().filter(move |row| row.what == what);
        let messages = |what: i64| of_kind(what).flat_map(Read::messages);
        let stamps = of_kind(PARTS).flat_map(Read::parts);
        let parts: Vec<(i64, i64)> =
            stamps.filter_map(|(part, stamp)| Some((part, stamp.parse().ok()?))).collect();
        let sheet = kept.of(q, user, &parts).await?;
        let bags: Vec<Uuid> = messages(BAGS).collect();
        let has_words: HashSet<Uuid> = bags.iter().copied().collect();
        // One that is embedded again by another model has its words already.
        let is_new = |id: &Uuid| !has_words.contains(id) && !sheet.knows(*id);
        let waiting: Vec<Uuid> = messages(WAITING).filter(is_new).collect();
        let gone: HashSet<Uuid> = messages(GONE).collect();
        let deletions = of_kind(STATE).map(|row| row.n).next().unwrap_or(0);
        let listed = Listed { bags, waiting, deletions };
        let (loose, is_whole) = loose::of(q, kept, user, &listed).await?;
        if is_whole || attempt == TRIES {
            let mut found = Found::of(&wanted, &sheet, &loose, &gone);
            of_kind(POSTINGS).for_each(|row| found.add_postings(row));
            return Ok(found);
        }
        attempt += 1;
    }
}

/// How often it is read again because bags were folded meanwhile: once in 256 messages. A bag whose message is not there, which nothing
/// makes, is then left out.
const TRIES: usize = 10;

impl Found {
    fn of(wanted: &[Term], sheet: &std::sync::Arc<Sheet>, loose: &AllLoose, gone: &HashSet<Uuid>) -> Self {
        let lines: Vec<(Uuid, Line)> = loose.iter().map(|(id, loose)| (*id, loose.line)).collect();
        let (turns, ids, merged) = sheets::merge(sheet, &lines, gone);
        let holders = wanted.iter().map(|term| (*term, Holders::new())).collect();
        let mut found = Self { turns, ids, holders, merged };
        for (id, loose) in loose {
            found.add_bag(*id, loose.bag.as_deref().unwrap_or_default());
        }
        found
    }

    fn add_bag(&mut self, message: Uuid, bag: &[u8]) {
        let Some(place) = self.merged.place(message) else { return };
        for (term, count) in encoding::in_bag(bag) {
            if let Some(holders) = self.holders.get_mut(&term) {
                holders.push((place, count));
            }
        }
    }

    fn add_postings(&mut self, row: &Read) {
        let wanted: Vec<Term> =
            self.holders.keys().filter(|term| i64::from(term.bucket()) == row.n).copied().collect();
        for (part, postings) in row.parts() {
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
