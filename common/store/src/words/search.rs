//! Which of a user's messages hold some words, and which of those match them best.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::encoding::{self, Term};
use crate::{
    db::{Querier, fetch_all, row, statements},
    domain::ids::UserId,
};

/// Okapi BM25: how soon more of the same word stops to count, and how much long messages lose.
const K1: f64 = 1.2;
const B: f64 = 0.75;

const BAG: i64 = 0;
const LENGTHS: i64 = 1;
const POSTINGS: i64 = 2;
const GONE: i64 = 3;

statements! {
    /// One statement, so that it sees each message once, whether folded or not. `n` is a bag's length, or a bucket.
    READ = "select cast(0 as bigint) as what, cast(0 as bigint) as part, w.doc_id as doc, cast(w.length as bigint) as n, w.bag as bytes
        from message_words w where w.user_id = $1
    union all select 1, p.part, null, 0, p.lengths from message_word_parts p where p.user_id = $1
    union all select 2, i.part, null, cast(i.bucket as bigint), i.postings from message_postings i where i.user_id = $1 and i.bucket ",
        pg!("= any(array(select cast(b as smallint) from jsonb_array_elements_text($2) b))"),
        lite!("in (select value from json_each($2))"), "
    union all select 3, 0, g.doc_id, 0, null from message_words_gone g where g.user_id = $1";
    IDS = "select part, ids from message_word_parts where user_id = $1";
    ID = "select t.part, cast(t.slot as bigint), substr(p.ids, t.slot * 16 + 1, 16) as id from ", rows!(2, t, part bigint, slot int), "
        join message_word_parts p on p.part = t.part and p.user_id = $1";
}

struct Read {
    what: i64,
    part: i64,
    doc: Option<Uuid>,
    n: i64,
    bytes: Option<Vec<u8>>,
}

row!(Read: what, part, doc, n, bytes);

/// A message that holds a term.
struct Holder {
    /// In `Found`: the bags first, then the slots of the parts.
    place: usize,
    count: u8,
    length: u16,
}

/// What an index says about some words.
pub struct Found {
    /// How many messages the user has that are found by words.
    pub size: i64,
    /// Words of a middling one.
    pub mean_length: f64,
    bags: Vec<Uuid>,
    parts: Vec<i64>,
    holders: HashMap<Term, Vec<Holder>>,
}

/// Looks some words up among all that a user said.
pub async fn find(q: &mut impl Querier, user: UserId, terms: &[&str]) -> Result<Found, sqlx::Error> {
    let wanted: Vec<Term> = terms.iter().map(|term| Term::of(term)).collect();
    let mut buckets: Vec<u8> = wanted.iter().map(|term| term.bucket()).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let rows = fetch_all!(Read, q, READ, user, Json(buckets))?;
    let gone: Vec<Uuid> = rows.iter().filter(|row| row.what == GONE).filter_map(|row| row.doc).collect();
    let gone = if gone.is_empty() { Vec::new() } else { slots_of(q, user, &gone).await? };
    Ok(Found::of(&rows, &wanted, &gone))
}

/// The part and slot of each message that is in one.
pub(super) async fn slots_of(
    q: &mut impl Querier,
    user: UserId,
    messages: &[Uuid],
) -> Result<Vec<(i64, u8)>, sqlx::Error> {
    let messages: HashSet<Uuid> = messages.iter().copied().collect();
    let mut slots = Vec::new();
    for (part, ids) in fetch_all!((i64, Vec<u8>), q, IDS, user)? {
        for (slot, id) in (0..=u8::MAX).zip(ids.chunks_exact(16)) {
            if Uuid::from_slice(id).is_ok_and(|id| messages.contains(&id)) {
                slots.push((part, slot));
            }
        }
    }
    Ok(slots)
}

impl Found {
    fn of(rows: &[Read], wanted: &[Term], gone: &[(i64, u8)]) -> Self {
        let mut found = Self {
            size: 0,
            mean_length: 1.0,
            bags: Vec::new(),
            parts: Vec::new(),
            holders: wanted.iter().map(|term| (*term, Vec::new())).collect(),
        };
        let mut words = 0;
        let of_kind = |what: i64| rows.iter().filter(move |row| row.what == what);
        for row in of_kind(BAG) {
            found.size += 1;
            words += row.n;
            found.add_bag(row);
        }
        let mut lengths: HashMap<i64, (usize, Vec<u16>)> = HashMap::new();
        for row in of_kind(LENGTHS) {
            let mut of_part: Vec<u16> =
                encoding::in_lengths(row.bytes.as_deref().unwrap_or_default()).collect();
            for (_, slot) in gone.iter().filter(|(part, _)| *part == row.part) {
                if let Some(length) = of_part.get_mut(usize::from(*slot)) {
                    *length = 0;
                }
            }
            found.size += of_part.iter().filter(|length| **length > 0).count() as i64;
            words += of_part.iter().copied().map(i64::from).sum::<i64>();
            lengths.insert(row.part, (found.bags.len() + found.parts.len() * encoding::SLOTS, of_part));
            found.parts.push(row.part);
        }
        for row in of_kind(POSTINGS) {
            if let Some((base, lengths)) = lengths.get(&row.part) {
                found.add_postings(row, *base, lengths);
            }
        }
        found.mean_length = words as f64 / found.size.max(1) as f64;
        found
    }

    fn add_bag(&mut self, row: &Read) {
        let Some(doc) = row.doc else { return };
        let (place, length) = (self.bags.len(), row.n.clamp(1, i64::from(u16::MAX)) as u16);
        self.bags.push(doc);
        for (term, count) in encoding::in_bag(row.bytes.as_deref().unwrap_or_default()) {
            if let Some(holders) = self.holders.get_mut(&term) {
                holders.push(Holder { place, count, length });
            }
        }
    }

    /// `base`: the place of the part's first slot.
    fn add_postings(&mut self, row: &Read, base: usize, lengths: &[u16]) {
        let bytes = row.bytes.as_deref().unwrap_or_default();
        for (term, holders) in &mut self.holders {
            if i64::from(term.bucket()) != row.n {
                continue;
            }
            for (slot, count) in encoding::holders(bytes, *term) {
                let slot = usize::from(slot);
                let length = lengths.get(slot).copied().unwrap_or_default();
                if length > 0 {
                    holders.push(Holder { place: base + slot, count, length });
                }
            }
        }
    }

    /// How many messages hold a term.
    pub fn frequency(&self, term: &str) -> i64 {
        self.holders.get(&Term::of(term)).map_or(0, Vec::len) as i64
    }

    /// The best messages by BM25, with `weights` as the terms' inverse document frequencies.
    pub async fn best(
        &self,
        q: &mut impl Querier,
        user: UserId,
        weights: &[(String, f64)],
        limit: usize,
    ) -> Result<Vec<(Uuid, f64)>, sqlx::Error> {
        let mut scores = vec![0.0; self.bags.len() + self.parts.len() * encoding::SLOTS];
        for (term, weight) in weights {
            for holder in self.holders.get(&Term::of(term)).into_iter().flatten() {
                let (count, length) = (f64::from(holder.count), f64::from(holder.length));
                let saturation = count + K1 * (1.0 - B + B * length / self.mean_length.max(1.0));
                if let Some(score) = scores.get_mut(holder.place) {
                    *score += weight * count * (K1 + 1.0) / saturation;
                }
            }
        }
        let mut best: Vec<(usize, f64)> =
            scores.into_iter().enumerate().filter(|(_, score)| *score > 0.0).collect();
        best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        best.truncate(limit);
        self.named(q, user, best).await
    }

    /// Places as ids. One whose part was written anew meanwhile is left out.
    async fn named(
        &self,
        q: &mut impl Querier,
        user: UserId,
        places: Vec<(usize, f64)>,
    ) -> Result<Vec<(Uuid, f64)>, sqlx::Error> {
        let (mut named, mut slots) = (Vec::with_capacity(places.len()), HashMap::new());
        for (place, score) in places {
            match (self.bags.get(place), place.checked_sub(self.bags.len())) {
                (Some(doc), _) => named.push((*doc, score)),
                (None, Some(place)) => {
                    if let Some(part) = self.parts.get(place / encoding::SLOTS) {
                        slots.insert((*part, (place % encoding::SLOTS) as i64), score);
                    }
                }
                (None, None) => {}
            }
        }
        if slots.is_empty() {
            return Ok(named);
        }
        let rows: Vec<_> = slots.keys().map(|(part, slot)| json!({"part": part, "slot": slot})).collect();
        for (part, slot, id) in fetch_all!((i64, i64, Vec<u8>), q, ID, user, Json(rows))? {
            if let (Ok(id), Some(score)) = (Uuid::from_slice(&id), slots.get(&(part, slot))) {
                named.push((id, *score));
            }
        }
        Ok(named)
    }
}
