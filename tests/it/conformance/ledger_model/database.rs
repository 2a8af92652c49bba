//! The real ledger: a database of its own, and a context to run the use cases in.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    Context, Groups,
    auth::Auth,
    bells::Bells,
    clock,
    depth::Depths,
    domain::ids::{JobId, MessageId, SessionId, UserId},
    egress::{self, Egress},
    embeddings::Embedder,
    events::{EventLog, FinalWatch, LocalEvents},
    jobs::payload::{self, ChatPayload},
    limits::LocalLimits,
    mail::Mailer,
    providers::Providers,
    row,
    sealer::Sealer,
    settings::{self, Env},
    store::{self, Db, PoolSizes, Querier, chats::Question, db::Raw, users::NewUser, words::kept::Kept},
    tools::Tools,
    usecase::memory::{Sizes, Touches, past_turns::Warming},
    vectors::Exact,
    wire::LocalWire,
};

use super::model::{MAX_ATTEMPTS, Row};
use crate::harness::servers::{Postgres, folder, unique};

pub struct Database {
    pub ctx: Context,
    pub user: UserId,
}

impl Database {
    pub async fn postgres() -> Self {
        let url = Postgres::shared().create_database();
        Self::open(Db::postgres(url.as_str().into(), PoolSizes { durable: 4, relaxed: 4 }).unwrap()).await
    }

    pub async fn sqlite() -> Self {
        let path = folder().join(unique("model")).with_extension("db");
        Self::open(Db::sqlite(&path).await.unwrap()).await
    }

    async fn open(db: Db) -> Self {
        db.migrate().await.unwrap();
        let user = UserId::new();
        let new = NewUser {
            id: user,
            email: None,
            username: Some("model".to_owned()),
            name: None,
            password_hash: String::new(),
            created_at: clock::now(),
        };
        let mut tx = db.begin().await.unwrap();
        store::users::insert(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        Self { ctx: context(db), user }
    }

    /// Whether leases go by the database's clock. On SQLite there is one process, and its clock.
    pub fn has_a_clock(&self) -> bool {
        matches!(self.ctx.db, Db::Pg(_))
    }

    /// Deletes all sessions with their jobs and messages, and makes some.
    pub async fn reset(&self, sessions: usize) -> Vec<SessionId> {
        let mut tx = self.ctx.db.begin().await.unwrap();
        match tx.raw() {
            Raw::Pg(c) => sqlx::raw_sql("delete from sessions").execute(c).await.map(drop).unwrap(),
            Raw::Lite(c) => sqlx::raw_sql("delete from sessions").execute(c).await.map(drop).unwrap(),
        }
        let mut made = Vec::new();
        for _ in 0..sessions {
            let id = SessionId::new();
            let new = store::sessions::NewSession { id, title: "", title_source: "none", project: None };
            store::sessions::insert(&mut tx, self.user, new, clock::now()).await.unwrap();
            made.push(id);
        }
        tx.commit().await.unwrap();
        made
    }

    /// A question about to be stored.
    pub fn question(&self, session: SessionId) -> Question {
        let (job, message) = (JobId::new(), MessageId::new());
        let payload = ChatPayload {
            message_id: message,
            seq: 0,
            answer_id: MessageId::new(),
            provider: payload::UNSPECIFIED.to_owned(),
            model: None,
            temperature: None,
            max_tokens: None,
            enable_memory: Some(false),
            tools: None,
            again: false,
            fallback: None,
            api_key: None,
            without_memory: false,
            request: false,
            relaxed: false,
        };
        Question {
            user: self.user,
            session,
            session_is_new: false,
            project: None,
            title: "a title".to_owned(),
            job,
            message,
            text: "a question".to_owned(),
            details: None,
            payload,
            max_attempts: MAX_ATTEMPTS,
            trace: None,
            remember: false,
            idle: TimeDelta::seconds(60),
            now: clock::now(),
        }
    }

    /// Stores a question with its job, as `send_message` does.
    pub async fn accept(&self, session: SessionId) -> JobId {
        let question = self.question(session);
        let job = question.job;
        let mut tx = self.ctx.db.begin().await.unwrap();
        store::chats::accept(&mut tx, question).await.unwrap();
        tx.commit().await.unwrap();
        job
    }

    /// Lets so much time pass: all that is compared with a clock comes nearer.
    pub async fn pass(&self, seconds: i64) {
        const MOMENTS: &str = "select id, run_at, lease_until from jobs";
        const MOVE: &str = "update jobs set run_at = $2, lease_until = $3 where id = $1";
        type Moments = (JobId, DateTime<Utc>, Option<DateTime<Utc>>);
        let by = TimeDelta::seconds(seconds);
        let mut tx = self.ctx.db.begin().await.unwrap();
        match tx.raw() {
            Raw::Pg(c) => {
                let sql = "update jobs set run_at = run_at - $1, lease_until = lease_until - $1";
                sqlx::query(sql).bind(by).execute(c).await.unwrap();
            }
            // Times are text there, written by us.
            Raw::Lite(c) => {
                let all: Vec<Moments> = sqlx::query_as(MOMENTS).fetch_all(&mut *c).await.unwrap();
                for (id, run_at, lease) in all {
                    let moved =
                        sqlx::query(MOVE).bind(id).bind(run_at - by).bind(lease.map(|lease| lease - by));
                    moved.execute(&mut *c).await.unwrap();
                }
            }
        }
        tx.commit().await.unwrap();
    }

    /// All chat jobs, in the order they were accepted: ids sort by the time they were made.
    pub async fn rows(&self) -> Vec<(JobId, Row)> {
        let mut conn = self.ctx.db.read().await.unwrap();
        let rows: Vec<Columns> = match conn.raw() {
            Raw::Pg(c) => {
                let sql = sqlx::AssertSqlSafe(ROWS.replace("$1", "clock_timestamp()"));
                sqlx::query_as(sql).fetch_all(c).await.unwrap()
            }
            Raw::Lite(c) => sqlx::query_as(ROWS).bind(clock::now()).fetch_all(c).await.unwrap(),
        };
        rows.into_iter().map(Columns::row).collect()
    }
}

const ROWS: &str =
    "select id, session_order, status, attempt, max_attempts, worker, lease_until > $1 as lease, crashes,
        quarantine, cancel_requested,
        (select count(*) from messages m where m.job_id = j.id and m.role = 'assistant') as answers,
        (select max(m.status) from messages m where m.job_id = j.id and m.role = 'assistant') as answer,
        (select s.message_count - (select count(*) from messages m where m.session_id = s.id)
            from sessions s where s.id = j.session_id) as miscounted
    from jobs j where queue = 'chat' order by id";

struct Columns {
    id: JobId,
    session_order: i64,
    status: String,
    attempt: i64,
    max_attempts: i64,
    worker: Option<String>,
    lease: Option<bool>,
    crashes: i64,
    quarantine: bool,
    cancel_requested: bool,
    answers: i64,
    answer: Option<String>,
    miscounted: i64,
}

row!(Columns:
    id, session_order, status, attempt, max_attempts, worker, lease, crashes, quarantine, cancel_requested,
    answers, answer, miscounted
);

impl Columns {
    fn row(self) -> (JobId, Row) {
        assert_eq!(self.miscounted, 0, "a session's count is not that of its messages");
        let row = Row {
            order: self.session_order,
            status: self.status.parse().unwrap(),
            attempt: self.attempt as u32,
            max_attempts: self.max_attempts as u32,
            worker: self.worker,
            lease: self.lease,
            crashes: self.crashes as u32,
            quarantine: self.quarantine,
            cancel_requested: self.cancel_requested,
            answers: self.answers,
            answer: self.answer,
        };
        (self.id, row)
    }
}

/// As `src/wiring.rs` makes one, without servers.
fn context(db: Db) -> Context {
    let _set_before = rustls::crypto::ring::default_provider().install_default();
    let data = folder().join(unique("model-data")).display().to_string();
    let mut env = Env::from_pairs([("DATA_DIR".to_owned(), data)]);
    let settings = settings::load(&mut env).unwrap();
    assert_eq!(settings.queue.max_attempts, MAX_ATTEMPTS);
    let embedder = Embedder::from_settings(&settings).unwrap();
    let events: Arc<dyn EventLog> = Arc::new(LocalEvents::new(settings.events_retention));
    Context {
        wire: Arc::new(LocalWire::default()),
        bells: Bells::start(Arc::clone(&events)),
        events,
        limits: Arc::new(LocalLimits::new()),
        providers: Providers::from_settings(&settings.ai, None).unwrap(),
        finals: FinalWatch::start(db.clone()),
        auth: Arc::new(Auth::new(&settings.auth)),
        depths: Depths::start(db.clone()),
        vectors: Arc::new(Exact::new(db.clone(), embedder.model(), settings.memory.cache_bytes)),
        embedder,
        touches: Touches::start(db.clone()),
        groups: Groups::default(),
        sizes: Sizes::default(),
        warming: Warming::default(),
        words: Kept::new(1 << 20),
        tools: Tools::new(&settings.tools, Egress::new(Vec::new(), Arc::new(egress::System)).unwrap())
            .unwrap(),
        mailer: Mailer::new(&settings).unwrap(),
        sealer: Sealer::new(&settings),
        storage: rapport_common::storage::Storage::from_settings(&settings).unwrap(),
        stopping: tokio_util::sync::CancellationToken::new(),
        db,
        settings: Arc::new(settings),
    }
}
