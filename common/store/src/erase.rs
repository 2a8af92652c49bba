//! What goes with an account that no foreign key takes along.

use super::db::{Querier, Sql, Tx, execute, fetch_all, statements};
use crate::domain::ids::{JobId, UserId};

statements! {
    JOBS = "select id from jobs where user_id = $1 and id > $2 order by id limit 1000";
    IDEMPOTENCY = "delete from idempotency_keys where owner = $1";
    REGISTERED = "delete from idempotency_keys where owner = 'register' and target = $1";
    BUDGET = "delete from budgets where scope = $1";
    MAILS = "delete from jobs where kind = 'mail' and user_id is null and payload ->> 'user_id' = $1";
    PARTS = "delete from message_word_parts where user_id = $1 and part in (select part from message_word_parts where user_id = $1 limit $2)";
    POSTINGS = "delete from message_postings where user_id = $1 and (bucket, part) in
        (select bucket, part from message_postings where user_id = $1 limit $2)";
    MEMORIES = "delete from memories where id in (select id from memories where user_id = $1 limit $2)";
    MESSAGES = "delete from messages where id in (select id from messages where user_id = $1 limit $2)";
    ALL_JOBS = "delete from jobs where id in (select id from jobs where user_id = $1 limit $2)";
    CHUNKS = "delete from chunks where id in (select id from chunks where user_id = $1 limit $2)";
    FILES = "delete from files where id in (select id from files where user_id = $1 limit $2)";
    SESSIONS = "delete from sessions where id in (select id from sessions where user_id = $1 limit $2)";
    /// The erasure's own row must not name whom it erased.
    FORGET = "update jobs set payload = '{}', dedupe_key = null where id = $1";
    MEMBERS = "delete from vector_store_files where user_id = $1 and (vector_store_id, file_id) in
        (select vector_store_id, file_id from vector_store_files where user_id = $1 limit $2)";
    BATCHES = "delete from vector_store_batches where user_id = $1 and id in
        (select id from vector_store_batches where user_id = $1 limit $2)";
    USAGE = "delete from usage_log where user_id = $1";
    BAGS = "delete from message_words where user_id = $1";
    WORDS = "delete from message_words_gone where user_id = $1";
    VECTORS = "delete from vector_deletions where user_id = $1";
    /// Takes the lock that whoever changes the memory takes first (docs/jobs.md, "Locks").
    MEMORY = "update memory_state set dirty = 0 where user_id = $1";
    USER = "delete from users where id = $1";
}

/// What there may be very much of, in an order in which little is looked for in vain: messages name their job, and memories
/// their message. The index of words goes first: while there is one, each message that goes is to be taken out of it.
const MANY: [(&str, Sql); 10] = [
    ("rows of the index of words", POSTINGS),
    ("parts of the index of words", PARTS),
    ("memories", MEMORIES),
    ("messages", MESSAGES),
    ("jobs", ALL_JOBS),
    ("sessions", SESSIONS),
    ("files of vector stores", MEMBERS),
    ("batches of vector stores", BATCHES),
    ("passages", CHUNKS),
    ("files", FILES),
];

/// The user's jobs after one, in order.
pub async fn jobs(q: &mut impl Querier, user: UserId, after: JobId) -> Result<Vec<JobId>, sqlx::Error> {
    Ok(fetch_all!((JobId,), q, JOBS, user, after)?.into_iter().map(|row| row.0).collect())
}

/// Deletes at most `limit` rows of what there may be very much of. Gives what they were, and how many; `None`: there are no
/// more.
pub async fn some(tx: &mut Tx, user: UserId, limit: i64) -> Result<Option<(&'static str, u64)>, sqlx::Error> {
    execute!(tx, MEMORY, user)?;
    for (what, sql) in MANY {
        let count = execute!(tx, sql, user, limit)?;
        if count > 0 {
            return Ok(Some((what, count)));
        }
    }
    Ok(None)
}

/// Deletes the account, and with it every row that names it.
pub async fn account(tx: &mut Tx, user: UserId, scopes: &[String]) -> Result<(), sqlx::Error> {
    let name = user.to_string();
    execute!(tx, IDEMPOTENCY, &name)?;
    execute!(tx, REGISTERED, &name)?;
    for scope in scopes {
        execute!(tx, BUDGET, scope)?;
    }
    execute!(tx, MAILS, &name)?;
    execute!(tx, MEMORY, user)?;
    execute!(tx, USER, user)?;
    execute!(tx, USAGE, user)?;
    // Again: a job that had begun just before may have made them once more, and there is none any more.
    for scope in scopes {
        execute!(tx, BUDGET, scope)?;
    }
    // After the account: its triggers write here.
    execute!(tx, VECTORS, user)?;
    execute!(tx, BAGS, user)?;
    execute!(tx, WORDS, user)?;
    Ok(())
}

/// Takes out of an erasure's job whom it was about.
pub async fn forget(tx: &mut Tx, job: JobId) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, job).map(drop)
}
