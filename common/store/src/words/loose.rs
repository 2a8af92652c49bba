//! Turns that are in no part, with their words, kept in memory: what was said does not change. Of them a search reads only which there
//! are, and of those it does not know the rest. What is deleted may come back under its id with other words, when a corrected export
//! is imported: so all is read again once anything was deleted.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    encoding::{self, Line},
    kept::Kept,
    sheets,
};
use crate::{
    db::{Querier, fetch_all, ids, row, statements},
    domain::ids::UserId,
    memory::turns::Turn,
};

statements! {
    LOOSE = "select m.id, m.session_id as session, m.seq, m.created_at, m.name, cast(w.length as bigint) as length, w.bag
    from messages m left join message_words w on w.user_id = $1 and w.doc_id = m.id
    where ", checked!("m.user_id = $1"), " and m.id in ", ids!(2);
}

struct Read {
    id: Uuid,
    session: Uuid,
    seq: i64,
    created_at: DateTime<Utc>,
    name: Option<String>,
    length: Option<i64>,
    bag: Option<Vec<u8>>,
}

row!(Read: id, session, seq, created_at, name, length, bag);

/// A turn that is in no part.
pub struct Loose {
    pub(super) line: Line,
    /// `None`: its words are not known yet.
    pub(super) bag: Option<Vec<u8>>,
}

/// Each by its message.
pub type AllLoose = HashMap<Uuid, Arc<Loose>>;

/// What one takes in memory, about.
pub(super) fn bytes(all: &AllLoose) -> usize {
    let bags: usize = all.values().filter_map(|one| one.bag.as_ref().map(Vec::len)).sum();
    bags + all.len() * (size_of::<Loose>() + 64)
}

impl From<Read> for Loose {
    fn from(read: Read) -> Self {
        let bag = read.bag.as_deref().unwrap_or_default();
        let turn = Turn {
            session: 0,
            seq: sheets::narrow(read.seq),
            at: read.created_at.timestamp_millis(),
            length: read.length.unwrap_or(0).clamp(0, i64::from(u16::MAX)) as u16,
            terms: encoding::different(bag),
            speaker: sheets::mark(read.name.as_deref()),
            traits: encoding::traits(bag),
        };
        Self { line: Line { session: read.session, turn }, bag: read.bag }
    }
}

/// Which turns are in no part.
pub struct Listed {
    /// Of these the words are known.
    pub bags: Vec<Uuid>,
    /// Of these not yet.
    pub waiting: Vec<Uuid>,
    /// How much of the user's had been deleted by then.
    pub deletions: i64,
}

/// The turns that are listed, and whether these are all: something may have been folded or deleted since.
pub async fn of(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    listed: &Listed,
) -> Result<(Arc<AllLoose>, bool), sqlx::Error> {
    let Listed { bags, waiting, deletions } = listed;
    let known = kept.loose(user, *deletions);
    let knows_words = |id: &Uuid| known.get(id).is_some_and(|one| one.bag.is_some());
    let new: Vec<Uuid> = bags.iter().filter(|id| !knows_words(id)).copied().collect();
    let others = waiting.iter().filter(|id| !known.contains_key(id)).copied();
    let asked: Vec<Uuid> = new.iter().copied().chain(others).collect();
    if asked.is_empty() && known.len() == bags.len() + waiting.len() {
        return Ok((known, true));
    }
    let rows = if asked.is_empty() {
        Vec::new()
    } else {
        fetch_all!(Read, q, LOOSE, user, ids(asked.iter().copied()))?
    };
    let read: AllLoose = rows.into_iter().map(|row| (row.id, Arc::new(Loose::from(row)))).collect();
    let one = |id: &Uuid| Some((*id, Arc::clone(read.get(id).or_else(|| known.get(id))?)));
    let all: Arc<AllLoose> = Arc::new(bags.iter().chain(waiting).filter_map(one).collect());
    // Also what is not all: the next attempt has less to read.
    kept.keep_loose(user, *deletions, &all);
    let has_words = |id: &Uuid| read.get(id).is_some_and(|one| one.bag.is_some());
    Ok((all, new.iter().all(has_words)))
}
