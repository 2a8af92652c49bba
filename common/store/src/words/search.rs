//! Which of a user's messages hold some words, and what stands around them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use data_encoding::HEXLOWER_PERMISSIVE;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    encoding::{self, Line, Term},
    kept::Kept,
    loose::{self, AllLoose, Listed},
    postings::{self, Bucket, Buckets},
    sheets::{self, Sheet},
};
use crate::{
    db::{Querier, fetch_all, from_gathered, row, statements},
    domain::ids::{SessionId, UserId},
    memory::turns::{Turn, passages::Holders},
};

const BAGS: i64 = 0;
const PARTS: i64 = 1;
const POSTINGS: i64 = 2;
const GONE: i64 = 3;
const WAITING: i64 = 4;
const STATE: i64 = 5;

statements! {
    /// One statement, so that it sees each message once, whether folded or not. Postings are those of buckets that are not kept yet.
    /// All comes gathered: a row each would cost more than what is in it. Last come answers whose words are not known yet: they are
    /// found beside their questions. SQLite would read all of the user's messages for them.
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

    /// The messages that were gathered.
    fn messages(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        from_gathered(self.bytes.as_deref())
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

/// The buckets of postings that some words are in.
pub fn buckets(terms: &[&str]) -> HashSet<u8> {
    terms.iter().map(|term| Term::of(term).bucket()).collect()
}

/// Looks some words up among all that a user said.
pub async fn find(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    terms: &[&str],
) -> Result<Found, sqlx::Error> {
    let wanted: Vec<Term> = terms.iter().map(|term| Term::of(term)).collect();
    let buckets = buckets(terms);
    let mut attempt = 1;
    loop {
        let known = kept.buckets(user, &buckets);
        let unknown: Vec<u8> = buckets.iter().copied().filter(|bucket| !known.contains_key(bucket)).collect();
        let rows = fetch_all!(Read, q, READ, user, Json(&unknown))?;
        let of_kind = |what: i64| rows.iter().filter(move |row| row.what == what);
        let messages = |what: i64| {
            let all: Result<Vec<_>, sqlx::Error> = of_kind(what).map(Read::messages).collect();
            all.map(|all| all.into_iter().flatten())
        };
        let stamps = of_kind(PARTS).flat_map(Read::parts);
        let parts: Vec<(i64, i64)> =
            stamps.filter_map(|(part, stamp)| Some((part, stamp.parse().ok()?))).collect();
        let sheet = kept.of(q, user, &parts).await?;
        let bags: Vec<Uuid> = messages(BAGS)?.collect();
        let has_words: HashSet<Uuid> = bags.iter().copied().collect();
        // One that is embedded again by another model has its words already.
        let is_new = |id: &Uuid| !has_words.contains(id) && !sheet.knows(*id);
        let waiting: Vec<Uuid> = messages(WAITING)?.filter(is_new).collect();
        let gone: HashSet<Uuid> = messages(GONE)?.collect();
        let deletions = of_kind(STATE).map(|row| row.n).next().unwrap_or(0);
        let listed = Listed { bags, waiting, deletions };
        let (loose, has_all_loose) = loose::of(q, kept, user, &listed).await?;
        let (mut postings, has_all_postings) = postings::renewed(q, kept, user, known, &parts).await?;
        let new = new_buckets(&unknown, &parts, of_kind(POSTINGS));
        if !new.is_empty() {
            kept.keep_buckets(user, &new);
            postings.extend(new);
        }
        if (has_all_loose && has_all_postings) || attempt == TRIES {
            let mut found = Found::of(&wanted, &sheet, &loose, &gone);
            postings.iter().for_each(|(number, bucket)| found.add_postings(*number, bucket));
            return Ok(found);
        }
        attempt += 1;
    }
}

/// The buckets that were read whole, with the stamps of all parts.
fn new_buckets<'a>(numbers: &[u8], parts: &[(i64, i64)], rows: impl Iterator<Item = &'a Read>) -> Buckets {
    let of_parts = |row: &Read| {
        let decoded =
            row.parts().map(|(part, hex)| Some((part, HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?)));
        decoded.flatten().collect()
    };
    let mut read: HashMap<i64, HashMap<i64, Vec<u8>>> = rows.map(|row| (row.n, of_parts(row))).collect();
    let bucket = |number: &u8| {
        let postings = read.remove(&i64::from(*number)).unwrap_or_default();
        (*number, Arc::new(Bucket::read(parts, postings)))
    };
    numbers.iter().map(bucket).collect()
}

/// How often it is read again because bags were folded meanwhile: once in 256 messages. A bag whose message is not there, which nothing
/// makes, is then left out.
const TRIES: usize = 10;

impl Found {
    fn of(wanted: &[Term], sheet: &Arc<Sheet>, loose: &AllLoose, gone: &HashSet<Uuid>) -> Self {
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

    fn add_postings(&mut self, number: u8, bucket: &Bucket) {
        let wanted: Vec<Term> = self.holders.keys().filter(|term| term.bucket() == number).copied().collect();
        for (part, bytes) in bucket.parts() {
            let Some(slots) = self.merged.slots(part) else { continue };
            for term in &wanted {
                let at = |(slot, count)| Some((self.merged.place_of_slot(slots, slot)?, count));
                let found = encoding::holders(bytes, *term).filter_map(at);
                self.holders.entry(*term).or_default().extend(found);
            }
        }
    }

    /// The turns that hold a term.
    pub fn holders(&self, term: &str) -> Holders {
        self.holders.get(&Term::of(term)).cloned().unwrap_or_default()
    }

    /// The number that turns of a session have.
    pub fn session(&self, session: SessionId) -> Option<u32> {
        self.merged.session(session.0)
    }

    /// Where a message stands.
    pub fn place(&self, message: Uuid) -> Option<u32> {
        self.merged.place(message)
    }
}
