//! Files as their owners send and see them.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{
    client::{Answer, User},
    eventually,
};

impl User {
    /// Sends a file as the body itself.
    pub async fn upload(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(Method::POST, "/files").query(&[("name", name)]);
        let request = request.header("content-type", "application/octet-stream").body(bytes.into());
        Answer::of(request.send().await.unwrap()).await
    }

    /// Waits until a file is read, or cannot be.
    pub async fn until_read_file(&self, id: &str) -> Value {
        eventually(&format!("{id} is read"), Duration::from_secs(60), || async {
            let file = self.get(&format!("/files/{id}")).await.expect(200);
            ["stored", "indexed", "failed"].contains(&file["status"].as_str()?).then_some(file)
        })
        .await
    }

    /// A file that is read; its id.
    pub async fn indexed(&self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        let sent = self.upload(name, bytes).await.expect(201);
        let file = self.until_read_file(sent["id"].as_str().unwrap()).await;
        assert_eq!(file["status"], "indexed", "{file}");
        file["id"].as_str().unwrap().to_owned()
    }

    /// All of a file's text, as its passages have it.
    pub async fn text_of(&self, id: &str) -> String {
        let (mut text, mut cursor): (Vec<String>, String) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/files/{id}/passages?limit=200{cursor}")).await.expect(200);
            for passage in page["items"].as_array().unwrap() {
                let so_far = text.join("\n").chars().count() + usize::from(!text.is_empty());
                assert_eq!(passage["start"], so_far, "passages follow each other: {passage}");
                text.push(passage["text"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return text.join("\n"),
            }
        }
    }
}
