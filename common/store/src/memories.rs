//! Memories of one user: rows in, rows out. Whoever changes one goes through [`crate::usecase::memory::Changes`], which
//! writes the history too.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Conn, Pair, Querier, Tx, any_id, execute, fetch_all, fetch_one, fetch_optional, ids};
use crate::domain::{
    ids::{MemoryId, MessageId, SessionId, UserId},
    memory::{Memory, MemoryStatus, MemoryType},
};
use crate::memory::essential;

macro_rules! columns {
    () => {
        "id, user_id, content, norm, memory_type, subject, slot, object, importance, confidence, status, explicit, sensitive, \
         support, valid_from, valid_to, contexts, is_private, session_id, message_id, quote, extractor_version, extracted_at, \
         merged_into, expires_at, access_count, last_accessed, verified_at, feedback, created_at, updated_at"
    };
}

const INSERT: &str = concat!(
    "insert into memories (",
    columns!(),
    ", essential) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
       $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)"
);
const UPDATE: &str = "update memories set content = $3, norm = $4, memory_type = $5, subject = $6, slot = $7, object = $8,
        importance = $9, confidence = $10, status = $11, explicit = $12, sensitive = $13, support = $14, valid_from = $15,
        valid_to = $16, contexts = $17, is_private = $18, merged_into = $19, expires_at = $20, verified_at = $21,
        feedback = $22, updated_at = $23, embedded = case when norm = $4 then embedded else $24 end,
        essential = $25
    where id = $1 and user_id = $2";
const GET: &str = concat!("select ", columns!(), " from memories where id = $1 and user_id = $2");
/// One's own, or one shared with one.
const READABLE: &str = concat!(
    "select ",
    columns!(),
    " from memories where id = $1 and (user_id = $2 or exists (select 1 from memory_shares s
        where s.memory_id = $1 and s.user_id = $2))"
);
const SHARED_WITH_ME: &str = concat!(
    "select ",
    columns!(),
    " from memories where id in (select memory_id from memory_shares where user_id = $1)
        and status in ('pending', 'confirmed') order by created_at desc, id desc limit $2 offset $3"
);
const GET_MANY: Pair = any_id!(["select ", columns!(), " from memories where user_id = $1 and id in "] 2 [" order by created_at, id"]);
const BY_NORM: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and norm = $2 order by case status when 'confirmed' then 0 when 'pending' then 1
        when 'rejected' then 2 else 3 end, created_at desc limit 1"
);
const BY_SLOT: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and subject = $2 and slot = $3 and status in ('pending', 'confirmed', 'rejected', 'superseded')
        order by created_at, id limit 200"
);
const ACTIVE: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and status in ('pending', 'confirmed') order by created_at desc, id desc limit $2"
);
const ESSENTIAL: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and essential and status = 'confirmed' and importance >= $2
        and (valid_to is null or valid_to > $3) order by importance desc, created_at desc, id limit 50"
);
const ANY: &str = "select 1 from memories where user_id = $1 and status in ('pending', 'confirmed') limit 1";
/// $2 status, `all`, or `live` (neither rejected, superseded, merged nor, unless asked, expired)
macro_rules! wanted {
    () => {
        "user_id = $1 and (case $2 when 'all' then 1 = 1 when 'live' then status in ('pending', 'confirmed') or (status = 'expired' and $5)
            else status = $2 end)
         and ($3 is null or memory_type = $3) and ($4 is null or lower(content) like $4 escape '\\')"
    };
}
const LIST_NEW: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by created_at desc, id desc limit $6 offset $7"
);
const LIST_OLD: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by created_at, id limit $6 offset $7"
);
const LIST_UPDATED: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by updated_at desc, id desc limit $6 offset $7"
);
const LIST_IMPORTANCE: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by importance desc, id desc limit $6 offset $7"
);
const LIST_CONFIDENCE: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by confidence desc, id desc limit $6 offset $7"
);
const LIST_ACCESS: &str = concat!(
    "select ",
    columns!(),
    " from memories where ",
    wanted!(),
    " order by access_count desc, id desc limit $6 offset $7"
);
const COUNT: &str = concat!("select count(*) from memories where ", wanted!());
/// For exports: in the order of ids, a page at a time.
const PAGE_BY_ID: &str =
    concat!("select ", columns!(), " from memories where user_id = $1 and id > $2 order by id limit $3");
const DELETE: &str = "delete from memories where id = $1 and user_id = $2";
const MERGED_FROM: Pair = any_id!(["select merged_into, id from memories where user_id = $1 and merged_into in "] 2 [" order by id"]);
const SHARES: Pair = any_id!(["select s.memory_id, s.name from memory_shares s join memories m on m.id = s.memory_id
    where m.user_id = $1 and s.memory_id in "] 2 [" order by s.memory_id, s.place"]);
const UNSHARE: &str = "delete from memory_shares where memory_id = $1";
const SHARE: &str = "insert into memory_shares (memory_id, place, name, user_id) values ($1, $2, $3, $4)";
const ADD_EVIDENCE: &str = "insert into memory_evidence (memory_id, message_id, user_id, quote, created_at)
    values ($1, $2, $3, $4, $5) on conflict do nothing";
const EVIDENCE_MESSAGES: Pair =
    any_id!(["select memory_id, message_id from memory_evidence where user_id = $1 and memory_id in "] 2 []);
const BY_SESSION: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and session_id = $2 and status in ('pending', 'confirmed') order by created_at, id"
);
const COPY_EVIDENCE: &str = "insert into memory_evidence (memory_id, message_id, user_id, quote, created_at)
    select $3, message_id, user_id, quote, created_at from memory_evidence where memory_id = $2 and user_id = $1 on conflict do nothing";
const BY_EVIDENCE: &str = concat!(
    "select ",
    columns!(),
    " from memories where user_id = $1 and id in (select memory_id from memory_evidence where message_id = $2 and user_id = $1)"
);
const DUE_TO_EXPIRE: &str =
    "select id, user_id from memories where expires_at <= $1 and status in ('pending', 'confirmed')
    and expires_at is not null order by expires_at limit $2";
const TOUCH: Pair = any_id!(["update memories set access_count = access_count + 1, last_accessed = $2 where user_id = $1 and id in "] 3 []);
const FORGET: &str = "insert into memory_forgotten (user_id, hash) values ($1, $2) on conflict do nothing";
const REMEMBER: &str = "delete from memory_forgotten where user_id = $1 and hash = $2";
const FORGOTTEN: &str = "select 1 from memory_forgotten where user_id = $1 and hash = $2";
/// $3 status, $4 type, $5 importance below, $6 created before, $7 after this id
const MATCHING: &str = "select id from memories where user_id = $1 and id > $2 and ($3 is null or status = $3)
    and ($4 is null or memory_type = $4) and ($5 is null or importance < $5) and ($6 is null or created_at < $6)
    order by id limit $7";
const EXPIRING_TYPES: &str = concat!(
    "select ", columns!(), " from memories where user_id = $1 and status in ('pending', 'confirmed') and expires_at is null
        and memory_type in ('goal', 'experience', 'topic', 'fact') order by created_at desc, id desc limit $2"
);

pub(super) const SQL: &[&str] = &[
    INSERT,
    UPDATE,
    GET,
    READABLE,
    SHARED_WITH_ME,
    BY_NORM,
    ANY,
    ESSENTIAL,
    BY_SLOT,
    ACTIVE,
    LIST_NEW,
    LIST_OLD,
    LIST_UPDATED,
    LIST_IMPORTANCE,
    LIST_CONFIDENCE,
    LIST_ACCESS,
    COUNT,
    PAGE_BY_ID,
    DELETE,
    UNSHARE,
    SHARE,
    ADD_EVIDENCE,
    BY_EVIDENCE,
    BY_SESSION,
    COPY_EVIDENCE,
    DUE_TO_EXPIRE,
    FORGET,
    REMEMBER,
    FORGOTTEN,
    MATCHING,
    EXPIRING_TYPES,
];
pub(super) const PAIRS: &[Pair] = &[GET_MANY, MERGED_FROM, SHARES, EVIDENCE_MESSAGES, TOUCH];

pub async fn insert(tx: &mut Tx, m: &Memory) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        INSERT,
        m.id,
        m.user_id,
        &m.content,
        &m.norm,
        m.memory_type,
        &m.subject,
        &m.slot,
        &m.object,
        m.importance,
        m.confidence,
        m.status,
        m.explicit,
        m.sensitive,
        m.support,
        m.valid_from,
        m.valid_to,
        Json(&m.contexts),
        m.is_private,
        m.session_id,
        m.message_id,
        &m.quote,
        &m.extractor_version,
        m.extracted_at,
        m.merged_into,
        m.expires_at,
        m.access_count,
        m.last_accessed,
        m.verified_at,
        &m.feedback,
        m.created_at,
        m.updated_at,
        essential::is_essential(m)
    )
    .map(drop)
}

/// Writes all that can change. Where it came from never does. A vector of other words is made anew.
pub async fn update(tx: &mut Tx, m: &Memory) -> Result<bool, sqlx::Error> {
    let changed = execute!(
        tx,
        UPDATE,
        m.id,
        m.user_id,
        &m.content,
        &m.norm,
        m.memory_type,
        &m.subject,
        &m.slot,
        &m.object,
        m.importance,
        m.confidence,
        m.status,
        m.explicit,
        m.sensitive,
        m.support,
        m.valid_from,
        m.valid_to,
        Json(&m.contexts),
        m.is_private,
        m.merged_into,
        m.expires_at,
        m.verified_at,
        &m.feedback,
        m.updated_at,
        false,
        essential::is_essential(m)
    )?;
    Ok(changed == 1)
}

pub async fn get(q: &mut impl Querier, user: UserId, id: MemoryId) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, GET, id, user)
}

/// One's own memory, or one that its owner shared with `user`.
pub async fn readable(
    q: &mut impl Querier,
    user: UserId,
    id: MemoryId,
) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, READABLE, id, user)
}

pub async fn shared_with_me(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
    skip: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, SHARED_WITH_ME, user, limit, skip)
}

/// Those of `wanted` that are the user's, the oldest first.
pub async fn get_many(
    q: &mut impl Querier,
    user: UserId,
    wanted: &[MemoryId],
) -> Result<Vec<Memory>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = GET_MANY.of(q);
    fetch_all!(Memory, q, sql, user, ids(wanted.iter().copied()))
}

/// The memory that says exactly this; the one that counts most, if there are several.
pub async fn by_norm(q: &mut impl Querier, user: UserId, norm: &str) -> Result<Option<Memory>, sqlx::Error> {
    fetch_optional!(Memory, q, BY_NORM, user, norm)
}

pub async fn by_slot(
    q: &mut impl Querier,
    user: UserId,
    subject: &str,
    slot: &str,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_SLOT, user, subject, slot)
}

/// The newest of those that count.
pub async fn active(q: &mut impl Querier, user: UserId, limit: i64) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, ACTIVE, user, limit)
}

/// Whether the user has any memory that counts.
pub async fn are_any(q: &mut impl Querier, user: UserId) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, ANY, user)?.is_some())
}

/// Confirmed ones that must never be missed and matter at least so much; what matters most first.
pub async fn essential(
    q: &mut impl Querier,
    user: UserId,
    least: f64,
    now: DateTime<Utc>,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, ESSENTIAL, user, least, now)
}

/// Active ones without an expiry, of the types that may need one.
pub async fn without_expiry(
    q: &mut impl Querier,
    user: UserId,
    limit: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, EXPIRING_TYPES, user, limit)
}

/// Of which status.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// Pending and confirmed ones.
    Live,
    All,
    Only(MemoryStatus),
}

impl Wanted {
    fn as_str(self) -> &'static str {
        match self {
            Wanted::Live => "live",
            Wanted::All => "all",
            Wanted::Only(status) => status.as_str(),
        }
    }
}

/// Which memories a list wants.
#[derive(Debug, Clone)]
pub struct Filter {
    pub status: Wanted,
    pub memory_type: Option<MemoryType>,
    pub q: Option<String>,
    pub include_expired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Newest,
    Oldest,
    Updated,
    Importance,
    Confidence,
    Access,
}

pub async fn list(
    q: &mut impl Querier,
    user: UserId,
    filter: &Filter,
    sort: Sort,
    limit: i64,
    skip: i64,
) -> Result<(Vec<Memory>, i64), sqlx::Error> {
    let sql = match sort {
        Sort::Newest => LIST_NEW,
        Sort::Oldest => LIST_OLD,
        Sort::Updated => LIST_UPDATED,
        Sort::Importance => LIST_IMPORTANCE,
        Sort::Confidence => LIST_CONFIDENCE,
        Sort::Access => LIST_ACCESS,
    };
    let (status, memory_type, include_expired) =
        (filter.status.as_str(), filter.memory_type, filter.include_expired);
    let pattern = filter.q.as_deref().map(super::contains_pattern);
    let page = fetch_all!(Memory, q, sql, user, status, memory_type, &pattern, include_expired, limit, skip)?;
    let total = fetch_one!((i64,), q, COUNT, user, status, memory_type, &pattern, include_expired)?.0;
    Ok((page, total))
}

pub async fn page_by_id(
    q: &mut impl Querier,
    user: UserId,
    after: MemoryId,
    limit: i64,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, PAGE_BY_ID, user, after, limit)
}

pub async fn delete(tx: &mut Tx, user: UserId, id: MemoryId) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, DELETE, id, user)? == 1)
}

/// (merged, one it was merged from) for each of `into`.
pub async fn merged_from(
    q: &mut impl Querier,
    user: UserId,
    into: &[MemoryId],
) -> Result<Vec<(MemoryId, MemoryId)>, sqlx::Error> {
    let sql = MERGED_FROM.of(q);
    fetch_all!((MemoryId, MemoryId), q, sql, user, ids(into.iter().copied()))
}

/// Somebody a memory is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// As the owner wrote it.
    pub name: String,
    /// Who had that name then, if anybody did.
    pub user: Option<UserId>,
}

/// (memory, a name it is shared with) for each of the user's `of`, in the order its owner gave them.
pub async fn shares(
    q: &mut impl Querier,
    user: UserId,
    of: &[MemoryId],
) -> Result<Vec<(MemoryId, String)>, sqlx::Error> {
    let sql = SHARES.of(q);
    fetch_all!((MemoryId, String), q, sql, user, ids(of.iter().copied()))
}

/// Shares a memory, which the caller has shown to own, with exactly these.
pub async fn share(tx: &mut Tx, id: MemoryId, with: &[Reader]) -> Result<(), sqlx::Error> {
    execute!(tx, UNSHARE, id)?;
    for (place, reader) in with.iter().enumerate() {
        execute!(tx, SHARE, id, place as i64, &reader.name, reader.user)?;
    }
    Ok(())
}

/// One more message that says it. `false`: it was known to.
pub async fn add_evidence(
    tx: &mut Tx,
    user: UserId,
    id: MemoryId,
    message: MessageId,
    quote: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, ADD_EVIDENCE, id, message, user, quote, now)? == 1)
}

/// What was extracted from a session, and counts.
pub async fn by_session(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_SESSION, user, session)
}

/// What says one memory says the other too.
pub async fn copy_evidence(
    tx: &mut Tx,
    user: UserId,
    from: MemoryId,
    to: MemoryId,
) -> Result<(), sqlx::Error> {
    execute!(tx, COPY_EVIDENCE, user, from, to).map(drop)
}

/// What a message gave.
pub async fn by_evidence(
    q: &mut impl Querier,
    user: UserId,
    message: MessageId,
) -> Result<Vec<Memory>, sqlx::Error> {
    fetch_all!(Memory, q, BY_EVIDENCE, user, message)
}

/// (memory, message that says it)
pub async fn evidence_messages(
    q: &mut impl Querier,
    user: UserId,
    of: &[MemoryId],
) -> Result<Vec<(MemoryId, MessageId)>, sqlx::Error> {
    let sql = EVIDENCE_MESSAGES.of(q);
    fetch_all!((MemoryId, MessageId), q, sql, user, ids(of.iter().copied()))
}

/// For the sweep: over all users, each row with its owner.
pub async fn due_to_expire(
    q: &mut impl Querier,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(MemoryId, UserId)>, sqlx::Error> {
    fetch_all!((MemoryId, UserId), q, DUE_TO_EXPIRE, now, limit)
}

/// Counts a reading of each.
pub async fn touch(
    conn: &mut Conn,
    user: UserId,
    read: &[MemoryId],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let sql = TOUCH.of(conn);
    execute!(conn, sql, user, now, ids(read.iter().copied())).map(drop)
}

/// Remembers the hash of a deleted memory's words, so that replay does not bring it back.
pub async fn forget(tx: &mut Tx, user: UserId, hash: &[u8]) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, user, hash).map(drop)
}

pub async fn no_longer_forgotten(tx: &mut Tx, user: UserId, hash: &[u8]) -> Result<(), sqlx::Error> {
    execute!(tx, REMEMBER, user, hash).map(drop)
}

pub async fn is_forgotten(q: &mut impl Querier, user: UserId, hash: &[u8]) -> Result<bool, sqlx::Error> {
    Ok(fetch_optional!((i32,), q, FORGOTTEN, user, hash)?.is_some())
}

/// What a bulk deletion names.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    pub status: Option<MemoryStatus>,
    pub memory_type: Option<MemoryType>,
    pub importance_lt: Option<f64>,
    pub created_before: Option<DateTime<Utc>>,
}

/// Ids of the user's memories that match, after an id, in order.
pub async fn matching(
    q: &mut impl Querier,
    user: UserId,
    after: MemoryId,
    criteria: &Criteria,
    limit: i64,
) -> Result<Vec<MemoryId>, sqlx::Error> {
    let Criteria { status, memory_type, importance_lt, created_before } = criteria;
    let rows = fetch_all!(
        (MemoryId,),
        q,
        MATCHING,
        user,
        after,
        *status,
        *memory_type,
        *importance_lt,
        *created_before,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
