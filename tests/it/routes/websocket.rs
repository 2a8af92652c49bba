use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::{
    both_stacks,
    harness::{App, Stack, User},
};

both_stacks!(
    many_messages_on_one_socket,
    garbage_gets_an_error_and_the_socket_stays,
    tickets_work_once,
    a_message_sent_again_with_its_key_is_the_same,
    a_deleted_conversation_ends_its_streams,
);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(app: &App, path: &str, token: &str) -> Result<Socket, u16> {
    let url = format!("{}{path}?token={token}", app.url(0).replace("http", "ws"));
    match connect_async(url).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn say(socket: &mut Socket, value: Value) {
    socket.send(Message::text(value.to_string())).await.unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(std::time::Duration::from_secs(30), socket.next()).await.unwrap();
        if let Message::Text(text) = message.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn hear_until(socket: &mut Socket, kind: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        heard.push(hear(socket).await);
        if heard.last().unwrap()["type"] == kind {
            return heard;
        }
    }
}

async fn many_messages_on_one_socket(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let mut socket = open(&app, "/api/v1/chat/ws", &user.token).await.unwrap();
    let mut session = Value::Null;
    for n in 0..3 {
        say(&mut socket, json!({"message": format!("/echo number {n}"), "session_id": session})).await;
        let heard = hear_until(&mut socket, "done").await;
        assert_eq!((heard[0]["type"].as_str(), heard[0]["id"].as_str()), (Some("job"), Some("0-1")));
        assert_eq!(heard.last().unwrap()["reply"], format!("number {n}"));
        session = heard[0]["session_id"].clone();
    }
    assert_eq!(user.messages(session.as_str().unwrap()).await.len(), 6);
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 52]].concat();
    let image = user.upload("cat.png", png).await.expect(201)["id"].clone();
    let seeing = json!({"message": "/images", "images": [image], "provider": "mock", "model": "mock-sees"});
    say(&mut socket, seeing).await;
    let heard = hear_until(&mut socket, "done").await;
    assert_eq!(heard.last().unwrap()["reply"], "turn 1: image/png of 60 bytes");
    say(&mut socket, json!({"message": "/images", "images": ["file_none"]})).await;
    assert_eq!(hear(&mut socket).await["errors"][0]["field"], "images[0]");
    say(&mut socket, json!({"type": "chat", "message": "/delay 50 /tokens 300"})).await;
    let job = hear(&mut socket).await["job_id"].clone();
    let seen = hear(&mut socket).await["id"].clone();
    // Cut here, resumed on another connection (under the route's other name), and cancelled.
    drop(socket);
    let mut socket = open(&app, "/api/v1/chat/stream", &user.token).await.unwrap();
    say(&mut socket, json!({"type": "resume", "job_id": job, "after": seen})).await;
    let next = hear(&mut socket).await;
    assert_eq!((next["type"].as_str(), next["id"].as_str()), (Some("token"), Some("1-2")));
    say(&mut socket, json!({"type": "cancel", "job_id": job})).await;
    assert_eq!(hear_until(&mut socket, "done").await.last().unwrap()["finish_reason"], "cancelled");
}

async fn garbage_gets_an_error_and_the_socket_stays(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    assert_eq!(open(&app, "/api/v1/chat/ws", "nonsense").await.err(), Some(401));
    let plain = user.get("/chat/ws").await;
    plain.problem(400, "malformed_request");
    let mut socket = open(&app, "/api/v1/chat/ws", &user.token).await.unwrap();
    let garbage = [
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"message\":\"\"}",
        "{\"type\":\"dance\"}",
        "{\"type\":\"cancel\"}",
        "{\"type\":\"cancel\",\"job_id\":\"job_06gzqtmcpsrcddge92jzncy0dc\"}",
        "{\"type\":\"resume\",\"job_id\":5}",
        "{\"message\":\"x\",\"session_id\":\"sess_06gzqtmcpsrcddge92jzncy0dc\"}",
        "{\"message\":5}",
    ];
    for text in garbage {
        socket.send(Message::text(text)).await.unwrap();
        let error = hear(&mut socket).await;
        assert_eq!(error["type"], "error", "{text}: {error}");
        assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{text}: {error}");
        for theirs in ["expected", "EOF", "invalid type"] {
            assert!(!error["detail"].as_str().unwrap().contains(theirs), "{text}: {error}");
        }
        assert!(error["status"].as_u64().unwrap() < 500 && error["detail"].is_string(), "{text}: {error}");
    }
    socket.send(Message::binary(vec![0u8, 159, 146, 150])).await.unwrap();
    assert_eq!(hear(&mut socket).await["code"], "malformed_request");
    // A job that fails says it too.
    say(&mut socket, json!({"message": "/fail 400"})).await;
    let failed = hear_until(&mut socket, "error").await;
    assert!(failed.last().unwrap()["request_id"].is_string(), "{failed:?}");
    say(&mut socket, json!({"message": "/echo still here"})).await;
    assert_eq!(hear_until(&mut socket, "done").await.last().unwrap()["reply"], "still here");
}

async fn tickets_work_once(stack: Stack) {
    let app = App::start(stack).await;
    let user: User = app.user().await;
    let ticket =
        user.post("/auth/ws-ticket", &json!({})).await.expect(200)["ticket"].as_str().unwrap().to_owned();
    let mut socket = open(&app, "/api/v1/chat/ws", &ticket).await.unwrap();
    say(&mut socket, json!({"message": "/echo by ticket"})).await;
    assert_eq!(hear_until(&mut socket, "done").await.last().unwrap()["reply"], "by ticket");
    assert_eq!(open(&app, "/api/v1/chat/ws", &ticket).await.err(), Some(401));
    // A ticket does not outlive its login, nor does an open socket.
    let late =
        user.post("/auth/ws-ticket", &json!({})).await.expect(200)["ticket"].as_str().unwrap().to_owned();
    user.post("/auth/logout", &json!({})).await.expect(200);
    assert_eq!(open(&app, "/api/v1/chat/ws", &late).await.err(), Some(401));
    say(&mut socket, json!({"message": "/echo too late"})).await;
    assert_eq!(hear(&mut socket).await["code"], "unauthorized");
    let forged = ticket.replacen("user_", "user_0", 1);
    assert_eq!(open(&app, "/api/v1/chat/ws", &forged).await.err(), Some(401));
}

async fn a_message_sent_again_with_its_key_is_the_same(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let body = json!({"message": "/echo once", "idempotency_key": "ws-1"});
    let mut socket = open(&app, "/api/v1/chat/ws", &user.token).await.unwrap();
    say(&mut socket, body.clone()).await;
    let first = hear_until(&mut socket, "done").await.pop().unwrap();
    // The cut came before the client heard of it: on another connection it sends it again.
    let mut socket = open(&app, "/api/v1/chat/ws", &user.token).await.unwrap();
    say(&mut socket, body).await;
    let again = hear_until(&mut socket, "done").await.pop().unwrap();
    assert_eq!((&again["job_id"], &again["message_id"]), (&first["job_id"], &first["message_id"]));
    // Or over HTTP.
    let request = user.request(reqwest::Method::POST, "/chat").header("idempotency-key", "ws-1");
    let over_http = request.json(&json!({"message": "/echo once"})).send().await.unwrap();
    assert_eq!(over_http.headers()["idempotent-replayed"], "true");
    assert_eq!(user.messages(first["session_id"].as_str().unwrap()).await.len(), 2);
    // What is another message, or no key, is refused.
    say(&mut socket, json!({"message": "/echo other", "idempotency_key": "ws-1"})).await;
    assert_eq!(hear(&mut socket).await["code"], "idempotency_mismatch");
    say(&mut socket, json!({"message": "/echo once", "idempotency_key": "a b"})).await;
    assert_eq!(hear(&mut socket).await["code"], "validation_failed");
}

/// A job that is deleted while somebody follows it ends with an error: nobody is left waiting.
async fn a_deleted_conversation_ends_its_streams(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let session = user.new_session().await;
    let mut socket = open(&app, "/api/v1/chat/ws", &user.token).await.unwrap();
    say(&mut socket, json!({"message": "/delay 100 /tokens 200", "session_id": session})).await;
    hear_until(&mut socket, "token").await;
    user.request(reqwest::Method::DELETE, &format!("/chat/sessions/{session}")).send().await.unwrap();
    assert_eq!(hear_until(&mut socket, "error").await.last().unwrap()["code"], "not_found");
}
