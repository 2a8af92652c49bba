//! Many open event streams on one API process: memory each, and what a cut and a resume of all of them gives.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cluster::{Cluster, Options, client, resident_kib},
    report::{Latencies, Report},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Streams open at once.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Jobs they follow, each by as many streams.
    #[arg(long, default_value_t = 100)]
    jobs: usize,
    /// Words of each answer.
    #[arg(long, default_value_t = 120)]
    tokens: usize,
    /// Milliseconds between words.
    #[arg(long, default_value_t = 500)]
    token_ms: u64,
}

/// Ids of the events one reader saw, and whether the last was final.
type Seen = (Vec<String>, bool);

#[expect(clippy::too_many_lines, reason = "one measurement, from its beginning to its end")]
pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let options =
        Options { workers: 1, concurrency: arguments.jobs.max(64), mock: Vec::new(), env: Vec::new() };
    let cluster = Cluster::start(options).await?;
    let client = client()?;
    let token = cluster.users(&client, 1).await?.remove(0);
    let mut jobs = Vec::new();
    for _ in 0..arguments.jobs {
        let message = format!("/delay {} /tokens {}", arguments.token_ms, arguments.tokens);
        jobs.push(submit(&client, &cluster.url, &token, &message).await?);
    }
    let before = resident_kib(&cluster.api).ok_or("no memory figure")?;
    let url = |job: &str| format!("{}/api/v1/jobs/{job}/events", cluster.url);
    // All open; each reads for a while, then cuts its connection.
    let cut_at = Instant::now() + Duration::from_millis(arguments.token_ms * arguments.tokens as u64 / 2);
    let started = Instant::now();
    let mut opened = Latencies::new()?;
    let mut readers = JoinSet::new();
    for number in 0..arguments.streams {
        let job = jobs[number % jobs.len()].clone();
        let at = Instant::now();
        let response = open(&client, &url(&job), &token, None).await?;
        opened.add(at.elapsed());
        readers.spawn(async move { (number, job, read(response, Some(cut_at)).await) });
    }
    report.number("streams", arguments.streams as f64, "")?;
    report.number("all opened in", started.elapsed().as_secs_f64(), "s")?;
    report.latencies("opening one", &opened)?;
    let during = resident_kib(&cluster.api).ok_or("no memory figure")?;
    report.number("API memory before", before as f64 / 1_024.0, "MiB")?;
    report.number("API memory with all open", during as f64 / 1_024.0, "MiB")?;
    let each = during.saturating_sub(before) as f64 / arguments.streams as f64;
    report.number("memory per stream", each, "KiB")?;
    let mut first_halves: Vec<(String, Seen)> = Vec::new();
    while let Some(read) = readers.join_next().await {
        let (_, job, seen) = read.map_err(text)?;
        first_halves.push((job, seen));
    }
    // All resume at once, as after a restart of a proxy.
    let resumed_at = Instant::now();
    let mut resumed = JoinSet::new();
    for (job, seen) in first_halves {
        let (client, url, token) = (client.clone(), url(&job), token.clone());
        resumed.spawn(async move {
            let last = seen.0.last().cloned();
            let at = Instant::now();
            let response = open(&client, &url, &token, last.as_deref()).await?;
            let took = at.elapsed();
            let (more, ended) = read(response, None).await;
            let whole: Vec<String> = seen.0.into_iter().chain(more).collect();
            Ok::<_, String>((took, whole, ended))
        });
    }
    let (mut wrong, mut resuming) = (0u64, Latencies::new()?);
    while let Some(ended) = resumed.join_next().await {
        let (took, whole, ended) = ended.map_err(text)??;
        resuming.add(took);
        wrong += u64::from(!ended || !is_gapless(&whole));
    }
    report.latencies("resuming one, all at once", &resuming)?;
    report.number("until the last ended", resumed_at.elapsed().as_secs_f64(), "s")?;
    report.number("streams with a gap, a repeat or no end", wrong as f64, "")
}

async fn submit(client: &Client, service: &str, token: &str, message: &str) -> Result<String, String> {
    let request = client.post(format!("{service}/api/v1/chat")).bearer_auth(token);
    let request =
        request.header("prefer", "respond-async").json(&json!({"message": message, "provider": "openai"}));
    let job: Value = request.send().await.map_err(text)?.json().await.map_err(text)?;
    Ok(job["id"].as_str().ok_or("not accepted")?.to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn open(
    client: &Client,
    url: &str,
    token: &str,
    after: Option<&str>,
) -> Result<reqwest::Response, String> {
    let mut request = client.get(url).bearer_auth(token);
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let response = request.send().await.map_err(text)?;
    if response.status().is_success() { Ok(response) } else { Err(format!("status {}", response.status())) }
}

async fn read(response: reqwest::Response, until: Option<Instant>) -> Seen {
    let mut body = response.bytes_stream();
    let (mut ids, mut ended, mut buffer) = (Vec::new(), false, String::new());
    loop {
        let chunk = match until {
            Some(until) => match tokio::time::timeout_at(until, body.next()).await {
                Ok(chunk) => chunk,
                Err(_) => return (ids, ended),
            },
            None => body.next().await,
        };
        let Some(Ok(chunk)) = chunk else { return (ids, ended) };
        buffer.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = buffer.find("\n\n") {
            let block: String = buffer.drain(..end + 2).collect();
            ids.extend(block.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned));
            ended |= block.contains("event: done");
        }
    }
}

/// `0-1`, then `1-1`, `1-2`, … without a hole.
fn is_gapless(ids: &[String]) -> bool {
    ids.iter().enumerate().all(|(index, id)| match index {
        0 => id == "0-1",
        n => *id == format!("1-{n}"),
    })
}
