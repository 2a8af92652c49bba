//! Finding sessions by text in their titles and messages. What a user said is not read from the database for each search: it is kept
//! in memory, in small letters, session by session, while the session's stamp stays. A search reads the stamps, so what it answers is never
//! older than what was committed before it began.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

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
/// Messages read by one statement: of the longest 24 MB.
const CHUNK: i64 = 250;
/// Stands between two messages: no text has it.
const BETWEEN: char = '\0';
/// A session that changes while it is looked for may not belong there any more: so all is looked for again, this often.
const TRIES: u32 = 3;
/// How long a user who has said too much is believed to have.
const TOO_LARGE: Duration = Duration::from_secs(15 * 60);

/// Another one after each change of what was said in a session: whatever changes its messages writes to its row.
macro_rules! stamp {
    () => {
        concat!(
            pg!("cast(xmin as text)"),
            lite!("next_seq || ' ' || message_count || ' ' || updated_at"),
            " as stamp"
        )
    };
}

statements! {
    /// All sessions, in a list's order.
    STAMPED = "select id, title, message_count, coalesce(", wanted!(), ", false) as is_wanted, (is_pinned, updated_at, id) < ($4, $5, $6) as is_after, ",
        stamp!(), " from sessions where user_id = $1 and status <> 'deleted' order by is_pinned desc, updated_at desc, id desc";
    SAID = "select session_id, seq, content from messages where ", checked!("user_id = $1"), " and session_id in ", ids!(2), "
        and (session_id, seq) > ($3, $4) order by session_id, seq limit $5";
    OF_PAGE = "select ", columns!(), ", ", stamp!(), " from sessions where ", checked!("user_id = $1"), " and status <> 'deleted' and id in ", ids!(2);
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

/// A session, and its stamp as it was read.
struct Shown {
    session: Session,
    stamp: String,
}

row!(Shown: session as flat, stamp);

struct Said {
    session_id: SessionId,
    seq: i64,
    content: String,
}

row!(Said: session_id, seq, content);

/// What was said in one session.
pub struct Text {
    stamp: String,
    text: Box<str>,
}

/// What was said in a user's sessions.
#[derive(Clone, Default)]
pub struct Texts {
    sessions: HashMap<SessionId, Arc<Text>>,
    bytes: usize,
    /// Since when it is not kept, because it would not fit.
    too_large: Option<Instant>,
}

impl Texts {
    /// What they take in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// None, and none to be kept.
    pub fn too_large() -> Self {
        Self { too_large: Some(Instant::now()), ..Self::default() }
    }

    fn is_too_large(&self) -> bool {
        self.too_large.is_some_and(|since| since.elapsed() < TOO_LARGE)
    }

    /// Those of these sessions, as they are now.
    fn of(&self, all: &[Stamped]) -> Self {
        let mut some = Self::default();
        for one in all {
            if let Some(text) = self.get(one) {
                some.insert(one.id, Arc::clone(text));
            }
        }
        some
    }

    /// Of a session that is not there.
    fn insert(&mut self, id: SessionId, text: Arc<Text>) {
        self.bytes += size(&text);
        self.sessions.insert(id, text);
    }

    /// What was said in a session, if it is known as it is now.
    fn get(&self, one: &Stamped) -> Option<&Arc<Text>> {
        self.sessions.get(&one.id).filter(|text| text.stamp == one.stamp)
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
    if kept.said(user).is_too_large() {
        return Ok(None);
    }
    let text = small(text);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let all = stamped(q, user, filter, part).await?;
        let Some(texts) = renewed(q, kept, user, &all, AT_ONCE).await? else { return Ok(None) };
        let finder = Finder::new(text.as_bytes());
        let is_in = |text: &str| finder.find(text.as_bytes()).is_some();
        let is_found = |one: &&Stamped| {
            texts.get(one).is_some_and(|text| is_in(&text.text)) || is_in(&small(&one.title))
        };
        let found: Vec<&Stamped> = all.iter().filter(|one| one.is_wanted).filter(is_found).collect();
        let after = found.iter().filter(|one| one.is_after);
        let page: Vec<&Stamped> = after.skip(part.skip as usize).take(part.limit as usize).copied().collect();
        let shown = of_page(q, user, &page).await?;
        let stamps = || shown.iter().map(|one| &one.stamp);
        if stamps().eq(page.iter().map(|one| &one.stamp)) || attempt == TRIES {
            return Ok(Some((shown.into_iter().map(|one| one.session).collect(), found.len() as i64)));
        }
    }
}

/// In small letters, one for one: a word's end makes no difference, as it does in Greek.
fn small(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
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

async fn of_page(q: &mut impl Querier, user: UserId, page: &[&Stamped]) -> Result<Vec<Shown>, sqlx::Error> {
    if page.is_empty() {
        return Ok(Vec::new());
    }
    let mut shown = fetch_all!(Shown, q, OF_PAGE, user, ids(page.iter().map(|one| one.id.0)))?;
    let place: HashMap<SessionId, usize> = page.iter().enumerate().map(|(at, one)| (one.id, at)).collect();
    shown.sort_by_key(|one| place.get(&one.session.id).copied());
    Ok(shown)
}

/// Reads and keeps what was said in the wanted sessions, however much, unless it is more than may be kept.
pub async fn read(
    q: &mut impl Querier,
    kept: &Kept,
    user: UserId,
    filter: &Filter,
) -> Result<(), sqlx::Error> {
    if kept.said(user).is_too_large() {
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
    let new: Vec<&Stamped> = all.iter().filter(|one| one.is_wanted && known.get(one).is_none()).collect();
    if new.is_empty() && all.iter().filter_map(|one| known.get(one)).count() == known.sessions.len() {
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

/// What was said in some sessions, each with its stamp. What takes more than `most` bytes is read no further, and is no whole.
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
            let (text, content) = (texts.entry(one.session_id).or_default(), small(&one.content));
            text.push_str(&content);
            text.push(BETWEEN);
            bytes += content.len();
        }
        match read.last() {
            Some(last) if !is_whole && bytes <= most => (session, seq) = (last.session_id, last.seq),
            _ => break,
        }
    }
    let text = |one: &&Stamped| {
        let text = texts.remove(&one.id).unwrap_or_default().into_boxed_str();
        (one.id, Text { stamp: one.stamp.clone(), text })
    };
    Ok(sessions.iter().map(text).collect())
}
