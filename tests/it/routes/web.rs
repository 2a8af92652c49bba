//! What the web UI needs of the service: its files, its first request, staying signed in by cookie, answers with what they
//! were made of.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD},
        eventually,
    },
};

both_stacks!(
    the_page_and_its_files_are_in_the_binary,
    the_first_request_says_what_a_page_must_know,
    a_browser_stays_signed_in_by_a_cookie,
    an_answer_keeps_what_it_was_made_of,
    an_earlier_answer_is_used_again,
    a_message_is_shown_with_its_neighbours,
    dead_jobs_are_retried_by_filter,
);

async fn the_page_and_its_files_are_in_the_binary(stack: Stack) {
    let app = App::start(stack).await;
    let http = app.user().await.http;
    let page = http.get(app.url(0)).header("accept", "text/html").send().await.unwrap();
    let headers = page.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    for rule in ["script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule) && !policy.contains("unsafe"), "{policy}");
    }
    let known = http
        .get(app.url(0))
        .header("accept", "text/html")
        .header("if-none-match", headers["etag"].clone())
        .send();
    assert_eq!(known.await.unwrap().status(), 304);
    let text = page.text().await.unwrap();
    assert!(!text.contains("{version}") && !text.contains("http"), "nothing from elsewhere: {text}");
    let start = text.find("./ui/").unwrap() + "./ui/".len();
    let version = text[start..].split('/').next().unwrap();
    let file = async |version: &str, name: &str| {
        let url = format!("{}/ui/{version}/{name}", app.url(0));
        http.get(url).header("accept-encoding", "gzip").send().await.unwrap()
    };
    for (name, kind) in [("main.js", "text/javascript"), ("style/first.css", "text/css")] {
        let found = file(version, name).await;
        assert_eq!(found.status(), 200, "{name}");
        assert!(found.headers()["content-type"].to_str().unwrap().starts_with(kind), "{name}");
        assert!(found.headers()["cache-control"].to_str().unwrap().contains("immutable"), "{name}");
        assert_eq!(found.headers()["content-encoding"], "gzip", "{name}");
    }
    assert_eq!(file("older", "main.js").await.status(), 404, "an old page notices");
    assert_eq!(file(version, "..%2f..%2fCargo.toml").await.status(), 404);
    assert_eq!(file(version, "nothing.js").await.status(), 404);
}

async fn the_first_request_says_what_a_page_must_know(stack: Stack) {
    let app = App::start(stack).await;
    let http = client();
    let url = format!("{}/api/v1/ui/boot", app.url(0));
    let boot = async || Answer::of(http.get(&url).send().await.unwrap()).await.expect(200);
    let before = boot().await;
    assert_eq!((&before["has_accounts"], &before["user"]), (&json!(false), &Value::Null));
    assert_eq!((&before["mail"], &before["has_model"]), (&json!("outbox"), &json!(false)));
    let user = app.user().await;
    assert_eq!(boot().await["has_accounts"], true);
    let own = user.get("/ui/boot").await.expect(200);
    assert_eq!(
        (own["user"]["username"].as_str(), &own["pending_memories"]),
        (Some(user.name.as_str()), &json!(0))
    );
    assert_eq!(own["settings"]["chat_settings"]["language"], "auto");
    // A token that is not good any more does not keep the page from showing its sign-in.
    let mut stale = user.clone();
    stale.token = "stale".to_owned();
    assert_eq!(stale.get("/ui/boot").await.expect(200)["user"], Value::Null);
}

async fn a_browser_stays_signed_in_by_a_cookie(stack: Stack) {
    let app = App::builder(stack).env("TRUSTED_PROXIES", 1).start().await;
    let user = app.user().await;
    let post = async |path: &str, cookie: Option<&str>, extra: &[(&str, &str)], body: &Value| {
        let mut request = user.http.post(format!("{}{path}", user.base)).json(body);
        request = request.header("x-rapport-session", "cookie");
        for (name, value) in cookie.iter().map(|cookie| ("cookie", *cookie)).chain(extra.iter().copied()) {
            request = request.header(name, value);
        }
        Answer::of(request.send().await.unwrap()).await
    };
    let cookie_of = |answer: &Answer| {
        let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains("Path="), "the browser's default holds below any prefix: {cookie}");
        cookie
    };
    let login = json!({"username": user.name, "password": PASSWORD});
    let signed_in = post("/auth/login", None, &[], &login).await;
    let cookie = cookie_of(&signed_in);
    assert!(!cookie.contains("Secure"), "over plain http a reload stays signed in: {cookie}");
    let over_https = post("/auth/login", None, &[("x-forwarded-proto", "https")], &login).await;
    assert!(cookie_of(&over_https).contains("Secure"));
    assert_eq!(signed_in.expect(200)["refresh_token"], "", "no script sees it");
    let first = cookie.split(';').next().unwrap().to_owned();

    let refreshed = post("/auth/refresh", Some(&first), &[], &json!({})).await;
    let second = cookie_of(&refreshed).split(';').next().unwrap().to_owned();
    assert_ne!(first, second);
    refreshed.expect(200);
    // Twice, because the answer to the first was lost, or two tabs asked: nobody is signed out.
    let again = post("/auth/refresh", Some(&first), &[], &json!({})).await;
    let third = cookie_of(&again).split(';').next().unwrap().to_owned();
    let token = again.expect(200)["access_token"].as_str().unwrap().to_owned();
    post("/auth/refresh", Some(&second), &[], &json!({})).await.expect(200);
    // From another site, or without asking for it, the cookie opens nothing.
    post("/auth/refresh", Some(&third), &[("sec-fetch-site", "cross-site")], &json!({}))
        .await
        .problem(403, "forbidden");
    let plain =
        user.http.post(format!("{}/auth/refresh", user.base)).header("cookie", &third).json(&json!({}));
    assert_eq!(Answer::of(plain.send().await.unwrap()).await.status, 422);
    let me = user.http.get(format!("{}/auth/me", user.base)).header("cookie", &third).send();
    assert_eq!(me.await.unwrap().status(), 401);

    // A new password ends all logins but this one, whose cookie is a new one.
    let mut signed = user.clone();
    signed.token = token;
    let change = json!({"current_password": PASSWORD, "new_password": "Another-horse-2"});
    let changed = signed.request(Method::POST, "/auth/change-password").header("x-rapport-session", "cookie");
    let changed = Answer::of(changed.json(&change).send().await.unwrap()).await;
    let third = cookie_of(&changed).split(';').next().unwrap().to_owned();
    let changed = changed.expect(200);
    assert_eq!(changed["refresh_token"], "");
    signed.token = changed["access_token"].as_str().unwrap().to_owned();

    let out =
        signed.request(Method::POST, "/auth/logout").header("x-rapport-session", "cookie").json(&json!({}));
    let out = Answer::of(out.send().await.unwrap()).await;
    assert!(cookie_of(&out).contains("Max-Age=0"));
    let gone = post("/auth/refresh", Some(&third), &[], &json!({})).await;
    assert!(cookie_of(&gone).contains("Max-Age=0"));
    gone.problem(401, "invalid_refresh_token");
}

async fn an_answer_keeps_what_it_was_made_of(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let memory =
        user.post("/memory", &json!({"content": "Likes green tea", "memory_type": "preference"})).await;
    let memory = memory.expect(201)["id"].as_str().unwrap().to_owned();
    let answer = eventually("the memory is used", Duration::from_secs(20), || async {
        let answer = user.chat("/echo Which tea do I like? Green tea?").await;
        (answer["memories_used"] == 1).then_some(answer)
    })
    .await;
    let session = answer["session_id"].as_str().unwrap();
    let called = user.chat_in(session, "/tool current_time {} /echo it is late").await;
    assert_eq!(called["tool_calls"][0]["name"], "current_time", "{called}");
    let messages = user.messages(session).await;
    let (first, second) = (&messages[1], &messages[3]);
    assert_eq!(first["finish_reason"], "stop");
    assert!(first["ms"].as_i64().is_some_and(|ms| ms >= 0), "{first}");
    let used = &first["memories"][0];
    assert_eq!(
        (used["id"].as_str(), used["content"].as_str()),
        (Some(memory.as_str()), Some("Likes green tea"))
    );
    assert_eq!(second["tool_calls"][0]["name"], "current_time");
    // The newest first, page by page.
    let page = user.get(&format!("/chat/sessions/{session}/messages?order=desc&limit=3")).await.expect(200);
    assert_eq!(
        (&page["messages"][0]["id"], &page["messages"][2]["id"]),
        (&messages[3]["id"], &messages[1]["id"])
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = user
        .get(&format!("/chat/sessions/{session}/messages?order=desc&limit=3&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(
        (rest["messages"].as_array().unwrap().len(), &rest["messages"][0]["id"]),
        (1, &messages[0]["id"])
    );
    user.get(&format!("/chat/sessions/{session}/messages?order=up")).await.problem(400, "invalid_query");
    // A memory that is deleted is gone from here too.
    user.send(Method::DELETE, &format!("/memory/{memory}"), &json!({})).await;
    assert_eq!(user.messages(session).await[1]["memories"], json!([]));
}

async fn an_earlier_answer_is_used_again(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let first = user.chat("/echo one thing").await;
    let session = first["session_id"].as_str().unwrap().to_owned();
    let body = json!({"session_id": session, "model": "mock-2"});
    let second = user.post("/chat/regenerate", &body).await.expect(200);
    let (old, new) = (first["message_id"].as_str().unwrap(), second["message_id"].as_str().unwrap());
    let stranger = app.user().await;
    let path = format!("/chat/messages/{new}/variants/{old}/use");
    stranger.post(&path, &json!({})).await.problem(404, "not_found");
    let question = user.messages(&session).await[0]["id"].as_str().unwrap().to_owned();
    let none = format!("/chat/messages/{new}/variants/{question}/use");
    user.post(&none, &json!({})).await.problem(404, "not_found");
    assert_eq!(user.messages(&session).await[1]["id"], new, "what failed has changed nothing");
    assert_eq!(user.post(&path, &json!({})).await.status, 204);
    let messages = user.messages(&session).await;
    assert_eq!(
        (messages.len(), &messages[1]["id"], &messages[1]["model"]),
        (2, &first["message_id"], &json!("mock-1"))
    );
    assert_eq!((&messages[1]["variants"], &messages[1]["finish_reason"]), (&json!(1), &json!("stop")));
    let variants = user.get(&format!("/chat/messages/{old}/variants")).await.expect(200);
    assert_eq!(variants["items"][0]["id"], new);
    assert_eq!(user.get(&format!("/chat/sessions/{session}")).await.expect(200)["message_count"], 2);
    // While the session is being answered, the answers stay where they are.
    let body = json!({"message": "/delay 200 /tokens 50", "session_id": session});
    let slow = user.try_submit(&body).await.unwrap();
    let job = slow["id"].as_str().unwrap();
    user.until_running(job).await;
    assert_eq!(user.get(&format!("/chat/sessions/{session}")).await.expect(200)["active_job_id"], job);
    user.post(&format!("/chat/messages/{old}/variants/{new}/use"), &json!({}))
        .await
        .problem(409, "session_busy");
    user.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    user.finished(job, Duration::from_secs(10)).await;
}

async fn a_message_is_shown_with_its_neighbours(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    for n in 1..=4 {
        user.chat_in(&session, &format!("/echo answer {n}")).await;
    }
    let messages = user.messages(&session).await;
    let id = messages[4]["id"].as_str().unwrap();
    let found = user.get(&format!("/chat/messages/{id}?around=1")).await.expect(200);
    let shown: Vec<_> = found["messages"].as_array().unwrap().iter().map(|message| &message["id"]).collect();
    assert_eq!(shown, [&messages[3]["id"], &messages[4]["id"], &messages[5]["id"]]);
    assert_eq!(found["session_id"], session);
    let alone = user.get(&format!("/chat/messages/{id}?around=0")).await.expect(200);
    assert_eq!(alone["messages"].as_array().unwrap().len(), 1);
    user.get(&format!("/chat/messages/{id}?around=51")).await.problem(400, "invalid_query");
    app.user().await.get(&format!("/chat/messages/{id}")).await.problem(404, "not_found");
}

async fn dead_jobs_are_retried_by_filter(stack: Stack) {
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let user = app.user().await;
    let admin = super::admin::admin(&app).await;
    for _ in 0..3 {
        user.post("/chat", &json!({"message": "/fail 500 x1"})).await;
    }
    let dead =
        async || admin.get("/admin/jobs/dead?kind=chat").await.expect(200)["items"].as_array().unwrap().len();
    assert_eq!(dead().await, 3);
    let none = json!({"filter": {"kind": "title"}});
    assert_eq!(admin.post("/admin/jobs/dead/retry", &none).await.expect(200)["count"], 0);
    let both = json!({"filter": {}, "job_ids": []});
    admin.post("/admin/jobs/dead/retry", &both).await.problem(422, "validation_failed");
    let all = json!({"filter": {"kind": "chat"}});
    assert_eq!(admin.post("/admin/jobs/dead/retry", &all).await.expect(200)["count"], 3);
    eventually("none is dead", Duration::from_secs(20), || async { (dead().await == 0).then_some(()) }).await;
}
