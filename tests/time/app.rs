//! A whole embedded service inside the test: API, workers and store in the test's own runtime, so that the test is the master
//! of its time.

use std::{path::PathBuf, sync::atomic::AtomicU32, time::Duration};

use rapport_common::{
    Context, clock,
    domain::{ids::JobId, job::Queue},
    settings::{self, Env},
    store::db::{Querier, Raw},
    wiring,
};
use rapport_worker::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must happen (real time; met at once unless something is broken).
const LIMIT: Duration = Duration::from_secs(30);

pub struct App {
    pub ctx: Context,
    base: String,
    folder: PathBuf,
    stopping: CancellationToken,
    tasks: JoinSet<()>,
    is_checked: bool,
}

pub type Answer = (StatusCode, Value);

impl App {
    /// With the settings of a user who sets none but these.
    pub async fn start(env: &[(&str, &str)]) -> Self {
        let mut app = Self::without_workers(env).await;
        app.add_workers();
        app
    }

    pub async fn without_workers(env: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rapport-time-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let own = [("DATA_DIR", folder.to_str().unwrap()), ("AI_SERVICES__MOCK_TOKEN_DELAY_MS", "0")];
        let pairs = own.iter().chain(env).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = settings::load(&mut Env::from_pairs(pairs)).unwrap();
        let _done_by_another_test = rustls::crypto::ring::default_provider().install_default();
        let db = wiring::database(&settings).await.unwrap();
        db.migrate().await.unwrap();
        let ctx = wiring::context(settings, db).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let stopping = ctx.stopping.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(rapport_api::serve(ctx.clone(), listener, stopping.clone(), Duration::ZERO));
        Self { ctx, base, folder, stopping, tasks, is_checked: false }
    }

    pub fn add_workers(&mut self) {
        let options = Options { queues: Queue::ALL.to_vec(), concurrency: 4 };
        self.tasks.spawn(rapport_worker::run(self.ctx.clone(), options, self.stopping.clone()));
    }

    pub async fn request(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.request_with(method, path, token, body, &[]).await
    }

    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        // A connection each: one from before a journey has long been closed.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        // The other APIs have places of their own.
        let elsewhere = ["/v1/", "/mcp", "/register", "/token"].iter().any(|own| path.starts_with(own));
        let base = if elsewhere { self.base.trim_end_matches("/api/v1") } else { &self.base };
        let mut request = http.request(method, format!("{base}{path}")).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.request(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.request(Method::POST, path, token, Some(body)).await
    }

    /// What a new account gets: tokens, and who it is.
    pub async fn account(&self) -> Value {
        let body = json!({"username": "ann", "password": "Correct-horse-1"});
        let (status, account) = self.post("/auth/register", "", body).await;
        assert_eq!(status, StatusCode::CREATED, "{account}");
        account
    }

    pub async fn token(&self) -> String {
        self.account().await["access_token"].as_str().unwrap().to_owned()
    }

    /// Submits a message. Gives its job.
    pub async fn submit(&self, token: &str, message: &str) -> Value {
        let (body, prefer) = (json!({"message": message}), [("prefer", "respond-async")]);
        let (status, job) = self.request_with(Method::POST, "/chat", token, Some(body), &prefer).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        job
    }

    /// Waits until a job is in one of these states, without moving the time.
    pub async fn job_is(&self, token: &str, id: &Value, wanted: &[&str]) -> Value {
        let is = |job: &Value| wanted.contains(&job["status"].as_str().unwrap_or_default());
        self.job_when(token, id, is).await
    }

    /// Waits until something is true of a job, without moving the time.
    pub async fn job_when(&self, token: &str, id: &Value, is: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/jobs/{}", id.as_str().unwrap());
        let begin = std::time::Instant::now();
        loop {
            let (_, job) = self.get(&path, token).await;
            if is(&job) {
                return job;
            }
            assert!(begin.elapsed() < LIMIT, "not what is waited for: {job}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every test ends with it: no job may be open, but those of these ids.
    pub async fn finish(mut self, expected: &[&Value]) {
        let expected: Vec<&str> = expected.iter().map(|id| id.as_str().unwrap()).collect();
        let begin = std::time::Instant::now();
        loop {
            let open = self.open_jobs().await;
            let unexpected: Vec<&String> =
                open.iter().filter(|id| !expected.contains(&id.as_str())).collect();
            if unexpected.is_empty() {
                break;
            }
            assert!(begin.elapsed() < LIMIT, "left open: {unexpected:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stopping.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.is_checked = true;
    }

    async fn open_jobs(&self) -> Vec<String> {
        let mut conn = self.ctx.db.read().await.unwrap();
        let Raw::Lite(sqlite) = conn.raw() else { unreachable!("it is embedded") };
        let open = "select id from jobs where status in ('queued', 'running')";
        let open: Vec<(JobId,)> = sqlx::query_as(open).fetch_all(sqlite).await.unwrap();
        open.into_iter().map(|(id,)| id.to_string()).collect()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _temporary = std::fs::remove_dir_all(&self.folder);
        assert!(
            self.is_checked || std::thread::panicking(),
            "a test ends with `finish`, which looks for open jobs"
        );
    }
}

/// Time goes on by so much, for everything in this runtime: what is due meanwhile is run once, in its order.
pub async fn travel(by: Duration) {
    let before = clock::now();
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
    assert!(clock::now() >= before + by, "the service's clock goes by Tokio's");
}
