use std::time::Duration;

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, eventually, ledger, sse::text_of},
};

both_stacks!(
    a_killed_workers_answer_is_given_whole_by_another,
    kill_9_at_random_points_loses_and_doubles_nothing
);

async fn a_killed_workers_answer_is_given_whole_by_another(stack: Stack) {
    let mut app = App::builder(stack).workers(2).start().await;
    let user = app.user().await;
    let session = user.new_session().await;
    let text: String = (1..=60).map(|n| format!("w{n} ")).collect::<String>().trim().to_owned();
    let body = json!({"message": format!("/delay 50 /echo {text}"), "session_id": session});
    let mut stream = user.stream(&body).await;
    let mut events = Vec::new();
    while events.len() < 10 {
        events.push(stream.next().await.unwrap());
    }
    let job = events[0].data["job_id"].as_str().unwrap().to_owned();
    match stack {
        Stack::Embedded => app.kill_runner(),
        Stack::Production => {
            // Whichever of the two has the job.
            let running = format!("\"job_id\":\"{job}\"");
            let db = app.db().await;
            let (worker,): (String,) =
                one(&db, "select worker from jobs where status = 'running' and kind = 'chat'").await;
            let pid: u32 = worker.rsplit('-').nth(1).unwrap().parse().unwrap();
            let index = app.workers.iter().position(|worker| worker.pid() == pid).unwrap();
            app.workers[index].kill();
            let _ = running;
        }
    }
    if stack == Stack::Embedded {
        app.start_runner();
        // The stream broke with its process: the client comes back with the last id it saw.
        let last = events.last().unwrap().id.clone();
        stream = user.events(&job, Some(&last)).await;
    }
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    assert!(events.iter().any(|event| event.name == "reset"), "{events:?}");
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), done.data["reply"].as_str()), ("done", Some(text.as_str())));
    assert_eq!(text_of(&events), text, "what was shown after the reset is the whole answer");
    let job = user.job(&job).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_u64()), (Some("succeeded"), Some(2)));
    let messages = user.messages(&session).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1]["content"], text);
}

pub async fn one<T>(db: &rapport_common::store::Db, sql: &'static str) -> T
where
    T: Send + Unpin,
    for<'r> T: sqlx::FromRow<'r, sqlx::postgres::PgRow> + sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
{
    use rapport_common::store::{Querier, db::Raw};
    let mut conn = db.read().await.unwrap();
    match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(sql).fetch_one(c).await.unwrap(),
        Raw::Lite(c) => sqlx::query_as(sql).fetch_one(c).await.unwrap(),
    }
}

async fn kill_9_at_random_points_loses_and_doubles_nothing(stack: Stack) {
    let mut app = App::builder(stack).workers(2).start().await;
    let user = app.user().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut talks = Vec::new();
    for _ in 0..8 {
        let session = user.new_session().await;
        talks.push(tokio::spawn(ledger::talk(
            user.clone(),
            session,
            stop.clone(),
            Duration::from_millis(25),
        )));
    }
    for round in 0..4u64 {
        // A pause between faults, not a synchronisation: where it strikes is meant to be arbitrary.
        tokio::time::sleep(Duration::from_millis(600 + 400 * round)).await;
        app.kill_runner();
        app.start_runner();
    }
    let db = app.db().await;
    eventually("enough was said", Duration::from_secs(120), || async {
        let (asked,): (i64,) = one(&db, "select count(*) from messages where role = 'user'").await;
        (asked > 80).then_some(())
    })
    .await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut sent = Vec::new();
    for talk in talks {
        sent.extend(talk.await.unwrap());
    }
    let accepted = sent.iter().filter(|one| one.job.is_some()).count();
    assert!(accepted > 50, "{accepted} of {} were accepted", sent.len());
    ledger::check(&user, &sent, Duration::from_secs(60)).await;
}
