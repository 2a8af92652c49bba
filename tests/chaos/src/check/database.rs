//! What is really stored, read past the service and the proxies.

use std::{collections::HashMap, path::Path, time::Duration};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::topology::Store;

pub enum Reader {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// The sessions that hold any message of a round, whole.
#[derive(Default)]
pub struct Stored {
    pub messages: Vec<Value>,
    pub jobs: HashMap<String, Value>,
}

/// `job_06f…` as the database writes it, without hyphens.
pub fn hex_of(id: &str) -> Option<String> {
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    let (_, body) = id.split_once('_')?;
    let bytes = specification.encoding().ok()?.decode(body.as_bytes()).ok()?;
    Some(data_encoding::HEXLOWER.encode(&bytes))
}

pub fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

/// The message's marker, when it is one of ours.
pub fn marker_of(content: &str) -> Option<&str> {
    content.strip_prefix("/echo ")?.split_whitespace().next()
}

impl Reader {
    pub async fn open(store: &Store) -> Result<Self, String> {
        match store {
            Store::Postgres(url) => {
                let options =
                    PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(20));
                Ok(Self::Postgres(options.connect_lazy(url).map_err(|error| error.to_string())?))
            }
            Store::Sqlite(path) => Ok(Self::Sqlite(Self::sqlite(path))),
        }
    }

    fn sqlite(path: &Path) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let options = options.busy_timeout(Duration::from_secs(10));
        SqlitePoolOptions::new().max_connections(2).connect_lazy_with(options)
    }

    /// Rows as JSON: `columns` are expressions with names, the same for both databases but for ids and JSON.
    async fn rows(&self, columns: &[(&str, &str)], rest: &str) -> Result<Vec<Value>, String> {
        let pg = matches!(self, Self::Postgres(_));
        let expression = |kind: &str, name: &str| match (kind, pg) {
            ("id", true) => format!("replace({name}::text, '-', '')"),
            ("id", false) => format!("lower(hex({name}))"),
            ("json", false) => format!("json({name})"),
            _ => name.to_owned(),
        };
        let mut pairs = Vec::new();
        for (kind, name) in columns {
            pairs.push(format!("'{name}', {}", expression(kind, name)));
        }
        let (function, cast) = if pg { ("json_build_object", "::text") } else { ("json_object", "") };
        let sql = format!("select {function}({}){cast} {rest}", pairs.join(", "));
        let failed = |error: sqlx::Error| format!("{error}: {sql}");
        let rows: Vec<String> = match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(pool).await.map_err(failed)?
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(pool).await.map_err(failed)?
            }
        };
        rows.iter().map(|row| serde_json::from_str(row).map_err(|error| error.to_string())).collect()
    }

    pub async fn stored(&self, round: u64) -> Result<Stored, String> {
        let sessions = format!("(select session_id from messages where content like '/echo m-{round}-%')");
        let columns = [
            ("id", "id"),
            ("id", "session_id"),
            ("id", "job_id"),
            ("", "seq"),
            ("", "role"),
            ("", "content"),
            ("", "status"),
            ("json", "usage"),
            ("", "created_at"),
        ];
        let rest = format!("from messages where session_id in {sessions} order by session_id, seq");
        let messages = self.rows(&columns, &rest).await?;
        let columns = [
            ("id", "id"),
            ("id", "session_id"),
            ("", "session_order"),
            ("", "status"),
            ("", "attempt"),
            ("", "max_attempts"),
            ("", "crashes"),
            ("", "worker"),
            ("", "quarantine"),
            ("", "cancel_requested"),
            ("", "lease_until"),
            ("", "run_at"),
            ("json", "error"),
            ("json", "result"),
            ("", "created_at"),
            ("", "started_at"),
            ("", "finished_at"),
        ];
        let rest = format!("from jobs where kind = 'chat' and session_id in {sessions}");
        let jobs = self.rows(&columns, &rest).await?;
        let jobs = jobs.into_iter().map(|job| (text(&job, "id").to_owned(), job)).collect();
        Ok(Stored { messages, jobs })
    }

    /// Jobs that could have run by now and are not final.
    pub async fn open_jobs(&self) -> Result<Vec<Value>, String> {
        let now = match self {
            Self::Postgres(_) => "now()".to_owned(),
            Self::Sqlite(_) => {
                format!("'{}'", crate::history::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
            }
        };
        let columns = [
            ("id", "id"),
            ("", "kind"),
            ("", "status"),
            ("", "attempt"),
            ("", "crashes"),
            ("", "quarantine"),
            ("", "worker"),
            ("", "run_at"),
            ("", "lease_until"),
            ("json", "error"),
            ("", "created_at"),
        ];
        // A message that was never tried is due, whatever the clock of the API said that took it.
        let rest = format!(
            "from jobs where status in ('queued', 'running') and (run_at <= {now} or kind = 'chat' and attempt = 0)"
        );
        self.rows(&columns, &rest).await
    }

    /// Jobs of any kind that failed since then.
    pub async fn failed_since(&self, since: &str) -> Result<Vec<Value>, String> {
        let columns = [("id", "id"), ("", "kind"), ("", "attempt"), ("", "crashes"), ("json", "error")];
        self.rows(&columns, &format!("from jobs where status = 'failed' and finished_at >= '{since}'")).await
    }

    pub async fn usage(&self) -> Result<Value, String> {
        let columns = [("", "requests"), ("", "tokens")];
        let rest = "from (select coalesce(sum(requests), 0) as requests, coalesce(sum(prompt_tokens + completion_tokens), 0) as tokens
            from usage_totals) as t";
        let rows = self.rows(&columns, rest).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// Tokens counted for chats, user by user.
    pub async fn usage_by_user(&self) -> Result<Vec<Value>, String> {
        let columns = [("id", "user_id"), ("", "requests"), ("", "tokens")];
        let rest = "from (select user_id, sum(requests) as requests, sum(prompt_tokens + completion_tokens) as tokens
            from usage_totals where kind = 'chat' group by user_id) as t";
        self.rows(&columns, rest).await
    }

    /// Every answer's usage and its job's attempts, user by user.
    pub async fn answered_by_user(&self) -> Result<Vec<Value>, String> {
        let columns = [("id", "user_id"), ("", "answers"), ("", "usages"), ("", "retried")];
        let total = match self {
            Self::Postgres(_) => "(m.usage->>'total_tokens')::bigint",
            Self::Sqlite(_) => "cast(json_extract(m.usage, '$.total_tokens') as integer)",
        };
        let rest = format!(
            "from (select m.user_id as user_id, count(*) as answers, sum({total}) as usages,
                sum(case when j.attempt > 1 or j.status <> 'succeeded' then 1 else 0 end) as retried
            from messages m join jobs j on j.id = m.job_id where m.role = 'assistant' group by m.user_id) as t"
        );
        self.rows(&columns, &rest).await
    }

    /// What is left of accounts that were erased, by table.
    pub async fn left_of(&self, name: &str) -> Result<usize, String> {
        let rest = format!("from users where username = '{name}'");
        Ok(self.rows(&[("id", "id")], &rest).await?.len())
    }
}

impl Stored {
    /// The question that a marker stands in.
    pub fn questions<'a>(&'a self, marker: &'a str) -> impl Iterator<Item = &'a Value> {
        self.messages.iter().filter(move |message| {
            text(message, "role") == "user" && marker_of(text(message, "content")) == Some(marker)
        })
    }

    /// The rows of a message, its job and its answer, each as a line that begins with its time.
    pub fn lines_about(&self, marker: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for question in self.questions(marker) {
            let job = text(question, "job_id");
            for message in self.messages.iter().filter(|message| text(message, "job_id") == job) {
                lines.push(format!("{} STORED message {message}", stamp(message, "created_at")));
            }
            if let Some(row) = self.jobs.get(job) {
                let at = ["finished_at", "started_at", "created_at"];
                let at = at.into_iter().find(|column| !row[*column].is_null()).unwrap_or("created_at");
                lines.push(format!("{} STORED job {row}", stamp(row, at)));
            }
        }
        lines
    }
}

/// PostgreSQL writes `+00:00`: cut to what sorts beside our own times.
fn stamp(row: &Value, column: &str) -> String {
    text(row, column).replace("+00:00", "Z")
}
