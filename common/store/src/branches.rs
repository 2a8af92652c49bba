//! Branches share their past: a session's messages are its own, and its ancestors' up to where it left them. And what an
//! answer gave way to.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::db::{Querier, Tx, execute, fetch_all, fetch_one, fetch_optional, row, statements};
use crate::{
    domain::{
        ids::{JobId, MessageId, ProjectId, SessionId, UserId},
        message::{Details, Role, Turn, Usage},
    },
    error::Result,
};

/// The sessions a session's messages stand in, each up to a place. $1 the session, $2 its user.
macro_rules! line {
    () => {
        concat!(
            "with recursive line (id, upto) as (
            select s.id, cast(9000000000000000000 as bigint) from sessions s where s.id = $1 and s.user_id = $2
            union all
            select s.parent_session_id, case when s.branch_seq < l.upto then s.branch_seq else l.upto end
            from line l join sessions s on s.id = l.id
            where s.parent_session_id is not null and s.branch_seq is not null and ",
            checked!("s.user_id = $2"),
            ") "
        )
    };
}
pub(super) use line;

statements! {
    CONTEXT = line!(),
        "select m.role, m.content, m.status, m.seq, case when m.role = 'user' then m.details end as details from line l join messages m on m.session_id = l.id and m.seq <= l.upto
      where m.seq <= $3 order by m.seq desc limit $4";
    FIND = line!(),
        "select m.session_id, m.seq, m.role, m.content, case when m.role = 'user' then m.details end as details from line l join messages m on m.session_id = l.id and m.seq <= l.upto
      where m.id = $3";
    COUNT_UPTO = line!(),
        "select count(*) from line l join messages m on m.session_id = l.id and m.seq <= l.upto where m.seq <= $3";
    LAST_QUESTION =
        "select id from messages where session_id = $1 and ", checked!("user_id = $2"), " and role = 'user' order by seq desc limit 1";
    INSERT = "insert into sessions (id, user_id, title, title_source, project_id, parent_session_id, branch_seq, next_seq,
        message_count, extracted_seq, created_at, updated_at, active_hour)
    select $3, user_id, title, title_source, project_id, id, cast($4 as bigint), cast($4 as bigint) + 1, cast($5 as bigint), cast($4 as bigint),
        $6, $6, ", hour!("$6"), " from sessions where id = $1 and user_id = $2
        and (status <> 'deleted' or $7)";
    LAST_SHARED = "select max(branch_seq) from sessions where parent_session_id = $1 and user_id = $2";
    CUT = "delete from messages where session_id = $1 and ", checked!("user_id = $2"), " and seq > $3";
    CUT_VARIANTS = "delete from message_variants where session_id = $1 and ", checked!("user_id = $2"), " and seq > $3";
    HIDE = "update sessions set status = 'deleted', extract_after = null, extract_due = null where id = $1 and user_id = $2";
    PARENT = "select p.id, p.status from sessions s join sessions p on p.id = s.parent_session_id
    where s.id = $1 and s.user_id = $2";
    DELETE = "delete from sessions where id = $1 and user_id = $2";
    KEEP_VARIANT = "insert into message_variants (id, session_id, user_id, seq, content, status, provider, model, usage,
        feedback, created_at, details)
    select id, session_id, user_id, seq, content, status, provider, model, usage, feedback, created_at, details from messages
    where session_id = $1 and user_id = $2 and seq = $3 and role = 'assistant'";
    DELETE_ANSWER = "delete from messages where session_id = $1 and ", checked!("user_id = $2"), " and seq = $3 and role = 'assistant'";
    VARIANTS = "select id, content, status, provider, model, usage, created_at, details from message_variants
    where session_id = $1 and user_id = $2 and seq = $3 order by created_at, id";
    /// $4 the variant, $5 its question's place.
    USE_VARIANT = "insert into messages (id, session_id, user_id, seq, role, content, status, provider, model, usage,
        feedback, created_at, details, remember)
    select id, session_id, user_id, seq, 'assistant', content, status, provider, model, usage, feedback, created_at, details,
        coalesce((select q.remember from messages q where q.session_id = $1 and q.seq = $5), false)
    from message_variants where session_id = $1 and ", checked!("user_id = $2"), " and seq = $3 and id = $4";
    DROP_VARIANT = "delete from message_variants where session_id = $1 and ", checked!("user_id = $2"), " and seq = $3 and id = $4";
    PLACE = "select session_id, seq, role, job_id from messages where id = $1 and user_id = $2";
    FEEDBACK = "update messages set feedback = $3 where id = $1 and user_id = $2 and role = 'assistant'";
    /// Whether there is any is asked of `u.id`: of a value that it knows PostgreSQL may think that the whole table has one soon.
    SCOPE = "select s.project_id, s.parent_session_id, coalesce(u.name, u.username, u.email, '') as user_name, us.settings,
        exists (select 1 from budgets b where b.scope = $3 and (b.daily_tokens is not null or b.daily_cost is not null)) as has_budget,
        exists (select 1 from memories m where m.user_id = u.id and m.status in ('pending', 'confirmed')) as has_memories,
        exists (select 1 from files f where f.user_id = u.id and f.generation is not null) as has_files,
        (select true from sessions o where o.user_id = u.id and o.id <> $1 and o.status <> 'deleted'
            and case when o.project_id is not distinct from s.project_id then 1 = 1 else 1 = 0 end
            order by o.active_hour desc limit 1) is not null as has_others,
        exists (select 1 from extraction_runs r where r.user_id = u.id and r.outcome in ('facts', 'no_facts')) as has_readings
    from sessions s join users u on u.id = s.user_id left join user_settings us on us.user_id = u.id
    where s.id = $1 and s.user_id = $2";
}

/// The turns up to and with `seq`, newest first, those shared with ancestors included.
pub async fn context(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    seq: i64,
    limit: i64,
) -> Result<Vec<Turn>, sqlx::Error> {
    fetch_all!(Turn, q, CONTEXT, session, user, seq, limit)
}

#[derive(Debug)]
pub struct Place {
    /// The session it stands in, which may be an ancestor.
    pub session_id: SessionId,
    pub seq: i64,
    pub role: Role,
    pub content: String,
    /// Of a question.
    pub details: Details,
}

row!(Place: session_id, seq, role, content, details as default_json);

/// A message that a session shows.
pub async fn find(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    message: MessageId,
) -> Result<Option<Place>, sqlx::Error> {
    fetch_optional!(Place, q, FIND, session, user, message)
}

pub async fn count_upto(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    seq: i64,
) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, COUNT_UPTO, session, user, seq)?.0)
}

pub async fn last_question(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Option<MessageId>, sqlx::Error> {
    Ok(fetch_optional!((MessageId,), q, LAST_QUESTION, session, user)?.map(|row| row.0))
}

/// A session that goes on from another's message.
pub struct NewBranch {
    pub parent: SessionId,
    pub id: SessionId,
    /// The last message they share, and how many those are.
    pub seq: i64,
    pub count: i64,
    /// Whether the parent may be deleted, and kept only for what its branches share.
    pub of_hidden: bool,
}

/// Makes a branch that has its parent's messages up to `seq`. `false`: there is no such parent.
pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    branch: NewBranch,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let NewBranch { parent, id, seq, count, of_hidden } = branch;
    Ok(execute!(tx, INSERT, parent, user, id, seq, count, now, of_hidden)? == 1)
}

/// Deletes a session. What its branches share of it stays, hidden, until the last of them is deleted.
pub async fn delete(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool, sqlx::Error> {
    let mut id = id;
    let mut found = false;
    loop {
        if let Some(shared) = fetch_one!((Option<i64>,), tx, LAST_SHARED, id, user)?.0 {
            execute!(tx, CUT, id, user, shared)?;
            execute!(tx, CUT_VARIANTS, id, user, shared)?;
            return Ok(execute!(tx, HIDE, id, user)? == 1 || found);
        }
        let parent = fetch_optional!((SessionId, String), tx, PARENT, id, user)?;
        found |= execute!(tx, DELETE, id, user)? == 1;
        // A parent that was only kept for this branch goes too.
        match parent {
            Some((parent, status)) if status == "deleted" => id = parent,
            _ => return Ok(found),
        }
    }
}

/// Takes an answer out of the way of another one, keeping it as a variant. The number moved: 0 or 1.
pub async fn keep_variant(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
    seq: i64,
) -> Result<u64, sqlx::Error> {
    execute!(tx, KEEP_VARIANT, session, user, seq)?;
    execute!(tx, DELETE_ANSWER, session, user, seq)
}

/// An answer that gave way to another one.
#[derive(Debug, Clone)]
pub struct Variant {
    pub id: MessageId,
    pub content: String,
    pub status: String,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub created_at: DateTime<Utc>,
    pub details: Option<Details>,
}

row!(Variant:
    id, content, status, provider, model, usage as optional_json, created_at, details as optional_json
);

pub async fn variants(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
    seq: i64,
) -> Result<Vec<Variant>, sqlx::Error> {
    fetch_all!(Variant, q, VARIANTS, session, user, seq)
}

/// Puts an earlier answer into the place of the present one, which becomes a variant. `false`: there is no such variant.
pub async fn use_variant(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
    seq: i64,
    variant: MessageId,
) -> Result<bool, sqlx::Error> {
    keep_variant(tx, user, session, seq).await?;
    // What memory may know of an answer, its question says.
    if execute!(tx, USE_VARIANT, session, user, seq, variant, seq - 1)? != 1 {
        return Ok(false);
    }
    execute!(tx, DROP_VARIANT, session, user, seq, variant)?;
    Ok(true)
}

/// Where a message stands, and the job that it belongs to.
#[derive(Debug)]
pub struct Standing {
    pub session_id: SessionId,
    pub seq: i64,
    pub role: Role,
    pub job_id: Option<JobId>,
}

row!(Standing: session_id, seq, role, job_id);

pub async fn place(
    q: &mut impl Querier,
    user: UserId,
    id: MessageId,
) -> Result<Option<Standing>, sqlx::Error> {
    fetch_optional!(Standing, q, PLACE, id, user)
}

/// What the user thinks of an answer. `false`: it is none of theirs.
pub async fn feedback(
    tx: &mut Tx,
    user: UserId,
    id: MessageId,
    feedback: &serde_json::Value,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, FEEDBACK, id, user, Json(feedback))? == 1)
}

/// What a chat's prompt is made with.
#[derive(Debug)]
pub struct Scope {
    pub project_id: Option<ProjectId>,
    pub parent_session_id: Option<SessionId>,
    pub user_name: String,
    pub settings: Option<serde_json::Value>,
    /// Whether an admin gave the user a budget of their own.
    pub has_budget: bool,
    pub has_memories: bool,
    /// Whether any file of the user's has passages.
    pub has_files: bool,
    /// Whether the user has another conversation of the same project, or of none.
    pub has_others: bool,
    /// Whether a model has read any of what the user said.
    pub has_readings: bool,
}

row!(Scope: project_id, parent_session_id, user_name, settings as optional_json, has_budget, has_memories, has_files, has_others, has_readings);

pub async fn scope(
    q: &mut impl Querier,
    user: UserId,
    session: SessionId,
) -> Result<Option<Scope>, sqlx::Error> {
    fetch_optional!(Scope, q, SCOPE, session, user, user.to_string())
}
