//! The model in the process, by itself: how long a question takes, how many texts a second, how much memory.

use std::path::PathBuf;

use rapport_common::{
    embeddings::Embedder,
    settings::{self, Env},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::report::{Latencies, Report};

#[derive(clap::Args)]
pub struct Arguments {
    /// A model's folder.
    model: PathBuf,
    /// LoCoMo in its plain form: its turns are embedded as texts, its questions as questions.
    file: PathBuf,
    /// Threads for texts. One is also what a question has.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// Texts given to the embedder at once, as the job does.
const BATCH: usize = 192;

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let (turns, questions) = texts(&arguments.file)?;
    let before = resident()?;
    let started = Instant::now();
    let embedder = embedder(&arguments)?;
    embedder.load().map_err(|error| error.to_string())?;
    report.text("model", &embedder.describe())?;
    report.number("load", started.elapsed().as_secs_f64() * 1_000.0, "ms")?;
    report.number("memory of the model", (resident()? - before) as f64 / 1_048_576.0, "MiB")?;
    embedder.query("Once, so that every page is there.").await.map_err(|error| error.message)?;
    let mut one = Latencies::new()?;
    for question in &questions {
        let asked = Instant::now();
        embedder.query(question).await.map_err(|error| error.message)?;
        one.add(asked.elapsed());
    }
    report.latencies("a question", &one)?;
    let started = Instant::now();
    for batch in turns.chunks(BATCH) {
        embedder.embed(batch).await.map_err(|error| error.message)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    report.number("texts", turns.len() as f64 / seconds, "/s")?;
    report.number("memory after that", (resident()? - before) as f64 / 1_048_576.0, "MiB")
}

fn embedder(arguments: &Arguments) -> Result<Embedder, String> {
    let pairs = [
        ("EMBEDDING__MODEL_DIR", arguments.model.display().to_string()),
        ("EMBEDDING__THREADS", arguments.threads.to_string()),
    ];
    let mut env = Env::from_pairs(pairs.map(|(key, value)| (key.to_owned(), value)));
    Embedder::from_settings(&settings::inspect(&mut env)?).map_err(|error| error.to_string())
}

fn texts(path: &PathBuf) -> Result<(Vec<String>, Vec<String>), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut turns, mut questions) = (Vec::new(), Vec::new());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for conversation in list(&file["conversations"]) {
        let sessions = list(&conversation["sessions"]);
        turns.extend(
            sessions.iter().flat_map(|session| list(&session["turns"])).map(|turn| said(&turn["text"])),
        );
        questions.extend(list(&conversation["questions"]).iter().map(|asked| said(&asked["question"])));
    }
    Ok((turns, questions))
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/self/statm").map_err(|error| error.to_string())?;
    let pages: Option<u64> = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    Ok(pages.ok_or("no resident pages")? * 4_096)
}
