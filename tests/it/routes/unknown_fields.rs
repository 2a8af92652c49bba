//! A field that nobody reads is refused, with the name that was probably meant.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::client,
        client::{Answer, PASSWORD},
    },
};

both_stacks!(misspelt_fields_are_refused_with_the_nearest_name);

async fn misspelt_fields_are_refused_with_the_nearest_name(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let cases: [(Method, &str, Value, &str, &str); 9] = [
        (Method::POST, "/chat", json!({"message": "x", "temprature": 1}), "temprature", "`temperature`"),
        (Method::POST, "/chat", json!({"mesage": "x"}), "mesage", "`message`"),
        (
            Method::POST,
            "/chat/stream",
            json!({"message": "x", "sessionId": null}),
            "sessionId",
            "`session_id`",
        ),
        (Method::POST, "/chat/sessions", json!({"titel": "x"}), "titel", "`title`"),
        (
            Method::POST,
            "/projects",
            json!({"name": "x", "instructions": "y"}),
            "instructions",
            "the fields are name",
        ),
        (Method::PUT, "/settings", json!({"chat": {}}), "chat", "`chat_settings`"),
        (
            Method::PATCH,
            "/settings",
            json!({"chat_settings": {"temprature": 1}}),
            "chat_settings.temprature",
            "`temperature`",
        ),
        (
            Method::PUT,
            "/settings/settings",
            json!({"memory_settings": {"auto_extraction": true}}),
            "memory_settings.auto_extraction",
            "`auto_memory_extraction`",
        ),
        (Method::POST, "/memory/search", json!({"query": "x", "limits": 3}), "limits", "`limit`"),
    ];
    for (method, path, body, field, word) in cases {
        let problem = user.send(method, path, &body).await.problem(422, "validation_failed");
        let error = &problem["errors"][0];
        assert_eq!(error["field"], field, "{path}: {problem}");
        assert!(error["message"].as_str().unwrap().contains(word), "{path}: {problem}");
    }
    let before = user.get("/settings").await.expect(200);
    assert_eq!(before["chat_settings"]["temperature"], Value::Null);
    // What OAuth2's clients send along in a form is theirs.
    let form = [
        ("grant_type", "password"),
        ("username", user.name.as_str()),
        ("password", PASSWORD),
        ("scope", ""),
        ("client_id", "x"),
    ];
    let login = client().post(format!("{}/auth/login", user.base)).form(&form).send().await.unwrap();
    Answer::of(login).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_commands_with_the_address_it_was_found_at() {
    let app = App::start(Stack::Embedded).await;
    let page = async |host: &str| {
        let request = client().get(format!("{}/start", app.url(0))).header("host", host);
        request.send().await.unwrap().text().await.unwrap()
    };
    let own = app.url(0).replace("http://", "");
    assert!(page(&own).await.contains(&format!("curl -s {}/api/v1/auth/register", app.url(0))));
    let named = page("chat.example.com").await;
    assert!(
        named.contains("curl -s http://chat.example.com/api/v1/chat ") && !named.contains("{url}"),
        "{named}"
    );
    assert!(!page("x<script>").await.contains("<script>"));
}
