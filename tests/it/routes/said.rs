//! Sessions by what was said in them: it is kept in memory, and must be found as it is now.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        client::User,
        replay::{Replay, Reply},
    },
};

both_stacks!(
    what_was_said_is_found_as_it_is_now,
    who_said_more_than_is_kept_or_read_at_once_finds_it_all_the_same,
);

/// Sessions in which a text is found, after a first search that brought what there was into memory.
async fn found(user: &User, text: &str) -> Vec<String> {
    let list = user.get(&format!("/chat/sessions?status=all&limit=200&q={text}")).await.expect(200);
    let ids: Vec<String> =
        list["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(list["total"], ids.len(), "{text}");
    ids
}

/// A model that says its name.
fn named(seen: &crate::harness::replay::Seen) -> Reply {
    let word = seen.json()["model"].clone();
    let said = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": null}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    Reply::sse(format!("data: {said}\n\ndata: {end}\n\ndata: [DONE]\n\n"))
}

async fn what_was_said_is_found_as_it_is_now(stack: Stack) {
    let openai = Replay::start(|seen, _| named(seen)).await;
    let app = App::builder(stack)
        .env("AI_SERVICES__OPENAI_BASE_URL", &openai.url)
        .env("AI_SERVICES__OPENAI_API_KEY", "sk-1")
        .start()
        .await;
    let (user, other) = (app.user().await, app.user().await);
    let session = user.post("/chat/sessions", &json!({"title": "Fruit"})).await.expect(201);
    let session = session["id"].as_str().unwrap().to_owned();
    let here = vec![session.clone()];
    assert_eq!(found(&user, "fRUIT").await, here);
    assert_eq!(found(&user, "quince").await, Vec::<String>::new());
    let ask = json!({"message": "ΟΔΟΣΕΙΣ, Äpfel or", "session_id": session, "provider": "openai", "model": "quince"});
    let first = user.post("/chat", &ask).await.expect(200)["message_id"].as_str().unwrap().to_owned();
    assert_eq!(found(&user, "QUINCE").await, here);
    assert_eq!(found(&user, "äpfel").await, here);
    assert_eq!(found(&user, "ΟΔΟΣ").await, here, "a word's end is none here");
    assert_eq!(found(&user, "orquince").await, Vec::<String>::new(), "these are two messages");
    assert_eq!(found(&other, "quince").await, Vec::<String>::new());
    let again = json!({"session_id": session, "provider": "openai", "model": "medlar"});
    let second = user.post("/chat/regenerate", &again).await.expect(200);
    let second = second["message_id"].as_str().unwrap();
    assert_eq!((found(&user, "medlar").await, found(&user, "quince").await), (here.clone(), vec![]));
    let back = format!("/chat/messages/{second}/variants/{first}/use");
    assert_eq!(user.post(&back, &json!({})).await.status, 204);
    assert_eq!((found(&user, "medlar").await, found(&user, "quince").await), (vec![], here.clone()));
    let path = format!("/chat/sessions/{session}");
    user.send(Method::PATCH, &path, &json!({"title": "Trees"})).await.expect(200);
    assert_eq!((found(&user, "fruit").await, found(&user, "trees").await), (vec![], here));
    assert_eq!(user.send(Method::DELETE, &path, &json!({})).await.status, 204);
    assert_eq!(found(&user, "quince").await, Vec::<String>::new());
}

/// Conversations of Claude's, with what the user says in each.
async fn import(user: &User, talks: &[Vec<String>]) {
    let at = "2025-03-01T12:00:00.000000Z";
    let uuid = |talk: usize, number: usize| format!("{talk:08x}-0000-4000-8000-{number:012x}");
    let talk = |(talk, texts): (usize, &Vec<String>)| {
        let message = |(number, text): (usize, &String)| json!({"uuid": uuid(talk, number), "sender": "human", "text": text, "created_at": at, "updated_at": at});
        let messages: Vec<Value> = texts.iter().enumerate().map(message).collect();
        json!({"uuid": uuid(talk, 9_999), "name": format!("talk {talk}"), "created_at": at, "updated_at": at,
               "chat_messages": messages})
    };
    let export: Vec<Value> = talks.iter().enumerate().map(talk).collect();
    let result = user.post("/chat/sessions/import?extract=false", &json!(export)).await.expect(200);
    assert_eq!(result["sessions"], talks.len(), "{result}");
}

async fn who_said_more_than_is_kept_or_read_at_once_finds_it_all_the_same(stack: Stack) {
    let app = App::builder(stack).env("MEMORY__CACHE_MB", 1).start().await;
    let (large, many) = (app.user().await, app.user().await);
    let mut texts = vec!["x ".repeat(5_000); 60];
    texts.push("and a walnut".to_owned());
    import(&large, &[texts]).await;
    let numbers = |from: usize| (from..from + 2_600).map(|number| format!("n{number}.")).collect();
    import(&many, &[numbers(0), numbers(2_600)]).await;
    for _ in 0..3 {
        assert_eq!(found(&large, "A walnut").await.len(), 1);
        assert_eq!(found(&large, "almond").await.len(), 0);
        let (first, second) = (found(&many, "talk 0").await, found(&many, "talk 1").await);
        for (text, talk) in [("n0.", &first), ("n1000.", &first), ("n2600.", &second), ("n5199.", &second)] {
            assert_eq!(found(&many, text).await, *talk, "{text}");
        }
    }
    // Nearly all that there is room for, which is read again when something is said.
    let near = app.user().await;
    let texts = (0..1_500).map(|number| format!("{} n{number}.", "x".repeat(140))).collect();
    import(&near, &[texts]).await;
    assert_eq!(found(&near, "n1400.").await.len(), 1);
    for user in [&large, &many, &near] {
        let [session] = found(user, "talk 0").await.try_into().unwrap();
        user.chat_in(&session, "/echo an almond").await;
        assert_eq!(found(user, "almond").await, [session]);
    }
    assert_eq!(found(&near, "n1400.").await.len(), 1);
}
