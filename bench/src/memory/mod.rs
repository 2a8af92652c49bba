//! Memory: does search find what was said, does it know what holds now, and how fast.

mod floors;
mod prompts;
mod quality;
mod speed;
mod turns;
mod updates;

use std::path::PathBuf;

use reqwest::{Client, Method};
use serde_json::Value;

use crate::{
    cluster::{self, Cluster, Options},
    report::Report,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// LoCoMo in its plain form: recall of each question's evidence among the first k past turns. The vectors are those
    /// of AI_SERVICES__EMBEDDING_*, or of EMBEDDING__MODEL_DIR.
    file: Option<PathBuf>,
    /// With a file: also the recall without each part of the sum.
    #[arg(long, requires = "file")]
    parts: bool,
    /// With LoCoMo's development half: fail unless recall@10 is 83 % by words alone and, with a model's vectors, 87 % by both.
    #[arg(long, requires = "file", conflicts_with = "prompts")]
    gates: bool,
    /// With a file: instead, how much of each question's evidence stands in the prompt of a chat that asks it.
    #[arg(long, requires = "file", conflicts_with = "parts")]
    prompts: bool,
    /// With a file: instead, what a floor of search would cost its questions, and spare those about another's life.
    #[arg(long, requires = "file", conflicts_with_all = ["parts", "gates", "prompts"])]
    floors: bool,
    /// Search times of a user with so many past turns.
    #[arg(long)]
    turns: Option<usize>,
    /// Facts that change: is the current value first, is the value as of then?
    #[arg(long)]
    updates: Option<usize>,
    /// Search times of a user with so many memories.
    #[arg(long)]
    memories: Option<usize>,
    /// With --memories: so many more memories of other users around. Needs PostgreSQL.
    #[arg(long, default_value_t = 0)]
    others: usize,
    /// Sessions extracted a second, with an instant model, of so many sessions.
    #[arg(long)]
    sessions: Option<usize>,
    /// Time to the first token with and without memory, of so many chats.
    #[arg(long)]
    chats: Option<usize>,
    /// Time to the first token while so many texts of another user are embedded.
    #[arg(long)]
    backfill: Option<usize>,
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let env = [
        ("QUEUE__SWEEP_SECONDS", "0.2"),
        ("MEMORY__IDLE_SECONDS", "0"),
        ("MEMORY__CONSOLIDATE_AFTER", "1000000"),
    ];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let cluster = Cluster::start(Options { workers: 1, concurrency: 64, mock: Vec::new(), env }).await?;
    let stack = if cluster::production().is_some() { "PostgreSQL + Redis" } else { "embedded" };
    let qdrant = std::env::var_os("QDRANT_URL").is_some();
    report.text("stack", &format!("{stack}{}", if qdrant { " + Qdrant" } else { ", exact search" }))?;
    if let Some(file) = &arguments.file {
        let file = quality::read(file)?;
        if arguments.floors {
            floors::run(&cluster, &file, report).await?;
        } else if arguments.prompts {
            prompts::run(&cluster, &file, report).await?;
        } else {
            quality::run(&cluster, &file, (arguments.parts, arguments.gates), report).await?;
        }
    }
    if let Some(facts) = arguments.updates {
        updates::run(&cluster, facts, report).await?;
    }
    if let Some(memories) = arguments.memories {
        speed::search(&cluster, memories, arguments.others, report).await?;
    }
    if let Some(count) = arguments.turns {
        turns::search(&cluster, count, report).await?;
    }
    if let Some(sessions) = arguments.sessions {
        speed::extraction(&cluster, sessions, report).await?;
    }
    if let Some(chats) = arguments.chats {
        speed::first_token(&cluster, chats, report).await?;
    }
    if let Some(texts) = arguments.backfill {
        speed::backfill(&cluster, texts, report).await?;
    }
    Ok(())
}

/// One account.
struct Account<'a> {
    client: &'a Client,
    base: String,
    token: String,
}

impl Account<'_> {
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token).json(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{path}: {status}: {text:.300}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.call(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.call(Method::POST, path, body).await
    }

    /// How many texts the account's embedding jobs have given vectors.
    async fn embedded(&self) -> Result<u64, String> {
        let jobs = self.get("/jobs?kind=embedding&status=succeeded&limit=200").await?;
        Ok(jobs["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|job| job["result"]["embedded"].as_u64())
            .sum())
    }

    /// Whether texts of the account are given vectors, or will be.
    async fn is_being_embedded(&self) -> Result<bool, String> {
        for status in ["running", "queued"] {
            let jobs = self.get(&format!("/jobs?kind=embedding&status={status}&limit=1")).await?;
            if jobs["items"].as_array().is_some_and(|items| !items.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until as many texts have vectors.
    async fn until_embedded(&self, count: u64) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(900);
        while self.embedded().await? < count {
            if tokio::time::Instant::now() > deadline {
                return Err("the vectors are not made".to_owned());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        Ok(())
    }
}

async fn accounts<'a>(
    cluster: &Cluster,
    client: &'a Client,
    count: usize,
) -> Result<Vec<Account<'a>>, String> {
    let base = format!("{}/api/v1", cluster.url);
    let tokens = cluster.users(client, count).await?;
    Ok(tokens.into_iter().map(|token| Account { client, base: base.clone(), token }).collect())
}
