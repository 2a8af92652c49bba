//! Following a job to its end, and asking to cancel it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Lane, Message, World,
    http::{Call, Reply},
};
use crate::history::End;

/// What a final job came to.
fn end_of(job: &Value) -> Option<End> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match job["status"].as_str()? {
        "succeeded" => Some(End::Answered {
            reply: text(&job["result"]["reply"]),
            finish: text(&job["result"]["finish_reason"]),
        }),
        "failed" => Some(End::Failed { code: text(&job["error"]["code"]) }),
        "cancelled" => Some(End::Cancelled),
        _ => None,
    }
}

impl Lane {
    /// The message is accepted as this job.
    pub fn accepted(&self, message: &mut Message, job: &str) {
        self.world.history.job(&message.marker, job);
        let Some(after) = message.cancel_after.take() else { return };
        self.world.history.asked_to_cancel(&message.marker);
        let (world, token) = (Arc::clone(&self.world), self.user.token.clone());
        let (marker, path) = (message.marker.clone(), format!("/jobs/{job}/cancel"));
        let api = message.api;
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let call =
                Call { marker: &marker, token: &token, within: Duration::from_secs(10), ..Call::post(&path) };
            world.send(api, call).await;
        });
    }

    /// Polls or long-polls until the job is final. `false`: nobody knows the job any more.
    pub async fn follow(&mut self, message: &mut Message, job: &str, long: bool) -> bool {
        let path = if long { format!("/jobs/{job}?wait=10") } else { format!("/jobs/{job}") };
        while !message.is_late() {
            let call = Call {
                marker: &message.marker,
                token: &self.user.token,
                within: Duration::from_secs(16),
                ..Call::get(&path)
            };
            let reply = self.world.send(message.api, call).await;
            match &reply {
                Reply::Http { status: 200, body, .. } => {
                    if let Some(end) = end_of(body) {
                        self.world.history.end(&message.marker, end);
                        return true;
                    }
                    if !long {
                        tokio::time::sleep(Duration::from_millis(400)).await;
                    }
                }
                Reply::Http { status: 404, .. } => {
                    self.world.history.gone(&message.marker);
                    return false;
                }
                _ => {
                    message.api += 1;
                    self.world.pause(&reply).await;
                }
            }
        }
        self.world.history.end(&message.marker, End::GaveUp);
        true
    }

    /// Refused for good. A session that is not known is not talked in again.
    pub fn refused(&mut self, message: &Message, why: String) {
        if why.starts_with("404") {
            self.session = None;
        }
        self.world.history.end(&message.marker, End::Refused(why));
    }
}

impl World {
    pub fn answered(&self, marker: &str, body: &Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let end = match body["finish_reason"].as_str() {
            Some("cancelled") => End::Cancelled,
            _ => End::Answered { reply: text("reply"), finish: text("finish_reason") },
        };
        self.history.end(marker, end);
    }
}
