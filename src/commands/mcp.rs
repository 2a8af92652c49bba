//! `/mcp` of a running service for programs that start their MCP servers themselves, and speak to them by lines.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports>
//!
//! Each line that comes in is one request to the service, and each answer one line that goes out. A slow one keeps no other waiting.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rapport_common::{providers::sse::SseParser, settings::Settings};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Stdout},
    sync::Mutex,
    task::JoinSet,
};

/// Where the key is: an argument would be seen by everybody on the machine.
pub(super) const KEY: &str = "RAPPORT_API_KEY";
/// Bytes of one line.
const LINE_MAX: u64 = 8 << 20;
/// The longest silence: `send_message` waits for an answer, or hears of its progress.
const WITHIN: Duration = Duration::from_secs(180);
const INTERNAL: i64 = -32_603;
const UNREADABLE: i64 = -32_700;

#[derive(clap::Args)]
pub struct Arguments {
    /// The service [default: where HOST and PORT say]
    #[arg(long)]
    url: Option<String>,
}

struct Bridge {
    client: Client,
    url: String,
    out: Mutex<Stdout>,
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    let bridge = Arc::new(Bridge {
        client: client("the scopes memory and chat", WITHIN)?,
        url: format!("{}/mcp", arguments.url.unwrap_or_else(|| here(settings)).trim_end_matches('/')),
        out: Mutex::new(tokio::io::stdout()),
    });
    let mut lines = BufReader::new(tokio::io::stdin());
    let mut running = JoinSet::new();
    loop {
        let mut line = Vec::new();
        let read = (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line).await;
        match read.map_err(|error| format!("standard input: {error}"))? {
            0 => break,
            _ if line.len() as u64 == LINE_MAX => {
                return Err(format!("a line is longer than {LINE_MAX} bytes"));
            }
            _ => {}
        }
        if !line.trim_ascii().is_empty() {
            let bridge = Arc::clone(&bridge);
            running.spawn(async move { bridge.answer(&line).await });
        }
        while running.try_join_next().is_some() {}
    }
    // Who closes the input wants what it has asked for, and then no more.
    while running.join_next().await.is_some() {}
    Ok(())
}

/// This machine's service. One that listens everywhere listens here.
pub(super) fn here(settings: &Settings) -> String {
    let host = match settings.host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => settings.host.clone(),
    };
    format!("http://{host}:{}", settings.port)
}

/// Signs in by the key, which needs these scopes.
pub(super) fn client(scopes: &str, within: Duration) -> Result<Client, String> {
    let key = std::env::var_os(KEY).and_then(|key| key.into_string().ok()).unwrap_or_default();
    if key.is_empty() {
        return Err(format!("{KEY} must hold an API key (POST /api-keys) with {scopes}"));
    }
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
        .map_err(|_| format!("{KEY} is no API key"))?;
    bearer.set_sensitive(true);
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, bearer),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("application/json, text/event-stream")),
    ]);
    let builder = Client::builder()
        .default_headers(headers)
        .read_timeout(within)
        .connect_timeout(Duration::from_secs(5));
    builder.build().map_err(|error| format!("the HTTP client: {error}"))
}

impl Bridge {
    async fn answer(&self, line: &[u8]) {
        let answer = match serde_json::from_slice::<Value>(line) {
            Ok(message) => self.asked(message).await,
            Err(_) => Some(refusal(&Value::Null, UNREADABLE, "the line is no JSON")),
        };
        if let Some(answer) = answer {
            self.say(answer.to_string().as_bytes()).await;
        }
    }

    async fn say(&self, message: &[u8]) {
        let mut out = self.out.lock().await;
        // Nobody reads any more: there is nobody to tell.
        let _closed = out.write_all(&[message, b"\n"].concat()).await;
        let _closed = out.flush().await;
    }

    /// What the service says. `None`: nothing, to what wants no answer.
    async fn asked(&self, message: Value) -> Option<Value> {
        let id = message.get("id").cloned();
        let failed = |why: &str| id.as_ref().map(|id| refusal(id, INTERNAL, why));
        let sent = self.client.post(&self.url).body(message.to_string()).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return failed("Rapport did not answer in time"),
            Err(_) => return failed(&format!("Rapport cannot be reached at {}", self.url)),
        };
        let status = answer.status();
        if status == StatusCode::ACCEPTED {
            return None;
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return self.heard(answer).await.err().and_then(failed);
        }
        match answer.json::<Value>().await {
            Ok(body) if status.is_success() => Some(body),
            Ok(body) => failed(body["detail"].as_str().unwrap_or("Rapport refused the request")),
            Err(_) => failed(&format!("Rapport answered with status {status} and no JSON")),
        }
    }

    /// Passes on what the service says until the answer is there: each event is one message, and its JSON one line.
    async fn heard(&self, mut answer: Response) -> Result<(), &'static str> {
        let mut events = SseParser::default();
        while let Some(bytes) = answer.chunk().await.map_err(|_| "Rapport broke off its answer")? {
            for message in events.push(&bytes).map_err(|_| "Rapport's answer is too long")? {
                self.say(&message).await;
            }
        }
        Ok(())
    }
}

fn refusal(id: &Value, code: i64, why: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}})
}
