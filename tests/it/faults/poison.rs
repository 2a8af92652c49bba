use std::time::Duration;

use rapport_common::{
    clock,
    domain::{
        ids::JobId,
        job::{JobKind, JobStatus},
    },
    jobs::payload::{self, ProbePayload},
    store::{self, Db, jobs::NewJob},
};

use crate::{
    both_stacks,
    harness::{App, Stack, eventually},
};

both_stacks!(a_job_that_aborts_its_process_each_time_dies_and_the_queue_goes_on);

/// Puts a probe into the ledger, for a user so that it can be seen.
pub async fn probe(db: &Db, user: &str, payload: ProbePayload, max_attempts: u32) -> JobId {
    let now = clock::now();
    let id = JobId::new();
    let job = NewJob {
        id,
        kind: JobKind::Probe,
        user: Some(user.parse().unwrap()),
        session: None,
        session_order: None,
        payload: payload::write(&payload).unwrap(),
        max_attempts,
        priority: 0,
        run_at: now,
        dedupe_key: None,
        trace: None,
        created_at: now,
    };
    let mut tx = db.begin().await.unwrap();
    store::jobs::enqueue(&mut tx, job).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn a_job_that_aborts_its_process_each_time_dies_and_the_queue_goes_on(stack: Stack) {
    let mut app = App::builder(stack).env("QUEUE__LEASE_SECONDS", "2").start().await;
    let user = app.user().await;
    let id = user.get("/auth/me").await.expect(200)["id"].as_str().unwrap().to_owned();
    let db = app.db().await;
    let poison = probe(&db, &id, ProbePayload { abort: true, ..ProbePayload::default() }, 3).await;
    let innocent = probe(&db, &id, ProbePayload { sleep_ms: 2_500, ..ProbePayload::default() }, 3).await;
    // What a supervisor does: start again whatever died.
    let mut starts = 0;
    let dead = loop {
        let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
        if process.has_exited() {
            starts += 1;
            app.start_runner();
        }
        let job = store::jobs::get(&mut db.read().await.unwrap(), id.parse().unwrap(), poison)
            .await
            .unwrap()
            .unwrap();
        if job.status.is_final() {
            break job;
        }
        assert!(starts <= 3, "it was started more often than max_attempts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((dead.status, dead.attempt), (JobStatus::Failed, 3));
    assert_eq!(dead.error.unwrap()["code"], "job_crashed");
    eventually("the innocent ends", Duration::from_secs(30), || async {
        let job = store::jobs::get(&mut db.read().await.unwrap(), id.parse().unwrap(), innocent)
            .await
            .unwrap()
            .unwrap();
        (job.status == JobStatus::Succeeded).then_some(())
    })
    .await;
    assert_eq!(user.chat("/echo alive").await["reply"], "alive");
}
