//! Whoever reads files is killed again and again: in the end each is read whole and once, and no byte or passage is nobody's.

use std::time::Duration;

use reqwest::Method;

use crate::{
    both_stacks,
    harness::{Stack, documents, dump, eventually, memory::quick},
};

both_stacks!(kill_9_while_files_are_read_leaves_none_half_read);

const FILES: usize = 6;

async fn kill_9_while_files_are_read_leaves_none_half_read(stack: Stack) {
    let builder = quick(stack).workers(1).env("FILES__UPLOAD_SECONDS", "1").env("QUEUE__MAX_ATTEMPTS", "50");
    let mut app = builder.start().await;
    let user = app.user().await;
    let paragraphs: Vec<String> =
        (0..400).map(|n| format!("Paragraph {n} says that thing{n} is {}.", "long ".repeat(60))).collect();
    let text = paragraphs.join("\n\n");
    let mut files = Vec::new();
    for n in 0..FILES {
        let section: [documents::Section<'_>; 1] = [("All", &[text.as_str()])];
        let bytes =
            if n % 2 == 0 { format!("{n}\n\n{text}").into_bytes() } else { documents::docx(&section) };
        let sent = user.upload(&format!("{n}.txt"), bytes).await;
        if sent.status == 201 {
            files.push(sent.body["id"].as_str().unwrap().to_owned());
        }
    }
    // An upload that its sender gives up without a word.
    let begun =
        user.request(Method::POST, "/files/uploads").header("upload-length", 100).send().await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let part = user.request(Method::PATCH, &place).header("content-type", "application/offset+octet-stream");
    assert_eq!(part.header("upload-offset", 0).body("half").send().await.unwrap().status(), 204);
    for n in 0..5u64 {
        // A pause between faults, not a synchronisation: where it strikes is meant to be arbitrary.
        tokio::time::sleep(Duration::from_millis(150 + 130 * n)).await;
        app.kill_runner();
        app.start_runner();
    }
    let mut passages = 0;
    for id in &files {
        let file = user.until_read_file(id).await;
        assert_eq!(file["status"], "indexed", "{file}");
        let read = user.text_of(id).await;
        assert!(read.contains("thing0 ") && read.contains("thing399 "), "{file}");
        passages += file["passages"].as_u64().unwrap() as usize;
    }
    let db = app.db().await;
    eventually("what the dead have left is gone", Duration::from_secs(60), || async {
        let stored = dump::rows(&db, "chunks").await.len();
        let uploads = dump::rows(&db, "uploads").await.len() + dump::rows(&db, "file_deletions").await.len();
        (stored == passages && uploads == 0).then_some(())
    })
    .await;
    let folders = std::fs::read_dir(app.folder.join("files")).unwrap().flatten();
    let kept: usize = folders.map(|user| std::fs::read_dir(user.path()).unwrap().count()).sum();
    assert_eq!(kept, files.len(), "a folder a file");
}
