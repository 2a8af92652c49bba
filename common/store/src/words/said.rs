//! Finding sessions by text in their titles and messages. What a user said is not read from the database for each search: it is kept
//! in memory, in small letters, session by session, while the session's stamp stays. A search reads the stamps, so what it answers is never
//! older than what was committed before it began.

use std::{collections::HashMap, sync::Arc};

use memchr::memmem::Finder;
use uuid::Uuid;

use super::kept::Kept;
use crate::{
    db::{Querier, fetch_all, ids, row, statements},
    domain::{
        ids::{SessionId, UserId},
        session::Session,
    },
    sessions::{Filter, Part, columns, wanted},
};

/// Messages that a search may read itself, besides those it knows: about 10 ms.
const AT_ONCE: i64 = 5_000;
/// Messages read by one statement.
const CHUNK: i64 = 1_000;
/// Stands between two messages: no text has it.
const BETWEEN: char = '\0';
/// A session that was deleted while it was looked for makes a page too short; so it is looked for again, this often.
const TRIES: u32 = 3;

statements! {
    /// All sessions, in a list's order. The stamp is another one after each change of the row, and whatever changes a session's
    /// messages changes its row.
    STAMPED = "select id, title, message_count, ", "coalesce(", wanted!(), ", false) as is_wanted, (is_pinned, updated_at, id) < ($4, $5, $6) as is_after, ",
        pg!("cast(xmin as text)"),
        lite!("next_seq || ' ' || message_count || ' ' || updated_at"),
        " as stamp from sessions where user_id = $1 and status <> 'deleted' order by is_pinned desc, updated_at desc, id desc";
    SAID = "select session_id, seq, content from messages where ", checked!("user_id = $1"), " and session_id in ", ids!(2), "
        and (session_id, seq) > ($3, $4) order by session_id, seq limit $5";
    OF_PAGE = "select ", columns!(), " from sessions where ", checked!("user_id = $1"), " and status <> 'deleted' and id in ", ids!(2);
}

struct Stamped {
    id: SessionId,
    title: String,
    message_count: i64,
    is_wanted: bool,
    is_after: bool,
    stamp: String,
}

row!(Stamped: id, title, message_count, is_wanted, is_after, stamp);

struct Said {
    session_id: SessionId,
    seq: i64,
    content: String,
}

row!(Said: session_id, seq, content);

/// What was said in one session.
pub struct Text {
    stamp: String,
    text: String,
}

/// What was said in a user's sessions.
#[derive(Clone, Default)]
pub struct Texts {
    sessions: HashMap<SessionId, Arc<Text>>,
    bytes: usize,
    /// Not kept: it would not fit.
    is_too_large: bool,
}

impl Texts {
    /// What they take in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// None, and none to be kept.
    pub fn too_large() -> Self {
        Self { is_too_large: true, ..Self::default() }
    }

    /// Those of these sessions.
    fn of(&self, all: &[Stamped]) -> Self {
        let mut some = Self::default();
        for one in all {
            if let Some(text) = self.sessions.get(&one.id) {
                some.insert(one.id, Arc::clone(text));
            }
        }
        some
    }

    fn insert(&mut self, id: SessionId, text: Arc<Text>) {
        self.bytes += size(&text);
        if let Some(old) = self.sessions.insert(id, text) {
            self.bytes -= size(&old);
        }
    }

    fn knows(&self, one: &Stamped) -> bool {
        self.sessions.get(&one.id).is_some_and(|text| text.stamp == one.stamp)
    }
}

fn size(text: &Text) -> usize {
    text.text.len() + text.stamp.len() + size_of::<Text>() + 64
}

/// Sessions in whose title or messages the text is found, and how many. `None`: much of what was said is not known; [`read`] knows it.
pub async fn find(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    filter: &Filter,
    text: &str,
    part: &Part,
) -> Result<Option<(Vec<Session>, i64)>, sqlx::Error> {
    let text = text.to_lowercase();
    for attempt in 1..=TRIES {
        let all = stamped(q, user, filter, part).await?;
        let Some(texts) = renewed(q, kept, user, &all, AT_ONCE).await? else { return Ok(None) };
        let finder = Finder::new(text.as_bytes());
        let is_in = |text: &str| finder.find(text.as_bytes()).is_some();
        let is_found = |one: &&Stamped| {
            texts.sessions.get(&one.id).is_some_and(|text| is_in(&text.text))
                || is_in(&one.title.to_lowercase())
        };
        let found: Vec<&Stamped> = all.iter().filter(|one| one.is_wanted).filter(is_found).collect();
        let after = found.iter().filter(|one| one.is_after);
        let shown: Vec<SessionId> =
            after.skip(part.skip as usize).take(part.limit as usize).map(|one| one.id).collect();
        let sessions = of_page(q, user, &shown).await?;
        if sessions.len() == shown.len() || attempt == TRIES {
            return Ok(Some((sessions, found.len() as i64)));
        }
    }
    Ok(None)
}

async fn stamped(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    part: &Part,
) -> Result<Vec<Stamped>, sqlx::Error> {
    let Filter { status, project, .. } = filter;
    let (pinned, updated, id) = part.begin();
    fetch_all!(Stamped, q, STAMPED, user, status, project, pinned, updated, id)
}

async fn of_page(
    q: &mut impl Querier,
    user: UserId,
    shown: &[SessionId],
) -> Result<Vec<Session>, sqlx::Error> {
    if shown.is_empty() {
        return Ok(Vec::new());
    }
    let mut sessions = fetch_all!(Session, q, OF_PAGE, user, ids(shown.iter().map(|id| id.0)))?;
    let place: HashMap<SessionId, usize> = shown.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    sessions.sort_by_key(|session| place.get(&session.id).copied());
    Ok(sessions)
}

/// Reads and keeps what was said in the wanted sessions, however much, unless it is more than may be kept.
pub async fn read(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    filter: &Filter,
) -> Result<(), sqlx::Error> {
    if kept.said(user).is_too_large {
        return Ok(());
    }
    let all = stamped(q, user, filter, &Part::first(1)).await?;
    renewed(q, kept, user, &all, i64::MAX).await.map(drop)
}

/// What was said in those of all sessions that are wanted, if no more than `most` messages must be read for that, and it may be kept.
async fn renewed(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    all: &[Stamped],
    most: i64,
) -> Result<Option<Arc<Texts>>, sqlx::Error> {
    let known = kept.said(user);
    if known.is_too_large {
        return Ok(None);
    }
    let new: Vec<&Stamped> = all.iter().filter(|one| one.is_wanted && !known.knows(one)).collect();
    if new.is_empty() {
        return Ok(Some(known));
    }
    // An empty session costs a row too.
    if new.iter().map(|one| one.message_count.max(1)).sum::<i64>() > most {
        return Ok(None);
    }
    let mut texts = known.of(all);
    let mut rest = new.as_slice();
    while !rest.is_empty() {
        let mut messages = 0;
        let fits = |one: &&&Stamped| {
            messages += one.message_count.max(1);
            messages <= CHUNK
        };
        let (chunk, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        for (id, text) in said(q, user, chunk, kept.budget().saturating_sub(texts.bytes)).await? {
            texts.insert(id, Arc::new(text));
        }
        if texts.bytes > kept.budget() {
            kept.keep_said(user, Texts::too_large());
            return Ok(None);
        }
        rest = others;
    }
    Ok(Some(kept.keep_said(user, texts)))
}

/// What was said in some sessions, each with its stamp. What is longer than `most` bytes is read no further.
async fn said(
    q: &mut impl Querier,
    user: UserId,
    sessions: &[&Stamped],
    most: usize,
) -> Result<Vec<(SessionId, Text)>, sqlx::Error> {
    let mut texts: HashMap<SessionId, String> = HashMap::new();
    let asked = ids(sessions.iter().map(|one| one.id.0));
    let (mut session, mut seq, mut bytes) = (SessionId(Uuid::nil()), -1, 0);
    loop {
        let read = fetch_all!(Said, q, SAID, user, &asked, session, seq, CHUNK)?;
        let is_whole = (read.len() as i64) < CHUNK;
        for one in &read {
            let text = texts.entry(one.session_id).or_default();
            text.extend(one.content.to_lowercase().chars().chain([BETWEEN]));
            bytes += one.content.len();
        }
        match read.last() {
            Some(last) if !is_whole && bytes <= most => (session, seq) = (last.session_id, last.seq),
            _ => break,
        }
    }
    let text = |one: &&Stamped| {
        (one.id, Text { stamp: one.stamp.clone(), text: texts.remove(&one.id).unwrap_or_default() })
    };
    Ok(sessions.iter().map(text).collect())
}
