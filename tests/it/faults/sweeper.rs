//! What is done for all is done by one worker at a time, whichever lives.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use rapport_common::store::Db;
use serde_json::json;

use super::worker_dies::one;
use crate::harness::{App, Stack, User, eventually, memory::quick};

/// Who says that it sweeps for all: a worker that is none of these.
async fn leader(app: &App, db: &Db, not: &[usize]) -> usize {
    eventually("another worker sweeps for all", Duration::from_secs(30), || async {
        let (name,): (String,) = one(db, "select name from sweeper").await;
        let at = app.workers.iter().position(|worker| name.contains(&format!("-{}-", worker.pid())))?;
        (!not.contains(&at)).then_some(at)
    })
    .await
}

/// Reading what was said is put in by the sweep for all.
async fn is_read(user: &User, thing: &str) {
    user.submit(&format!("I like {thing}.")).await;
    eventually("it is read", Duration::from_secs(60), || async {
        let all = user.get("/memory?status=all&limit=100").await.expect(200);
        let is_it = |memory: &serde_json::Value| memory["content"] == json!(format!("Likes {thing}"));
        all["items"].as_array()?.iter().any(is_it).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_sweeps_for_all_and_another_when_it_dies_or_falls_silent() {
    let app = quick(Stack::Production).workers(3).start().await;
    let (user, db) = (app.user().await, app.db().await);
    let first = leader(&app, &db, &[]).await;
    app.workers[first].kill();
    let second = leader(&app, &db, &[first]).await;
    is_read(&user, "the lute").await;
    app.workers[second].signal("STOP");
    let third = leader(&app, &db, &[first, second]).await;
    is_read(&user, "the sarod").await;
    // Whoever comes back leaves it to the one that has it.
    app.workers[second].signal("CONT");
    let terms = Mutex::new(BTreeSet::new());
    eventually("it was said five times who leads", Duration::from_secs(30), || async {
        let (term,): (String,) = one(&db, "select until::text from sweeper").await;
        let mut terms = terms.lock().unwrap();
        terms.insert(term);
        (terms.len() >= 5).then_some(())
    })
    .await;
    assert_eq!(leader(&app, &db, &[first, second]).await, third);
}
