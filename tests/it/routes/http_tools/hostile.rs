//! What servers and crashes do, and what a project cannot reach.

use std::time::Duration;

use serde_json::json;

use super::{Desk, answer, app_with};
use crate::{
    both_stacks,
    harness::{App, Stack, dump, eventually, replay::Replay, servers},
};

both_stacks!(
    a_hostile_server_gives_the_model_an_error_and_harms_nothing,
    what_changes_something_is_called_once,
    a_project_reaches_nothing_inside,
);

async fn a_hostile_server_gives_the_model_an_error_and_harms_nothing(stack: Stack) {
    let server = Replay::start(answer).await;
    let app = app_with(stack, &server).await;
    let user = app.user().await;
    let desk = Desk::new(&user).await;
    let cases = [
        ("text", true, "forty-two"),
        ("nothing", true, "null"),
        ("here", true, "GET /stock"),
        ("inside", false, "redirects to another place"),
        ("elsewhere", false, "redirects to another place"),
        ("round", false, "redirects to another place"),
        ("html", false, "no JSON"),
        ("broken", false, "no JSON"),
        ("bytes", false, "no JSON"),
        ("fails", false, "status 500: the cellar is flooded"),
        ("lost", false, "status 404"),
        ("slow", false, "did not answer in time"),
        ("endless", false, "larger than 262144 bytes"),
        ("cut", false, "could not be reached"),
    ];
    for (path, ..) in &cases {
        let body = json!({"name": path, "url": format!("{}/{path}", server.url), "method": "GET", "timeout_seconds": 1});
        desk.describe(body).await.expect(201);
    }
    let closed = json!({"name": "closed", "url": format!("http://127.0.0.1:{}/", servers::free_port()), "method": "GET"});
    desk.describe(closed).await.expect(201);
    for (path, ok, told) in cases.into_iter().chain([("closed", false, "could not be reached")]) {
        let done = desk.say(&format!("/tool {path} {{}}")).await;
        let reply = done["reply"].as_str().unwrap();
        assert_eq!(done["tool_calls"][0]["ok"], ok, "{path}: {done}");
        assert!(reply.contains(told) && reply.chars().count() < 2_000, "{path}: {reply}");
    }
    // One of them, and one that works, at once.
    let done = desk.say("/tool slow {} /tool text {}").await;
    assert!(done["reply"].as_str().unwrap().contains("forty-two"), "{done}");
}

async fn what_changes_something_is_called_once(stack: Stack) {
    let server = Replay::start(answer).await;
    let mut app = app_with(stack, &server).await;
    let user = app.user().await;
    let desk = Desk::new(&user).await;
    for name in ["notes", "hangs"] {
        let url = format!("{}/{name}", server.url);
        let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}});
        let body = json!({"name": name, "url": url, "parameters": parameters, "timeout_seconds": 30});
        assert_eq!(desk.describe(body).await.expect(201)["changes_something"], true);
    }
    let message = r#"/tool notes {"text":"first"} /tool hangs {"text":"second"}"#;
    let body = json!({"message": message, "project_id": desk.project});
    let job = user.try_submit(&body).await.unwrap();
    let id = job["id"].as_str().unwrap().to_owned();
    let called = |path: &str| {
        let line = format!("POST /{path}");
        server.seen().into_iter().filter(|seen| seen.line == line).collect::<Vec<_>>()
    };
    let db = app.db().await;
    eventually("the first ended, and the second was called", Duration::from_secs(30), || async {
        let mut conn = db.read().await.unwrap();
        let ended = dump::count(&mut conn, "select count(*) from tool_calls where ok").await;
        (ended == 1 && called("hangs").len() == 1).then_some(())
    })
    .await;
    app.kill_runner();
    app.start_runner();
    let ended = user.finished(&id, Duration::from_secs(60)).await;
    let reply = ended["result"]["reply"].as_str().unwrap();
    assert!(reply.contains("first") && reply.contains("outcome unknown"), "{reply}");
    assert!(ended["attempt"].as_i64().unwrap() >= 2);
    let (first, second) = (called("notes"), called("hangs"));
    assert_eq!((first.len(), second.len()), (1, 1), "it was repeated");
    assert_eq!(first[0].headers["idempotency-key"], format!("{id}:1"));
    assert_eq!(second[0].headers["idempotency-key"], format!("{id}:2"));
}

/// What the operator's own tools may reach inside is not a project's owner's to read.
async fn a_project_reaches_nothing_inside(stack: Stack) {
    let server = Replay::start(answer).await;
    let app = App::builder(stack).env("EGRESS__ALLOW", r#"["127.0.0.1", "localhost"]"#).start().await;
    let user = app.user().await;
    let desk = Desk::new(&user).await;
    let described = json!({"name": "find", "url": format!("{}/text", server.url), "method": "GET"});
    let problem = desk.describe(described).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "url");
    // A name may lead inside: that is seen when it is called, and told apart from nothing else.
    for (name, host) in [
        ("inner", server.url.replace("127.0.0.1", "localhost")),
        ("none", "http://nowhere.invalid".to_owned()),
    ] {
        desk.describe(json!({"name": name, "url": format!("{host}/text"), "method": "GET"}))
            .await
            .expect(201);
        let done = desk.say(&format!("/tool {name} {{}}")).await;
        assert!(done["reply"].as_str().unwrap().contains("its server could not be reached"), "{done}");
    }
    assert_eq!(server.seen().len(), 0);
}
