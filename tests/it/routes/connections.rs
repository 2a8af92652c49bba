//! Clients that hold connections without using them, and too many of them. Deadlines are short here by configuration;
//! what is asserted is that they end it, not when.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        app::client,
        client::Answer,
        eventually,
        raw::{PREFACE, Raw, frame, frames, headers},
        sse::Events,
    },
};

both_stacks!(open_streams_are_capped_per_user);

async fn hasty() -> App {
    let app = App::builder(Stack::Embedded).env("SERVER__HEAD_SECONDS", 0.5).env("SERVER__IDLE_SECONDS", 0.5);
    let app = app.env("SERVER__BODY_IDLE_SECONDS", 1).env("SERVER__PING_SECONDS", 0.5);
    let app = app.env("SERVER__UNREAD_SECONDS", 0.5);
    app.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_or_half_of_it_is_cut_off() {
    let app = hasty().await;
    let halves: [&[u8]; 5] = [
        b"",
        &PREFACE[..10],
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx-half",
        b"GET /li",
        // All of the preface, and nothing after it.
        PREFACE,
    ];
    for half in halves {
        let mut socket = Raw::open(&app.url(0)).await;
        socket.say(half).await;
        let answer = socket.text_until_end().await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    // Head bytes that keep coming do not put it off.
    let mut socket = Raw::open(&app.url(0)).await;
    socket.say("GET /livez HTTP/1.1\r\n").await;
    eventually("a trickled head is cut off", Duration::from_secs(30), || {
        let mut bytes = [0; 256];
        let ended = matches!(socket.0.try_read(&mut bytes), Ok(0)) || socket.0.try_write(b"x").is_err();
        async move { ended.then_some(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let app = hasty().await;
    let mut socket = Raw::open(&app.url(0)).await;
    for _ in 0..3 {
        socket.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = socket.until(b"\r\n\r\nok").await;
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(socket.text_until_end().await, "", "the connection ends by itself");
    // Also one that HTTP/2 keeps: its client is told.
    let mut socket = Raw::open(&app.url(0)).await;
    socket.say([PREFACE, &frame(4, 0, 0, &[])].concat()).await;
    let request = [(":method", "GET"), (":scheme", "http"), (":path", "/livez"), (":authority", "x")];
    socket.say(frame(1, 0b101, 1, &headers(&request))).await;
    let got = frames(&socket.until_end().await);
    assert!(got.iter().any(|(kind, _, payload)| *kind == 0 && payload == b"ok"), "{got:?}");
    assert!(got.iter().any(|(kind, ..)| *kind == 7), "no GOAWAY: {got:?}");
    // An answer that takes longer than any of these times arrives whole.
    let user = app.user().await;
    let answer = user.chat("/delay 100 /tokens 30").await;
    assert_eq!(answer["reply"].as_str().unwrap().split_whitespace().count(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickled_body_ends_and_a_slow_import_goes_through() {
    let app = hasty().await;
    let user = app.user().await;
    let head = |path: &str, length: usize| {
        format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            user.token
        )
    };
    for path in ["/chat", "/memory/import", "/auth/login", "/chat/sessions/import"] {
        // A pause, and bytes that never pause but come one by one.
        let mut silent = Raw::open(&app.url(0)).await;
        silent.say(head(path, 100_000) + "{\"memories\": [").await;
        let answer = silent.text_until_end().await;
        assert!(answer.contains("400 Bad Request") && answer.contains("did not arrive in time"), "{answer}");
        let mut trickling = Raw::open(&app.url(0)).await;
        trickling.say(head(path, 100_000) + "{").await;
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let (mut reader, mut writer) = trickling.0.into_split();
        let trickle = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            while writer.write_all(b" ").await.is_ok() {
                pace.tick().await;
            }
        });
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer);
        let _reset = tokio::time::timeout(Duration::from_secs(60), read).await.expect("it is cut off");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("did not arrive in time"), "{path}: {answer}");
        trickle.abort();
    }
    // Longer on the whole than a body may pause, and never too slow.
    let rows: Vec<Value> = (0..400).map(|n| json!({"content": format!("Likes the number {n}")})).collect();
    let file = json!({"memories": rows}).to_string();
    let mut slow = Raw::open(&app.url(0)).await;
    slow.say(head("/memory/import", file.len())).await;
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    for piece in file.as_bytes().chunks(file.len() / 15) {
        pace.tick().await;
        slow.say(piece).await;
    }
    let answer = slow.text_until_end().await;
    assert!(answer.contains("200 OK") && answer.contains("\"imported\":400"), "{answer}");
}

/// Clients send a head and its body apart, and reuse a connection that was not said to close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_goes_on_after_an_answer_that_needed_no_body_or_says_that_it_ends() {
    let app = App::builder(Stack::Embedded).start().await;
    let head = |length: usize, more: &str| {
        format!("POST /api/v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{more}\r\n")
    };
    let mut socket = Raw::open(&app.url(0)).await;
    for round in 0..200 {
        socket.say(head(2, "")).await;
        // The server has read the head alone.
        tokio::task::yield_now().await;
        socket.say("{}").await;
        let answer = String::from_utf8(socket.until(b"\r\n\r\n{").await).unwrap();
        assert!(answer.contains(" 401 ") && !answer.contains("connection: close"), "{round}: {answer}");
        socket.until(b"}").await;
    }
    // Of a body that does not come, is too long to be read for nothing, or waits for a word, none is waited for.
    for (length, more) in [(2, ""), (10_000_000, ""), (2, "expect: 100-continue\r\n")] {
        let mut socket = Raw::open(&app.url(0)).await;
        socket.say(head(length, more)).await;
        let answer = socket.text_until_end().await;
        assert!(answer.contains(" 401 ") && answer.contains("connection: close"), "{length}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_bounded_and_asked_whether_it_lives() {
    let app = App::builder(Stack::Embedded).env("SERVER__PING_SECONDS", 0.5).start().await;
    let user = app.user().await;
    let mut socket = Raw::open(&app.url(0)).await;
    socket.say([PREFACE, &frame(4, 0, 0, &[])].concat()).await;
    let bearer = format!("Bearer {}", user.token);
    let request = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/v1/events"),
        (":authority", "x"),
        ("authorization", bearer.as_str()),
    ];
    socket.say(frame(1, 0b101, 1, &headers(&request))).await;
    // The stream would stay open for ever, but its client answers no ping.
    let got = frames(&socket.until_end().await);
    assert!(got.iter().any(|(kind, stream, _)| (*kind, *stream) == (1, 1)), "no answer: {got:?}");
    assert!(got.iter().any(|(kind, ..)| *kind == 6), "no ping: {got:?}");
    let settings = &got.iter().find(|(kind, ..)| *kind == 4).unwrap().2;
    let setting = |id: u16| {
        let pairs = settings.chunks(6).map(|six| (u16::from_be_bytes([six[0], six[1]]), &six[2..]));
        let mut found = pairs.filter(|(found, _)| *found == id);
        found.next().map(|(_, value)| u32::from_be_bytes(value.try_into().unwrap()))
    };
    assert_eq!((setting(3), setting(6)), (Some(256), Some(65_536)), "streams and header bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_says_so_and_recovers() {
    let app = App::builder(Stack::Embedded).env("SERVER__MAX_CONNECTIONS", 4).start().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut socket = Raw::open(&app.url(0)).await;
        socket.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        socket.until(b"\r\n\r\nok").await;
        held.push(socket);
    }
    let mut refused = Raw::open(&app.url(0)).await;
    refused.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = refused.text_until_end().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after:"), "{answer}");
    let problem: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(problem["code"], "unavailable");
    held.pop();
    let url = format!("{}/livez", app.url(0));
    eventually("a place becomes free", Duration::from_secs(30), || async {
        (client().get(&url).send().await.ok()?.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_all_places() {
    let app = App::builder(Stack::Embedded).env("SERVER__CONNECTIONS_PER_ADDRESS", 3).start().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = Raw::open(&app.url(0)).await;
        socket.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        socket.until(b"\r\n\r\nok").await;
        held.push(socket);
    }
    let mut refused = Raw::open(&app.url(0)).await;
    refused.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = refused.text_until_end().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after:"), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    let problem: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(problem["code"], "unavailable");
    // Another address is served: all of 127.0.0.0/8 is this machine.
    let mut other = Raw::open_from([127, 0, 0, 2].into(), &app.url(0)).await;
    other.say("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    other.until(b"\r\n\r\nok").await;
    held.pop();
    let url = format!("{}/livez", app.url(0));
    eventually("a place becomes free", Duration::from_secs(30), || async {
        (client().get(&url).send().await.ok()?.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_without_a_window_ends_also_when_it_answers_pings() {
    let app = hasty().await;
    let user = app.user().await;
    let bearer = format!("Bearer {}", user.token);
    // A response that is there at once, and a stream without end.
    for path in ["/livez", "/api/v1/events"] {
        let mut socket = Raw::open(&app.url(0)).await;
        let no_window = [0, 4, 0, 0, 0, 0];
        socket.say([PREFACE, &frame(4, 0, 0, &no_window)].concat()).await;
        let request = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "x"),
            ("authorization", bearer.as_str()),
        ];
        socket.say(frame(1, 0b101, 1, &headers(&request))).await;
        let got = socket.until_end_answering_pings().await;
        assert!(got.iter().any(|(kind, stream, _)| (*kind, *stream) == (1, 1)), "no answer: {got:?}");
        assert!(!got.iter().any(|(kind, _, payload)| *kind == 0 && !payload.is_empty()), "{got:?}");
    }
    // Who takes what comes may wait for it, however long it takes.
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let slow = http2.post(format!("{}/chat/stream", user.base)).bearer_auth(&user.token);
    let slow = slow.json(&json!({"message": "/delay 900 /tokens 4"})).send().await.unwrap();
    assert_eq!(slow.version(), reqwest::Version::HTTP_2);
    assert!(slow.text().await.unwrap().contains("event: done"));
}

async fn open_streams_are_capped_per_user(stack: Stack) {
    let app = App::builder(stack).env("SERVER__STREAMS_PER_USER", 2).start().await;
    let (user, other) = (app.user().await, app.user().await);
    let follow = async |user: &User| user.request(Method::GET, "/events").send().await.unwrap();
    let first = follow(&user).await;
    let second = follow(&user).await;
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    for path in ["/events", "/memory/events"] {
        let answer = user.get(path).await;
        assert!(answer.headers.contains_key("retry-after"));
        answer.problem(429, "rate_limited");
    }
    let socket = format!("{}/api/v1/chat/ws?token={}", app.url(0).replace("http", "ws"), user.token);
    let refused = connect_async(&socket).await.err().unwrap();
    assert!(refused.to_string().contains("429"), "{refused}");
    // Nothing was sent by a stream that was refused.
    let answer = user.post("/chat/stream", &json!({"message": "/echo x"})).await;
    answer.problem(429, "rate_limited");
    assert_eq!(user.get("/chat/sessions").await.expect(200)["items"], json!([]));
    assert_eq!(follow(&other).await.status().as_u16(), 200, "others have their own");
    drop(first);
    eventually("a place becomes free", Duration::from_secs(30), || async {
        connect_async(&socket).await.ok().map(|_| ())
    })
    .await;
    drop(second);
    eventually("streams go through again", Duration::from_secs(30), || async {
        let request = user.request(Method::POST, "/chat/stream").json(&json!({"message": "/echo x"}));
        let events = Events::of(request.send().await.ok()?);
        (events.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_proves_that_it_lives() {
    let app = App::builder(Stack::Embedded).env("SERVER__PING_SECONDS", 0.5).start().await;
    let user = app.user().await;
    let mut dead = Raw::open(&app.url(0)).await;
    let handshake = "host: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    dead.say(format!("GET /api/v1/chat/ws?token={} HTTP/1.1\r\n{handshake}", user.token)).await;
    dead.until(b"\r\n\r\n").await;
    let heard = dead.until_end().await;
    assert!(heard.starts_with(&[0x89, 0]), "a ping comes first: {heard:?}");
    // Who answers the pings stays: this client does so while it reads.
    let url = format!("{}/api/v1/chat/ws?token={}", app.url(0).replace("http", "ws"), user.token);
    let (mut socket, _) = connect_async(url).await.unwrap();
    let mut pings = 0;
    while pings < 5 {
        match socket.next().await.unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    let health: Answer = user.get("/health").await;
    health.expect(200);
}
