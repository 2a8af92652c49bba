//! Requests with a deadline, each written down.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::World;

/// What a client may be told while something is away, and tries again after.
pub const PASSES: [u16; 5] = [429, 502, 503, 504, 507];

pub struct Web {
    pub client: Client,
    /// `http://host:port` of every API.
    pub urls: Vec<String>,
}

impl Web {
    pub fn new(urls: Vec<String>) -> Result<Self, String> {
        let _set_before = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(64)
            .pool_idle_timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_secs(3))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, urls })
    }

    pub fn url(&self, api: usize, path: &str) -> String {
        format!("{}/api/v1{path}", self.urls[api % self.urls.len()])
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Reply {
    Http { status: u16, body: Value, job: Option<String> },
    Broken(String),
    TimedOut,
}

pub struct Call<'a> {
    pub marker: &'a str,
    pub method: Method,
    pub path: &'a str,
    pub token: &'a str,
    pub key: Option<&'a str>,
    pub prefer: Option<&'a str>,
    pub body: Option<Value>,
    pub within: Duration,
}

impl<'a> Call<'a> {
    pub fn post(path: &'a str) -> Self {
        Self {
            marker: "",
            method: Method::POST,
            path,
            token: "",
            key: None,
            prefer: None,
            body: None,
            within: Duration::from_secs(20),
        }
    }

    pub fn get(path: &'a str) -> Self {
        Self { method: Method::GET, ..Self::post(path) }
    }
}

impl World {
    pub fn build(&self, api: usize, call: &Call) -> RequestBuilder {
        let url = self.web.url(api, call.path);
        let mut request = self.web.client.request(call.method.clone(), url);
        if !call.token.is_empty() {
            request = request.bearer_auth(call.token);
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(prefer) = call.prefer {
            request = request.header("prefer", prefer);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        request
    }

    pub async fn send(&self, api: usize, call: Call<'_>) -> Reply {
        let reply = self.ask(api, &call).await;
        self.note(api, &call, &reply);
        reply
    }

    /// Written down, but neither counted nor judged.
    pub async fn send_quietly(&self, api: usize, call: Call<'_>) -> Reply {
        let reply = self.ask(api, &call).await;
        let api = api % self.web.urls.len();
        self.history.step(call.marker, format!("{} {} @{api} → {reply:?}", call.method, call.path));
        reply
    }

    async fn ask(&self, api: usize, call: &Call<'_>) -> Reply {
        let request = self.build(api, call).timeout(call.within);
        match request.send().await {
            Err(error) => broken(&error),
            Ok(response) => {
                let status = response.status().as_u16();
                let job = response.headers().get("x-job-id").and_then(|id| id.to_str().ok());
                let job = job.map(str::to_owned);
                match response.text().await {
                    Err(error) => broken(&error),
                    Ok(text) => {
                        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
                        Reply::Http { status, body, job }
                    }
                }
            }
        }
    }

    /// Writes down what a request came to.
    pub fn note(&self, api: usize, call: &Call, reply: &Reply) {
        self.history.request();
        let api = api % self.web.urls.len();
        let what = match reply {
            Reply::Http { status, body, job } => {
                let code = body["code"].as_str().unwrap_or_default();
                // A cancel that came too late, and a repeat that came too early, are no errors.
                if *status >= 400 && *status != 409 {
                    self.history.error(&format!("{status} {code}"));
                    self.judge(call.marker, *status, code, body);
                }
                let job = job.as_deref().or_else(|| body["id"].as_str()).unwrap_or_default();
                let detail = if *status >= 400 { body["detail"].as_str().unwrap_or_default() } else { "" };
                let state = body["status"].as_str().unwrap_or_default();
                format!("{status} {code} {state} {job} {detail}")
            }
            Reply::Broken(why) => {
                self.history.error("connection");
                format!("broken: {why}")
            }
            Reply::TimedOut => {
                self.history.error("timeout");
                format!("no answer within {:?}", call.within)
            }
        };
        self.history.step(call.marker, format!("{} {} @{api} → {}", call.method, call.path, what.trim_end()));
    }

    /// A 500 is never right; nor is a refusal that our clients gave no reason for.
    pub fn judge(&self, marker: &str, status: u16, code: &str, body: &Value) {
        let expected = PASSES.contains(&status)
            || code == "idempotency_in_progress"
            // A job or a session that the replica never had.
            || status == 404 && self.history.failover().is_some()
            // A job that failed or crashed is judged by what is stored.
            || ["job_crashed", "job_failed", "wrong_state"].contains(&code);
        if !expected {
            self.history.wrong(marker, format!("a client was answered {status}: {body}"));
        }
    }

    /// Before the next try, as the service asks for.
    pub async fn pause(&self, reply: &Reply) {
        let by = match reply {
            Reply::Http { status: 409, .. } => Duration::from_millis(300),
            Reply::Http { .. } => Duration::from_secs(1),
            Reply::Broken(_) | Reply::TimedOut => Duration::from_millis(200),
        };
        tokio::time::sleep(by).await;
    }
}

pub fn broken(error: &reqwest::Error) -> Reply {
    if error.is_timeout() {
        return Reply::TimedOut;
    }
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    Reply::Broken(why)
}
