use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack, User,
        memory::{app, contents, id, quick},
    },
};

both_stacks!(
    what_export_gives_import_takes_whole,
    csv_is_defused_and_comes_back_the_same,
    broken_rows_are_reported_and_the_rest_goes_in,
    strategies_treat_what_is_known_as_they_say,
    an_import_survives_kill_9,
);

async fn export(user: &User, format: &str) -> String {
    let body = json!({"format": format, "include_relationships": true});
    let response = user.request(Method::POST, "/memory/export").json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

/// The set, without what another account must give anew.
fn set(export: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(export).unwrap();
    let name = |of: &Value, id: &Value| -> Value {
        let found = of["memories"].as_array().unwrap().iter().find(|memory| memory["id"] == *id);
        found.map_or(Value::Null, |memory| memory["content"].clone())
    };
    let mut all: Vec<Value> = Vec::new();
    for memory in file["memories"].as_array().unwrap() {
        let mut memory = memory.clone();
        memory["merged_into"] = name(&file, &memory["merged_into"]);
        memory.as_object_mut().unwrap().remove("id");
        all.push(memory);
    }
    for link in file["relationships"].as_array().into_iter().flatten() {
        let mut ends = [name(&file, &link["source"]).to_string(), name(&file, &link["target"]).to_string()];
        if link["type"] != "supports" {
            ends.sort();
        }
        all.push(json!({"ends": ends, "type": link["type"]}));
    }
    all.sort_by_key(Value::to_string);
    all
}

async fn furnish(user: &User) {
    user.tell("My name is Ana. I live in London. I like tea. I'm allergic to nuts.").await;
    user.verify(id(&user.memory("Likes tea").await), "reject").await;
    user.verify(id(&user.memory("Lives in London").await), "confirm").await;
    user.tell("I moved to Dhaka.").await;
    let (one, two) = (user.add_memory("Likes hats").await, user.add_memory("Likes red hats").await);
    user.post("/memory/consolidate", &json!({"memory_ids": [one, two]})).await.expect(200);
    let body = json!({"content": "=HYPERLINK(\"http://evil\",\"x\")\n\"quoted\", 'and' more", "importance": 0.123456789,
        "contexts": ["a;b", "c"], "is_private": true, "valid_from": "2020-02-02T02:02:02.123456Z",
        "expires_at": "2031-01-01T00:00:00Z"});
    user.post("/memory", &body).await.expect(201);
    for content in ["'=1+1 stays", "+49 30 1234", "-5 degrees outside", "@home on weekends"] {
        user.add_memory(content).await;
    }
    let (name, nuts) = (user.memory("Is called Ana").await, user.memory("Is allergic to nuts").await);
    let link = json!({"source_id": id(&name), "target_id": id(&nuts), "relationship_type": "supports"});
    user.post("/memory/link", &link).await.expect(201);
}

async fn what_export_gives_import_takes_whole(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (user, fresh) = (app.user().await, app.user().await);
    furnish(&user).await;
    let first = export(&user, "json").await;
    let mut file: Value = serde_json::from_str(&first).unwrap();
    file["merge_strategy"] = json!("merge");
    let imported = fresh.post("/memory/import", &file).await.expect(200);
    assert_eq!(
        imported["imported"].as_u64().unwrap() as usize,
        file["memories"].as_array().unwrap().len(),
        "{imported}"
    );
    assert_eq!(imported["errors"], json!([]));
    let second = export(&fresh, "json").await;
    assert_eq!(set(&second), set(&first));
    // Once more: nothing new, whatever the strategy.
    for strategy in ["skip_duplicates", "merge"] {
        file["merge_strategy"] = json!(strategy);
        let again = fresh.post("/memory/import", &file).await.expect(200);
        assert_eq!(
            (again["imported"].as_i64(), again["links"].as_i64()),
            (Some(0), Some(0)),
            "{strategy}: {again}"
        );
        assert_eq!(set(&export(&fresh, "json").await), set(&first), "{strategy}");
    }
    // As a job, in the background.
    let request = user.request(Method::POST, "/memory/export").header("prefer", "respond-async");
    let job: Value = request
        .json(&json!({"format": "json", "include_relationships": true}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let done = user.finished(job["id"].as_str().unwrap(), Duration::from_secs(20)).await;
    let path = done["result"]["download"].as_str().unwrap().trim_start_matches("/api/v1").to_owned();
    let fetched = user.request(Method::GET, &path).send().await.unwrap().text().await.unwrap();
    assert_eq!(set(&fetched), set(&first));
    fresh.get(&path).await.problem(404, "not_found");
}

async fn csv_is_defused_and_comes_back_the_same(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (user, fresh) = (app.user().await, app.user().await);
    furnish(&user).await;
    let csv = export(&user, "csv").await;
    assert!(
        csv.contains("'=HYPERLINK")
            && csv.contains("''=1+1")
            && csv.contains("'+49")
            && csv.contains("'@home"),
        "{csv}"
    );
    assert!(!csv.contains(",=") && !csv.contains(",\"="), "no cell is a formula");
    let wrapped = json!({"memories": csv, "format": "csv"});
    let imported = fresh.post("/memory/import", &wrapped).await.expect(200);
    assert_eq!(imported["errors"], json!([]), "{imported}");
    let without_links = |export: &str| -> Vec<Value> {
        set(export).into_iter().filter(|one| one.get("ends").is_none()).collect()
    };
    let strip = |all: Vec<Value>| -> Vec<Value> {
        all.into_iter()
            .map(|mut one| {
                one.as_object_mut().unwrap().remove("feedback");
                one.as_object_mut().unwrap().remove("extracted_at");
                one
            })
            .collect()
    };
    let (first, second) = (export(&user, "json").await, export(&fresh, "json").await);
    assert_eq!(strip(without_links(&second)), strip(without_links(&first)));
    // The file itself as a body.
    let raw = fresh
        .request(Method::POST, "/memory/import")
        .header("content-type", "text/csv")
        .body("content,importance\nOwns a kite,0.5\n");
    let answer = crate::harness::client::Answer::of(raw.send().await.unwrap()).await.expect(200);
    assert_eq!(answer["imported"], 1);
}

async fn broken_rows_are_reported_and_the_rest_goes_in(stack: Stack) {
    let app = quick(stack).start().await;
    let user = app.user().await;
    let memories = json!([{"content": "Good one"}, {"content": "x", "importance": 7}, {"content": ""}, "text", 5, null,
        {"content": "Bad type", "memory_type": "rumour"}, {"content": 12}, {"content": "Bad time", "created_at": "soon"},
        {"content": "Good two", "unknown": {"deep": [1]}}]);
    let imported = user.post("/memory/import", &json!({"memories": memories})).await.expect(200);
    assert_eq!(imported["imported"], 2, "{imported}");
    let rows: Vec<i64> =
        imported["errors"].as_array().unwrap().iter().map(|error| error["row"].as_i64().unwrap()).collect();
    assert_eq!(rows, [2, 3, 4, 5, 6, 7, 8, 9]);
    let csv = "\u{feff}Content,importance\r\nRow one,0.5\r\n\"Row, \"\"two\"\"\",oops\r\nonly\r\n\"Row\nfour\",1\r\n";
    let imported = user.post("/memory/import", &json!({"memories": csv, "format": "csv"})).await.expect(200);
    assert_eq!(
        (imported["imported"].as_i64(), imported["errors_total"].as_i64()),
        (Some(2), Some(2)),
        "{imported}"
    );
    assert_eq!(imported["errors"][0]["row"], 2);
    assert_eq!(contents(&user.memories("all").await), ["Good one", "Good two", "Row\nfour", "Row one"]);
    let send = async |body: Vec<u8>| {
        let request = user
            .request(Method::POST, "/memory/import")
            .header("content-type", "application/json")
            .body(body);
        crate::harness::client::Answer::of(request.send().await.unwrap()).await
    };
    for bad in [&b"{\"memories\":[{]}"[..], b"", b"{\"memories\":[]", b"nope", b"[1,2"] {
        send(bad.to_vec()).await.problem(400, "malformed_request");
    }
    for (body, field) in [
        (json!({"memories": [], "merge_strategy": "hope"}), "merge_strategy"),
        (json!({"memories": [], "format": "xml"}), "format"),
        (json!({"memories": "content\nx y\n", "format": "json"}), "memories"),
        (json!({"memories": "no,header\n1,2\n", "format": "csv"}), "memories"),
    ] {
        let problem = send(body.to_string().into_bytes()).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let request = user.request(Method::POST, "/memory/import").header("content-type", "text/plain").body("x");
    crate::harness::client::Answer::of(request.send().await.unwrap())
        .await
        .problem(415, "unsupported_media_type");
    // Ten million rows are refused, and nothing is kept of them.
    let db = app.db().await;
    let kept = async || crate::faults::worker_dies::one::<(i64,)>(&db, "select count(*) from blobs").await.0;
    let before = kept().await;
    let mut many = b"{\"memories\":[".to_vec();
    many.extend(b"{},".repeat(10_000_000));
    many.extend(b"{}]}");
    send(many).await.problem(413, "body_too_large");
    assert_eq!(kept().await, before);
}

async fn strategies_treat_what_is_known_as_they_say(stack: Stack) {
    let app = quick(stack).start().await;
    let user = app.user().await;
    user.post("/memory", &json!({"content": "Likes tea", "importance": 0.8, "contexts": ["home"]}))
        .await
        .expect(201);
    let import = async |strategy: &str| {
        let body = json!({"memories": [{"content": "LIKES tea", "importance": 0.3, "contexts": ["work"]}], "merge_strategy": strategy});
        let result = user.post("/memory/import", &body).await.expect(200);
        let now = user.memories("all").await;
        assert_eq!(now.len(), 1);
        (result, now[0].clone())
    };
    let (result, now) = import("skip_duplicates").await;
    assert_eq!((result["skipped"].as_i64(), now["importance"].as_f64()), (Some(1), Some(0.8)));
    let (result, now) = import("merge").await;
    assert_eq!((result["merged"].as_i64(), now["importance"].as_f64()), (Some(1), Some(0.8)));
    assert_eq!(
        (now["contexts"].clone(), now["content"].as_str()),
        (json!(["home", "work"]), Some("Likes tea"))
    );
    let (result, now) = import("overwrite").await;
    assert_eq!((result["merged"].as_i64(), now["importance"].as_f64()), (Some(1), Some(0.3)));
    assert_eq!((now["contexts"].clone(), now["content"].as_str()), (json!(["work"]), Some("LIKES tea")));
}

async fn an_import_survives_kill_9(stack: Stack) {
    let mut app = quick(stack).start().await;
    app.leaves_jobs(); // what was imported is looked through for longer than this test takes
    let user = app.user().await;
    let rows: Vec<Value> = (0..3_000).map(|n| json!({"content": format!("Fact number {n}")})).collect();
    let request = user.request(Method::POST, "/memory/import").header("prefer", "respond-async");
    let job: Value = request.json(&json!({"memories": rows})).send().await.unwrap().json().await.unwrap();
    let job = job["id"].as_str().unwrap().to_owned();
    app.kill_runner_at(&user, &job, [400, 1_600]).await;
    let done = user.finished(&job, Duration::from_secs(120)).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(done["result"]["imported"], 3_000, "every row once, though it ran {} times", done["attempt"]);
    assert_eq!(user.get("/memory?limit=1").await.expect(200)["total"], 3_000);
}
