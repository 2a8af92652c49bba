//! Each session: no holes, nothing twice, answered in the order in which it was accepted.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{
    Violation,
    database::{Stored, marker_of, text},
};
use crate::{history::Sent, nemeses::Nemesis};

pub fn check(sent: &[Sent], stored: &Stored, faults: &[Nemesis]) -> Vec<Violation> {
    let mut sessions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for message in &stored.messages {
        sessions.entry(text(message, "session_id")).or_default().push(message);
    }
    let sent: HashMap<&str, &Sent> = sent.iter().map(|sent| (sent.marker.as_str(), sent)).collect();
    // A clock that is wrong gives times that are wrong; what is stored is in order all the same.
    let trusts_times = !faults.iter().any(Nemesis::is_of_clocks);
    let mut found = Vec::new();
    for (session, messages) in sessions {
        found.extend(places(session, &messages, stored));
        found.extend(order(session, &messages, &sent));
        if trusts_times {
            found.extend(ends(session, &messages, stored));
        }
    }
    found
}

/// Questions stand at 1, 3, 5, …, each with its answer, if it has one, right behind it.
fn places(session: &str, messages: &[&Value], stored: &Stored) -> Vec<Violation> {
    let mut found = Vec::new();
    // A job that is tried again by hand, or by its key, takes a place for its turn: a hole that is meant to be.
    let has_retried = messages.iter().filter(|message| text(message, "role") == "user").any(|message| {
        let order = stored.jobs.get(text(message, "job_id")).and_then(|job| job["session_order"].as_i64());
        order.is_some() && order != message["seq"].as_i64()
    });
    let mut next = 1;
    let mut asked: Option<&Value> = None;
    for message in messages {
        let (seq, role) = (message["seq"].as_i64().unwrap_or(0), text(message, "role"));
        let is_right = match role {
            "user" => seq == next || has_retried && seq > next,
            _ => asked.is_some_and(|question| {
                question["seq"].as_i64() == Some(seq - 1) && question["job_id"] == message["job_id"]
            }),
        };
        if role == "user" {
            asked = Some(message);
            next = seq + 2;
        }
        if !is_right {
            let what = format!("session {session}: {role} at {seq} does not belong there");
            let marker = asked.and_then(|question| marker_of(text(question, "content"))).unwrap_or_default();
            let all = messages.iter().map(|message| {
                let (seq, job) = (&message["seq"], text(message, "job_id"));
                format!("{} STORED {seq} {} of job {job}", text(message, "created_at"), text(message, "role"))
            });
            found.push(Violation::new("I2 order", what).about(marker).with(all));
        }
    }
    found
}

/// The order in which the client learnt that its messages were accepted is the stored one.
fn order(session: &str, messages: &[&Value], sent: &HashMap<&str, &Sent>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut last: Option<(u64, &str)> = None;
    for message in messages.iter().filter(|message| text(message, "role") == "user") {
        let Some(marker) = marker_of(text(message, "content")) else { continue };
        let Some(accepted) = sent.get(marker).and_then(|sent| sent.accepted) else { continue };
        if let Some((before, other)) = last
            && before > accepted
        {
            let what = format!("session {session}: {other} was accepted after {marker} and stands before it");
            found.push(Violation::new("I2 order", what).about(marker));
        }
        last = Some((accepted, marker));
    }
    found
}

/// Jobs end in the order of their questions; who is cancelled while it waits may end sooner.
fn ends(session: &str, messages: &[&Value], stored: &Stored) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut last: Option<(&str, &str)> = None;
    let mut asked: Vec<&&Value> = messages.iter().filter(|message| text(message, "role") == "user").collect();
    // Its turn, which is its place unless it was tried again.
    asked.sort_by_key(|message| {
        let job = stored.jobs.get(text(message, "job_id"));
        job.and_then(|job| job["session_order"].as_i64()).or(message["seq"].as_i64())
    });
    for message in asked {
        let Some(marker) = marker_of(text(message, "content")) else { continue };
        let Some(job) = stored.jobs.get(text(message, "job_id")) else { continue };
        if !["succeeded", "failed"].contains(&text(job, "status")) {
            continue;
        }
        let ended = text(job, "finished_at");
        if let Some((before, other)) = last
            && before > ended
        {
            let what = format!("session {session}: {other} ended at {before}, after {marker} at {ended}");
            found.push(Violation::new("I2 order", what).about(marker).with(stored.lines_about(other)));
        }
        last = Some((ended, marker));
    }
    found
}
