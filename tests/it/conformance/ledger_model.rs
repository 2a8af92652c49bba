//! A model of the ledger: two workers, a sweeper in each, and clients do random steps to the real SQL, on both databases,
//! and to a small model in plain code; after every step both must look the same, and the promises of docs/jobs.md must
//! hold. In the end everybody works on, and every job must end.
//!
//! `PROPTEST_CASES` says how many cases are tried. A failure prints the shortest sequence that fails. Whose clock is
//! wrong matters on PostgreSQL alone: leases go by the database's. On SQLite there is one process, and one clock.
//!
//! Not modelled: pauses in the middle of a transaction, and what is outside of the
//! ledger (events, the wire).

pub mod database;
mod model;
mod promises;
mod run;
mod steps;
mod sweep;

use proptest::{
    collection,
    prelude::*,
    sample,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use rapport_common::{domain::job::JobStatus, store::ledger};

use database::Database;
use run::Run;
use steps::{JOBS, Step, scene};

/// In seconds; less than a clock may be wrong by, and far more than a case takes.
const LEASE: i64 = 300;

#[derive(Debug, Clone)]
struct Case {
    sessions: usize,
    /// How far the workers' clocks are ahead, in seconds.
    skews: [i64; 2],
    steps: Vec<Step>,
}

fn case() -> impl Strategy<Value = Case> {
    let skew = || sample::select(vec![0, 0, 30, 600, -600]);
    let accepted = collection::vec((0..3usize).prop_map(|session| Step::Accept { session }), 1..=JOBS);
    (2..=3usize, [skew(), skew()], accepted, collection::vec(scene(), 1..50)).prop_map(
        |(sessions, skews, accepted, scenes)| Case {
            sessions,
            skews,
            steps: [accepted, scenes.concat()].concat(),
        },
    )
}

async fn explore(db: &Database, case: Case) -> Result<(), String> {
    let mut run = Run::start(db, case.sessions, &case.skews, LEASE).await;
    run.steps(case.steps).await?;
    run.drain().await.map_err(|problem| format!("when everybody works on: {problem}"))
}

fn explore_all(open: impl AsyncFnOnce() -> Database) {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 64 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let db = runtime.block_on(open());
    let explored = TestRunner::new(config)
        .run(&case(), |case| runtime.block_on(explore(&db, case)).map_err(TestCaseError::fail));
    match explored {
        Ok(()) => {}
        Err(TestError::Fail(problem, case)) => {
            let steps: Vec<String> = case.steps.iter().map(|step| format!("    {step:?},")).collect();
            let Case { sessions, skews, .. } = case;
            panic!("{problem}\n{sessions} sessions, clocks ahead by {skews:?} s:\n{}", steps.join("\n"));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

#[test]
fn the_ledger_on_postgresql_does_as_its_model() {
    explore_all(Database::postgres);
}

#[test]
fn the_ledger_on_sqlite_does_as_its_model() {
    explore_all(Database::sqlite);
}

/// As it once was: leases were judged by the sweeper's own clock.
#[tokio::test]
async fn a_sweeper_whose_clock_is_ahead_takes_nobodys_job() {
    let db = Database::postgres().await;
    for (lease, ahead) in [(15, 30), (LEASE, 600)] {
        let mut run = Run::start(&db, 1, &[0, ahead], lease).await;
        let start = [Step::Accept { session: 0 }, Step::Claim { worker: 0, job: 0, heard: true }];
        run.steps(start).await.unwrap();
        let before = run.rows.clone();
        run.steps([Step::Look { worker: 1, knows: true }, Step::TakeBack { worker: 1 }]).await.unwrap();
        assert_eq!(run.rows, before, "{ahead} s ahead");
        run.steps([Step::Finish { worker: 0, nth: 0, heard: true }]).await.unwrap();
        assert_eq!(run.rows[0].status, JobStatus::Succeeded);
    }
}

/// As it once was: a worker renewed by its name all that it held, also what it did not know of.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_not_renewed_and_done_once() {
    for db in [Database::postgres().await, Database::sqlite().await] {
        let by_its_worker = vec![Step::Beat { worker: 0 }];
        let by_a_sweeper = vec![Step::Look { worker: 1, knows: true }, Step::TakeBack { worker: 1 }];
        for taken_back in [by_its_worker, by_a_sweeper] {
            let mut run = Run::start(&db, 1, &[0, 0], LEASE).await;
            let lost = [Step::Accept { session: 0 }, Step::Claim { worker: 0, job: 0, heard: false }];
            run.steps(lost).await.unwrap();
            run.steps([Step::TimePasses, Step::Renew { worker: 0 }]).await.unwrap();
            assert_eq!(run.rows[0].lease, Some(false), "nobody runs it, so nobody renews it");
            run.steps(taken_back).await.unwrap();
            assert_eq!((run.rows[0].status, run.rows[0].crashes), (JobStatus::Queued, 0));
            let again = [
                Step::Claim { worker: 1, job: 0, heard: true },
                Step::Finish { worker: 1, nth: 0, heard: true },
            ];
            run.steps(again).await.unwrap();
            let row = &run.rows[0];
            assert_eq!((row.status, row.attempt, row.answers), (JobStatus::Succeeded, 2, 1));
        }
    }
}

#[tokio::test]
async fn what_a_paused_worker_says_late_changes_nothing() {
    for db in [Database::postgres().await, Database::sqlite().await] {
        let late = [
            Step::Finish { worker: 0, nth: 0, heard: true },
            Step::Fail { worker: 0, nth: 0 },
            Step::RetryLater { worker: 0, nth: 0, waits: false },
            Step::HandBack { worker: 0, nth: 0 },
            Step::Renew { worker: 0 },
        ];
        for late in late {
            let mut run = Run::start(&db, 1, &[0, 0], LEASE).await;
            let overtaken = [
                Step::Accept { session: 0 },
                Step::Claim { worker: 0, job: 0, heard: true },
                Step::TimePasses,
                Step::Look { worker: 1, knows: true },
                Step::TakeBack { worker: 1 },
                Step::Claim { worker: 1, job: 0, heard: true },
                // The other's lease ends too: it must not be renewed by the wrong one.
                Step::TimePasses,
            ];
            run.steps(overtaken).await.unwrap();
            let before = run.rows.clone();
            run.steps([late]).await.unwrap();
            assert_eq!(run.rows, before);
            run.drain().await.unwrap();
            assert_eq!((run.rows[0].status, run.rows[0].attempt), (JobStatus::Succeeded, 2));
        }
    }
}

#[tokio::test]
async fn of_two_workers_that_claim_in_one_session_at_once_one_gets_the_first_job() {
    for db in [Database::postgres().await, Database::sqlite().await] {
        let mut run = Run::start(&db, 1, &[0, 0], LEASE).await;
        run.steps((0..JOBS).map(|_| Step::Accept { session: 0 })).await.unwrap();
        let ids = run.ids.clone();
        for &first in &ids {
            let (db, lease) = (&db, chrono::TimeDelta::seconds(LEASE));
            let claims = ids.iter().flat_map(|id| ["w0", "w1"].map(|worker| (*id, worker)));
            let claims = claims.map(|(id, worker)| async move {
                let mut conn = db.ctx.db.relaxed().await.unwrap();
                let now = rapport_common::clock::now();
                ledger::claim(&mut conn, id, worker, lease, now).await.unwrap()
            });
            let claimed: Vec<_> = futures::future::join_all(claims).await.into_iter().flatten().collect();
            let claimed: Vec<_> = claimed.into_iter().map(|job| (job.id, job.attempt)).collect();
            assert_eq!(claimed, [(first, 1)]);
            let mut tx = db.ctx.db.begin().await.unwrap();
            let now = rapport_common::clock::now();
            let status = JobStatus::Succeeded;
            assert!(
                ledger::settle(&mut tx, ledger::AttemptOf { id: first, attempt: 1 }, status, None, None, now)
                    .await
                    .unwrap()
                    .is_some()
            );
            tx.commit().await.unwrap();
        }
    }
}
