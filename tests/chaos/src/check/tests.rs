//! The checks find what they are for.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    database::Stored,
    outcomes::{self, Around},
    sessions,
};
use crate::{
    clients::Assembly,
    history::{End, Failover, Sent},
};

const JOB: &str = "00000000000000000000000000000001";
/// The same as the public surface writes it.
const PUBLIC: &str = "job_00000000000000000000000004";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn sent(end: End) -> Sent {
    Sent {
        marker: "m-1-1-1".to_owned(),
        session: None,
        transport: "plain",
        accepted: Some(1),
        accepted_at: Some(at(2)),
        jobs: vec![PUBLIC.to_owned()],
        gone: Vec::new(),
        streamed: None,
        asked_to_cancel: false,
        end: Some(end),
        ended_at: Some(at(3)),
        faults: Vec::new(),
    }
}

fn answered() -> Sent {
    sent(End::Answered { reply: "m-1-1-1w1".to_owned(), finish: "stop".to_owned() })
}

fn message(seq: i64, role: &str, content: &str, job: &str) -> Value {
    json!({"session_id": "s", "seq": seq, "role": role, "content": content, "job_id": job, "created_at": ""})
}

fn stored() -> Stored {
    let messages =
        vec![message(1, "user", "/echo m-1-1-1 /tokens 1", JOB), message(2, "assistant", "m-1-1-1w1", JOB)];
    let job = json!({"id": JOB, "status": "succeeded", "finished_at": "2"});
    Stored { messages, jobs: HashMap::from([(JOB.to_owned(), job)]) }
}

fn kinds(sent: Sent, stored: &Stored) -> Vec<&'static str> {
    let all = [sent];
    let mut found = outcomes::check(&all, stored, Around::default());
    found.extend(sessions::check(&all, stored, &[]));
    found.into_iter().map(|violation| violation.kind).collect()
}

#[test]
fn a_message_that_was_answered_once_is_fine() {
    assert!(kinds(answered(), &stored()).is_empty());
}

#[test]
fn an_accepted_message_that_is_nowhere_is_lost() {
    assert_eq!(kinds(answered(), &Stored::default()), ["I1 lost"]);
}

#[test]
fn a_question_that_is_there_twice_is_doubled() {
    let mut stored = stored();
    stored.messages.push(message(3, "user", "/echo m-1-1-1 /tokens 1", JOB));
    assert_eq!(kinds(answered(), &stored), ["I5 doubled"]);
}

#[test]
fn a_key_that_gave_two_jobs_is_doubled() {
    let mut sent = answered();
    sent.jobs.push("job_00000000000000000000000008".to_owned());
    assert!(kinds(sent, &stored()).contains(&"I5 doubled"));
}

#[test]
fn a_client_that_saw_another_answer_is_told() {
    let other = sent(End::Answered { reply: "m-1-1-1w2".to_owned(), finish: "stop".to_owned() });
    assert_eq!(kinds(other, &stored()), ["I1 outcome"]);
}

#[test]
fn a_stream_that_said_something_else_is_told() {
    let mut sent = answered();
    sent.streamed = Some("m-1-1-1".to_owned());
    assert_eq!(kinds(sent, &stored()), ["I3 stream"]);
}

#[test]
fn a_job_that_is_still_open_is_wedged() {
    let mut stored = stored();
    stored.jobs.insert(JOB.to_owned(), json!({"id": JOB, "status": "queued"}));
    assert_eq!(kinds(sent(End::GaveUp), &stored), ["I4 wedged", "I4 wedged"]);
}

#[test]
fn a_crash_of_a_job_when_nothing_was_killed_is_told() {
    let mut stored = stored();
    let job = json!({"id": JOB, "status": "failed", "error": {"code": "job_crashed"}});
    stored.jobs.insert(JOB.to_owned(), job);
    let sent = sent(End::Failed { code: "job_crashed".to_owned() });
    assert_eq!(kinds(sent, &stored), ["innocent_crash"]);
}

#[test]
fn a_hole_in_a_session_is_told() {
    let mut stored = stored();
    stored.messages[0]["seq"] = json!(3);
    stored.messages[1]["seq"] = json!(4);
    assert_eq!(kinds(answered(), &stored), ["I2 order"]);
}

#[test]
fn an_answer_that_overtook_another_is_told() {
    let mut stored = stored();
    let second = "00000000000000000000000000000002";
    stored.messages.push(message(3, "user", "/echo m-1-1-2 /tokens 1", second));
    let job = json!({"id": second, "status": "succeeded", "finished_at": "1"});
    stored.jobs.insert(second.to_owned(), job);
    assert_eq!(kinds(answered(), &stored), ["I2 order"]);
}

#[test]
fn a_stream_must_grow_and_end_once() {
    let mut stream = Assembly::default();
    assert_eq!(stream.take("1-2", "token", &json!({"delta": "a"})), None);
    assert!(stream.take("1-2", "token", &json!({"delta": "a"})).is_some(), "the same id again");
    assert_eq!(stream.take("2-1", "reset", &json!({})), None);
    assert_eq!(stream.take("2-2", "token", &json!({"delta": "b"})), None);
    assert_eq!(stream.take("2-3", "done", &json!({"reply": "b", "finish_reason": "stop"})), None);
    assert!(stream.take("2-4", "done", &json!({"reply": "b"})).is_some(), "a second end");
    let mut lost = Assembly::default();
    assert_eq!(lost.take("1-7", "token", &json!({"delta": "a"})), None);
    assert!(lost.take("1-7", "reset", &json!({})).is_some(), "who resumes after it has no text");
    assert_eq!(lost.take("0-1", "reset", &json!({})), None);
    assert_eq!(lost.take("1-9", "token", &json!({"delta": "ab"})), None);
    let mut other = Assembly::default();
    assert!(other.take("1-2", "done", &json!({"reply": "b"})).is_some(), "a reply that was not streamed");
}

#[test]
fn what_a_replica_never_had_is_no_violation_and_what_it_had_is() {
    let kinds = |sent: &Sent, safe_until: i64| {
        let failover = Some(Failover { safe_until: at(safe_until), over: at(20) });
        let around = Around { faults: &[], failover };
        let (all, nothing) = ([sent.clone()], Stored::default());
        let found: Vec<_> = outcomes::check(&all, &nothing, around).iter().map(|one| one.kind).collect();
        (outcomes::lost_in_failover(&all, &nothing, around), found)
    };
    assert_eq!(kinds(&answered(), 1), (1, vec![]), "accepted at 2, when the replica was behind");
    assert_eq!(kinds(&answered(), 3), (0, vec!["I1 lost"]), "accepted at 2, and the replica had all until 3");
    let mut again = answered();
    again.gone = vec![("job_00000000000000000000000008".to_owned(), at(2))];
    assert_eq!(kinds(&again, 3).1, ["I1 lost", "I1 lost"]);
}

#[test]
fn a_job_that_is_gone_without_a_failover_is_lost() {
    let mut sent = answered();
    sent.gone = vec![("job_00000000000000000000000008".to_owned(), at(2))];
    assert_eq!(kinds(sent, &stored()), ["I1 lost"]);
}
