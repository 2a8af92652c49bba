//! What `POST /v1/chat/completions` adds to the provider alone, and how many a second it answers; beside LiteLLM's proxy, in the same run and
//! over the same provider. Ours are durable jobs; LiteLLM's pass through.

use std::{path::PathBuf, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    beside::{Beside, free_port},
    chat::{Load, Pace, Target, load},
    cluster::{Cluster, Options, client},
    report::Report,
};

/// Each load runs in so many turns with the others', so that what else the machine does meets all of them.
const TURNS: u32 = 3;
const KEY: &str = "sk-bench-0123456789";

#[derive(clap::Args)]
pub struct Arguments {
    /// Requests in flight while answers come as fast as they can.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Requests per second while the added time is measured: less than the slowest of them can do.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Seconds of each load.
    #[arg(long, default_value_t = 15)]
    duration: u64,
    /// Words of each answer.
    #[arg(long, default_value_t = 20)]
    tokens: usize,
    /// Stream the answers.
    #[arg(long)]
    stream: bool,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// LiteLLM's command: bench/litellm.sh installs it and comes here.
    #[arg(long)]
    litellm: Option<PathBuf>,
    /// Its processes [default: one a core]
    #[arg(long)]
    litellm_workers: Option<usize>,
}

/// Somebody who answers, and what came of it.
struct Answering {
    name: &'static str,
    target: Target,
    paced: Load,
    fast: Load,
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let concurrency = arguments.concurrency.max(64);
    let options = Options { workers: arguments.workers, concurrency, mock: Vec::new(), env: Vec::new() };
    let cluster = Cluster::start(options).await?;
    let client = client()?;
    let key = key(&cluster, &client).await?;
    let target = |url: &str, key: &str, model: &str| Target::Provider {
        client: client.clone(),
        url: format!("{url}/v1/chat/completions"),
        key: key.to_owned(),
        body: json!({"model": model, "stream": arguments.stream,
                     "messages": [{"role": "user", "content": format!("/tokens {}", arguments.tokens)}]}),
    };
    let mut all = vec![
        answering("provider alone", target(&cluster.mock_url, "none", "mock-1"))?,
        answering("through Rapport", target(&cluster.url, &key, "openai/mock-1"))?,
    ];
    let mut litellm = None;
    if let Some(program) = &arguments.litellm {
        let (started, url) = start(program, &arguments, &cluster, &client).await?;
        litellm = Some(started);
        all.push(answering("through LiteLLM", target(&url, KEY, "mock-1"))?);
    }
    let measured = measure(&arguments, &mut all).await;
    if let Some(litellm) = litellm {
        litellm.stop().await?;
    }
    measured?;
    tell(report, &all)
}

fn answering(name: &'static str, target: Target) -> Result<Answering, String> {
    Ok(Answering { name, target, paced: Load::empty()?, fast: Load::empty()? })
}

async fn measure(arguments: &Arguments, all: &mut [Answering]) -> Result<(), String> {
    let fast = Pace { concurrency: arguments.concurrency, rate: 0.0 };
    let paced = Pace { concurrency: arguments.concurrency, rate: arguments.rate };
    let duration = Duration::from_secs(arguments.duration) / TURNS;
    let sign = "\"content\"";
    for one in all.iter() {
        load(fast, Duration::from_secs(2), &one.target, sign).await?;
    }
    for _ in 0..TURNS {
        for one in all.iter_mut() {
            one.paced.add(&load(paced, duration, &one.target, sign).await?)?;
        }
        for one in all.iter_mut() {
            one.fast.add(&load(fast, duration, &one.target, sign).await?)?;
        }
    }
    Ok(())
}

fn tell(report: &mut Report, all: &[Answering]) -> Result<(), String> {
    for one in all {
        report.latencies(&format!("{}: answer, at a steady rate", one.name), &one.paced.whole)?;
        report.number(&format!("{}: answers, as fast as they come", one.name), one.fast.rate(), "per s")?;
        report.number(&format!("{}: errors", one.name), (one.paced.errors + one.fast.errors) as f64, "")?;
    }
    let Some((alone, others)) = all.split_first() else { return Ok(()) };
    let added = |one: &Answering, quantile| one.paced.whole.ms(quantile) - alone.paced.whole.ms(quantile);
    for one in others {
        report.number(&format!("{}: added, p50", one.name), added(one, 0.5), "ms")?;
        report.number(&format!("{}: added, p99", one.name), added(one, 0.99), "ms")?;
    }
    if let [ours, theirs] = others {
        let times = |theirs: f64, ours: f64| theirs / ours;
        report.number(
            "added p50, LiteLLM / Rapport",
            times(added(theirs, 0.5), added(ours, 0.5)),
            "times",
        )?;
        report.number(
            "added p99, LiteLLM / Rapport",
            times(added(theirs, 0.99), added(ours, 0.99)),
            "times",
        )?;
        report.number("rate, Rapport / LiteLLM", times(ours.fast.rate(), theirs.fast.rate()), "times")?;
    }
    Ok(())
}

/// An API key, as a program has one.
async fn key(cluster: &Cluster, client: &Client) -> Result<String, String> {
    let users = cluster.users(client, 1).await?;
    let token = users.first().ok_or("no account")?;
    let made = client
        .post(format!("{}/api/v1/api-keys", cluster.url))
        .bearer_auth(token)
        .json(&json!({"name": "bench", "scopes": ["chat"]}))
        .send();
    let made: Value = made.await.map_err(text)?.json().await.map_err(text)?;
    Ok(made["key"].as_str().ok_or("no key")?.to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// LiteLLM's proxy over the same provider, with a key and without a database: nothing is stored, and nothing said that need not be.
async fn start(
    program: &PathBuf,
    arguments: &Arguments,
    cluster: &Cluster,
    client: &Client,
) -> Result<(Beside, String), String> {
    let config = json!({
        "model_list": [{"model_name": "mock-1", "litellm_params":
            {"model": "openai/mock-1", "api_base": format!("{}/v1", cluster.mock_url), "api_key": "none"}}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": false, "num_retries": 0},
    });
    let file = cluster.folder.join("litellm.yaml");
    // JSON is YAML.
    std::fs::write(&file, config.to_string()).map_err(text)?;
    let port = free_port()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = arguments.litellm_workers.unwrap_or(cores);
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(&file)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--num_workers", &workers.to_string()])
        .envs([
            ("LITELLM_LOG", "ERROR"),
            ("LITELLM_MODE", "PRODUCTION"),
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
        ])
        // Our stores: it would keep things of its own there.
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL");
    let url = format!("http://127.0.0.1:{port}");
    let started = Beside::start(command, client, &format!("{url}/health/liveliness")).await?;
    Ok((started, url))
}
