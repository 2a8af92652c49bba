//! `GET /chat/ws`: many messages on one connection; a cut one is resumed at another API.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message as Frame, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    Lane, World,
    stream::{Assembly, SILENCE},
};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What came of waiting for an event.
enum Heard {
    Event(Value),
    /// Pings are not events, but show that somebody is there.
    Sign,
    Gone(String),
}

pub async fn connect(url: &str, token: &str) -> Result<Socket, String> {
    let url = format!("{}/api/v1/chat/ws", url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
    request.headers_mut().insert("authorization", bearer);
    match tokio::time::timeout(Duration::from_secs(10), connect_async(request)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer within 10 s".to_owned()),
    }
}

async fn hear(socket: &mut Socket) -> Heard {
    // Pings come every 15 seconds.
    match tokio::time::timeout(SILENCE, socket.next()).await {
        Ok(Some(Ok(Frame::Text(text)))) => Heard::Event(serde_json::from_str(&text).unwrap_or_default()),
        Ok(Some(Ok(Frame::Close(_))) | None) => Heard::Gone("closed".to_owned()),
        Ok(Some(Ok(_))) => Heard::Sign,
        Ok(Some(Err(error))) => Heard::Gone(error.to_string()),
        Err(_) => Heard::Gone("silence".to_owned()),
    }
}

async fn say(socket: &mut Socket, frame: &Value) -> Result<(), String> {
    let sent =
        tokio::time::timeout(Duration::from_secs(5), socket.send(Frame::text(frame.to_string()))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("not taken within 5 s".to_owned()),
    }
}

impl Lane {
    pub async fn socket(&mut self) {
        let mut message = self.message("ws");
        let marker = message.marker.clone();
        let mut assembly = Assembly::default();
        let mut job: Option<String> = None;
        let mut is_sent = false;
        while !message.is_late() && assembly.end.is_none() {
            if is_sent && job.is_none() && !self.world.socket_keys {
                // It may have been accepted, or not: sent again it could be there twice.
                self.world.history.step(&marker, "not known whether it was accepted");
                return;
            }
            // An idle one was closed, rightly, while we did not answer its pings.
            let kept = self.socket.take().filter(|(_, since)| since.elapsed() < Duration::from_secs(10));
            let mut socket = match kept {
                Some((socket, _)) => socket,
                None => match connect(
                    &self.world.web.urls[message.api % self.world.web.urls.len()],
                    &self.user.token,
                )
                .await
                {
                    Ok(socket) => socket,
                    Err(error) => {
                        self.world.history.request();
                        self.world.history.error("ws connect");
                        self.world.history.step(&marker, format!("ws @{}: {error}", message.api));
                        if error.contains("500") {
                            self.world.history.wrong(&marker, format!("ws: {error}"));
                        }
                        message.api += 1;
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        continue;
                    }
                },
            };
            let frame = match &job {
                Some(job) => json!({"type": "resume", "job_id": job, "after": assembly.after()}),
                None => {
                    let mut body = message.body();
                    body["idempotency_key"] = json!(marker);
                    body
                }
            };
            self.world.history.request();
            self.world.history.step(&marker, format!("ws @{} ← {frame}", message.api));
            if let Err(error) = say(&mut socket, &frame).await {
                self.world.history.step(&marker, format!("ws cannot be written to: {error}"));
                self.world.history.error("ws cut");
                message.api += 1;
                continue;
            }
            is_sent = true;
            let listened = self.world.listen(&mut socket, &marker, &mut assembly, &mut job).await;
            if let Some(job) = &job {
                let job = job.clone();
                self.accepted(&mut message, &job);
            }
            match listened {
                Ok(()) => self.socket = Some((socket, Instant::now())),
                // Refused, but the connection is well.
                Err(Refused::ForNow) => {
                    self.socket = Some((socket, Instant::now()));
                    // With its key it can be sent again; without one, a 503 may have come after the commit.
                    is_sent = !self.world.socket_keys;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(Refused::ForGood(code)) if code.starts_with("404") && job.take().is_some() => {
                    self.socket = Some((socket, Instant::now()));
                    self.world.history.gone(&marker);
                    assembly = Assembly::default();
                    is_sent = false;
                }
                Err(Refused::ForGood(code)) => {
                    self.socket = Some((socket, Instant::now()));
                    self.refused(&message, code);
                    return;
                }
                Err(Refused::Gone) => {
                    message.api += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        self.finish(&message, assembly);
    }
}

enum Refused {
    ForNow,
    ForGood(String),
    Gone,
}

impl World {
    /// Reads until the message's final event.
    async fn listen(
        &self,
        socket: &mut Socket,
        marker: &str,
        assembly: &mut Assembly,
        job: &mut Option<String>,
    ) -> Result<(), Refused> {
        while assembly.end.is_none() {
            let event = match hear(socket).await {
                Heard::Event(event) => event,
                Heard::Sign => continue,
                Heard::Gone(why) => {
                    self.history.error("ws cut");
                    self.history.step(marker, format!("ws gone: {why}"));
                    return Err(Refused::Gone);
                }
            };
            let name = event["type"].as_str().unwrap_or_default();
            if name != "token" {
                self.history.step(marker, format!("ws event {event}"));
            }
            let Some(id) = event["id"].as_str() else {
                // The answer to the message, not an event of its job.
                let (status, code) = (event["status"].as_u64().unwrap_or(0) as u16, event["code"].as_str());
                let code = code.unwrap_or_default();
                self.history.error(&format!("{status} {code}"));
                self.judge(marker, status, code, &event);
                return Err(match status {
                    409 | 429 | 502 | 503 | 504 | 507 => Refused::ForNow,
                    _ => Refused::ForGood(format!("{status} {code}")),
                });
            };
            if name == "job" {
                *job = event["job_id"].as_str().map(str::to_owned);
                if let Some(job) = job {
                    self.history.job(marker, job);
                }
                // A repeat by its key begins anew.
                if assembly.last.is_some() {
                    *assembly = Assembly::default();
                }
            }
            if let Some(wrong) = assembly.take(id, name, &event) {
                self.history.fault(marker, wrong);
            }
        }
        Ok(())
    }
}

/// Whether the service knows `idempotency_key` in a frame: the same key twice is the same job.
pub async fn knows_keys(url: &str, token: &str) -> Result<bool, String> {
    let mut socket = connect(url, token).await?;
    let frame = json!({"message": "/echo hello", "idempotency_key": "does-it-know-keys"});
    let mut jobs = Vec::new();
    for _ in 0..2 {
        say(&mut socket, &frame).await?;
        loop {
            match hear(&mut socket).await {
                Heard::Event(event) if event["type"] == "job" => jobs.push(event["job_id"].clone()),
                Heard::Event(event) if event["type"] == "done" || event["type"] == "error" => break,
                Heard::Event(_) | Heard::Sign => {}
                Heard::Gone(why) => return Err(why),
            }
        }
    }
    Ok(jobs.len() == 2 && jobs[0] == jobs[1])
}
