//! `POST /chat/stream`, read as a browser would; a cut one is resumed at another API.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use super::{
    Lane, Message, World,
    http::{Call, PASSES, Reply, broken},
};
use crate::history::End;

/// Heartbeats come every 15 seconds: silence beyond that is a dead connection.
pub const SILENCE: Duration = Duration::from_secs(20);

/// What a client puts together from the events of one job, over all its connections.
#[derive(Default)]
pub struct Assembly {
    pub text: String,
    /// The last event's id.
    pub last: Option<(u64, u64)>,
    pub end: Option<End>,
}

impl Assembly {
    /// Takes one event; gives what is wrong with it.
    pub fn take(&mut self, id: &str, name: &str, data: &Value) -> Option<String> {
        if self.end.is_some() {
            return Some(format!("`{name}` {id} came after the final event"));
        }
        let parsed = id.split_once('-').and_then(|(a, n)| Some((a.parse().ok()?, n.parse().ok()?)));
        let Some(parsed) = parsed else { return Some(format!("the id {id:?} cannot be read")) };
        let before = self.last.replace(parsed);
        let mut wrong = before
            // A `reset` may go back to before all attempts: who is cut there and resumes gets the whole text. One under
            // the id of what was dropped would lose it.
            .filter(|before| *before >= parsed && !(name == "reset" && parsed.0 == 0))
            .map(|before| format!("`{name}` {id} came after {}-{}", before.0, before.1));
        match name {
            "reset" => self.text.clear(),
            "token" => self.text.push_str(data["delta"].as_str().unwrap_or_default()),
            "error" => {
                self.end = Some(End::Failed { code: data["code"].as_str().unwrap_or_default().to_owned() });
            }
            "done" => {
                let reply = data["reply"].as_str().unwrap_or_default().to_owned();
                if reply != self.text {
                    wrong = Some(format!("the stream said {:?}, `done` says {reply:?}", self.text));
                }
                let finish = data["finish_reason"].as_str().unwrap_or_default().to_owned();
                self.end = Some(match finish.as_str() {
                    "cancelled" => End::Cancelled,
                    _ => End::Answered { reply, finish },
                });
            }
            _ => {}
        }
        wrong
    }

    pub fn after(&self) -> String {
        self.last.map_or_else(|| "0-0".to_owned(), |(attempt, n)| format!("{attempt}-{n}"))
    }
}

fn field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start)
}

impl World {
    /// Reads one connection to its end. Gives why it ended, and says which job it is about.
    async fn read(
        &self,
        marker: &str,
        response: reqwest::Response,
        assembly: &mut Assembly,
        mut heard: impl FnMut(&str),
    ) -> String {
        let mut bytes = response.bytes_stream();
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let patience = if assembly.end.is_some() { Duration::from_secs(10) } else { SILENCE };
            match tokio::time::timeout(patience, bytes.next()).await {
                Ok(Some(Ok(chunk))) => buffer.extend_from_slice(&chunk),
                Ok(Some(Err(error))) => return format!("{:?}", broken(&error)),
                Ok(None) => return "its end".to_owned(),
                Err(_) => return format!("{patience:?} of silence"),
            }
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = buffer.drain(..end + 2).collect();
                let block = String::from_utf8_lossy(&block);
                let (Some(id), Some(name), Some(data)) =
                    (field(&block, "id:"), field(&block, "event:"), field(&block, "data:"))
                else {
                    continue; // a heartbeat
                };
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                if name == "job" {
                    heard(data["job_id"].as_str().unwrap_or_default());
                }
                if name != "token" {
                    self.history.step(marker, format!("event {id} {name}: {data}"));
                }
                if let Some(wrong) = assembly.take(id, name, &data) {
                    self.history.fault(marker, wrong);
                }
            }
        }
    }
}

impl Lane {
    pub async fn stream(&mut self) {
        let mut message = self.message("sse");
        let mut assembly = Assembly::default();
        let mut job: Option<String> = None;
        while !message.is_late() && assembly.end.is_none() {
            let path = job.as_ref().map(|job| format!("/jobs/{job}/events"));
            let (key, body) = (message.marker.clone(), message.body());
            let call = match &path {
                Some(path) => Call { marker: &key, token: &self.user.token, ..Call::get(path) },
                None => Call {
                    marker: &key,
                    token: &self.user.token,
                    key: Some(&key),
                    body: Some(body),
                    ..Call::post("/chat/stream")
                },
            };
            let mut request = self.world.build(message.api, &call);
            if path.is_some() {
                request = request.header("last-event-id", assembly.after());
            }
            let response = match tokio::time::timeout(call.within, request.send()).await {
                Ok(Ok(response)) => response,
                failed => {
                    let reply = match failed {
                        Ok(Err(error)) => broken(&error),
                        _ => Reply::TimedOut,
                    };
                    self.world.note(message.api, &call, &reply);
                    message.api += 1;
                    self.world.pause(&reply).await;
                    continue;
                }
            };
            let status = response.status().as_u16();
            let named = response.headers().get("x-job-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
            if status != 200 {
                let body = response.text().await.unwrap_or_default();
                let body: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
                let reply = Reply::Http { status, body, job: named.clone() };
                self.world.note(message.api, &call, &reply);
                if let Some(named) = named {
                    self.accepted(&mut message, &named);
                    job = Some(named);
                } else if status == 404 && job.take().is_some() {
                    self.world.history.gone(&key);
                    assembly = Assembly::default();
                } else if !(status == 409 || PASSES.contains(&status)) {
                    self.refused(&message, status.to_string());
                    return;
                }
                message.api += 1;
                self.world.pause(&reply).await;
                continue;
            }
            self.world.note(
                message.api,
                &call,
                &Reply::Http { status, body: Value::Null, job: named.clone() },
            );
            if let Some(named) = named {
                self.accepted(&mut message, &named);
                job = Some(named);
            }
            let mut heard = None;
            let why = self.world.read(&key, response, &mut assembly, |id| heard = Some(id.to_owned())).await;
            self.world.history.step(&key, format!("the stream ended: {why}"));
            if let Some(heard) = heard {
                self.accepted(&mut message, &heard);
                job = Some(heard);
            }
            if assembly.end.is_none() {
                self.world.history.error("stream cut");
                message.api += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            } else if why != "its end" {
                // A cut after the final event is no fault of the service, silence is.
                if why.contains("silence") {
                    self.world.history.fault(&key, "the stream stayed open after its final event".to_owned());
                }
            }
        }
        self.finish(&message, assembly);
    }

    pub fn finish(&self, message: &Message, assembly: Assembly) {
        self.world.history.streamed(&message.marker, &assembly.text);
        self.world.history.end(&message.marker, assembly.end.unwrap_or(End::GaveUp));
    }
}
