//! The check at the end of every fault test: accepted = answered, none twice, order kept in every session.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::User;

/// A message that was accepted (or may have been: the answer to its request was lost).
#[derive(Debug, Clone)]
pub struct Sent {
    pub session: String,
    pub text: String,
    /// The job, when its acceptance was seen.
    pub job: Option<String>,
}

/// Sends `/echo` messages into sessions, one after another in each, until told to stop; remembers what was accepted.
/// `in_flight` messages a session are accepted before the first is answered.
pub async fn talk(
    user: User,
    session: String,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    pause: Duration,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut number = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let text = format!("turn {number} of {session}");
        let body = json!({"message": format!("/echo {text}"), "session_id": session});
        let job = user.try_submit(&body).await;
        let job = job.map(|job| job["id"].as_str().unwrap().to_owned());
        sent.push(Sent { session: session.clone(), text, job });
        number += 1;
        tokio::time::sleep(pause).await;
    }
    sent
}

/// Waits until everything accepted is answered, then looks at the history of every session.
pub async fn check(user: &User, sent: &[Sent], within: Duration) {
    for one in sent {
        if let Some(job) = &one.job {
            let job = user.finished(job, within).await;
            assert_eq!(job["status"], "succeeded", "{job}");
            assert_eq!(job["result"]["reply"], one.text);
        }
    }
    let mut sessions: Vec<&String> = sent.iter().map(|one| &one.session).collect();
    sessions.sort();
    sessions.dedup();
    for session in sessions {
        let messages = user.messages(session).await;
        let asked: Vec<&Value> = messages.iter().filter(|message| message["role"] == "user").collect();
        // Each question once, its answer right behind it.
        for pair in messages.chunks(2) {
            assert_eq!((pair[0]["role"].as_str(), pair.len()), (Some("user"), 2), "{messages:#?}");
            assert_eq!(pair[1]["role"], "assistant");
            let question = pair[0]["content"].as_str().unwrap();
            assert_eq!(pair[1]["content"].as_str().unwrap(), question.strip_prefix("/echo ").unwrap());
        }
        // In the order they were sent; what was certainly accepted is there.
        let expected: Vec<&Sent> = sent.iter().filter(|one| one.session == *session).collect();
        let mut position = 0;
        for message in &asked {
            let text = message["content"].as_str().unwrap().strip_prefix("/echo ").unwrap();
            let found = expected[position..].iter().position(|one| one.text == text);
            let skipped = found.unwrap_or_else(|| panic!("{text:?} is out of order, or there twice"));
            for one in &expected[position..position + skipped] {
                assert!(one.job.is_none(), "{:?} was accepted and is not in the history", one.text);
            }
            position += skipped + 1;
        }
        assert!(
            expected[position..].iter().all(|one| one.job.is_none()),
            "the last accepted messages are missing"
        );
    }
}
