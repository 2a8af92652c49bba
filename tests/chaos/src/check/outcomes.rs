//! One outcome for every accepted message; streams that say what is stored; nothing there twice.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Violation,
    database::{Stored, hex_of, text},
};
use crate::{
    history::{End, Failover, Sent},
    nemeses::Nemesis,
};

/// What else happened in a round.
#[derive(Default, Clone, Copy)]
pub struct Around<'a> {
    pub faults: &'a [Nemesis],
    pub failover: Option<Failover>,
}

impl Around<'_> {
    fn may_undo(&self, at: Option<DateTime<Utc>>) -> bool {
        self.failover.zip(at).is_some_and(|(failover, at)| failover.may_undo(at))
    }
}

/// Messages that a replica never had, which is no violation: accepted in the last moments of the old primary.
pub fn lost_in_failover(sent: &[Sent], stored: &Stored, around: Around) -> usize {
    let is_lost = |sent: &&Sent| {
        let is_stored = stored.questions(&sent.marker).next().is_some();
        !sent.gone.is_empty() || !sent.jobs.is_empty() && !is_stored && around.may_undo(sent.accepted_at)
    };
    sent.iter().filter(is_lost).count()
}

/// Checks every message of a round.
pub fn check(sent: &[Sent], stored: &Stored, around: Around) -> Vec<Violation> {
    let mut answers: HashMap<&str, Vec<&Value>> = HashMap::new();
    for message in stored.messages.iter().filter(|message| text(message, "role") == "assistant") {
        answers.entry(text(message, "job_id")).or_default().push(message);
    }
    let mut found = Vec::new();
    for one in sent {
        found.extend(of_message(one, stored, &answers, around).into_iter().map(|v| v.about(&one.marker)));
    }
    found
}

fn of_message(
    sent: &Sent,
    stored: &Stored,
    answers: &HashMap<&str, Vec<&Value>>,
    around: Around,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut wrong = |kind: &'static str, what: String| found.push(Violation::new(kind, what));
    for fault in &sent.faults {
        let kind = if fault.contains(" came after ") { "I3 ids" } else { "I3 stream" };
        wrong(kind, format!("{}: {fault}", sent.transport));
    }
    for (job, at) in sent.gone.iter().filter(|(_, at)| !around.may_undo(Some(*at))) {
        wrong("I1 lost", format!("accepted as {job} at {at}, and nobody knows it any more"));
    }
    if sent.jobs.len() > 1 {
        wrong("I5 doubled", format!("one key gave several jobs: {:?}", sent.jobs));
    }
    let questions: Vec<&Value> = stored.questions(&sent.marker).collect();
    if questions.len() > 1 {
        wrong("I5 doubled", format!("{}: the question is stored {} times", sent.transport, questions.len()));
    }
    if let Some(End::GaveUp) = sent.end {
        wrong("I4 wedged", format!("{}: its client waited in vain", sent.transport));
    }
    if let Some(End::Refused(why)) = &sent.end
        && !(why.starts_with("404") && around.may_undo(sent.ended_at))
    {
        wrong("I1 refused", format!("{}: refused with {why}", sent.transport));
    }
    let Some(question) = questions.first() else {
        if !sent.jobs.is_empty() && !around.may_undo(sent.accepted_at) {
            wrong("I1 lost", format!("{}: accepted as {:?}, and not stored", sent.transport, sent.jobs));
        }
        return found;
    };
    let job_id = text(question, "job_id");
    if let Some(session) = &sent.session
        && hex_of(session).as_deref() != Some(text(question, "session_id"))
    {
        wrong("I1 lost", format!("sent into {session}, stored in session {}", text(question, "session_id")));
    }
    for job in &sent.jobs {
        if hex_of(job).as_deref() != Some(job_id) {
            wrong("I1 lost", format!("accepted as {job}, stored under job {job_id}"));
        }
    }
    let Some(job) = stored.jobs.get(job_id) else {
        wrong("I1 lost", "the question has no job".to_owned());
        return found;
    };
    let none = Vec::new();
    let answers = answers.get(job_id).unwrap_or(&none);
    found.extend(of_job(sent, job, answers, around));
    found
}

fn of_job(sent: &Sent, job: &Value, answers: &[&Value], around: Around) -> Vec<Violation> {
    let faults = around.faults;
    let mut found = Vec::new();
    let mut wrong = |kind: &'static str, what: String| found.push(Violation::new(kind, what));
    let (status, code) = (text(job, "status"), job["error"]["code"].as_str().unwrap_or_default());
    if answers.len() > 1 {
        wrong("I1 outcome", format!("{} answers are stored", answers.len()));
    }
    let answer = answers.first().map(|answer| text(answer, "content"));
    match status {
        "succeeded" => match answer {
            None => wrong("I1 outcome", "the job succeeded and no answer is stored".to_owned()),
            Some(answer) if !answer.starts_with(&sent.marker) => {
                wrong("I1 outcome", format!("the answer is another's: {answer:?}"));
            }
            Some(_) => {}
        },
        "failed" => {
            let excused = faults.iter().any(|fault| fault.kills);
            if code == "job_crashed" && !excused {
                wrong(
                    "innocent_crash",
                    format!("{}: failed as job_crashed, and nothing was killed", sent.transport),
                );
            } else if !code.starts_with("provider") && code != "job_crashed" {
                wrong("innocent_failure", format!("{}: failed as {code}: {}", sent.transport, job["error"]));
            } else if code.starts_with("provider") && !faults.iter().any(|fault| fault.is_of_provider()) {
                wrong(
                    "innocent_failure",
                    format!("failed as {code}, and the provider was well: {}", job["error"]),
                );
            }
        }
        "cancelled" if !sent.asked_to_cancel => {
            wrong("I1 outcome", "it was cancelled, and nobody asked for that".to_owned());
        }
        "cancelled" => {}
        _ => wrong("I4 wedged", format!("{}: the job is still {status}", sent.transport)),
    }
    let agrees = match &sent.end {
        Some(End::Answered { reply, .. }) => status == "succeeded" && answer == Some(reply),
        Some(End::Failed { code: seen }) => status == "failed" && seen == code,
        Some(End::Cancelled) => status == "cancelled",
        Some(End::Refused(_)) => false,
        Some(End::GaveUp) | None => true,
    };
    // Its end was undone, and it came to another.
    let is_undone = around.may_undo(sent.ended_at);
    if !agrees && !is_undone {
        wrong(
            "I1 outcome",
            format!(
                "{}: the client saw {:?}, stored is {status} {code} {answer:?}",
                sent.transport, sent.end
            ),
        );
    }
    if let (Some(streamed), Some(End::Answered { .. } | End::Cancelled)) = (&sent.streamed, &sent.end)
        && answer.unwrap_or_default() != streamed
        && sent.faults.is_empty()
        && !is_undone
    {
        wrong("I3 stream", format!("{}: the stream said {streamed:?}, stored is {answer:?}", sent.transport));
    }
    found
}
