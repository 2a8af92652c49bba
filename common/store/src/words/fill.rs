//! What a sheet says of its turns: from the bags that are folded, or, for parts and bags of before there were sheets, from texts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Heard, Late, Talk,
    encoding::{self, Line, SLOTS},
    fold::Folded,
    sheets::{mark, narrow, stamp},
};
use crate::{
    db::{Querier, Tx, execute, fetch_all, fetch_optional, ids, row, statements},
    domain::ids::UserId,
    memory::{
        text,
        turns::{Traits, Turn},
    },
};

statements! {
    TOLD = "select id, session_id as session, seq, name, created_at, content from messages where ", checked!("user_id = $1"), " and id in ", ids!(2);
    STANDING = "select id, session_id as session, seq, name, created_at from messages where ", checked!("user_id = $1"), " and id in ", ids!(2);
    /// Parts that an older process made, or that are older than sheets.
    WITHOUT = "select distinct user_id from message_word_parts where sheet is null limit 200";
    ONE_WITHOUT = "select part, ids, lengths from message_word_parts where user_id = $1 and sheet is null order by part limit 1";
    SET_SHEET = "update message_word_parts set sheet = $3, stamp = $4, ids = $5, lengths = $6 where user_id = $1 and part = $2";
}

struct Told {
    id: Uuid,
    session: Uuid,
    seq: i64,
    name: Option<String>,
    created_at: DateTime<Utc>,
    content: String,
}

row!(Told: id, session, seq, name, created_at, content);

/// Where a turn stands, without what it says.
struct Standing {
    id: Uuid,
    session: Uuid,
    seq: i64,
    name: Option<String>,
    created_at: DateTime<Utc>,
}

row!(Standing: id, session, seq, name, created_at);

impl Standing {
    fn line(&self, terms: u16, traits: Traits) -> Line {
        let turn = Turn {
            session: 0,
            seq: narrow(self.seq),
            at: self.created_at.timestamp_millis(),
            length: 0,
            terms,
            speaker: mark(self.name.as_deref()),
            traits,
        };
        Line { session: self.session, turn }
    }
}

impl Told {
    fn talk(&self) -> Talk {
        Talk::of(self.name.as_deref())
    }

    fn heard(&self) -> Heard {
        Heard::of(&self.content, self.talk())
    }

    fn line(&self) -> Line {
        let Self { id, session, seq, name, created_at, content } = self;
        let (id, session, seq, name, created_at) = (*id, *session, *seq, name.clone(), *created_at);
        let terms = text::terms(content).len().min(usize::from(u16::MAX)) as u16;
        Standing { id, session, seq, name, created_at }.line(terms, self.talk().traits(content))
    }
}

async fn told(q: &mut impl Querier, user: UserId, messages: &[Uuid]) -> Result<Vec<Told>, sqlx::Error> {
    fetch_all!(Told, q, TOLD, user, ids(messages.iter().copied()))
}

/// The sheet of messages that are folded: their bags say what they are like. Their texts are not read again, but for bags of before.
pub(super) async fn of(tx: &mut Tx, user: UserId, folded: &[Folded]) -> Result<Vec<u8>, sqlx::Error> {
    let (new, old): (Vec<&Folded>, Vec<&Folded>) =
        folded.iter().partition(|one| encoding::has_traits(&one.bag));
    let mut lines: HashMap<Uuid, Line> = HashMap::new();
    if !old.is_empty() {
        let old: Vec<Uuid> = old.iter().map(|one| one.message).collect();
        lines.extend(told(tx, user, &old).await?.iter().map(|told| (told.id, told.line())));
    }
    let bags: HashMap<Uuid, &[u8]> = new.iter().map(|one| (one.message, one.bag.as_slice())).collect();
    for one in fetch_all!(Standing, tx, STANDING, user, ids(bags.keys().copied()))? {
        let bag = bags.get(&one.id).copied().unwrap_or_default();
        lines.insert(one.id, one.line(encoding::different(bag), encoding::traits(bag)));
    }
    Ok(encoding::sheet(folded.iter().map(|one| lines.get(&one.message).copied())))
}

/// Users with parts that have no sheet. For the sweep.
pub async fn users_without(q: &mut impl Querier) -> Result<Vec<UserId>, sqlx::Error> {
    Ok(fetch_all!((UserId,), q, WITHOUT)?.into_iter().map(|row| row.0).collect())
}

/// A part without a sheet, and what it lacks.
pub struct Unfilled {
    part: i64,
    ids: Vec<u8>,
    sheet: Vec<u8>,
    /// Messages that stand behind its slots: they have no words in it.
    lost: Vec<(Uuid, Heard)>,
}

/// Works out what one of a user's parts lacks, outside any transaction: texts are read, and that takes a while. `None`: all have theirs.
pub async fn unfilled(q: &mut impl Querier, user: UserId) -> Result<Option<Unfilled>, sqlx::Error> {
    let found = fetch_optional!((i64, Vec<u8>, Vec<u8>), q, ONE_WITHOUT, user)?;
    let Some((part, ids, _)) = found else { return Ok(None) };
    let messages: Vec<Uuid> = ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect();
    let (inside, outside) = messages.split_at(messages.len().min(SLOTS));
    let lost = told(q, user, outside).await?.into_iter().map(|told| (told.id, told.heard())).collect();
    let lines: HashMap<Uuid, Line> =
        told(q, user, inside).await?.iter().map(|told| (told.id, told.line())).collect();
    let sheet = encoding::sheet(inside.iter().map(|message| lines.get(message).copied()));
    Ok(Some(Unfilled { part, ids, sheet, lost }))
}

/// Gives a part its sheet, if it is still as it was. Whoever does it holds the user's `memory_state`. Messages that stand behind its
/// slots become bags again.
pub async fn fill(tx: &mut Tx, user: UserId, found: Unfilled) -> Result<(), sqlx::Error> {
    let now = fetch_optional!((i64, Vec<u8>, Vec<u8>), tx, ONE_WITHOUT, user)?;
    let Some((part, mut ids, mut lengths)) = now else { return Ok(()) };
    if part != found.part || ids != found.ids {
        return Ok(());
    }
    super::insert_late(tx, user, &found.lost, Late::Any).await?;
    ids.truncate(16 * SLOTS);
    lengths.truncate(2 * SLOTS);
    execute!(tx, SET_SHEET, user, part, found.sheet, stamp(), ids, lengths).map(drop)
}
