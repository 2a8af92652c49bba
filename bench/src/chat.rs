//! Chats from end to end: throughput, time to the first token and to the end, beside the provider alone.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cluster::{Cluster, Options, accounts, client},
    commits::Commits,
    peer,
    report::{Latencies, Report},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Requests in flight.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Requests per second; 0 sends as fast as answers come.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Seconds each load runs.
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Words of each answer.
    #[arg(long, default_value_t = 20)]
    tokens: usize,
    /// The provider's time to its first token, in milliseconds.
    #[arg(long, default_value_t = 0)]
    first_token_ms: u64,
    /// The provider's time between tokens, in milliseconds.
    #[arg(long, default_value_t = 0)]
    token_ms: u64,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[arg(long, default_value_t = 16)]
    users: usize,
    /// Messages of each session. The first of a session also makes a title job.
    #[arg(long, default_value_t = 10)]
    turns: u64,
    /// Wait for whole answers (`POST /chat`) instead of streaming.
    #[arg(long, conflicts_with = "peer")]
    wait: bool,
    /// The peer's Python: bench/peer.sh installs what it needs and comes here.
    #[arg(long)]
    peer: Option<PathBuf>,
}

/// Where a load goes.
#[derive(Clone)]
pub enum Target {
    /// Whoever speaks OpenAI's way, without sessions.
    Provider { client: Client, url: String, key: String, body: Value },
    Rapport {
        client: Client,
        base: String,
        route: &'static str,
        tokens: Vec<String>,
        message: String,
        turns: u64,
    },
}

impl Target {
    /// The `count`-th request of a sender, which keeps its session for some turns.
    async fn request(
        &self,
        sender: usize,
        count: u64,
        session: &mut Value,
    ) -> Result<RequestBuilder, String> {
        match self {
            Target::Provider { client, url, key, body } => Ok(client.post(url).bearer_auth(key).json(body)),
            Target::Rapport { client, base, route, tokens, message, turns } => {
                let token = &tokens[sender % tokens.len()];
                if count.is_multiple_of(*turns) {
                    let made = client
                        .post(format!("{base}/chat/sessions"))
                        .bearer_auth(token)
                        .json(&json!({}))
                        .send();
                    let made: Value = made.await.map_err(text)?.json().await.map_err(text)?;
                    *session = made["id"].clone();
                }
                let body = json!({"message": message, "provider": "openai", "session_id": session});
                Ok(client.post(format!("{base}/{route}")).bearer_auth(token).json(&body))
            }
        }
    }
}

/// How fast a load comes.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Requests in flight.
    pub concurrency: usize,
    /// Requests per second; 0: as fast as answers come.
    pub rate: f64,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What one load came to.
pub struct Load {
    pub first: Latencies,
    pub whole: Latencies,
    pub errors: u64,
    pub seconds: f64,
}

impl Load {
    pub fn empty() -> Result<Self, String> {
        Ok(Self { first: Latencies::new()?, whole: Latencies::new()?, errors: 0, seconds: 0.0 })
    }

    pub fn add(&mut self, other: &Self) -> Result<(), String> {
        self.first.merge(&other.first)?;
        self.whole.merge(&other.whole)?;
        self.errors += other.errors;
        self.seconds += other.seconds;
        Ok(())
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.whole.count() as f64 / self.seconds
    }
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let mock = [("--first-token-ms", arguments.first_token_ms), ("--token-ms", arguments.token_ms)];
    let mock = mock.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]).collect();
    let concurrency = arguments.concurrency.max(64);
    let options = Options { workers: arguments.workers, concurrency, mock, env: Vec::new() };
    let cluster = Cluster::start(options).await?;
    let client = client()?;
    let tokens = cluster.users(&client, arguments.users.max(1)).await?;
    let message = format!("/tokens {}", arguments.tokens);

    let direct = Target::Provider {
        client: client.clone(),
        url: format!("{}/v1/chat/completions", cluster.mock_url),
        key: "none".to_owned(),
        body: json!({"model": "mock-1", "stream": true, "messages": [{"role": "user", "content": message}]}),
    };
    let through = |url: &str, tokens: Vec<String>| Target::Rapport {
        client: client.clone(),
        base: format!("{url}/api/v1"),
        route: if arguments.wait { "chat" } else { "chat/stream" },
        tokens,
        message: message.clone(),
        turns: arguments.turns.max(1),
    };
    let through_ours = through(&cluster.url, tokens);
    let pace = Pace { concurrency: arguments.concurrency, rate: arguments.rate };
    let duration = Duration::from_secs(arguments.duration);
    let mut theirs = None;
    if let Some(python) = &arguments.peer {
        // First: afterwards ours reads and embeds what was said, for a while.
        let (peer, url) = peer::start(python, &cluster, &client).await?;
        let measured = async {
            let target = through(&url, accounts(&client, &url, arguments.users.max(1)).await?);
            load(pace, Duration::from_secs(2), &target, "event: token").await?;
            load(pace, duration, &target, "event: token").await
        };
        let measured = measured.await;
        peer.stop().await?;
        theirs = Some(measured?);
    }
    // Connections, caches and the branch predictor are warm for both.
    load(pace, Duration::from_secs(2), &direct, "\"content\"").await?;
    load(pace, Duration::from_secs(2), &through_ours, "\"").await?;
    let direct = load(pace, duration, &direct, "\"content\"").await?;
    let sign = if arguments.wait { "reply" } else { "event: token" };
    let commits = Commits::begin(&cluster.folder).await?;
    let ours = load(pace, duration, &through_ours, sign).await;
    let commits = commits.end().await;
    let (ours, commits) = (ours?, commits?);
    compare(report, &direct, &ours, &commits)?;
    report.number("of the provider's rate", 100.0 * ours.rate() / direct.rate(), "%")?;
    if let Some(theirs) = theirs {
        tell(report, "through the FastAPI peer", &theirs)?;
        report.number("answers, Rapport / peer", ours.rate() / theirs.rate().max(0.001), "times")?;
    }
    Ok(())
}

/// What Rapport adds to the provider alone.
fn compare(report: &mut Report, direct: &Load, ours: &Load, commits: &Latencies) -> Result<(), String> {
    tell(report, "provider alone", direct)?;
    tell(report, "through Rapport", ours)?;
    report.number("added to the first token, p50", ours.first.ms(0.5) - direct.first.ms(0.5), "ms")?;
    report.number("added to the first token, p99", ours.first.ms(0.99) - direct.first.ms(0.99), "ms")?;
    // Every question is committed before it is answered.
    report.latencies("one commit meanwhile", commits)?;
    let beyond = |of: f64| ours.first.ms(of) - direct.first.ms(of) - commits.ms(of);
    report.number("added to the first token beyond one commit, p50", beyond(0.5), "ms")?;
    report.number("added to the first token beyond one commit, p99", beyond(0.99), "ms")
}

fn tell(report: &mut Report, who: &str, load: &Load) -> Result<(), String> {
    report.number(&format!("{who}: answers"), load.rate(), "per s")?;
    report.number(&format!("{who}: errors"), load.errors as f64, "")?;
    report.latencies(&format!("{who}: first token"), &load.first)?;
    report.latencies(&format!("{who}: whole answer"), &load.whole)
}

/// Sends requests for a while; a closed loop of `concurrency`, or an open one at `rate`.
pub async fn load(
    pace: Pace,
    duration: Duration,
    target: &Target,
    sign: &'static str,
) -> Result<Load, String> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..pace.concurrency {
        let (next, target, rate) = (Arc::clone(&next), target.clone(), pace.rate);
        senders.spawn(async move {
            let (mut first, mut whole, mut errors) = (Latencies::new()?, Latencies::new()?, 0);
            let (mut session, mut count) = (Value::Null, 0);
            loop {
                let request = target.request(sender, count, &mut session).await?;
                count += 1;
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = if rate > 0.0 {
                    started + Duration::from_secs_f64(number as f64 / rate)
                } else {
                    Instant::now()
                };
                if due > started + duration || started.elapsed() > duration {
                    return Ok::<_, String>((first, whole, errors));
                }
                tokio::time::sleep_until(due).await;
                // From when it was due: a late sender must not hide a slow service.
                match one(request, sign).await {
                    Some(first_at) => {
                        first.add(first_at - due);
                        whole.add(due.elapsed());
                    }
                    None => errors += 1,
                }
            }
        });
    }
    let mut all = Load::empty()?;
    while let Some(ended) = senders.join_next().await {
        let (first, whole, errors) = ended.map_err(|error| error.to_string())??;
        all.first.merge(&first)?;
        all.whole.merge(&whole)?;
        all.errors += errors;
    }
    all.seconds = started.elapsed().as_secs_f64();
    Ok(all)
}

/// One request; when its first token came. `None` when it failed.
async fn one(request: RequestBuilder, sign: &str) -> Option<Instant> {
    let response = request.send().await.ok().filter(|response| response.status() == 200)?;
    let mut body = response.bytes_stream();
    let (mut first, mut tail) = (None, Vec::new());
    while let Some(chunk) = body.next().await {
        tail.extend_from_slice(&chunk.ok()?);
        if first.is_none() && contains(&tail, sign.as_bytes()) {
            first = Some(Instant::now());
        }
        if first.is_some() && tail.len() > 64 {
            let cut = tail.len() - 64;
            tail.drain(..cut);
        }
    }
    first
}

fn contains(text: &[u8], sign: &[u8]) -> bool {
    text.windows(sign.len()).any(|window| window == sign)
}
