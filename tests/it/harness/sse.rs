//! Server-sent events, read as a browser would.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use reqwest::Response;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

pub struct Events {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: Vec<u8>,
}

/// Longer than any recovery in the tests.
const PATIENCE: Duration = Duration::from_secs(60);

impl Events {
    pub fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Self { status, headers, bytes, buffer: Vec::new() }
    }

    /// The next event; `None` when the stream ended or was cut.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|text| text.trim_start().to_owned())
                };
                let (Some(id), Some(name), Some(data)) = (field("id:"), field("event:"), field("data:"))
                else {
                    continue; // a heartbeat
                };
                return Some(Event { id, name, data: serde_json::from_str(&data).unwrap() });
            }
            match tokio::time::timeout(PATIENCE, self.bytes.next()).await.expect("an event in time") {
                Some(Ok(bytes)) => self.buffer.extend(bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn all(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The text a client shows after these events.
pub fn text_of(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        match event.name.as_str() {
            "reset" => text.clear(),
            "token" => text.push_str(event.data["delta"].as_str().unwrap()),
            _ => {}
        }
    }
    text
}
