//! What our way to a provider adds to a plain HTTP stream of the same answer: by request, and by token.
//!
//! One `rapport mock-provider` answers both, in turns; the plain stream is read to its end and only its bytes are counted.

use futures::StreamExt;
use rapport_common::{
    providers::{ChatEvent, ChatMessage, ChatRequest, Providers, Role, Said},
    settings::{self, Env},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    cluster::{client, command, start},
    report::{Latencies, Report},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Requests of each kind and length.
    #[arg(long, default_value_t = 400)]
    requests: usize,
    /// Tokens of a long answer.
    #[arg(long, default_value_t = 2_000)]
    tokens: usize,
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let mut mock = command(&["mock-provider"])?;
    mock.args(["--port", "0"]);
    let (mut child, line) = start(mock, "listens on http://").await?;
    let url = line.split_whitespace().last().ok_or("no address")?.to_owned();
    let env = [
        ("AI_SERVICES__OPENAI_BASE_URL", url.as_str()),
        ("SECRET_KEY", "a-bench-needs-no-secret-0123456789"),
    ];
    let pairs = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let settings = settings::load(&mut Env::from_pairs(pairs))?;
    let providers = Providers::from_settings(&settings.ai, None).map_err(|error| error.to_string())?;
    let client = client()?;
    let mut long = (0.0, 0.0);
    for tokens in [1, arguments.tokens] {
        let (mut raw, mut ours) = (Latencies::new()?, Latencies::new()?);
        let (mut raw_seconds, mut our_seconds) = (0.0, 0.0);
        for number in 0..arguments.requests {
            let message = format!("/tokens {tokens}");
            // In turns, and each first as often as second.
            for turn in 0..2 {
                let started = Instant::now();
                if (number + turn) % 2 == 0 {
                    plain(&client, &url, &message).await?;
                    raw.add(started.elapsed());
                    raw_seconds += started.elapsed().as_secs_f64();
                } else {
                    let heard = routed(&providers, &message).await?;
                    if heard != tokens {
                        return Err(format!("{heard} tokens instead of {tokens}"));
                    }
                    ours.add(started.elapsed());
                    our_seconds += started.elapsed().as_secs_f64();
                }
            }
        }
        report.latencies(&format!("plain stream of {tokens} token(s)"), &raw)?;
        report.latencies("the same through adapter and router", &ours)?;
        let added = (our_seconds - raw_seconds) / arguments.requests as f64 * 1e6;
        if tokens == 1 {
            report.number("added a request (mean)", added, "µs")?;
            long.0 = added;
        } else {
            long.1 = (added - long.0) / tokens as f64;
            report.number("added a token (mean)", long.1, "µs")?;
        }
    }
    child.kill().await.map_err(|error| error.to_string())
}

async fn plain(client: &reqwest::Client, url: &str, message: &str) -> Result<usize, String> {
    let body = json!({"model": "mock-1", "stream": true, "messages": [{"role": "user", "content": message}]});
    let sent = client.post(format!("{url}/chat/completions")).json(&body).send().await;
    let mut stream = sent.map_err(|error| error.to_string())?.bytes_stream();
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk.map_err(|error| error.to_string())?.len();
    }
    Ok(bytes)
}

async fn routed(providers: &Providers, message: &str) -> Result<usize, String> {
    let request = ChatRequest {
        model: Some("mock-1".to_owned()),
        messages: vec![ChatMessage::new(Role::User, message)].into(),
        stream: true,
        ..ChatRequest::default()
    };
    let mut said = providers.ask("openai", request);
    let mut tokens = 0;
    while let Some(said) = said.next().await {
        if let Said::Event(ChatEvent::Delta(_)) = said.map_err(|error| error.to_string())? {
            tokens += 1;
        }
    }
    Ok(tokens)
}
