use std::time::Duration;

use rapport_common::{
    jobs::payload::ProbePayload,
    store::{self, jobs::NewJob},
};

use crate::{
    both_stacks,
    harness::{App, Stack, eventually},
};

both_stacks!(twenty_thousand_jobs_queued_at_once_drain);

const JOBS: usize = 20_000;

async fn twenty_thousand_jobs_queued_at_once_drain(stack: Stack) {
    let mut app = App::builder(stack).workers(0).env("RUST_LOG", "warn").start().await;
    let user = app.user().await;
    user.chat_later(&app).await;
    let memory_before = redis_memory(&app).await;
    let db = app.db().await;
    // Only the ledger knows of them: the sweeper must bring them out.
    for chunk in 0..JOBS / 500 {
        let mut tx = db.begin().await.unwrap();
        for _ in 0..500 {
            let mut probe = NewJob::new(&ProbePayload::default(), 3).unwrap();
            probe.priority = (chunk % 3) as i64;
            store::jobs::enqueue(&mut tx, probe).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    if stack == Stack::Production {
        app.add_worker();
        app.add_worker();
    }
    eventually("all drain", Duration::from_secs(240), || async {
        let mut conn = db.read().await.ok()?;
        let depths = store::ledger::depths(&mut conn).await.ok()?;
        depths.is_empty().then_some(())
    })
    .await;
    let sql =
        "select count(*), coalesce(max(attempt), 0) from jobs where kind = 'probe' and status = 'succeeded'";
    eventually("the last ones end", Duration::from_secs(20), || async {
        let (done, attempts): (i64, i64) = super::worker_dies::one(&db, sql).await;
        assert!(attempts <= 1, "one was run twice");
        (done == JOBS as i64).then_some(())
    })
    .await;
    assert_eq!(user.chat("/echo after").await["reply"], "after");
    if stack == Stack::Production {
        let ready: i64 = app.redis.as_ref().unwrap().command(&["EXISTS", "rapport:ready:probe"]).await;
        assert_eq!(ready, 0);
        let after = redis_memory(&app).await;
        assert!(after < memory_before + 3_000_000, "Redis holds {after} bytes, before {memory_before}");
    }
}

async fn redis_memory(app: &App) -> i64 {
    let Some(redis) = &app.redis else { return 0 };
    let info: String = redis.command(&["INFO", "memory"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

impl crate::harness::User {
    /// Warms connections up, so that memory is compared like with like.
    async fn chat_later(&self, app: &App) {
        if app.stack == Stack::Embedded {
            self.chat("/echo warm").await;
        }
    }
}
