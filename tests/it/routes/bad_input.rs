use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    both_stacks,
    harness::{App, Stack, app::SECRET_KEY, client::Answer},
};

both_stacks!(
    refusals_are_in_our_words,
    lists_take_what_they_say_and_refuse_the_rest,
    bad_bodies_are_refused_and_nothing_is_stored,
    bad_tokens_are_refused,
    unknown_routes_and_methods_are_problems,
    broken_http_does_not_hurt
);

#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn bad_bodies_are_refused_and_nothing_is_stored(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = user.request(Method::POST, "/chat").header("content-type", content_type).body(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let deep = format!("{{\"message\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let unreadable: [&[u8]; 7] = [
        b"",
        b"not json",
        b"{\"message\":",
        b"{\"message\":\"\\ud800\"}",
        b"{\"message\":\"\\udc00x\"}",
        b"{\"message\":\"\xff\xfe\"}",
        b"{\"message\":\"x\"}{\"message\":\"y\"}",
    ];
    for body in unreadable {
        send("application/json", body.to_vec()).await.problem(400, "malformed_request");
    }
    send("application/json", deep.into_bytes()).await.problem(422, "validation_failed");
    let wrong = [
        (json!({}), "message"),
        (json!({"message": 5}), "message"),
        (json!({"message": null}), "message"),
        (json!({"message": ""}), "message"),
        (json!({"message": " \n\t "}), "message"),
        (json!({"message": "a\u{0}b"}), "message"),
        (json!({"message": "x".repeat(32_001)}), "message"),
        (json!({"message": "x", "temperature": 2.1}), "temperature"),
        (json!({"message": "x", "temperature": "hot"}), "temperature"),
        (json!({"message": "x", "max_tokens": 0}), "max_tokens"),
        (json!({"message": "x", "max_tokens": 1e30}), "max_tokens"),
        (json!({"message": "x", "provider": "nope"}), "provider"),
        (json!({"message": "x", "provider": "openai"}), "provider"),
        (json!({"message": "x", "model": ""}), "model"),
        (json!({"message": "x", "tools": 5}), "tools"),
        (json!({"message": "x", "unknown": {"field": 1}}), "unknown"),
        (json!([1]), "message"),
    ];
    for (body, field) in wrong {
        let problem =
            send("application/json", body.to_string().into_bytes()).await.problem(422, "validation_failed");
        assert!(body.is_array() || problem["errors"][0]["field"] == field, "{problem}");
    }
    for session in [
        "",
        "x",
        "sess_",
        "user_06gzqtmcpsrcddge92jzncy0dc",
        "sess_06gzqtmcpsrcddge92jzncy0dc",
        "'; drop table users",
    ] {
        let body = json!({"message": "x", "session_id": session}).to_string().into_bytes();
        send("application/json", body).await.problem(404, "not_found");
    }
    send("application/json", vec![b' '; 10_000_000]).await.problem(413, "body_too_large");
    send("text/plain", b"{\"message\":\"x\"}".to_vec()).await.problem(415, "unsupported_media_type");
    // What is right at the edge is taken.
    let longest = "ü".repeat(32_000);
    user.post("/chat", &json!({"message": longest})).await.expect(200);
    assert_eq!(
        user.get("/chat/sessions?status=all").await.expect(200)["total"],
        1,
        "nothing else was stored"
    );
    assert_eq!(user.get("/jobs?kind=chat").await.expect(200)["items"].as_array().unwrap().len(), 1);

    let register = async |body: Value| user.post("/auth/register", &body).await;
    for (body, field) in [
        (json!({"password": "Correct-horse-1"}), "email"),
        (json!({"email": "nope", "password": "Correct-horse-1"}), "email"),
        (json!({"username": "a", "password": "Correct-horse-1"}), "username"),
        (json!({"username": "a b c", "password": "Correct-horse-1"}), "username"),
        (json!({"username": "abcd", "password": "short"}), "password"),
        (json!({"username": "abcd", "password": "Password123"}), "password"),
        (json!({"username": "abcd", "password": "x".repeat(200_000)}), "password"),
        (json!({"username": "abcd", "password": "Correct-horse-1", "name": "a\u{0}"}), "name"),
        (json!({"username": "abcd"}), "password"),
    ] {
        let problem = register(body.clone()).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
}

fn forge(header: Value, claims: Value, key: &str) -> String {
    let encode = |value: &Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let signature = data_encoding::BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
    format!("{signed}.{signature}")
}

async fn bad_tokens_are_refused(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let part = |index: usize| -> Value {
        let text = user.token.split('.').nth(index).unwrap();
        serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!((header["alg"].as_str(), claims["iss"].as_str()), (Some("HS256"), Some("rapport")));
    let with = |object: &Value, key: &str, value: Value| {
        let mut object = object.clone();
        object[key] = value;
        object
    };
    let me = async |token: &str| {
        let request = user
            .http
            .get(format!("{}/auth/me", user.base))
            .header("authorization", format!("Bearer {token}"));
        Answer::of(request.send().await.unwrap()).await
    };
    me(&forge(header.clone(), claims.clone(), SECRET_KEY)).await.expect(200); // the forge itself is right
    let mut none = forge(with(&header, "alg", json!("none")), claims.clone(), SECRET_KEY);
    let bad = [
        forge(header.clone(), claims.clone(), "another-key-another-key-another-key"),
        forge(header.clone(), with(&claims, "exp", json!(1_700_000_000)), SECRET_KEY),
        forge(header.clone(), with(&claims, "iss", json!("somebody")), SECRET_KEY),
        forge(header.clone(), with(&claims, "aud", json!("else")), SECRET_KEY),
        forge(header.clone(), with(&claims, "ver", json!(7)), SECRET_KEY),
        forge(header.clone(), with(&claims, "sub", json!("user_06gzqtmcpsrcddge92jzncy0dc")), SECRET_KEY),
        forge(with(&header, "kid", json!("00000000")), claims.clone(), SECRET_KEY),
        forge(with(&header, "alg", json!("HS512")), claims.clone(), SECRET_KEY),
        none.clone(),
        {
            none.truncate(none.rfind('.').unwrap() + 1);
            none
        },
        "x".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(20_000),
    ];
    for token in bad {
        me(&token).await.problem(401, "unauthorized");
    }
    let url = format!("{}/auth/me", user.base);
    for value in ["Basic YTpi", "Bearer", "Bearer ", &user.token] {
        let answer =
            Answer::of(user.http.get(&url).header("authorization", value).send().await.unwrap()).await;
        answer.problem(401, "unauthorized");
    }
    let twice = user
        .http
        .get(&url)
        .bearer_auth(&user.token)
        .header("authorization", format!("Bearer {}", user.token));
    Answer::of(twice.send().await.unwrap()).await.problem(401, "unauthorized");
    Answer::of(user.http.get(&url).send().await.unwrap()).await.problem(401, "unauthorized");
}

async fn unknown_routes_and_methods_are_problems(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let at = async |method: Method, path: &str| {
        Answer::of(user.http.request(method, format!("{}{path}", app.url(0))).send().await.unwrap()).await
    };
    for path in ["/nope", "/api/v1/nope", "/api/v2/chat", "/api/v1/chat/sessions/x/y/z", "/..%2fetc/passwd"] {
        at(Method::GET, path).await.problem(404, "not_found");
    }
    for (method, path) in
        [(Method::GET, "/api/v1/chat"), (Method::DELETE, "/health"), (Method::PUT, "/api/v1/auth/login")]
    {
        at(method, path).await.problem(405, "method_not_allowed");
    }
    let sane = user
        .http
        .get(format!("{}/livez", app.url(0)))
        .header("x-request-id", "my-id-1")
        .send()
        .await
        .unwrap();
    assert_eq!(sane.headers()["x-request-id"], "my-id-1");
    let strange =
        user.http.get(format!("{}/livez", app.url(0))).header("x-request-id", "a b<c>").send().await.unwrap();
    assert!(strange.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
}

async fn broken_http_does_not_hurt(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let address = app.url(0).trim_start_matches("http://").to_owned();
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/chat HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"\0\0\0\0",
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(std::time::Duration::from_secs(2), socket.read_to_end(&mut answer)).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(read.is_err() || answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    // A client that stops reading its stream does not hold anybody up.
    let mut deaf = tokio::net::TcpStream::connect(&address).await.unwrap();
    let body = json!({"message": "/tokens 20000"}).to_string();
    let request = format!(
        "POST /api/v1/chat/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        user.token,
        body.len(),
    );
    deaf.write_all(request.as_bytes()).await.unwrap();
    for n in 0..5 {
        assert_eq!(user.chat(&format!("/echo {n}")).await["reply"], n.to_string());
    }
}

/// No refusal speaks of what read the request.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn refusals_are_in_our_words(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    let send = format!("/conversations/{session}/messages");
    let bodies = [
        ("POST", "/chat", "{"),
        ("POST", "/chat", ""),
        ("POST", "/chat", "{\"message\": nul}"),
        ("POST", "/chat", "{\"message\": \"x\"} trailing"),
        ("POST", "/chat", "{\"message\": 5}"),
        ("POST", "/chat", "{\"message\": \"x\", \"temperature\": \"hot\"}"),
        ("POST", "/chat", "[]"),
        ("POST", "/memory", "{\"content\": \"x\", \"valid_from\": \"2026\"}"),
        ("POST", "/memory", "{\"content\": \"x\", \"valid_from\": \"yesterday\"}"),
        ("POST", "/memory/import", "{\"memories\": [{\"content\": 5}]}"),
        ("POST", "/memory/import", "{\"memories\": [{\"content\": \"x\", \"importance\": \"high\"}]}"),
        ("POST", send.as_str(), "{\"content\": 5}"),
    ];
    // Ids are random: any letters may be in them.
    let words = |mut answer: Answer| {
        answer.body["request_id"].take();
        answer.body.to_string()
    };
    let mut said = Vec::new();
    for (method, path, text) in bodies {
        let request = user.request(method.parse().unwrap(), path).header("content-type", "application/json");
        said.push((path.to_owned(), words(Answer::of(request.body(text).send().await.unwrap()).await)));
    }
    for path in [
        "/chat/sessions?limit=x",
        "/chat/sessions?limit=",
        "/chat/sessions?limit=1&limit=2",
        "/memory?limit=99999999999999999999",
        "/jobs/job_06gzqtmcpsrcddge92jzncy0dc/events?accumulate=maybe",
        "/memory/conflicts/detect?memory_id=",
    ] {
        said.push((path.to_owned(), words(user.get(path).await)));
    }
    let form = user
        .http
        .post(format!("{}/auth/token", user.base))
        .header("content-type", "application/x-www-form-urlencoded");
    said.push((
        "/auth/token".to_owned(),
        words(Answer::of(form.body("username=x").send().await.unwrap()).await),
    ));
    for (path, text) in &said {
        for theirs in [
            "deserialize",
            "EOF",
            "expected",
            "invalid type",
            "invalid digit",
            "premature",
            "trailing",
            "line 1 column",
            "struct",
            "usize",
            "i64",
            "f64",
            "variant",
        ] {
            assert!(!text.contains(theirs), "{path} says {theirs:?}: {text}");
        }
    }
    // The field is called as this route calls it.
    for content in ["", " ", &"x".repeat(32_001)] {
        let problem = user.post(&send, &json!({"content": content})).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "content", "{problem}");
        assert!(!problem["detail"].as_str().unwrap().contains("`message`"), "{problem}");
    }
}

/// Every list reads the paging parameters that it describes, and refuses those that it does not.
async fn lists_take_what_they_say_and_refuse_the_rest(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let admin = super::admin::admin(&app).await;
    let session = user.new_session().await;
    let hook =
        user.post("/webhooks", &json!({"url": "https://example.com/", "events": ["job.failed"]})).await;
    let hook = hook.expect(201)["id"].as_str().unwrap().to_owned();
    let file = user.indexed("one.txt", "One thing.").await;
    let document = serde_json::to_value(rapport_api::document()).unwrap();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item.pointer("/get/parameters").and_then(Value::as_array) else { continue };
        let takes = |name: &str| parameters.iter().any(|one| one["name"] == name);
        if !takes("skip") && !takes("cursor") {
            continue;
        }
        lists += 1;
        let Some(short) = path.strip_prefix("/api/v1") else { continue };
        let id = match short {
            _ if short.contains("/webhooks/") => &hook,
            _ if short.starts_with("/files/") => &file,
            _ => &session,
        };
        let who = if short.starts_with("/admin") { &admin } else { &user };
        let url = short.replace("{id}", id);
        let session_id =
            if short == "/chat/history" { format!("&session_id={session}") } else { String::new() };
        who.get(&format!("{url}?limit=5{session_id}")).await.expect(200);
        for wrong in ["cursor=nonsense", "skip=-1"] {
            who.get(&format!("{url}?{wrong}{session_id}")).await.problem(400, "invalid_query");
        }
        let skipped = who.get(&format!("{url}?skip=1{session_id}")).await;
        assert_eq!(skipped.status, if takes("skip") { 200 } else { 400 }, "{short}: {}", skipped.body);
    }
    assert!(lists > 0);
    // What is described works: the second page by either is not the first.
    let admin_page = admin.get("/admin/users?limit=1").await.expect(200);
    let next = admin_page["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/admin/users?limit=1&cursor={next}")).await.expect(200);
    assert_ne!(admin_page["items"], second["items"]);
}
