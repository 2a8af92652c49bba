//! Taking away what is kept only for a time, over all users: some rows at a time, the oldest first, and none that another
//! process is taking away.

use chrono::{DateTime, Utc};

use super::{
    db::{Conn, Sql, execute, statements},
    first_id,
};

/// Rows of one statement: it holds up nobody for long.
pub const PIECE: u64 = 500;

statements! {
    /// Not those of stored responses: they are kept until somebody deletes them, and others go on from them.
    JOBS = "delete from jobs where id in (select j.id from jobs j where j.finished_at < $1
        and j.status in ('succeeded', 'failed', 'cancelled') and $2 is not null
        and not exists (select 1 from requests r where r.job_id = j.id and r.body is not null)
        order by j.finished_at limit $3", pg!(" for update of j skip locked"), ")";
    /// Ids are as old as their rows: a range of the primary key.
    TOKENS = "delete from refresh_tokens where id in (select id from refresh_tokens where id < $2 and expires_at < $1 order by id limit $3",
        pg!(" for update skip locked"), ")";
    LOGINS = "delete from logins where id in (select l.id from logins l where l.id < $2 and coalesce(l.revoked_at, l.created_at) < $1
        and (l.revoked_at is not null or not exists (select 1 from refresh_tokens r where r.login_id = l.id)) order by l.id limit $3",
        pg!(" for update of l skip locked"), ")";
    AUDIT = "delete from audit_log where id in (select id from audit_log where id < $2 and created_at < $1 order by id limit $3",
        pg!(" for update skip locked"), ")";
    DELIVERIES = "delete from webhook_deliveries where id in (select id from webhook_deliveries
        where created_at < $1 and status <> 'pending' and $2 is not null limit $3", pg!(" for update skip locked"), ")";
}

/// What is kept for a time.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    Jobs,
    Tokens,
    Logins,
    Audit,
    Deliveries,
}

impl Kept {
    /// The name of its table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kept::Jobs => "jobs",
            Kept::Tokens => "refresh_tokens",
            Kept::Logins => "logins",
            Kept::Audit => "audit_log",
            Kept::Deliveries => "webhook_deliveries",
        }
    }

    fn sql(self) -> Sql {
        match self {
            Kept::Jobs => JOBS,
            Kept::Tokens => TOKENS,
            Kept::Logins => LOGINS,
            Kept::Audit => AUDIT,
            Kept::Deliveries => DELIVERIES,
        }
    }
}

/// Deletes at most [`PIECE`] rows that ended before. How many.
pub async fn prune(conn: &mut Conn, what: Kept, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    execute!(conn, what.sql(), before, first_id(before), PIECE as i64)
}
