use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack},
};

both_stacks!(sessions_are_listed_changed_and_deleted, lists_page_by_cursor_and_by_skip);

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

async fn sessions_are_listed_changed_and_deleted(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let mut made = Vec::new();
    for n in 0..3 {
        let answer = user.chat(&format!("/echo tea number {n}")).await;
        made.push(answer["session_id"].as_str().unwrap().to_owned());
    }
    let list = user.get("/chat/sessions").await.expect(200);
    assert_eq!((list["total"].as_i64(), ids(&list)[0]), (Some(3), made[2].as_str()));
    let path = format!("/chat/sessions/{}", made[0]);
    let before = user.get(&path).await.expect(200);
    let changed =
        user.send(Method::PATCH, &path, &json!({"title": " Tea ", "is_pinned": true})).await.expect(200);
    assert_eq!((changed["title"].as_str(), changed["is_pinned"].as_bool()), (Some("Tea"), Some(true)));
    assert_eq!(changed["updated_at"], before["updated_at"], "nothing was said in it");
    assert_eq!(ids(&user.get("/chat/sessions").await.expect(200))[0], made[0], "pinned ones come first");
    user.send(Method::PUT, &format!("/chat/sessions/{}", made[1]), &json!({"status": "archived"}))
        .await
        .expect(200);
    assert_eq!(user.get("/chat/sessions").await.expect(200)["total"], 2);
    assert_eq!(ids(&user.get("/chat/sessions?status=archived").await.expect(200)), [made[1].as_str()]);
    assert_eq!(user.get("/chat/sessions?status=all").await.expect(200)["total"], 3);
    assert_eq!(ids(&user.get("/chat/sessions?q=NUMBER%202").await.expect(200)), [made[2].as_str()]);
    assert_eq!(user.get("/chat/sessions?q=%25").await.expect(200)["total"], 0, "a percent sign is itself");
    // What was said counts as the title does, in letters of any alphabet.
    let greeting = user.chat("/echo Grüße aus Köln, আমি ঢাকায়").await;
    for q in ["grüße", "AUS K", "ঢাকায়", "aus köln"] {
        let found = user.get(&format!("/chat/sessions?q={q}")).await.expect(200);
        assert_eq!(ids(&found), [greeting["session_id"].as_str().unwrap()], "{q}");
    }
    let greeting = format!("/chat/sessions/{}", greeting["session_id"].as_str().unwrap());
    assert_eq!(user.send(Method::DELETE, &greeting, &json!({})).await.status, 204);
    assert_eq!(user.get("/chat/sessions?q=grüße").await.expect(200)["total"], 0);
    let history = user.get("/history?page=1&per_page=2").await.expect(200);
    assert_eq!((history["total"].as_i64(), history["items"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(history["items"][0]["session_id"], made[2]);
    assert_eq!(history["items"][0]["last_message"], "tea number 2");
    let same = user.get(&format!("/chat/history?session_id={}", made[0])).await.expect(200);
    assert_eq!((same["total"].as_i64(), same["session_id"].as_str()), (Some(2), Some(made[0].as_str())));

    let slow = json!({"message": "/delay 100 /tokens 200", "session_id": made[0]});
    let running = user.try_submit(&slow).await.unwrap()["id"].as_str().unwrap().to_owned();
    let stream = user.events(&running, None).await;
    assert_eq!(user.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    stream.all().await; // it ends, though its job is gone
    user.get(&path).await.problem(404, "not_found");
    user.get(&format!("/chat/history?session_id={}", made[0])).await.problem(404, "not_found");
    user.get(&format!("/jobs/{running}")).await.problem(404, "not_found");
    assert_eq!(user.request(Method::DELETE, &path).send().await.unwrap().status(), 404);
    user.post("/chat", &json!({"message": "hi", "session_id": made[0]})).await.problem(404, "not_found");
}

async fn lists_page_by_cursor_and_by_skip(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    for n in 0..7 {
        let session = user.post("/chat/sessions", &json!({"title": format!("S{n}")})).await.expect(201);
        if n % 3 == 0 {
            let path = format!("/chat/sessions/{}", session["id"].as_str().unwrap());
            user.send(Method::PATCH, &path, &json!({"is_pinned": true})).await.expect(200);
        }
    }
    // All of them have an S in the title, and the pages of a search are those of the list.
    for q in ["", "&q=s"] {
        let all = user.get(&format!("/chat/sessions?limit=200{q}")).await.expect(200);
        let all = ids(&all).into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all.len(), 7);
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = user.get(&format!("/chat/sessions?limit=2{q}{cursor}")).await.expect(200);
            assert_eq!(page["total"], 7);
            paged.extend(ids(&page).into_iter().map(str::to_owned));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, all);
        let skipped = user.get(&format!("/chat/sessions?limit=3&skip=4{q}")).await.expect(200);
        assert_eq!(ids(&skipped), all[4..7]);
        let beyond = user.get(&format!("/chat/sessions?skip=7{q}")).await.expect(200);
        assert_eq!((ids(&beyond).len(), &beyond["total"]), (0, &json!(7)));
    }
    for bad in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=99999999999999999999",
        "skip=-1",
        "cursor=!!",
        "cursor=bnVsbA",
        "skip=1&cursor=x",
        "status=odd",
        "q=%00",
    ] {
        user.get(&format!("/chat/sessions?{bad}")).await.problem(400, "invalid_query");
    }
    for bad in ["page=0", "page=-1", "per_page=0", "per_page=1000", "page=9223372036854775807"] {
        user.get(&format!("/history?{bad}")).await.problem(400, "invalid_query");
    }
}
