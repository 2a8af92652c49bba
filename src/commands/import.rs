//! Sends a file of conversations to a running service, and tells how far it is.

use std::{
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rapport_common::settings::Settings;
use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::mcp;

/// What the service takes.
const BYTES: u64 = 256 * 1_024 * 1_024;
/// The slowest upload that is waited for.
const WITHIN: Duration = Duration::from_secs(1_800);

#[derive(clap::Args)]
pub struct Arguments {
    /// The export: JSON, or the .zip that it came in
    file: PathBuf,
    /// Do not read what comes in for memories
    #[arg(long)]
    no_extract: bool,
    /// The service [default: where HOST and PORT say]
    #[arg(long)]
    url: Option<String>,
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    let url = arguments.url.unwrap_or_else(|| mcp::here(settings));
    let service = Service {
        client: mcp::client("the scope chat", WITHIN)?,
        base: format!("{}/api/v1", url.trim_end_matches('/')),
    };
    for (name, json) in files(&arguments.file)? {
        let route = format!("/chat/sessions/import?extract={}", !arguments.no_extract);
        let answer = service.ask(Method::POST, &route, Some(json)).await?;
        let result = match answer["kind"].as_str() {
            Some("chat_import") => service.end_of(answer).await?,
            _ => answer,
        };
        say(&format!("{name}: {}", summary(&result)));
        for unfit in result["errors"].as_array().into_iter().flatten() {
            let message = unfit["message"].as_str().unwrap_or_default();
            say(&format!("  conversation {} {message}", unfit["conversation"]));
        }
    }
    Ok(())
}

fn summary(result: &Value) -> String {
    let Some(sessions) = result["sessions"].as_i64() else {
        return format!("one conversation, {}", result["session_id"].as_str().unwrap_or_default());
    };
    format!(
        "{sessions} new conversations, {} messages, {} branches, {} other answers; {} had nothing new, {} could not be read",
        result["messages"], result["branches"], result["variants"], result["skipped"], result["errors_total"]
    )
}

/// What is to be sent: the file, or the conversations in an archive.
fn files(path: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| told(&error))?;
    if !bytes.starts_with(b"PK\x03\x04") {
        return Ok(vec![(path.display().to_string(), bytes)]);
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| told(&error))?;
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| told(&error))?;
        let name = file.name().map_err(|error| told(&error))?.into_owned();
        let last = name.rsplit('/').next().unwrap_or_default();
        if !last.starts_with("conversations") || !last.ends_with(".json") {
            continue;
        }
        // What a small archive holds may be without end.
        let mut json = Vec::new();
        file.take(BYTES + 1).read_to_end(&mut json).map_err(|error| told(&error))?;
        if json.len() as u64 > BYTES {
            return Err(told(&format!("{name} is larger than {BYTES} bytes")));
        }
        found.push((name, json));
    }
    if found.is_empty() {
        return Err(told(&"there is no conversations.json in it"));
    }
    Ok(found)
}

struct Service {
    client: Client,
    base: String,
}

impl Service {
    async fn ask(&self, method: Method, route: &str, body: Option<Vec<u8>>) -> Result<Value, String> {
        let mut request = self.client.request(method, format!("{}{route}", self.base));
        if let Some(body) = body {
            request = request.header("prefer", "respond-async").body(body);
        }
        let response: Response =
            request.send().await.map_err(|error| format!("{}: {}", self.base, error.without_url()))?;
        let is_good = response.status().is_success();
        let answer: Value =
            response.json().await.map_err(|_| "the service's answer is no JSON".to_owned())?;
        if is_good { Ok(answer) } else { Err(problem(&answer)) }
    }

    /// Follows the job to its end.
    async fn end_of(&self, mut job: Value) -> Result<Value, String> {
        let id = job["id"].as_str().unwrap_or_default().to_owned();
        while matches!(job["status"].as_str(), Some("queued" | "running")) {
            if let (Some(done), Some(total)) =
                (job["progress"]["done"].as_i64(), job["progress"]["total"].as_i64())
            {
                say(&format!("{done} of {total}"));
            }
            job = self.ask(Method::GET, &format!("/jobs/{id}?wait=5"), None).await?;
        }
        if job["status"] == "succeeded" { Ok(job["result"].take()) } else { Err(problem(&job["error"])) }
    }
}

fn problem(answer: &Value) -> String {
    let mut said = answer["detail"].as_str().unwrap_or("the service refused it").to_owned();
    for error in answer["errors"].as_array().into_iter().flatten().take(5) {
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
        said.push_str(&format!("\n  {} {}", text("field"), text("message")));
    }
    said
}

fn say(line: &str) {
    // Nothing can be done if even this cannot be written.
    let _closed = writeln!(std::io::stdout(), "{line}");
}
