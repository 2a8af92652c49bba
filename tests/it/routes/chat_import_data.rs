//! What may stand in the way of an import: words that a database does not take, a row that is taken, what was deleted meanwhile, an
//! upload that is gone.

use std::time::Duration;

use chrono::TimeDelta;
use rapport_common::{
    clock,
    domain::ids::{BlobId, JobId, UserId},
    jobs::payload::ChatImportPayload,
    store::{
        Db, Querier, blobs,
        db::Raw,
        jobs::{NewJob, enqueue},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    faults::worker_dies::one,
    harness::{App, Stack, User},
};

both_stacks!(
    what_the_database_refuses_of_one_costs_the_others_nothing,
    what_was_deleted_comes_back_where_it_was,
    an_upload_that_is_gone_is_told_and_one_that_is_waited_for_stays,
);

async fn import(user: &User, file: &Value) -> Value {
    user.post("/chat/sessions/import?extract=false", file).await.expect(200)
}

/// sessions, branches, messages, variants, skipped, errors.
fn counts(result: &Value) -> [i64; 6] {
    ["sessions", "branches", "messages", "variants", "skipped", "errors_total"]
        .map(|name| result[name].as_i64().unwrap())
}

async fn delete(user: &User, session: &Value) {
    let path = format!("/chat/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(user.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
}

async fn run(db: &Db, sql: &'static str) {
    let mut tx = db.begin().await.unwrap();
    match tx.raw() {
        Raw::Pg(c) => sqlx::raw_sql(sql).execute(c).await.map(drop),
        Raw::Lite(c) => sqlx::raw_sql(sql).execute(c).await.map(drop),
    }
    .unwrap();
    tx.commit().await.unwrap();
}

fn said(id: &str, parent: Option<&str>, is_user: bool, text: &str) -> Value {
    json!({"messageId": id, "parentMessageId": parent, "isCreatedByUser": is_user, "text": text})
}

/// A conversation in LibreChat's form.
fn conversation(id: &str, messages: Value) -> Value {
    json!({"conversationId": id, "title": id, "messages": messages})
}

fn small(id: &str) -> Value {
    conversation(id, json!([said("1", None, true, "one"), said("2", Some("1"), false, "two")]))
}

async fn what_the_database_refuses_of_one_costs_the_others_nothing(stack: Stack) {
    let app = App::start(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let mut odd = small("odd\0");
    odd["messages"][1]["model"] = json!("gpt\u{0}4");
    odd["messages"][1]["text"] = json!("two\u{0}o");
    let again = odd["messages"][1].clone();
    odd["messages"].as_array_mut().unwrap().push(again);
    let result = import(&user, &json!([odd, small("good")])).await;
    assert_eq!(counts(&result), [2, 0, 4, 0, 0, 0], "{result}");
    // What no check foresees: here, an id that somebody else's row has.
    import(&other, &small("theirs")).await;
    let db = app.db().await;
    run(&db, "update messages set user_id = (select user_id from messages where content = 'twoo')").await;
    let result = import(&other, &json!([small("theirs"), small("behind it")])).await;
    assert_eq!(counts(&result), [1, 0, 2, 0, 0, 1], "{result}");
    assert_eq!(result["errors"], json!([{"conversation": 1, "message": "could not be stored"}]));
}

async fn what_was_deleted_comes_back_where_it_was(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let mut file = conversation(
        "x",
        json!([
            said("q", None, true, "question"),
            said("a", Some("q"), false, "answer"),
            said("q2", Some("a"), true, "edited")
        ]),
    );
    let later = json!({"messageId": "q3", "parentMessageId": "a", "isCreatedByUser": true, "text": "shown", "createdAt": "2099-01-01T00:00:00Z"});
    let messages = file["messages"].as_array_mut().unwrap();
    messages.push(later);
    messages.push(said("a3", Some("q3"), false, "last"));
    assert_eq!(counts(&import(&user, &file).await), [1, 1, 5, 0, 0, 0]);
    let list = user.get("/chat/sessions").await.expect(200);
    let main =
        list["items"].as_array().unwrap().iter().find(|one| one["parent_session_id"].is_null()).unwrap();
    delete(&user, main).await;
    // The branch keeps what it shares; the rest comes in as another one.
    assert_eq!(counts(&import(&user, &file).await), [0, 1, 2, 0, 0, 0]);
    let list = user.get("/chat/sessions").await.expect(200);
    let mut all = Vec::new();
    for session in list["items"].as_array().unwrap() {
        let messages = user.messages(session["id"].as_str().unwrap()).await;
        assert_eq!(session["message_count"], messages.len(), "{session}");
        let texts = messages.iter().map(|message| message["content"].as_str().unwrap());
        all.push(texts.collect::<Vec<_>>().join(" "));
    }
    all.sort();
    assert_eq!(all, ["question answer edited", "question answer shown last"]);
    // And all of it, when all is gone: the index of words does not hold its first time against it.
    let db = app.db().await;
    run(&db, "insert into message_words_gone (user_id, doc_id) select user_id, id from messages").await;
    for session in list["items"].as_array().unwrap() {
        delete(&user, session).await;
    }
    assert_eq!(one::<(i64,)>(&db, "select count(*) from messages").await.0, 0);
    assert_eq!(counts(&import(&user, &file).await), [1, 1, 5, 0, 0, 0]);
    assert_eq!(one::<(i64,)>(&db, "select count(*) from message_words_gone").await.0, 0);
}

async fn an_upload_that_is_gone_is_told_and_one_that_is_waited_for_stays(stack: Stack) {
    let app = App::start(stack).await;
    let (waits, done) = (app.user().await, app.user().await);
    let db = app.db().await;
    let id = async |user: &User| -> UserId {
        user.get("/auth/me").await.expect(200)["id"].as_str().unwrap().parse().unwrap()
    };
    let put_in = async |user: &User, hours: i64| -> (BlobId, JobId) {
        let (owner, blob_id) = (id(user).await, BlobId::new());
        let payload = ChatImportPayload { blob_id, conversations: 1, extract: false };
        let mut job = NewJob::new(&payload, 3).unwrap().of_user(owner);
        job.run_at += TimeDelta::hours(hours);
        let made = job.id;
        let mut tx = db.begin().await.unwrap();
        enqueue(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
        (blob_id, made)
    };
    let (kept, job) = put_in(&waits, 1).await;
    let mut tx = db.begin().await.unwrap();
    let line = small("late").to_string();
    for (user, blob) in [(&waits, kept), (&done, BlobId::new())] {
        let long_ago = clock::now() - TimeDelta::days(2);
        blobs::add(&mut tx, id(user).await, blob, 0, line.as_bytes(), long_ago).await.unwrap();
    }
    tx.commit().await.unwrap();
    blobs::prune(&mut db.relaxed().await.unwrap(), clock::now() - TimeDelta::days(1)).await.unwrap();
    assert_eq!(one::<(i64,)>(&db, "select count(*) from blobs").await.0, 1);
    let left = blobs::count(&mut db.read().await.unwrap(), id(&waits).await, kept).await.unwrap();
    assert_eq!(left, 1, "a job waits for it");
    waits.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(200);
    let (_, job) = put_in(&done, 0).await;
    let failed = done.finished(&job.to_string(), Duration::from_secs(20)).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("job_failed")),
        "{failed}"
    );
    assert!(failed["error"]["detail"].as_str().unwrap().contains("upload it again"), "{failed}");
}
