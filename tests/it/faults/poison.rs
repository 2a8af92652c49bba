use std::time::Duration;

use rapport_common::{
    domain::{
        ids::JobId,
        job::{Job, JobStatus},
    },
    jobs::payload::ProbePayload,
    store::{self, Db, jobs::NewJob},
};

use crate::{
    both_stacks,
    harness::{App, Stack, eventually, sse::text_of},
};

both_stacks!(
    a_job_that_aborts_its_process_each_time_dies_and_the_queue_goes_on,
    a_job_that_aborts_its_process_late_takes_no_innocents_along,
    a_worker_that_is_killed_blames_no_job_however_often,
    a_suspect_streams_and_is_cancelled_and_handed_back_as_any_job,
);

/// Puts a probe into the ledger, for a user so that it can be seen.
pub async fn probe(db: &Db, user: &str, payload: ProbePayload, max_attempts: u32) -> JobId {
    let job = NewJob::new(&payload, max_attempts).unwrap().of_user(user.parse().unwrap());
    let id = job.id;
    let mut tx = db.begin().await.unwrap();
    store::jobs::enqueue(&mut tx, job).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Starts again whatever died, as a supervisor does, until the job is final.
async fn supervise(app: &mut App, db: &Db, user: &str, job: JobId) -> (Job, u32) {
    let mut starts = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let process = if app.stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
        if process.has_exited() {
            starts += 1;
            app.start_runner();
        }
        let found = stored(db, user, job).await;
        if found.status.is_final() {
            return (found, starts);
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stored(db: &Db, user: &str, job: JobId) -> Job {
    let mut conn = db.read().await.unwrap();
    store::jobs::get(&mut conn, user.parse().unwrap(), job).await.unwrap().unwrap()
}

async fn a_job_that_aborts_its_process_each_time_dies_and_the_queue_goes_on(stack: Stack) {
    let mut app = App::builder(stack).env("QUEUE__LEASE_SECONDS", "2").start().await;
    let user = app.user().await;
    let id = user.get("/auth/me").await.expect(200)["id"].as_str().unwrap().to_owned();
    let db = app.db().await;
    // Ten tries, as the jobs of memory have: crashes are no tries.
    let poison = probe(&db, &id, ProbePayload { abort: true, ..ProbePayload::default() }, 10).await;
    let (dead, starts) = supervise(&mut app, &db, &id, poison).await;
    assert_eq!((dead.status, dead.attempt, dead.crashes, starts), (JobStatus::Failed, 2, 2, 1));
    assert_eq!(dead.error.unwrap()["code"], "job_crashed");
    assert_eq!(user.chat("/echo alive").await["reply"], "alive");
    // By hand it may try again, and is as bounded as before; when nothing else runs that could be a suspect beside it.
    eventually("it is quiet", Duration::from_secs(20), || async {
        let jobs = user.get("/jobs?limit=200").await.expect(200);
        let open = ["queued", "running"];
        jobs["items"]
            .as_array()?
            .iter()
            .all(|job| !open.contains(&job["status"].as_str().unwrap()))
            .then_some(())
    })
    .await;
    user.post(&format!("/jobs/{poison}/retry"), &serde_json::json!({})).await;
    let (dead, _) = supervise(&mut app, &db, &id, poison).await;
    assert_eq!((dead.status, dead.crashes), (JobStatus::Failed, 2));
}

async fn a_job_that_aborts_its_process_late_takes_no_innocents_along(stack: Stack) {
    let mut app = App::builder(stack).env("QUEUE__LEASE_SECONDS", "2").start().await;
    let user = app.user().await;
    let id = user.get("/auth/me").await.expect(200)["id"].as_str().unwrap().to_owned();
    let db = app.db().await;
    // Others run beside it when it strikes first: they are suspects too.
    let late = ProbePayload { abort: true, sleep_ms: 2_500, ..ProbePayload::default() };
    let poison = probe(&db, &id, late, 10).await;
    let mut innocents = Vec::new();
    for _ in 0..4 {
        innocents.push(probe(&db, &id, ProbePayload { sleep_ms: 3_000, ..ProbePayload::default() }, 1).await);
    }
    let (dead, starts) = supervise(&mut app, &db, &id, poison).await;
    assert_eq!((dead.status, dead.crashes, starts), (JobStatus::Failed, 2, 1));
    for innocent in innocents {
        let ended = eventually("the innocent ends", Duration::from_secs(60), || async {
            let job = stored(&db, &id, innocent).await;
            job.status.is_final().then_some(job)
        });
        let ended = ended.await;
        assert_eq!(ended.status, JobStatus::Succeeded, "{ended:?}");
    }
}

/// The processes that run one job, of this test's program: by its data folder, which is in their command line.
fn isolated(app: &App) -> Vec<u32> {
    let folder = app.folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_ours = numbered.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("isolated-job") && line.contains(&folder)
    });
    of_ours.collect()
}

async fn until_isolated(app: &App) -> u32 {
    eventually("the job runs in a process of its own", Duration::from_secs(30), || async {
        isolated(app).first().copied()
    })
    .await
}

async fn until_none_is_isolated(app: &App) {
    eventually("its process ends with the worker's", Duration::from_secs(20), || async {
        isolated(app).is_empty().then_some(())
    })
    .await;
}

async fn a_worker_that_is_killed_blames_no_job_however_often(stack: Stack) {
    let mut app = App::builder(stack).env("QUEUE__LEASE_SECONDS", "2").start().await;
    let user = app.user().await;
    let job = user.submit("/delay 100 /tokens 60").await["id"].as_str().unwrap().to_owned();
    user.until_running(&job).await;
    app.kill_runner();
    for _ in 0..3 {
        app.start_runner();
        until_isolated(&app).await;
        app.kill_runner();
        until_none_is_isolated(&app).await;
    }
    app.start_runner();
    let ended = user.finished(&job, Duration::from_secs(60)).await;
    assert_eq!((ended["status"].as_str(), ended["crashes"].as_u64()), (Some("succeeded"), Some(1)));
    assert_eq!(ended["attempt"], 5);
}

async fn a_suspect_streams_and_is_cancelled_and_handed_back_as_any_job(stack: Stack) {
    let mut app = App::builder(stack).env("SHUTDOWN_GRACE", "2").start().await;
    let user = app.user().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(user.submit("/delay 100 /tokens 60").await["id"].as_str().unwrap().to_owned());
    }
    for job in &jobs {
        user.until_running(job).await;
    }
    app.kill_runner();
    app.start_runner();
    until_isolated(&app).await;
    user.post(&format!("/jobs/{}/cancel", jobs[0]), &serde_json::json!({})).await;
    let cancelled = user.finished(&jobs[0], Duration::from_secs(20)).await;
    assert_eq!(cancelled["status"], "cancelled");
    // Handed back as the process stops, and done by the next one.
    let process = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    process.signal("TERM");
    assert_eq!(process.wait(Duration::from_secs(20)).code(), Some(0), "{}", process.output());
    until_none_is_isolated(&app).await;
    app.start_runner();
    let mut stream = user.events(&jobs[1], None).await;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    let done = events.last().unwrap();
    assert_eq!(done.name, "done", "{events:?}");
    assert_eq!(Some(text_of(&events).as_str()), done.data["reply"].as_str());
    assert!(events.iter().filter(|event| event.name == "token").count() > 5, "it came as it grew");
    let ended = user.finished(&jobs[2], Duration::from_secs(60)).await;
    assert_eq!((ended["status"].as_str(), ended["crashes"].as_u64()), (Some("succeeded"), Some(1)));
}
