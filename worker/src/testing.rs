//! A worker's runtime on a database of its own, for unit tests: SQLite in a temporary folder, no servers.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use chrono::TimeDelta;
use rapport_common::{
    clock,
    domain::{ids::JobId, job::Job},
    jobs::payload::ProbePayload,
    settings::{self, Env},
    store::{self, Db, jobs::NewJob},
    wiring,
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{Runtime, running::Running, slot::Slot};

pub struct House {
    pub runtime: Arc<Runtime>,
    folder: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        let _temporary = std::fs::remove_dir_all(&self.folder);
    }
}

impl House {
    pub async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("rapport-worker-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let db = Db::sqlite(&folder.join("rapport.db")).await.unwrap();
        db.migrate().await.unwrap();
        let _set_before = rustls::crypto::ring::default_provider().install_default();
        let mut env = Env::from_pairs([("DATA_DIR".to_owned(), folder.display().to_string())]);
        let settings = settings::load(&mut env).unwrap();
        let runtime = Runtime {
            ctx: wiring::context(settings, db).unwrap(),
            name: "this-worker".to_owned(),
            running: Running::default(),
            stopping: CancellationToken::new(),
            chats_answered: AtomicU64::new(0),
            paused: Mutex::default(),
        };
        Self { runtime: Arc::new(runtime), folder }
    }

    /// Puts a probe in that may be tried so often.
    pub async fn enqueue(&self, probe: ProbePayload, attempts: u32) -> JobId {
        let mut tx = self.runtime.ctx.db.begin().await.unwrap();
        let job = NewJob::new(&probe, attempts).unwrap();
        let id = job.id;
        store::jobs::enqueue(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Puts so many probes in that were due so long ago, and that nobody announced.
    pub async fn enqueue_due(&self, count: i64, since: TimeDelta) {
        let mut tx = self.runtime.ctx.db.begin().await.unwrap();
        for _ in 0..count {
            let mut job = NewJob::new(&ProbePayload::default(), 3).unwrap();
            job.run_at -= since;
            store::jobs::enqueue(&mut tx, job).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// SQLite has one writer: here it is a transaction that ends when something is so.
    pub async fn hold_the_writer_until(&self, is_so: impl AsyncFn() -> bool) {
        let tx = self.runtime.ctx.db.begin().await.unwrap();
        while !is_so().await {
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
    }

    /// A lane of one, and its place.
    pub async fn place(&self) -> (Arc<Semaphore>, Slot) {
        let lane = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&lane).acquire_owned().await.unwrap();
        (lane, Slot::new(place, self.runtime.stopping.clone()))
    }

    /// A probe that `worker` has claimed.
    pub async fn claimed(&self, worker: &str, attempts: u32) -> Job {
        let id = self.enqueue(ProbePayload::default(), attempts).await;
        self.claim(id, worker).await
    }

    pub async fn claim(&self, id: JobId, worker: &str) -> Job {
        let mut conn = self.runtime.ctx.db.relaxed().await.unwrap();
        let lease = self.runtime.lease();
        store::ledger::claim(&mut conn, id, worker, lease, clock::now()).await.unwrap().expect("it may run")
    }

    /// The job as the ledger has it.
    pub async fn job(&self, id: JobId) -> Job {
        let file = SqliteConnectOptions::new().filename(self.folder.join("rapport.db"));
        let mut connection = file.connect().await.unwrap();
        sqlx::query_as("select * from jobs where id = $1").bind(id).fetch_one(&mut connection).await.unwrap()
    }
}
