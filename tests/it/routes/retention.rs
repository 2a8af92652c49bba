//! What is kept only for a time goes; what users said stays.

use std::time::Duration;

use rapport_common::store::{Db, Querier, db::Raw};
use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, dump, eventually},
};

both_stacks!(what_is_old_goes_and_messages_stay, nothing_goes_where_retention_is_off);

/// Long ago, as both databases read it, and an id of that time.
const OLD: &str = "'2020-01-01T00:00:00.000Z'";

fn id(stack: Stack, hex: &str) -> String {
    let hex = hex.replace('-', "");
    if stack == Stack::Embedded { format!("x'{hex}'") } else { format!("'{hex}'") }
}

async fn run(db: &Db, sql: String) {
    let mut conn = db.relaxed().await.unwrap();
    let sql = sqlx::AssertSqlSafe(sql);
    match conn.raw() {
        Raw::Pg(c) => sqlx::raw_sql(sql).execute(c).await.map(drop),
        Raw::Lite(c) => sqlx::raw_sql(sql).execute(c).await.map(drop),
    }
    .unwrap();
}

/// A user with two answers; the job of the first, and a sign-in, a token, an entry of the audit and a delivery are of 2020.
/// Gives the session, and the old job and the young one.
async fn with_old_rows(app: &App, stack: Stack) -> (crate::harness::User, String, [String; 2]) {
    let user = app.user().await;
    let old = user.chat("the first").await;
    let session = old["session_id"].as_str().unwrap().to_owned();
    let young = user.chat_in(&session, "the second").await;
    // A stored response is kept until somebody deletes it.
    let url = format!("{}/v1/responses", app.url(0));
    let request =
        user.http.post(url).bearer_auth(&user.token).json(&json!({"model": "auto", "input": "/echo kept"}));
    let kept: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let jobs = [&old, &young].map(|chat| chat["job_id"].as_str().unwrap().to_owned());
    let (db, me) = (app.db().await, user.get("/users/me").await.expect(200));
    let uuid = |text: &str| {
        let id: rapport_common::domain::ids::UserId = text.parse().unwrap();
        uuid::Uuid::from(id).simple().to_string()
    };
    let me = id(stack, &uuid(me["id"].as_str().unwrap()));
    let job: rapport_common::domain::ids::JobId = jobs[0].parse().unwrap();
    let job = id(stack, &uuid::Uuid::from(job).simple().to_string());
    // Version 7, of the last second of 2019.
    let of = |n: u8| id(stack, &format!("016f5e66e8007000800000000000000{n}"));
    let response: rapport_common::domain::ids::JobId =
        kept["id"].as_str().unwrap().replace("resp_", "job_").parse().unwrap();
    let response = id(stack, &uuid::Uuid::from(response).simple().to_string());
    let mut sql = format!("update jobs set finished_at = {OLD} where id in ({job}, {response});");
    sql += &format!(
        "insert into logins (id, user_id, created_at, revoked_at) values ({}, {me}, {OLD}, null), ({}, {me}, {OLD}, {OLD});",
        of(1),
        of(2)
    );
    // The first sign-in is kept by a token that is good for long; the second had one that has run out.
    for (token, login, expires) in [(3, 1, "'2100-01-01T00:00:00.000Z'"), (4, 2, OLD)] {
        let hash = id(stack, &format!("{token:064x}"));
        let hash = if stack == Stack::Embedded { hash } else { format!("decode({hash}, 'hex')") };
        sql += &format!(
            "insert into refresh_tokens (id, login_id, token_hash, expires_at, created_at) values ({}, {}, {hash}, {expires}, {OLD});",
            of(token),
            of(login)
        );
    }
    sql += &format!(
        "insert into audit_log (id, user_id, actor, event, created_at) values ({}, {me}, 'x', 'of_long_ago', {OLD});",
        of(5)
    );
    run(&db, sql).await;
    (user, session, jobs)
}

const LEFT: [(&str, &str); 4] = [
    ("jobs", "select count(*) from jobs where finished_at < '2021-01-01T00:00:00.000Z'"),
    ("logins", "select count(*) from logins where created_at < '2021-01-01T00:00:00.000Z'"),
    ("refresh_tokens", "select count(*) from refresh_tokens where created_at < '2021-01-01T00:00:00.000Z'"),
    ("audit_log", "select count(*) from audit_log where created_at < '2021-01-01T00:00:00.000Z'"),
];

async fn left(app: &App) -> Vec<i64> {
    let db = app.db().await;
    let mut counts = Vec::new();
    for (_, sql) in LEFT {
        counts.push(dump::count(&mut db.read().await.unwrap(), sql).await);
    }
    counts
}

async fn what_is_old_goes_and_messages_stay(stack: Stack) {
    let mut app = App::builder(stack).start().await;
    let (user, session, [old, young]) = with_old_rows(&app, stack).await;
    assert_eq!(left(&app).await, [2, 2, 2, 1]);
    // The first sweep of a process prunes.
    app.kill_runner();
    app.start_runner();
    eventually("what is old is gone", Duration::from_secs(30), || async {
        (left(&app).await == [1, 1, 1, 0]).then_some(())
    })
    .await;
    user.get(&format!("/jobs/{old}")).await.problem(404, "not_found");
    assert_eq!(user.job(&young).await["status"], "succeeded");
    // The conversation is whole, is gone on with, and can be exported.
    assert_eq!(user.messages(&session).await.len(), 4);
    user.chat_in(&session, "the third").await;
    assert_eq!(user.messages(&session).await.len(), 6);
    let regenerated = user.post("/chat/regenerate", &json!({"session_id": session})).await;
    regenerated.expect(200);
}

async fn nothing_goes_where_retention_is_off(stack: Stack) {
    let off = ["JOBS", "LOGINS", "AUDIT", "DELIVERIES"];
    let builder = off
        .iter()
        .fold(App::builder(stack), |builder, what| builder.env(&format!("RETENTION__{what}_DAYS"), 0));
    let mut app = builder.start().await;
    let (user, _, [old, _]) = with_old_rows(&app, stack).await;
    app.kill_runner();
    app.start_runner();
    // It has swept, and so it has pruned what there was: the sweep announces first.
    user.chat("after the start").await;
    assert_eq!(left(&app).await, [2, 2, 2, 1]);
    assert_eq!(user.job(&old).await["status"], "succeeded");
}
