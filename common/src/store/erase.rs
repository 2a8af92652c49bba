//! What goes with an account that no foreign key takes along.

use super::db::{Pair, Querier, Tx, execute, fetch_all};
use crate::domain::ids::{JobId, UserId};

const JOBS: &str = "select id from jobs where user_id = $1 and id > $2 order by id limit 1000";
const IDEMPOTENCY: &str = "delete from idempotency_keys where owner = $1";
const REGISTERED: &str = "delete from idempotency_keys where owner = 'register' and target = $1";
const BUDGET: &str = "delete from budgets where scope = $1";
const MAILS: Pair = Pair {
    pg: "delete from jobs where kind = 'mail' and user_id is null and payload->>'user_id' = $1",
    lite: "delete from jobs where kind = 'mail' and user_id is null and json_extract(payload, '$.user_id') = $1",
};
/// The erasure's own row must not name whom it erased.
const FORGET: &str = "update jobs set payload = '{}', dedupe_key = null where id = $1";
const USAGE: &str = "delete from usage_log where user_id = $1";
const VECTORS: &str = "delete from vector_deletions where user_id = $1";
/// Takes the lock that whoever changes the memory takes first (docs/jobs.md, "Locks").
const MEMORY: &str = "update memory_state set dirty = 0 where user_id = $1";
const USER: &str = "delete from users where id = $1";

pub(super) const SQL: &[&str] =
    &[JOBS, IDEMPOTENCY, REGISTERED, BUDGET, VECTORS, USAGE, MEMORY, USER, FORGET];
pub(super) const PAIRS: &[Pair] = &[MAILS];

/// The user's jobs after one, in order.
pub async fn jobs(q: &mut impl Querier, user: UserId, after: JobId) -> Result<Vec<JobId>, sqlx::Error> {
    Ok(fetch_all!((JobId,), q, JOBS, user, after)?.into_iter().map(|row| row.0).collect())
}

/// Deletes the account, and with it every row that names it.
pub async fn account(tx: &mut Tx, user: UserId, scopes: &[String]) -> Result<(), sqlx::Error> {
    let name = user.to_string();
    execute!(tx, IDEMPOTENCY, &name)?;
    execute!(tx, REGISTERED, &name)?;
    for scope in scopes {
        execute!(tx, BUDGET, scope)?;
    }
    let mails = MAILS.of(tx);
    execute!(tx, mails, &name)?;
    execute!(tx, MEMORY, user)?;
    execute!(tx, USER, user)?;
    execute!(tx, USAGE, user)?;
    // After the account: its triggers write here.
    execute!(tx, VECTORS, user)?;
    Ok(())
}

/// Takes out of an erasure's job whom it was about.
pub async fn forget(tx: &mut Tx, job: JobId) -> Result<(), sqlx::Error> {
    execute!(tx, FORGET, job).map(drop)
}
