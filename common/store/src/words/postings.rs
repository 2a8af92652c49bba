//! Postings that searches have read, kept in memory by bucket: those of a part stay as they are while its stamp does.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;
use sqlx::types::Json;

use super::kept::Kept;
use crate::{
    db::{Querier, fetch_all, row, statements},
    domain::ids::UserId,
};

statements! {
    /// Of some parts, $2, the postings of some buckets, $3. A part that has none of them comes once, without.
    OF_PARTS = "select p.part, p.stamp, cast(i.bucket as bigint) as bucket, i.postings from ", rows!(2, t, part bigint), "
        join message_word_parts p on p.part = t.part and p.user_id = $1
        left join message_postings i on i.user_id = $1 and i.part = p.part and i.bucket ",
        pg!("= any(array(select cast(b as smallint) from jsonb_array_elements_text($3) b))"),
        lite!("in (select value from json_each($3))");
}

struct Read {
    part: i64,
    stamp: i64,
    bucket: Option<i64>,
    postings: Option<Vec<u8>>,
}

row!(Read: part, stamp, bucket, postings);

/// The postings of one part, and its stamp.
#[derive(Clone)]
struct OfPart {
    stamp: i64,
    bytes: Arc<[u8]>,
}

/// One bucket of a user's, by parts.
pub struct Bucket {
    parts: HashMap<i64, OfPart>,
    /// What it takes in memory, about.
    bytes: usize,
}

/// A user's buckets, as far as searches have asked for them.
pub type Buckets = HashMap<u8, Arc<Bucket>>;

/// What an entry of a map takes beside what it points to, about.
const ENTRY: usize = 64;

/// What they take in memory, about.
pub(super) fn bytes(buckets: &Buckets) -> usize {
    buckets.values().map(|bucket| bucket.bytes).sum()
}

impl Bucket {
    /// As it was read together with the stamps of all `parts`.
    pub fn read(parts: &[(i64, i64)], mut postings: HashMap<i64, Vec<u8>>) -> Self {
        let of_part = |(part, stamp): &(i64, i64)| {
            let bytes = postings.remove(part).unwrap_or_default().into();
            (*part, OfPart { stamp: *stamp, bytes })
        };
        Self::of(parts.iter().map(of_part).collect())
    }

    fn of(parts: HashMap<i64, OfPart>) -> Self {
        let bytes = ENTRY + parts.values().map(|one| ENTRY + one.bytes.len()).sum::<usize>();
        Self { parts, bytes }
    }

    /// Of each part.
    pub fn parts(&self) -> impl Iterator<Item = (i64, &[u8])> {
        self.parts.iter().map(|(part, one)| (*part, &*one.bytes))
    }

    /// 0: made by a process that knows of no stamps.
    fn knows(&self, part: i64, stamp: i64) -> bool {
        stamp != 0 && self.parts.get(&part).is_some_and(|one| one.stamp == stamp)
    }

    /// The same with what was read of some parts, and without those that are gone.
    fn renewed(&self, number: u8, parts: &[(i64, i64)], read: &[Read]) -> Self {
        let known = |(part, stamp): &(i64, i64)| {
            let one = self.parts.get(part).filter(|_| self.knows(*part, *stamp))?;
            Some((*part, one.clone()))
        };
        let mut all: HashMap<i64, OfPart> = parts.iter().filter_map(known).collect();
        for row in read {
            let is_here = row.bucket == Some(i64::from(number));
            let bytes = row.postings.as_deref().filter(|_| is_here).unwrap_or_default();
            if is_here || !all.contains_key(&row.part) {
                all.insert(row.part, OfPart { stamp: row.stamp, bytes: bytes.into() });
            }
        }
        Self::of(all)
    }
}

/// Brings what was known of some buckets up to these parts, with these stamps. `false`: a part has changed since its stamp was read.
pub async fn renewed(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    known: Buckets,
    parts: &[(i64, i64)],
) -> Result<(Buckets, bool), sqlx::Error> {
    let old: HashSet<(i64, i64)> = known
        .values()
        .flat_map(|bucket| parts.iter().filter(|(part, stamp)| !bucket.knows(*part, *stamp)))
        .copied()
        .collect();
    let all_there = known.values().all(|bucket| bucket.parts.len() == parts.len());
    if old.is_empty() && all_there {
        return Ok((known, true));
    }
    let read = if old.is_empty() {
        Vec::new()
    } else {
        let asked: Vec<_> = old.iter().map(|(part, _)| json!({"part": part})).collect();
        let numbers: Vec<u8> = known.keys().copied().collect();
        fetch_all!(Read, q, OF_PARTS, user, Json(asked), Json(numbers))?
    };
    let now: HashMap<i64, i64> = read.iter().map(|row| (row.part, row.stamp)).collect();
    let is_whole = old.iter().all(|(part, stamp)| now.get(part) == Some(stamp));
    let new: Buckets = known
        .into_iter()
        .map(|(number, bucket)| (number, Arc::new(bucket.renewed(number, parts, &read))))
        .collect();
    kept.keep_buckets(user, &new);
    Ok((new, is_whole))
}
