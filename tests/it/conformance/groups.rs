//! What PostgreSQL does for several at once: each has its own fate, and nobody waits for another's lock.

use std::time::Duration;

use chrono::TimeDelta;
use rapport_common::{
    clock,
    domain::{
        ids::{JobId, SessionId, UserId},
        job::{Job, JobStatus},
        message::{Details, MessageStatus},
    },
    store::{
        self, Tx,
        answers::{self, Answered, Ending},
        chats, ledger, sessions,
    },
};
use serde_json::json;

use super::ledger_model::database::Database;

const LEASE: TimeDelta = TimeDelta::seconds(15);

/// Somebody who writes to a session and is not done.
async fn writer(db: &Database, session: SessionId) -> Tx {
    let mut tx = db.ctx.db.begin().await.unwrap();
    assert!(sessions::take_seq(&mut tx, db.user, session, clock::now()).await.unwrap().is_some());
    tx
}

async fn claim(db: &Database, jobs: &[JobId]) -> Vec<Job> {
    let mut conn = db.ctx.db.relaxed().await.unwrap();
    ledger::claim_free(&mut conn, jobs, "w", LEASE, clock::now()).await.unwrap()
}

fn ending(db: &Database, job: &Job, attempt: u32) -> Ending {
    Ending {
        job: job.id,
        attempt,
        queue: job.queue,
        status: JobStatus::Succeeded,
        result: json!({"reply": "an answer"}),
        user: db.user,
        session: job.session_id.unwrap(),
        message: serde_json::from_value(job.payload["answer_id"].clone()).unwrap(),
        seq: job.payload["seq"].as_i64().unwrap() + 1,
        content: "an answer".to_owned(),
        message_status: MessageStatus::Complete,
        provider: None,
        model: None,
        usage: None,
        remember: false,
        details: Details::default(),
        spent: None,
        at: clock::now(),
    }
}

#[tokio::test]
async fn questions_are_stored_at_once_but_those_that_would_wait_or_have_no_session() {
    let db = Database::postgres().await;
    let sessions = db.reset(3).await;
    let mut questions: Vec<_> = sessions.iter().map(|session| db.question(*session)).collect();
    questions.push(db.question(SessionId::new()));
    let mut strangers = db.question(sessions[0]);
    strangers.user = UserId::new();
    questions.push(strangers);
    let busy = writer(&db, sessions[1]).await;
    let mut tx = db.ctx.db.begin_single().await.unwrap();
    let stored = chats::accept_free(&mut tx, &questions).await.unwrap();
    assert_eq!(stored, [true, false, true, false, false]);
    drop((tx, busy));
    let mut conn = db.ctx.db.read().await.unwrap();
    for (question, stored) in questions.iter().zip(stored) {
        let job = store::jobs::get(&mut conn, question.user, question.job).await.unwrap();
        assert_eq!(job.is_some(), stored);
    }
    for (session, messages) in sessions.iter().zip([1, 0, 1]) {
        let found = store::branches::context(&mut conn, db.user, *session, 100, 10).await.unwrap();
        assert_eq!(found.len(), messages);
    }
}

#[tokio::test]
async fn of_the_jobs_of_one_session_the_first_is_claimed_whatever_else_is() {
    let db = Database::postgres().await;
    let sessions = db.reset(2).await;
    let (first, second) = (db.accept(sessions[0]).await, db.accept(sessions[0]).await);
    let other = db.accept(sessions[1]).await;
    let mut claimed: Vec<JobId> =
        claim(&db, &[second, other, first, first, JobId::new()]).await.iter().map(|job| job.id).collect();
    claimed.sort();
    assert_eq!(claimed, [first, other]);
    assert!(claim(&db, &[second, other, first]).await.is_empty(), "what runs is not claimed again");
}

#[tokio::test]
async fn a_job_that_somebody_changes_is_left_to_a_later_claim() {
    let db = Database::postgres().await;
    let sessions = db.reset(2).await;
    let jobs = [db.accept(sessions[0]).await, db.accept(sessions[1]).await];
    let mut tx = db.ctx.db.begin().await.unwrap();
    assert!(store::jobs::cancel_queued(&mut tx, db.user, jobs[0], clock::now()).await.unwrap());
    assert_eq!(claim(&db, &jobs).await.iter().map(|job| job.id).collect::<Vec<_>>(), [jobs[1]]);
    // Its connection ends the transaction on its way back.
    drop(tx);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let claimed = loop {
        let claimed = claim(&db, &jobs).await;
        if !claimed.is_empty() || tokio::time::Instant::now() > deadline {
            break claimed;
        }
    };
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [jobs[0]]);
}

#[tokio::test]
async fn answers_are_stored_at_once_but_those_that_are_lost_or_would_wait() {
    let db = Database::postgres().await;
    let sessions = db.reset(3).await;
    let mut jobs = Vec::new();
    for session in &sessions {
        jobs.push(db.accept(*session).await);
    }
    let next = db.accept(sessions[0]).await;
    let mut claimed = claim(&db, &jobs).await;
    claimed.sort_by_key(|job| jobs.iter().position(|id| *id == job.id));
    // The second's session is busy; the third is another attempt's by now.
    let endings: Vec<_> =
        claimed.iter().zip([1, 1, 2]).map(|(job, attempt)| ending(&db, job, attempt)).collect();
    let busy = writer(&db, sessions[1]).await;
    let mut tx = db.ctx.db.begin_single().await.unwrap();
    let stored = answers::answer_free(&mut tx, &endings).await.unwrap();
    let [Some(Answered::Stored(_, Some(ready))), None, None] = &stored[..] else {
        panic!("{}", stored.len())
    };
    assert_eq!(ready.id, next, "the session's next job may run");
    drop(busy);
    let by_itself = answers::answer(&mut tx, &endings[1]).await.unwrap();
    assert!(matches!(by_itself, Answered::Stored(_, None)));
    let again = answers::answer_free(&mut tx, &endings).await.unwrap();
    assert!(again.iter().all(Option::is_none), "what has ended does not end again");
    drop(tx);
    let mut conn = db.ctx.db.read().await.unwrap();
    for (session, messages) in sessions.iter().zip([3, 2, 1]) {
        let found = store::branches::context(&mut conn, db.user, *session, 100, 10).await.unwrap();
        assert_eq!(found.len(), messages);
    }
}
