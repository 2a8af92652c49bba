//! Conversations from files of other services: tests/exports has one of each, in the form that it writes.

use std::{path::PathBuf, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    faults::worker_dies::one,
    harness::{App, Stack, User, client::Answer, eventually, memory::quick},
};

both_stacks!(
    each_export_becomes_sessions_with_their_branches,
    a_newer_file_adds_what_is_new_and_the_same_one_nothing,
    what_is_no_export_is_told_and_leaves_nothing,
    memory_reads_what_comes_in_if_it_may,
    the_command_takes_files_and_archives,
    an_import_of_chats_survives_kill_9,
);

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("exports").join(name)
}

fn file(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

async fn import(user: &User, file: &Value) -> Value {
    user.post("/chat/sessions/import?extract=false", file).await.expect(200)
}

/// sessions, branches, messages, variants, skipped, errors.
fn counts(result: &Value) -> [i64; 6] {
    ["sessions", "branches", "messages", "variants", "skipped", "errors_total"]
        .map(|name| result[name].as_i64().unwrap())
}

/// Titles with what is said, and whose branches they are.
async fn sessions(user: &User) -> Vec<(String, Vec<String>, bool)> {
    let list = user.get("/chat/sessions?limit=200&status=all").await.expect(200);
    let mut all = Vec::new();
    for session in list["items"].as_array().unwrap() {
        let messages = user.messages(session["id"].as_str().unwrap()).await;
        assert_eq!(session["message_count"], messages.len(), "{session}");
        let said = messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect();
        let title = session["title"].as_str().unwrap().to_owned();
        all.push((title, said, session["parent_session_id"].is_string()));
    }
    all.sort();
    all
}

fn session(title: &str, said: &[&str], is_branch: bool) -> (String, Vec<String>, bool) {
    (title.to_owned(), said.iter().map(|&text| text.to_owned()).collect(), is_branch)
}

async fn each_export_becomes_sessions_with_their_branches(stack: Stack) {
    let app = App::start(stack).await;
    let (looked, planned) = ("Let me look up the weather.", "It is 34 degrees: begin early, at the river.");
    for (name, expected, what) in [
        (
            "chatgpt.json",
            [1, 1, 5, 1, 0, 1],
            vec![
                session("Trip to Dhaka", &["I live in Dhaka. What is this?", "A rickshaw."], true),
                session("Trip to Dhaka", &["Plan a day in Dhaka.", looked, planned], false),
            ],
        ),
        (
            "claude.json",
            [1, 0, 2, 0, 0, 0],
            vec![session(
                "Allergies",
                &[
                    "I am allergic to peanuts. Can I eat satay?\n[menu.txt]",
                    "Rather not: its sauce is made of peanuts.",
                ],
                false,
            )],
        ),
        (
            "open_webui.json",
            [1, 1, 6, 0, 0, 0],
            vec![
                session("Colours", &["Which colour suits a small room?", "Pale blue.", "Why blue?"], true),
                session(
                    "Colours",
                    &["Which colour suits a small room?", "White.", "And the door?", "Grey."],
                    false,
                ),
            ],
        ),
        (
            "librechat.json",
            [1, 0, 2, 1, 0, 0],
            vec![session("Bread", &["How long does bread bake?", "Until it sounds hollow."], false)],
        ),
    ] {
        let user = app.user().await;
        let result = import(&user, &file(name)).await;
        assert_eq!(counts(&result), expected, "{name}: {result}");
        assert_eq!(sessions(&user).await, what, "{name}");
        let before = sessions(&user).await;
        let again = import(&user, &file(name)).await;
        assert_eq!(counts(&again)[..4], [0, 0, 0, 0], "{name}: {again}");
        assert_eq!(sessions(&user).await, before, "{name}: the same file again");
    }
    as_they_were(&app.user().await).await;
}

/// Times, models, pins and other answers; and it goes on from there.
async fn as_they_were(user: &User) {
    import(user, &file("open_webui.json")).await;
    import(user, &file("librechat.json")).await;
    let list = user.get("/chat/sessions").await.expect(200);
    let [colours, bread] = ["Colours", "Bread"].map(|title| {
        let is_it = |one: &&Value| one["title"] == title && one["parent_session_id"].is_null();
        list["items"].as_array().unwrap().iter().find(is_it).unwrap().clone()
    });
    assert_eq!(
        (&colours["is_pinned"], &colours["created_at"]),
        (&json!(true), &json!("2024-06-01T08:00:00.000Z"))
    );
    let id = bread["id"].as_str().unwrap();
    let messages = user.messages(id).await;
    assert_eq!(messages[1]["created_at"], "2024-07-01T09:01:00.000Z");
    assert_eq!((&messages[1]["model"], &messages[1]["variants"]), (&json!("gpt-4o-mini"), &json!(1)));
    assert_eq!(user.chat_in(id, "/echo more").await["reply"], "more");
    assert_eq!(user.messages(id).await.len(), 4);
}

async fn a_newer_file_adds_what_is_new_and_the_same_one_nothing(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let older = json!({"conversationId": "x", "title": "Growing", "messages": [
        {"messageId": "1", "isCreatedByUser": true, "text": "one"}, {"messageId": "2", "parentMessageId": "1", "text": "two"}]});
    assert_eq!(counts(&import(&user, &older).await), [1, 0, 2, 0, 0, 0]);
    let mut newer = older.clone();
    let messages = newer["messages"].as_array_mut().unwrap();
    messages
        .push(json!({"messageId": "3", "parentMessageId": "2", "isCreatedByUser": true, "text": "three"}));
    messages.push(json!({"messageId": "4", "parentMessageId": "3", "text": "four"}));
    assert_eq!(counts(&import(&user, &newer).await), [0, 0, 2, 0, 0, 0]);
    assert_eq!(sessions(&user).await, [session("Growing", &["one", "two", "three", "four"], false)]);
    assert_eq!(counts(&import(&user, &newer).await), [0, 0, 0, 0, 1, 0]);
    // Here it went on in another way meanwhile: what is new there is a branch.
    let id = user.get("/chat/sessions").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    user.chat_in(&id, "/echo ours").await;
    let messages = newer["messages"].as_array_mut().unwrap();
    messages.push(json!({"messageId": "5", "parentMessageId": "4", "isCreatedByUser": true, "text": "five"}));
    assert_eq!(counts(&import(&user, &newer).await), [0, 1, 1, 0, 0, 0]);
    let expected = [
        session("Growing", &["one", "two", "three", "four", "/echo ours", "ours"], false),
        session("Growing", &["one", "two", "three", "four", "five"], true),
    ];
    assert_eq!(sessions(&user).await, expected);
    // Another account has nothing of it, and takes the same file in for itself.
    let other = app.user().await;
    assert_eq!(sessions(&other).await, []);
    assert_eq!(counts(&import(&other, &newer).await), [1, 0, 5, 0, 0, 0]);
    // Twice at the same moment it comes in once.
    let third = app.user().await;
    let (first, second) = tokio::join!(import(&third, &newer), import(&third, &newer));
    let both: Vec<i64> = counts(&first).iter().zip(counts(&second)).map(|(one, other)| one + other).collect();
    assert_eq!(both, [1, 0, 5, 0, 1, 0]);
    // The same upload by the same key is the same job; another by it is a mistake, and leaves nothing.
    let send = async |file: &Value| {
        let request = user.request(Method::POST, "/chat/sessions/import").header("idempotency-key", "once");
        Answer::of(request.header("prefer", "respond-async").json(file).send().await.unwrap()).await
    };
    let list = json!([older]);
    let (first, second) = (send(&list).await, send(&list).await);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    let of = |answer: Answer| answer.body["id"].as_str().map(str::to_owned);
    let (first, second) = (of(first), of(second));
    assert!(second.is_none() || first == second, "{first:?} {second:?}");
    send(&json!([newer])).await.problem(422, "idempotency_mismatch");
    user.finished(&first.unwrap(), Duration::from_secs(20)).await;
    assert_eq!(one::<(i64,)>(&app.db().await, "select count(*) from blobs").await.0, 0);
}

async fn what_is_no_export_is_told_and_leaves_nothing(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let send = async |body: Vec<u8>| {
        let request =
            user.request(Method::POST, "/chat/sessions/import").header("content-type", "application/json");
        Answer::of(request.body(body).send().await.unwrap()).await
    };
    for bad in
        [&b"[{\"mapping\": "[..], b"[", b"", b"nope", b"[{\"mapping\": {}}}", b"{\"conversationId\": 1"]
    {
        send(bad.to_vec()).await.problem(400, "malformed_request");
    }
    for (bad, field) in [
        (json!([]), "body"),
        (json!([1, 2]), "body"),
        (json!([{"model": "x"}]), "body"),
        (json!({"model": "x"}), "messages"),
        (json!(7), "body"),
    ] {
        let problem = send(bad.to_string().into_bytes()).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    send(deep.into_bytes()).await.problem(422, "validation_failed");
    let many = format!("[{}{{}}]", "{\"messages\":[]},".repeat(100_001));
    send(many.into_bytes()).await.problem(413, "body_too_large");
    assert_eq!(one::<(i64,)>(&app.db().await, "select count(*) from blobs").await.0, 0);
    let refused = user.post("/chat/sessions/import?extract=maybe", &json!([])).await;
    refused.problem(400, "invalid_query");
    // One that is too large, or cannot be read, costs the others nothing.
    let huge = format!(
        "[{{\"mapping\": \"{}\"}}, {{\"messages\": [{{\"role\": \"user\", \"content\": \"hi\"}}]}}]",
        "x".repeat(17 << 20)
    );
    let result = send(huge.into_bytes()).await.expect(200);
    assert_eq!(counts(&result), [1, 0, 1, 0, 0, 1], "{result}");
    assert_eq!(result["errors"][0], json!({"conversation": 1, "message": "is larger than 16777216 bytes"}));
    let good = |text: &str| json!({"chat_messages": [{"sender": "human", "text": text}]});
    let deep: Value = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let list = json!([good("a"), {"mapping": {"x": 5}}, {"chat_messages": deep}, good("b"), {"nothing": 1}, good("a"), {"mapping": {}}]);
    let result = import(&user, &list).await;
    assert_eq!(counts(&result), [2, 0, 2, 0, 1, 4], "{result}");
    let which: Vec<i64> = result["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["conversation"].as_i64().unwrap())
        .collect();
    assert_eq!(which, [2, 3, 5, 7]);
}

async fn memory_reads_what_comes_in_if_it_may(stack: Stack) {
    let app = quick(stack).start().await;
    let (read, unread) = (app.user().await, app.user().await);
    let claude = file("claude.json");
    read.post("/chat/sessions/import", &claude).await.expect(200);
    unread.post("/chat/sessions/import?extract=false", &claude).await.expect(200);
    eventually("it is read", Duration::from_secs(30), || async {
        let found = read.get("/memory?limit=10").await.expect(200);
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["content"].as_str().unwrap().contains("peanuts"))
            .then_some(())
    })
    .await;
    // What is said there from now on is read; what came in is not.
    let session =
        unread.get("/chat/sessions").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    unread.chat_in(&session, "I live in London.").await;
    eventually("the rest is read", Duration::from_secs(30), || async {
        let found = unread.get("/memory?limit=10").await.expect(200);
        let found = found["items"].as_array().unwrap().clone();
        assert!(!found.iter().any(|one| one["content"].as_str().unwrap().contains("peanuts")), "{found:?}");
        found.iter().any(|one| one["content"].as_str().unwrap().contains("London")).then_some(())
    })
    .await;
    // It can be found either way.
    let query = json!({"query": "satay", "sources": ["messages"]});
    assert_eq!(unread.post("/memory/search", &query).await.expect(200)[0]["message"]["role"], "user");
}

async fn the_command_takes_files_and_archives(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let key = user.post("/api-keys", &json!({"name": "import", "scopes": ["chat"]})).await.expect(201);
    let run = async |arguments: &[&str]| {
        let mut command = app.command();
        command.arg("import").args(arguments).args(["--no-extract", "--url", &app.url(0)]);
        command.env("RAPPORT_API_KEY", key["key"].as_str().unwrap());
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        (ran.status.success(), said)
    };
    let (good, said) = run(&[path("chatgpt.json").to_str().unwrap()]).await;
    assert!(good && said.contains("1 new conversations, 5 messages, 1 branches, 1 other answers"), "{said}");
    assert!(said.contains("conversation 2 has no message with words in it"), "{said}");
    let archive = app.folder.join("export.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    for (name, from) in [("user.json", "librechat.json"), ("data/conversations.json", "claude.json")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(path(from)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    let (good, said) = run(&[archive.to_str().unwrap()]).await;
    assert!(good && said.contains("data/conversations.json: 1 new conversations, 2 messages"), "{said}");
    assert_eq!(user.get("/chat/sessions").await.expect(200)["total"], 3, "of the two files, with a branch");
    let (good, said) = run(&[app.folder.join("nothing.json").to_str().unwrap()]).await;
    assert!(!good && said.contains("nothing.json"), "{said}");
    let unfit = app.folder.join("unfit.json");
    std::fs::write(&unfit, "[{\"model\": 1}]").unwrap();
    let (good, said) = run(&[unfit.to_str().unwrap()]).await;
    assert!(!good && said.contains("must be a conversation, or an export of ChatGPT"), "{said}");
}

async fn an_import_of_chats_survives_kill_9(stack: Stack) {
    const COUNT: i64 = 1_200;
    let mut app = App::start(stack).await;
    app.leaves_jobs(); // vectors for what came in take longer than this test
    let user = app.user().await;
    let one_of = |n: i64| {
        json!({"uuid": format!("c{n}"), "name": format!("Chat {n}"), "chat_messages": [
            {"uuid": "q", "sender": "human", "text": format!("question {n}"), "created_at": "2024-01-01T00:00:00Z"},
            {"uuid": "a", "sender": "assistant", "text": format!("answer {n}"), "created_at": "2024-01-01T00:00:01Z",
                "parent_message_uuid": "q"},
            {"uuid": "b", "sender": "assistant", "text": format!("another {n}"), "parent_message_uuid": "q"}]})
    };
    let file: Vec<Value> = (0..COUNT).map(one_of).collect();
    let request =
        user.request(Method::POST, "/chat/sessions/import?extract=false").header("prefer", "respond-async");
    let job: Value = request.json(&file).send().await.unwrap().json().await.unwrap();
    let job = job["id"].as_str().unwrap().to_owned();
    app.kill_runner_at(&user, &job, [100, 500]).await;
    let done = user.finished(&job, Duration::from_secs(120)).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(counts(&done["result"]), [COUNT, 0, 2 * COUNT, COUNT, 0, 0], "{done}");
    assert_eq!(user.get("/chat/sessions?limit=1").await.expect(200)["total"], COUNT);
    let db = app.db().await;
    for (sql, count) in [
        ("select count(*) from messages", 2 * COUNT),
        ("select count(*) from message_variants", COUNT),
        ("select count(distinct session_id) from messages", COUNT),
        ("select count(*) from blobs", 0),
    ] {
        assert_eq!(one::<(i64,)>(&db, sql).await.0, count, "{sql}");
    }
}
