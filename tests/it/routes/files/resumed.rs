//! Large files in pieces, as tus has it.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        client::{Answer, User},
        dump,
    },
};

both_stacks!(a_file_comes_in_pieces_from_wherever_it_broke_off);

async fn send(user: &User, place: &str, offset: usize, bytes: &[u8]) -> Answer {
    let request = user
        .request(Method::PATCH, place)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", offset)
        .body(bytes.to_vec());
    Answer::of(request.send().await.unwrap()).await
}

async fn begin(user: &User, length: usize) -> String {
    let request = user
        .request(Method::POST, "/files/uploads")
        .header("upload-length", length)
        .header("upload-metadata", "filename cGljdHVyZS5wbmc=,x");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    response.headers()["location"].to_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned()
}

async fn a_file_comes_in_pieces_from_wherever_it_broke_off(stack: Stack) {
    let mut app = App::builder(stack).start().await;
    let user = app.user().await;
    // Two parts and a half, so that pieces end before, within and behind a part. Three bytes do not tell what it is.
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend((0..20 * 1_048_576u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    let place = begin(&user, file.len()).await;
    let cuts = [0, 3, 100, 8 * 1_048_576, 9 * 1_048_576 + 5, file.len()];
    for (n, pair) in cuts.windows(2).enumerate() {
        if n == 3 && stack == Stack::Embedded {
            app.kill_runner();
            app.start_runner();
        }
        let told = user.request(Method::HEAD, &place).send().await.unwrap();
        assert_eq!(told.headers()["upload-offset"].to_str().unwrap(), pair[0].to_string());
        send(&user, &place, pair[0] + 1, &file[pair[0]..pair[1]]).await.problem(409, "wrong_state");
        let sent = send(&user, &place, pair[0], &file[pair[0]..pair[1]]).await;
        assert_eq!(sent.status, 204, "{}", sent.body);
        assert_eq!(sent.headers["upload-offset"].to_str().unwrap(), pair[1].to_string());
    }
    let upload = user.get(&place).await.expect(200);
    let id = upload["file_id"].as_str().unwrap();
    let made = user.get(&format!("/files/{id}")).await.expect(200);
    assert_eq!(
        (&made["name"], &made["kind"], &made["bytes"]),
        (&json!("picture.png"), &json!("png"), &json!(file.len()))
    );
    let back = user
        .request(Method::GET, &format!("/files/{id}/content"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(back == file, "it is what was sent");
    let across =
        user.request(Method::GET, &format!("/files/{id}/content")).header("range", "bytes=8388600-8388620");
    assert_eq!(across.send().await.unwrap().bytes().await.unwrap(), file[8_388_600..8_388_621]);
    // The whole at once is known by its content.
    assert_eq!(user.upload("again.png", file.clone()).await.expect(200)["id"], id);

    let other = app.user().await;
    send(&other, &place, 0, b"x").await.problem(404, "not_found");
    let place = begin(&user, 10).await;
    send(&user, &place, 0, &[b'x'; 11]).await.problem(413, "body_too_large");
    assert_eq!(user.send(Method::DELETE, &place, &json!({})).await.status, 204);
    user.get(&place).await.problem(404, "not_found");
    assert_eq!(user.send(Method::DELETE, &format!("/files/{id}"), &json!({})).await.status, 204);
    let left = std::fs::read_dir(app.folder.join("files")).map_or(0, |folder| folder.count());
    assert_eq!((left, dump::rows(&app.db().await, "file_deletions").await.len()), (0, 0));
}
