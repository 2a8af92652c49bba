//! One service of the embedded stack, through what everybody uses: sign up, chat, stream, resume, remember, and `kill -9`.
//! `cargo test` runs it with the unit tests; `./test` runs all the rest.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

mod command_line;
mod house;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// A running service, killed and its data removed when the test ends.
struct Service {
    child: Child,
    folder: PathBuf,
    base: String,
}

fn start(folder: &Path) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    command
        .env_clear()
        .env("PORT", "0")
        .env("DATA_DIR", folder)
        .env("QUEUE__SWEEP_SECONDS", "0.2")
        .env("RUST_LOG", "warn");
    let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listens on http://")).expect("it says its address");
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    (child, format!("{url}/api/v1"))
}

impl Service {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("rapport-smoke-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (child, base) = start(&folder);
        Self { child, folder, base }
    }

    /// `kill -9`, and another one on the same data.
    fn die_and_start_again(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.base) = start(&self.folder);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        let _temporary = std::fs::remove_dir_all(&self.folder);
    }
}

async fn text(request: RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    text
}

async fn ask(request: RequestBuilder) -> Value {
    serde_json::from_str(&text(request).await).unwrap()
}

#[tokio::test]
async fn a_service_answers_streams_resumes_remembers_and_outlives_kill_9() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
    let mut service = Service::start();
    let account = json!({"username": "ann", "password": "Correct-horse-1"});
    let tokens = ask(http.post(format!("{}/auth/register", service.base)).json(&account)).await;
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let get = |base: &str, path: &str| http.get(format!("{base}{path}")).bearer_auth(&token);
    let post = |base: &str, path: &str, body: Value| {
        http.post(format!("{base}{path}")).bearer_auth(&token).json(&body)
    };

    let chat = ask(post(&service.base, "/chat", json!({"message": "/echo good morning"}))).await;
    assert_eq!(chat["reply"], "good morning");

    let stream = text(post(&service.base, "/chat/stream", json!({"message": "/tokens 3"}))).await;
    assert!(stream.ends_with("\n\n") && stream.contains("event: done"), "{stream}");
    let event = stream.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: Value = serde_json::from_str(event).unwrap();
    let events = get(&service.base, &format!("/jobs/{}/events", event["job_id"].as_str().unwrap()));
    let rest = text(events.header("last-event-id", "1-2")).await;
    assert!(stream.ends_with(&rest) && rest.starts_with("id: 1-3"), "{rest}\n{stream}");

    let said = json!({"message": "I am allergic to peanuts.", "session_id": chat["session_id"]});
    ask(post(&service.base, "/chat", said)).await;
    ask(post(&service.base, "/memory/extract", json!({"backfill": true}))).await;
    let mut pending = json!([]);
    for _ in 0..100 {
        pending = ask(get(&service.base, "/memory/pending")).await;
        if pending.to_string().contains("peanuts") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(pending.to_string().contains("Is allergic to peanuts"), "{pending}");

    let slow = json!({"message": "/tokens 20 /delay 50", "session_id": chat["session_id"]});
    let job = ask(post(&service.base, "/chat", slow).header("prefer", "respond-async")).await;
    service.die_and_start_again();
    let path = format!("/jobs/{}?wait=20", job["id"].as_str().unwrap());
    let job = ask(get(&service.base, &path)).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let path = format!("/chat/sessions/{}/messages", chat["session_id"].as_str().unwrap());
    let messages = ask(get(&service.base, &path)).await;
    assert_eq!(messages["messages"].as_array().map(Vec::len), Some(6), "{messages}");
}
