//! A file is kept as it came, given back, counted, and gone when it is deleted.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer, documents, dump, eventually},
};

both_stacks!(a_file_is_kept_given_back_and_gone_when_deleted);

const TEXT: &str = "The pump starts at 40 degrees.\n\nIt stops when the tank is full.\n";

/// Bytes of all files of a data folder.
fn stored(app: &App) -> u64 {
    fn below(folder: &std::path::Path) -> u64 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path()),
                false => entry.metadata().unwrap().len(),
            })
            .sum()
    }
    below(&app.folder.join("files"))
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn a_file_is_kept_given_back_and_gone_when_deleted(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let form = format!(
        "--x\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--x\r\ncontent-disposition: form-data; \
         name=\"file\"; filename=\"../../manual.exe\"\r\ncontent-type: image/png\r\n\r\n{TEXT}\r\n--x--\r\n"
    );
    let request =
        user.request(Method::POST, "/files").header("content-type", "multipart/form-data; boundary=x");
    let sent = Answer::of(request.body(form.clone()).send().await.unwrap()).await.expect(201);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(
        (&sent["name"], &sent["kind"], &sent["bytes"]),
        (&json!("manual.exe"), &json!("text"), &json!(TEXT.len())),
        "what it is tells its content"
    );
    let read = user.until_read_file(id).await;
    assert_eq!(
        (&read["status"], &read["passages"], &read["pages"]),
        (&json!("indexed"), &json!(1), &json!(null))
    );
    assert_eq!(user.text_of(id).await, "The pump starts at 40 degrees.\nIt stops when the tank is full.");
    // The same content again, however it is called, is the same file.
    let again = user.upload("other.txt", TEXT).await.expect(200);
    assert_eq!((&again["id"], &again["name"]), (&sent["id"], &json!("manual.exe")));
    assert_eq!(stored(&app), TEXT.len() as u64, "its bytes are kept once");
    let other = app.user().await;
    let theirs = other.upload("manual.txt", TEXT).await.expect(201);
    assert_ne!(theirs["id"], sent["id"], "another's is another's");
    other.until_read_file(theirs["id"].as_str().unwrap()).await;

    let path = format!("/files/{id}/content");
    let ask = |name: &'static str, value: String| user.request(Method::GET, &path).header(name, value).send();
    let whole = user.request(Method::GET, &path).send().await.unwrap();
    let headers = whole.headers().clone();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename=\"manual.exe\"; filename*=UTF-8''manual.exe"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"), "{headers:?}");
    assert_eq!(whole.text().await.unwrap(), TEXT);
    let part = ask("range", "bytes=4-7".to_owned()).await.unwrap();
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-range"]),
        (206, &format!("bytes 4-7/{}", TEXT.len()).parse().unwrap())
    );
    assert_eq!(part.text().await.unwrap(), "pump");
    let tail = ask("range", "bytes=-6".to_owned()).await.unwrap();
    assert_eq!(tail.text().await.unwrap(), "full.\n");
    Answer::of(ask("range", "bytes=1000-".to_owned()).await.unwrap())
        .await
        .problem(416, "range_not_satisfiable");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(ask("if-none-match", tag).await.unwrap().status(), 304);

    user.send(Method::PATCH, &format!("/files/{id}"), &json!({"name": "a/b\u{202e}.txt"})).await.expect(200);
    let list = user.get("/files?status=indexed").await.expect(200);
    assert_eq!((&list["total"], &list["items"][0]["name"]), (&json!(1), &json!("b.txt")));
    assert_eq!(user.send(Method::DELETE, &format!("/files/{id}"), &json!({})).await.status, 204);
    user.get(&format!("/files/{id}")).await.problem(404, "not_found");
    assert_eq!(user.get("/files").await.expect(200)["total"], 0);
    assert_eq!(stored(&app), TEXT.len() as u64, "the other's are there");
    assert_eq!(
        other
            .send(Method::DELETE, &format!("/files/{}", theirs["id"].as_str().unwrap()), &json!({}))
            .await
            .status,
        204
    );
    assert_eq!(stored(&app), 0);
    let db = app.db().await;
    for table in ["chunks", "chunk_terms", "chunk_vectors", "file_deletions"] {
        assert_eq!(dump::rows(&db, table).await, [""; 0], "{table}");
    }
    // Whoever sets a conversation's files at the same moment gets what was asked for, and no mixture.
    let named = [user.indexed("a.txt", "One thing.").await, user.indexed("b.txt", "Another thing.").await];
    let session = user.post("/chat/sessions", &json!({})).await.expect(201);
    let place = format!("/chat/sessions/{}/files", session["id"].as_str().unwrap());
    let asked = |n: usize| json!({"file_ids": [named[n % 2]]});
    let set = async |n: usize| user.send(Method::PUT, &place, &asked(n)).await.expect(200);
    for (n, answer) in futures::future::join_all((0..8).map(set)).await.iter().enumerate() {
        assert_eq!(answer["file_ids"], asked(n)["file_ids"]);
    }
    // What a file calls its parts is in no error: PostgreSQL would not store this one.
    let container = br#"<container><rootfile full-path="evil%00.opf"/></container>"#;
    let book =
        documents::archive(&[("mimetype", b"application/epub+zip"), ("META-INF/container.xml", container)]);
    let book = user.upload("book.epub", book).await.expect(201);
    let book = user.until_read_file(book["id"].as_str().unwrap()).await;
    assert_eq!(book["status"], "failed");
    assert!(!book["error"].as_str().unwrap().contains("evil"), "{book}");
    // What stands around a file is small, wherever it stands.
    let long = "y".repeat(1_048_576);
    for form in [
        format!("{long}{form}"),
        form.replacen("content-type: image/png", &format!("content-type: image/png; x={long}"), 1),
        form.replace("user_data", &long),
        form.replace("--x--\r\n", &format!("--x\r\nx-long: {long}\r\n\r\nz\r\n--x--\r\n")),
    ] {
        let request =
            user.request(Method::POST, "/files").header("content-type", "multipart/form-data; boundary=x");
        Answer::of(request.body(form).send().await.unwrap()).await.problem(400, "malformed_request");
    }
    // A form that breaks off is no file.
    let cut = form.split_at(form.len() - 30).0.to_owned();
    let request =
        user.request(Method::POST, "/files").header("content-type", "multipart/form-data; boundary=x");
    Answer::of(request.body(cut).send().await.unwrap()).await.problem(400, "malformed_request");
}

/// Whose length nobody declared is counted as it comes, beside all others that come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_at_once_share_the_room() {
    const PART: usize = 8 * 1_048_576;
    let app = App::builder(Stack::Embedded).env("FILES__MAX_MB", 40).env("FILES__USER_MB", 20).start().await;
    let user = app.user().await;
    let begin = |n: u8| {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let body = reqwest::Body::wrap_stream(futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        }));
        let request = user.request(Method::POST, "/files").query(&[("name", format!("{n}.png"))]);
        let answer = request.header("content-type", "application/octet-stream").body(body).send();
        (sender, tokio::spawn(async move { Answer::of(answer.await.unwrap()).await }))
    };
    let part = |n: u8| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(PART + 1, n);
        Ok(bytes)
    };
    let ((first, first_answer), (second, second_answer)) = (begin(1), begin(2));
    first.send(part(1)).await.unwrap();
    second.send(part(2)).await.unwrap();
    eventually("both have a part", Duration::from_secs(20), || async {
        (stored(&app) == 2 * PART as u64).then_some(())
    })
    .await;
    // A third part has no room, whichever brings it.
    let _refused_meanwhile = first.send(Ok(vec![1; PART])).await;
    drop(first);
    first_answer.await.unwrap().problem(413, "quota_exceeded");
    drop(second);
    let kept = second_answer.await.unwrap().expect(201);
    assert_eq!(kept["bytes"], PART + 1);
    eventually("nothing else is kept", Duration::from_secs(20), || async {
        (stored(&app) == PART as u64 + 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_or_of_no_kind_is_refused_and_leaves_nothing() {
    let builder = App::builder(Stack::Embedded)
        .env("FILES__MAX_MB", 2)
        .env("FILES__USER_MB", 3)
        .env("FILES__USER_FILES", 3);
    let app = builder.start().await;
    let user = app.user().await;
    let png = |bytes: usize, n: u8| {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.resize(bytes, n);
        file
    };
    user.upload("a.png", png(2 * 1_048_576 + 1, 1)).await.problem(413, "body_too_large");
    user.upload("a.txt", "").await.problem(422, "validation_failed");
    for (name, bytes) in [
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec()),
        ("a.pdf", b"a\0b\0c".to_vec()),
        ("a.docx", documents::archive(&[("a.txt", b"x")])),
        ("a.gz", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
    ] {
        user.upload(name, bytes).await.problem(415, "unsupported_media_type");
    }
    let first = user.upload("a.png", png(2 * 1_048_576, 1)).await.expect(201);
    assert_eq!(
        (&first["status"], &first["job_id"]),
        (&json!("stored"), &json!(null)),
        "an image has no text"
    );
    user.upload("b.png", png(2 * 1_048_576, 2)).await.problem(413, "quota_exceeded");
    user.upload("c.png", png(1_000, 3)).await.expect(201);
    user.upload("d.png", png(1_000, 4)).await.expect(201);
    user.upload("e.png", png(1_000, 5)).await.problem(413, "quota_exceeded");
    user.post(&format!("/files/{}/retry", first["id"].as_str().unwrap()), &json!({}))
        .await
        .problem(409, "wrong_state");
    assert_eq!(stored(&app), 2 * 1_048_576 + 2_000, "of what was refused nothing is kept");
    assert_eq!(
        dump::rows(&app.db().await, "uploads").await.len(),
        3,
        "and no upload but those that became files"
    );
}
