//! Erasing an account: no row, vector, event, file or mail of it is left; another's are.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        app::client,
        client::{Answer, PASSWORD},
        dump, eventually,
        memory::{app, contents, id, quick, with_index},
        process::Process,
    },
    routes::mcp_sign_in::Client,
};

both_stacks!(
    nothing_of_an_erased_account_is_left,
    an_account_is_taken_away_as_one_archive,
    an_account_with_much_is_erased_in_pieces,
    an_account_erased_while_it_is_answered_leaves_no_usage,
    an_account_erased_while_it_is_read_stops_nobody_and_alarms_nobody,
);

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn nothing_of_an_erased_account_is_left(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (gone, stays) = (app.user().await, app.user().await);
    let email = "zebra.quux@example.com";
    for user in [&gone, &stays] {
        user.tell("I live in London. I like tea.").await;
        let memory = user.memory("Lives in London").await;
        user.post(&format!("/memory/{}/verify", id(&memory)), &json!({"action": "confirm"}))
            .await
            .expect(200);
        user.until_found("tea", "Likes tea").await;
    }
    gone.tell("I like zebra quux.").await;
    gone.send(Method::PATCH, "/users/me", &json!({"email": email, "password": PASSWORD})).await.expect(200);
    let url = format!("{}/api/v1/auth/request-otp", app.url(0));
    Answer::of(client().post(url).json(&json!({"email": email})).send().await.unwrap()).await.expect(200);
    crate::harness::mail::to(&app, email, 1).await;
    // Something in every table a user can fill.
    let project = gone.post("/projects", &json!({"name": "Zebra quux"})).await.expect(201);
    let project = project["id"].as_str().unwrap();
    gone.post(&format!("/projects/{project}/prompts"), &json!({"name": "p", "content": "Zebra quux"}))
        .await
        .expect(201);
    let place = format!("/projects/{project}/provider-keys/openai");
    assert_eq!(gone.send(Method::PUT, &place, &json!({"api_key": "sk-0123456789"})).await.status, 204);
    let v1 = User { base: gone.base.replace("/api/v1", "/v1"), ..gone.clone() };
    let said = json!({"items": [{"role": "user", "content": "Zebra quux"}], "metadata": {"a": "Zebra quux"}});
    let conversation = v1.post("/conversations", &said).await.expect(200);
    let asked = json!({"model": "mock", "input": "/echo zebra quux", "conversation": conversation["id"]});
    v1.post("/responses", &asked).await.expect(200);
    let tool = json!({"name": "zebra", "description": "Zebra quux", "url": "https://example.com/zebraquux"});
    gone.post(&format!("/projects/{project}/tools"), &tool).await.expect(201);
    let file = gone.indexed("zebra quux.txt", "Zebra quux is a pump.").await;
    let named = json!({"file_ids": [file]});
    gone.send(Method::PUT, &format!("/projects/{project}/files"), &named).await.expect(200);
    let store = json!({"name": "Zebra quux", "metadata": {"a": "Zebra quux"}});
    let store = v1.post("/vector_stores", &store).await.expect(200);
    let batch = json!({"file_ids": [file], "attributes": {"a": "Zebra quux"}});
    v1.post(&format!("/vector_stores/{}/file_batches", store["id"].as_str().unwrap()), &batch)
        .await
        .expect(200);
    stays.upload("mine.txt", "This stays.").await.expect(201);
    let upload = gone.request(Method::POST, "/files/uploads").header("upload-length", 10);
    Answer::of(upload.send().await.unwrap()).await.expect(201);
    gone.post("/api-keys", &json!({"name": "zebra quux"})).await.expect(201);
    let program = Client::register(&app, &gone, "Zebra quux", "https://example.com/quux").await;
    program.answer(&program.request("https://example.com/quux")).await;
    gone.post("/webhooks", &json!({"url": "https://example.com/zebraquux", "events": ["job.succeeded"]}))
        .await
        .expect(201);
    gone.send(Method::PATCH, "/settings", &json!({"chat_settings": {"system_prompt": "Zebra quux"}}))
        .await
        .expect(200);
    let keyed = gone
        .request(Method::POST, "/chat")
        .header("idempotency-key", "k1")
        .json(&json!({"message": "/tool current_time {} zebra quux"}));
    let chat = Answer::of(keyed.send().await.unwrap()).await.expect(200);
    let v1 = User { base: format!("{}/v1", app.url(0)), ..gone.clone() };
    for store in [true, false] {
        let asked = json!({"model": "mock", "input": "zebra quux", "store": store});
        v1.post("/responses", &asked).await.expect(200);
    }
    let body = json!({"session_id": chat["session_id"]});
    gone.post("/chat/regenerate", &body).await.expect(200);
    let (job, session) = (chat["job_id"].as_str().unwrap(), chat["session_id"].as_str().unwrap());
    let before = gone.get("/users/me").await.expect(200);
    let user = before["id"].as_str().unwrap().to_owned();
    let db = app.db().await;
    let hex = uuid_hex(&user);
    let mentioned = async || {
        let mut found = Vec::new();
        for table in dump::tables(&db).await {
            for row in dump::rows(&db, &table).await {
                if row.to_lowercase().contains(&hex)
                    || row.contains("quux")
                    || row.contains(&user)
                    || row.contains(job)
                    || row.contains(session)
                {
                    found.push(format!("{table}: {}", row.chars().take(300).collect::<String>()));
                }
            }
        }
        found
    };
    assert!(mentioned().await.len() > 30, "the test would see rows");
    gone.send(Method::DELETE, "/users/me", &json!({"password": "Wrong-horse-1"}))
        .await
        .problem(403, "wrong_password");
    let erasing = gone.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await.expect(202);
    assert_eq!(erasing["kind"], "erase");
    gone.get("/auth/me").await.problem(401, "unauthorized");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let left = mentioned().await;
        if left.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "not erased within a minute: {left:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // No byte of a file, no mail, no event, no vector.
    let kept: Vec<_> = std::fs::read_dir(app.folder.join("files")).unwrap().flatten().collect();
    assert!(kept.len() == 1 && !kept[0].file_name().to_string_lossy().contains(&hex), "{kept:?}");
    let outbox = std::fs::read_dir(app.folder.join("outbox")).unwrap().count();
    assert_eq!(outbox, 0);
    if let Some(redis) = &app.redis {
        let client = redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        assert!(!keys.iter().any(|key| key.contains(job)), "{keys:?}");
    }
    // The other's are all there.
    assert!(
        stays.post("/memory/search", &json!({"query": "tea"})).await.expect(200).as_array().unwrap().len()
            == 1
    );
    let again = json!({"username": gone.name, "password": PASSWORD});
    let url = format!("{}/api/v1/auth/login", app.url(0));
    Answer::of(client().post(url).json(&again).send().await.unwrap())
        .await
        .problem(401, "invalid_credentials");
}

/// What there is very much of goes in pieces: nothing waits for a transaction over all of it.
async fn an_account_with_much_is_erased_in_pieces(stack: Stack) {
    const MESSAGES: usize = 1_200;
    let app = App::builder(stack).env("MEMORY__PROVIDER", "mock").start().await;
    let (gone, stays) = (app.user().await, app.user().await);
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let role = if n % 2 == 0 { "user" } else { "assistant" };
            json!({"role": role, "content": format!("zebra quux number {n}")})
        })
        .collect();
    for part in messages.chunks(400) {
        gone.post("/chat/sessions/import", &json!({"messages": part})).await.expect(201);
        stays.post("/chat/sessions/import", &json!({"messages": &part[..2]})).await.expect(201);
    }
    let erased = gone.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await.expect(202);
    let db = app.db().await;
    eventually("the account is gone", Duration::from_secs(60), || async {
        let mut conn = db.read().await.unwrap();
        (dump::count(&mut conn, "select count(*) from users").await == 1).then_some(())
    })
    .await;
    let mut conn = db.read().await.unwrap();
    assert_eq!(dump::count(&mut conn, "select count(*) from messages").await, 6, "another's are there");
    drop(conn);
    // Its job says how much it was: messages, sessions, and the jobs about them.
    let rows = dump::rows(&db, "jobs").await;
    let job = erased["job_id"].as_str().or(erased["id"].as_str()).unwrap().to_owned();
    let told =
        rows.iter().find(|row| row.contains("erase") && row.contains("sessions")).unwrap_or_else(|| {
            panic!("no progress of {job}: {rows:?}");
        });
    let digits = told.split("done").nth(1).unwrap().trim_start_matches(|c: char| !c.is_ascii_digit());
    let done: usize = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert!(done >= MESSAGES + 3, "{told}");
}

/// The reading model takes its time: the account is gone long before it answers.
async fn an_account_erased_while_it_is_read_stops_nobody_and_alarms_nobody(stack: Stack) {
    let builder = quick(stack).http_provider(&["--first-token-ms", "8000"]).env("MEMORY__PROVIDER", "openai");
    // No heartbeat finds out first: what the model said about nobody is there to be stored.
    let builder = builder.env("QUEUE__LEASE_SECONDS", "30");
    let (builder, _index) = with_index(stack, builder).await;
    let app = builder.start().await;
    let (gone, stays) = (app.user().await, app.user().await);
    let say = async |user: &User, text: &str| {
        let chat = json!({"message": text, "provider": "mock"});
        user.post("/chat", &chat).await.expect(200)["session_id"].as_str().unwrap().to_owned()
    };
    say(&gone, "I like tea.").await;
    let db = app.db().await;
    let reading = "select count(*) from jobs where kind = 'memory_extraction' and status = 'running'";
    let until = async |what: &str, sql: &'static str, wanted: i64| {
        eventually(what, Duration::from_secs(30), || async {
            let mut conn = db.read().await.unwrap();
            (dump::count(&mut conn, sql).await == wanted).then_some(())
        })
        .await;
    };
    until("it is read", reading, 1).await;
    gone.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await.expect(202);
    until("the account is gone", "select count(*) from users", 1).await;
    let asked = app.mock_stats().await;
    assert_eq!((asked["requests"].as_i64(), asked["open"].as_i64()), (Some(1), Some(1)), "it is read still");
    // Another's conversation becomes due afterwards, and only the sweep puts its reading in.
    let session = say(&stays, "I like coffee.").await;
    stays.until_read(&session).await;
    assert_eq!(contents(&stays.memories("live").await), ["Likes coffee"]);
    // By now the model has answered about the account that is gone, and the attempt has ended.
    let ends = |line: &&String| line.contains("attempt ended") && line.contains("memory_extraction");
    let lines = eventually("both attempts end", Duration::from_secs(30), || async {
        let logs: String = app.apis.iter().chain(&app.workers).map(Process::output).collect();
        let lines: Vec<String> = logs.lines().map(str::to_owned).collect();
        (lines.iter().filter(ends).count() >= 2).then_some(lines)
    })
    .await;
    let alarms: Vec<&String> =
        lines.iter().filter(|line| line.contains("\"ERROR\"") || line.contains("\"WARN\"")).collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    until("nothing of it is left over", "select count(*) from jobs where status = 'running'", 0).await;
}

/// What an answer has cost counts although nobody keeps the answer. But not for an account that is gone.
async fn an_account_erased_while_it_is_answered_leaves_no_usage(stack: Stack) {
    // It ends by itself, in mid-answer, after the account is gone.
    let app = App::builder(stack)
        .http_provider(&["--token-ms", "100"])
        .env("QUEUE__LEASE_SECONDS", "30")
        .start()
        .await;
    let (gone, stays) = (app.user().await, app.user().await);
    stays.chat("hello").await;
    gone.submit(&"word ".repeat(60)).await;
    eventually("it is answered", Duration::from_secs(30), || async {
        (app.mock_stats().await["open"] == 1).then_some(())
    })
    .await;
    gone.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await.expect(202);
    let db = app.db().await;
    let count = async |sql: &'static str| dump::count(&mut db.read().await.unwrap(), sql).await;
    eventually("the account is gone", Duration::from_secs(30), || async {
        (count("select count(*) from users").await == 1).then_some(())
    })
    .await;
    eventually("its answer has ended", Duration::from_secs(30), || async {
        (app.mock_stats().await["open"] == 0).then_some(())
    })
    .await;
    // Both are moved into the sums, or only one.
    eventually("what was spent is summed up", Duration::from_secs(30), || async {
        (count("select count(*) from usage_log").await == 0).then_some(())
    })
    .await;
    assert_eq!(count("select count(distinct user_id) from usage_days").await, 1, "another's are counted");
}

/// An id as the databases hold it.
fn uuid_hex(id: &str) -> String {
    let id: rapport_common::domain::ids::UserId = id.parse().unwrap();
    uuid::Uuid::from(id).simple().to_string()
}

async fn an_account_is_taken_away_as_one_archive(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let session = user.tell("I live in London.").await;
    user.memory("Lives in London").await;
    let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
    let tools = format!("/projects/{}/tools", project["id"].as_str().unwrap());
    let tool =
        json!({"name": "find_lamp", "url": "https://example.com/", "headers": {"x-key": "headercanary"}});
    let secret = user.post(&tools, &tool).await.expect(201)["secret"].as_str().unwrap().to_owned();
    let v1 = User { base: format!("{}/v1", app.url(0)), ..user.clone() };
    v1.post("/responses", &json!({"model": "mock", "input": "/echo durian"})).await.expect(200);
    let said = json!({"items": [{"role": "user", "content": "about rambutan"}]});
    v1.post("/conversations", &said).await.expect(200);
    v1.post("/vector_stores", &json!({"name": "Starfruit"})).await.expect(200);
    let job = user.get("/users/me/export").await.expect(202);
    let id = job["id"].as_str().unwrap();
    let done = user.finished(id, Duration::from_secs(30)).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let path = format!("/users/me/exports/{id}");
    let response = user.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    let bytes = response.bytes().await.unwrap();
    let file = app.folder.join("account.zip");
    std::fs::write(&file, &bytes).unwrap();
    // Another program opens it.
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nfor n in z.namelist(): print('##', n); print(z.read(n).decode())";
    let read = std::process::Command::new("python3").args(["-c", script]).arg(&file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).unwrap();
    for part in [
        "## account.json",
        "## conversations.jsonl",
        "## memories.json",
        "## projects.jsonl",
        "## responses.jsonl",
        "/echo durian",
        "## v1_conversations.jsonl",
        "about rambutan",
        "## vector_stores.jsonl",
        "Starfruit",
        "find_lamp",
        "Lives in London",
        "Desk",
        &session,
        &user.name,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for hidden in ["password_hash", "$argon2", "headercanary", &secret] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    other.get(&path).await.problem(404, "not_found");
}
