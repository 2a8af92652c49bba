//! `POST /chat`: waiting for the answer, or for the job only; tried again with the same key.

use std::time::Duration;

use rand::Rng;

use super::{
    Lane, Message,
    http::{Call, PASSES, Reply},
};
use crate::history::End;

impl Lane {
    /// Sends a message until it is accepted. Gives the job, or `None` when its end is known already.
    async fn submit(&mut self, message: &mut Message, prefer: Option<&str>) -> Option<String> {
        let key = message.marker.clone();
        while !message.is_late() {
            let call = Call {
                marker: &message.marker,
                token: &self.user.token,
                key: Some(&key),
                prefer,
                body: Some(message.body()),
                ..Call::post("/chat")
            };
            let reply = self.world.send(message.api, call).await;
            match &reply {
                Reply::Http { status: 200, body, .. } => {
                    let job = body["job_id"].as_str().unwrap_or_default().to_owned();
                    self.accepted(message, &job);
                    self.world.answered(&message.marker, body);
                    return None;
                }
                Reply::Http { status: 202, body, .. } => {
                    let job = body["id"].as_str().unwrap_or_default().to_owned();
                    self.accepted(message, &job);
                    return Some(job);
                }
                // What became of the job is asked of the job.
                Reply::Http { job: Some(job), .. } => {
                    let job = job.clone();
                    self.accepted(message, &job);
                    return Some(job);
                }
                Reply::Http { status, .. } if *status != 409 && !PASSES.contains(status) => {
                    self.refused(message, status.to_string());
                    return None;
                }
                Reply::Http { .. } | Reply::Broken(_) | Reply::TimedOut => {
                    message.api += 1;
                    self.world.pause(&reply).await;
                }
            }
        }
        self.world.history.end(&message.marker, End::GaveUp);
        None
    }

    pub async fn plain(&mut self, asynchronous: bool) {
        let mut message = self.message(if asynchronous { "async" } else { "plain" });
        let prefer = asynchronous.then_some("respond-async");
        let long = self.rng.random_bool(0.7);
        while let Some(job) = self.submit(&mut message, prefer).await {
            if self.follow(&mut message, &job, long).await {
                return;
            }
        }
    }

    /// Several messages into one session before the first is answered.
    pub async fn burst(&mut self) {
        let mut open = Vec::new();
        for _ in 0..self.rng.random_range(2..5) {
            let mut message = self.message("burst");
            if let Some(job) = self.submit(&mut message, Some("respond-async")).await {
                open.push((message, job));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (mut message, job) in open {
            if !self.follow(&mut message, &job, true).await
                && let Some(job) = self.submit(&mut message, Some("respond-async")).await
            {
                self.follow(&mut message, &job, true).await;
            }
        }
    }
}
