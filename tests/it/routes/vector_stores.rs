//! `/v1/files` and `/v1/vector_stores` as OpenAI's clients use them, forms that are wrong, and what is another's.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::openai::run;
use crate::{
    both_stacks,
    harness::{App, Stack, User, client::Answer, eventually},
};

both_stacks!(
    openai_python_searches_files,
    a_form_is_read_whole_before_its_file_is_kept,
    a_batch_that_is_cancelled_takes_unread_files_out,
    lists_go_on_and_repeats_make_nothing,
    nothing_of_anothers_is_found_or_named,
);

fn v1(user: &User) -> User {
    User { base: user.base.replace("/api/v1", "/v1"), ..user.clone() }
}

async fn openai_python_searches_files(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let made = user.post("/api-keys", &json!({"name": "program", "scopes": ["chat"]})).await.expect(201);
    let parts = ["files", "stores", "batches", "search", "cited", "streamed", "errors"];
    run(&app, made["key"].as_str().unwrap(), "openai_files.py", &parts).await;
}

async fn a_form_is_read_whole_before_its_file_is_kept(stack: Stack) {
    const FILE: (&str, &str) = ("file\"; filename=\"a.txt", "The pump is green.");
    let app = App::start(stack).await;
    let user = v1(&app.user().await);
    let send = async |parts: &[(&str, &str)]| {
        let mut form = String::new();
        for (name, content) in parts {
            form += &format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n");
        }
        form += "--x--\r\n";
        let request = user.request(Method::POST, "/files");
        let request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
        Answer::of(request.send().await.unwrap()).await
    };
    let purpose = ("purpose", "assistants");
    for (parts, param, code) in [
        (&[FILE] as &[_], "purpose", "missing_required_parameter"),
        (&[purpose], "file", "missing_required_parameter"),
        (&[FILE, ("purpose", "fine-tune")], "purpose", "unsupported_value"),
        (&[purpose, FILE, purpose], "purpose", "invalid_value"),
        (&[purpose, FILE, FILE], "file", "unsupported_value"),
        (&[purpose, FILE, ("expires_after[seconds]", "3600")], "expires_after", "unsupported_value"),
        (&[purpose, FILE, ("colour", "red")], "colour", "unknown_parameter"),
    ] {
        let refused = send(parts).await.expect(400);
        assert_eq!(
            (&refused["error"]["param"], &refused["error"]["code"]),
            (&json!(param), &json!(code)),
            "{refused}"
        );
    }
    assert_eq!(user.get("/files").await.expect(200)["data"], json!([]), "none of them was kept");
    user.post("/files", &json!({"file": "x", "purpose": "assistants"})).await.expect(415);
    // Clients send the fields in either order.
    let first = send(&[purpose, FILE]).await.expect(200);
    let last = send(&[FILE, ("purpose", "user_data")]).await.expect(200);
    assert_eq!((&first["id"], &first["purpose"]), (&last["id"], &json!("assistants")));
    assert_eq!(last["purpose"], "user_data");
}

async fn a_batch_that_is_cancelled_takes_unread_files_out(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let admin = super::admin::admin(&app).await;
    let read = user.indexed("read.txt", "The pump is green.").await;
    // Soon nothing is read any more.
    assert_eq!(admin.post("/admin/queues/memory/pause", &json!({})).await.status, 204);
    let v1 = v1(&user);
    let store = v1.post("/vector_stores", &json!({"name": "House"})).await.expect(200);
    let place = format!("/vector_stores/{}", store["id"].as_str().unwrap());
    let batches = format!("{place}/file_batches");
    let count = std::sync::atomic::AtomicUsize::new(0);
    let cancel = || async {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let waits = user.upload("waits.txt", format!("The roof is red {n} times.")).await.expect(201);
        let batch = v1.post(&batches, &json!({"file_ids": [read, waits["id"]]})).await.expect(200);
        let path = format!("{batches}/{}", batch["id"].as_str().unwrap());
        let waiting = v1.get(&format!("{path}/files?filter=in_progress")).await.expect(200);
        let whole = v1.get(&place).await.expect(200);
        let cancelled = v1.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
        (cancelled["status"] == "cancelled").then_some((waits, batch, waiting, whole, cancelled))
    };
    let found = eventually("it is not read any more", Duration::from_secs(30), cancel).await;
    let (waits, batch, waiting, whole, cancelled) = found;
    assert_eq!((&batch["status"], &batch["file_counts"]["in_progress"]), (&json!("in_progress"), &json!(1)));
    assert_eq!(whole["status"], "in_progress");
    assert_eq!((&waiting["data"][0]["id"], waiting["data"].as_array().unwrap().len()), (&waits["id"], 1));
    let counts = &cancelled["file_counts"];
    assert_eq!(
        (&counts["completed"], &counts["cancelled"], &counts["total"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(admin.post("/admin/queues/memory/resume", &json!({})).await.status, 204);
    let left = v1.get(&format!("{place}/files")).await.expect(200).to_string();
    assert!(left.contains(&read) && !left.contains(waits["id"].as_str().unwrap()), "{left}");
    v1.get(&format!("/files/{}", waits["id"].as_str().unwrap())).await.expect(200);
}

/// A list goes on where a file was that is gone since; requests that are sent again say what the first ones made; thousands of ids
/// that are none get one short answer.
async fn lists_go_on_and_repeats_make_nothing(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let mut files = Vec::new();
    for n in 0..4 {
        files.push(user.indexed(&format!("{n}.txt"), format!("The pump number {n} stops at noon.")).await);
    }
    let v1 = v1(&user);
    let store = v1.post("/vector_stores", &json!({"file_ids": files[..3]})).await.expect(200);
    let place = format!("/vector_stores/{}", store["id"].as_str().unwrap());
    let page = |answer: &Value| -> Vec<String> {
        let data = answer["data"].as_array().unwrap();
        data.iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = v1.get(&format!("{place}/files?limit=1")).await.expect(200);
    assert_eq!((page(&first), &first["has_more"]), (vec![files[2].clone()], &json!(true)));
    v1.request(Method::DELETE, &format!("{place}/files/{}", files[2])).send().await.unwrap();
    let second = v1.get(&format!("{place}/files?after={}", files[2])).await.expect(200);
    assert_eq!(page(&second), [files[1].clone(), files[0].clone()]);

    // A file that was in before goes on being in when the batch is cancelled.
    let keyed = async |key: &str, path: &str, body: &Value| {
        let request = v1.request(Method::POST, path).header("idempotency-key", key).json(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let batches = format!("{place}/file_batches");
    let batch = json!({"file_ids": [files[1], files[3]]});
    let made = keyed("batch-1", &batches, &batch).await.expect(200);
    assert_eq!(keyed("batch-1", &batches, &batch).await.expect(200)["id"], made["id"]);
    keyed("batch-1", &batches, &json!({"file_ids": [files[0]]})).await.expect(400);
    let path = format!("{batches}/{}/cancel", made["id"].as_str().unwrap());
    let counts = &v1.post(&path, &json!({})).await.expect(200)["file_counts"];
    assert_eq!(
        (&counts["completed"], &counts["cancelled"]),
        (&json!(2), &json!(0)),
        "they are read: {counts}"
    );

    let many: Vec<String> = (0..200_000).map(|n| format!("none_{n}")).collect();
    for (path, body) in [
        ("/vector_stores".to_owned(), json!({"file_ids": many})),
        (batches.clone(), json!({"file_ids": many})),
        (batches, json!({"file_ids": many[..500]})),
    ] {
        let refused = v1.post(&path, &body).await.expect(400);
        assert!(refused.to_string().len() < 40_000, "{}", refused.to_string().len());
    }

    let asked = json!({"model": "mock", "input": "When does the pump number 1 stop?", "tools": [
        {"type": "file_search", "vector_store_ids": [store["id"]]}]});
    let answer = keyed("answer-1", "/responses", &asked).await.expect(200);
    v1.request(Method::DELETE, &place).send().await.unwrap();
    assert_eq!(keyed("answer-1", "/responses", &asked).await.expect(200), answer);
    keyed("answer-2", "/responses", &asked).await.expect(400);
}

/// Neither a store nor a file of another can be named, whichever way; and what is told of it is what is told of nothing.
async fn nothing_of_anothers_is_found_or_named(stack: Stack) {
    let app = App::start(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let secret = bob.indexed("secret.txt", "The quince pump of Bob stops at midnight in the cellar.").await;
    let mine = ann.indexed("mine.txt", "The quince pump stops when the tank is full.").await;
    let (ann, bob) = (v1(&ann), v1(&bob));
    let store_of = async |user: &User, file: &str| {
        let made = user.post("/vector_stores", &json!({"file_ids": [file]})).await.expect(200);
        made["id"].as_str().unwrap().to_owned()
    };
    let (of_ann, of_bob) = (store_of(&ann, &mine).await, store_of(&bob, &secret).await);
    let nothing = |answer: Answer| {
        assert!(!answer.body.to_string().contains("midnight"), "{}", answer.body);
        assert_eq!(answer.expect(404)["error"]["code"], "not_found");
    };
    let place = format!("/vector_stores/{of_ann}");
    nothing(ann.post("/vector_stores", &json!({"file_ids": [secret]})).await);
    nothing(ann.post(&format!("{place}/files"), &json!({"file_id": secret})).await);
    nothing(ann.post(&format!("{place}/file_batches"), &json!({"file_ids": [mine, secret]})).await);
    nothing(ann.get(&format!("{place}/files/{secret}/content")).await);
    nothing(ann.get(&format!("/vector_stores/{of_bob}/files/{secret}/content")).await);
    nothing(ann.post(&format!("/vector_stores/{of_bob}/search"), &json!({"query": "quince pump"})).await);
    nothing(ann.post(&format!("/vector_stores/{of_bob}/files"), &json!({"file_id": mine})).await);
    let files = ann.get(&format!("{place}/files")).await.expect(200);
    assert_eq!(files["data"].as_array().unwrap().len(), 1, "of a batch, all or none: {files}");
    assert_eq!(ann.get("/vector_stores").await.expect(200)["data"].as_array().unwrap().len(), 1);
    let found =
        ann.post(&format!("{place}/search"), &json!({"query": "When does the quince pump stop?"})).await;
    let found = found.expect(200);
    assert_eq!(found["data"][0]["file_id"], mine.as_str());
    assert!(!found.to_string().contains("midnight"), "{found}");
    let ask = async |stores: Value| {
        let tool = json!({"type": "file_search", "vector_store_ids": stores});
        let body = json!({"model": "mock", "input": "/system When does the quince pump stop?", "tools": [tool],
            "include": ["file_search_call.results"]});
        ann.post("/responses", &body).await
    };
    for stores in [json!([of_bob]), json!([of_ann, of_bob])] {
        let refused = ask(stores).await.expect(400);
        assert_eq!(refused["error"]["param"], "tools.vector_store_ids", "{refused}");
    }
    let answer = ask(json!([of_ann])).await.expect(200);
    let text = answer.to_string();
    assert!(text.contains("tank is full") && !text.contains("midnight"), "{text}");
}
