//! Images that come with messages: models that see are shown them, those that do not are passed over, and nobody is shown another's.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        client::Answer,
        dump,
        replay::{Replay, Reply},
    },
    providers::formats::{GROQ, OPENAI},
};

both_stacks!(
    models_that_see_are_shown_what_comes_with_messages,
    what_fails_with_images_does_not_end_their_conversation,
    what_is_no_image_of_ones_own_is_refused,
    openais_clients_name_images_by_their_files,
);

const GONE: &str = "[An image that came with this message was deleted since.]";
const LEFT_OUT: &str = "[An image that came with this message is left out: there are too many.]";
const REJECTED: &str = "[An image came with this message. It could not be shown.]";
const UNREAD: &str = "[An image that came with this message cannot be read now.]";
const UNSEEN: &str = "[An image came with this message. You cannot see it.]";

fn png(bytes: usize, fill: u8) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.resize(bytes, fill);
    file
}

async fn kept(user: &User, name: &str, bytes: impl Into<Vec<u8>>) -> String {
    user.upload(name, bytes).await.expect(201)["id"].as_str().unwrap().to_owned()
}

fn shown(kind: &str, bytes: &[u8]) -> Value {
    let url = format!("data:{kind};base64,{}", BASE64.encode(bytes));
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// What a provider was asked last, titles apart.
fn asked(server: &Replay) -> Option<Vec<Value>> {
    let mut bodies =
        server.seen().into_iter().map(|seen| seen.json()["messages"].as_array().unwrap().clone());
    bodies.rfind(|messages| !messages[0].to_string().contains("Write a title"))
}

fn last(server: &Replay) -> Value {
    asked(server).unwrap().pop().unwrap()["content"].clone()
}

/// Groq's own model sees nothing; OpenAI's does.
async fn app(stack: Stack, blind: &Replay, seeing: &Replay) -> App {
    App::builder(stack)
        .env("AI_SERVICES__GROQ_BASE_URL", &blind.url)
        .env("AI_SERVICES__OPENAI_BASE_URL", &seeing.url)
        .env("AI_SERVICES__ORDER", r#"["groq", "openai"]"#)
        .env("MEMORY__PROVIDER", "mock")
        .start()
        .await
}

#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn models_that_see_are_shown_what_comes_with_messages(stack: Stack) {
    let (blind, seeing) = (
        Replay::start(|_, _| Reply::sse(GROQ.streamed)).await,
        Replay::start(|_, _| Reply::sse(OPENAI.streamed)).await,
    );
    let app = app(stack, &blind, &seeing).await;
    let ann = app.user().await;
    let (cat, dog) = (png(600, 7), [b"GIF89a".as_slice(), &[9; 500]].concat());
    // What it is called counts for nothing.
    let (cat_id, dog_id) =
        (kept(&ann, "cat.txt", cat.clone()).await, kept(&ann, "dog.gif", dog.clone()).await);
    let (cat_part, dog_part) = (shown("image/png", &cat), shown("image/gif", &dog));

    let body = json!({"message": "Who is it?", "images": [dog_id, cat_id, dog_id]});
    let said = ann.post("/chat", &body).await.expect(200);
    assert_eq!(said["provider"], "openai", "{said}");
    let question = json!({"type": "text", "text": "Who is it?"});
    assert_eq!(last(&seeing), json!([dog_part, cat_part, question]));
    assert!(asked(&blind).is_none(), "who sees nothing is not asked");
    let job = ann.job(said["job_id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["tries"][0]["provider"], &job["tries"][0]["error"]),
        (&json!("groq"), &json!("unsupported"))
    );
    let session = said["session_id"].as_str().unwrap();
    let messages = ann.messages(session).await;
    let dog_told = json!({"file_id": dog_id, "name": "dog.gif", "media_type": "image/gif"});
    let cat_told = json!({"file_id": cat_id, "name": "cat.txt", "media_type": "image/png"});
    assert_eq!(messages[0]["images"], json!([dog_told, cat_told]));
    assert_eq!(messages[1]["images"], json!([]));

    // The next message is asked with what was shown before; whoever is named and sees nothing is told so.
    let next = |more: Value| {
        let mut body = json!({"message": "And now?", "session_id": session});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let events = ann.stream(&next(json!({}))).await.all().await;
    assert_eq!(events.last().unwrap().data["provider"], "openai");
    let prompt = asked(&seeing).unwrap();
    assert_eq!(
        (&prompt[1]["content"][1], &prompt[3]["content"]),
        (&cat_part, &json!("And now?")),
        "{prompt:?}"
    );
    let told = ann.post("/chat", &next(json!({"provider": "groq"}))).await.expect(200);
    assert_eq!(told["provider"], "groq");
    let prompt = asked(&blind).unwrap();
    assert_eq!(prompt[1]["content"], format!("{UNSEEN}\n{UNSEEN}\nWho is it?"), "in plain text");
    let refused = ann.post("/chat", &next(json!({"provider": "groq", "images": [cat_id]}))).await;
    assert_eq!(refused.problem(422, "validation_failed")["errors"][0]["field"], "images");

    answered_again(&ann, &seeing, session, (&messages[0], &cat_part, &dog_part), &cat_id).await;

    // A key is for these images.
    let keyed = |images: Value| {
        let body = json!({"message": "Look.", "images": images});
        let request =
            ann.request(Method::POST, "/chat").header("idempotency-key", format!("{stack:?}")).json(&body);
        async { Answer::of(request.send().await.unwrap()).await }
    };
    let first = keyed(json!([cat_id])).await.expect(200);
    assert_eq!(keyed(json!([cat_id])).await.expect(200)["job_id"], first["job_id"]);
    keyed(json!([dog_id])).await.problem(422, "idempotency_mismatch");

    // Nothing that is stored has their bytes.
    let everything = dump::everything(&app.db().await).await.to_lowercase();
    for bytes in [&cat, &dog] {
        assert!(!everything.contains(&BASE64.encode(&bytes[..120]).to_lowercase()[..100]));
    }

    // Deleted, one is absent wherever it was, and the model is told.
    assert_eq!(ann.send(Method::DELETE, &format!("/files/{dog_id}"), &json!({})).await.status, 204);
    let messages = ann.messages(session).await;
    let absent = json!({"file_id": dog_id, "name": null, "media_type": null});
    assert_eq!(messages[0]["images"], json!([absent, cat_told]));
    ann.post("/chat", &next(json!({"provider": "openai"}))).await.expect(200);
    let gone = json!({"type": "text", "text": GONE});
    assert_eq!(asked(&seeing).unwrap()[1]["content"], json!([gone, cat_part, question]));
    let export = ann.get(&format!("/chat/sessions/{session}/export")).await.expect(200);
    assert_eq!(export["messages"][0]["images"], json!([absent, cat_told]));
    let text = ann.get(&format!("/chat/sessions/{session}/export?format=md")).await.expect(200);
    assert!(text.as_str().unwrap().contains("cat.txt"), "{text}");
}

/// Answered once more, in a branch, and in another's place.
async fn answered_again(
    ann: &User,
    seeing: &Replay,
    session: &str,
    (question, cat, dog): (&Value, &Value, &Value),
    cat_id: &str,
) {
    let (id, words) = (&question["id"], |text: &str| json!({"type": "text", "text": text}));
    let again = json!({"session_id": session, "message_id": id, "provider": "openai"});
    ann.post("/chat/regenerate", &again).await.expect(200);
    assert_eq!(last(seeing), json!([dog, cat, words("Who is it?")]));
    let edit = |more: Value| {
        let mut body = json!({"session_id": session, "from_message_id": id, "new_message": "Who, again?"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        async move {
            let made = ann.post("/chat/branch", &body).await.expect(201);
            let job = made["job_id"].as_str().unwrap();
            ann.finished(job, std::time::Duration::from_secs(30)).await;
            made["new_session_id"].as_str().unwrap().to_owned()
        }
    };
    let branch = edit(json!({})).await;
    assert_eq!(last(seeing), json!([dog, cat, words("Who, again?")]), "an edit keeps them");
    assert_eq!(ann.messages(&branch).await[0]["images"], question["images"]);
    edit(json!({"images": [cat_id]})).await;
    assert_eq!(last(seeing), json!([cat, words("Who, again?")]));
    let without = edit(json!({"images": []})).await;
    assert_eq!(ann.messages(&without).await[0]["images"], json!([]));
    let from = json!({"session_id": session, "from_message_id": id});
    let alone = json!({"session_id": session, "from_message_id": id, "images": [cat_id]});
    let refused = ann.post("/chat/branch", &alone).await.problem(422, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "images", "there is no message for them");
    let made = ann.post("/chat/branch", &from).await.expect(201);
    let shared = ann.messages(made["new_session_id"].as_str().unwrap()).await;
    assert_eq!(shared[0]["images"], question["images"], "a branch shares them");
}

async fn what_fails_with_images_does_not_end_their_conversation(stack: Stack) {
    // What whoever sees says to the next requests that show something.
    let faults: Arc<Mutex<Vec<u16>>> = Arc::default();
    let next = Arc::clone(&faults);
    let seeing = Replay::start(move |seen, _| {
        let fault = seen.text.contains("image_url").then(|| next.lock().unwrap().pop()).flatten();
        fault.map_or_else(|| Reply::sse(OPENAI.streamed), |status| Reply::json(status, "{}"))
    });
    let (blind, seeing) = (Replay::start(|_, _| Reply::sse(GROQ.streamed)).await, seeing.await);
    let app = App::builder(stack)
        .env("AI_SERVICES__GROQ_BASE_URL", &blind.url)
        .env("AI_SERVICES__OPENAI_BASE_URL", &seeing.url)
        .env("AI_SERVICES__ORDER", r#"["openai", "groq"]"#)
        .env("MEMORY__PROVIDER", "mock")
        .env("CHAT__CONTEXT_TOKENS", "2000")
        .start()
        .await;
    let ann = app.user().await;
    let (cat, dog) = (png(600, 7), png(600, 8));
    let (cat_id, dog_id) = (kept(&ann, "cat.png", &*cat).await, kept(&ann, "dog.png", &*dog).await);
    let (cat_part, dog_part) = (shown("image/png", &cat), shown("image/png", &dog));
    let words = |text: &str| json!({"type": "text", "text": text});

    // One failure passes: nobody who sees nothing answers in its place, and nothing is taken out.
    *faults.lock().unwrap() = vec![503];
    let body = json!({"message": "Who is it?", "images": [cat_id, dog_id]});
    let said = ann.post("/chat", &body).await.expect(200);
    assert_eq!(said["provider"], "openai");
    assert_eq!(last(&seeing), json!([cat_part, dog_part, words("Who is it?")]));
    let session = said["session_id"].as_str().unwrap();
    let ask = || async {
        let said = ann.post("/chat", &json!({"message": "And now?", "session_id": session})).await;
        assert_eq!(said.expect(200)["provider"], "openai");
        asked(&seeing).unwrap()
    };
    *faults.lock().unwrap() = vec![503];
    // Half of the window is for what was shown before.
    let fits = json!([cat_part, words(LEFT_OUT), words("Who is it?")]);
    assert_eq!(ask().await[1]["content"], fits);

    // Nobody takes it: the message that came with it fails, and what is said after it does not.
    *faults.lock().unwrap() = vec![400, 413];
    assert_eq!(ask().await[1]["content"], format!("{REJECTED}\n{LEFT_OUT}\nWho is it?"));
    let body = json!({"message": "Who?", "session_id": session, "images": [dog_id]});
    ann.post("/chat", &body).await.problem(502, "provider_refused");
    assert_eq!(ask().await[7]["content"], json!([dog_part, words("Who?")]));
    assert!(asked(&blind).is_none());
    assert_eq!(*faults.lock().unwrap(), Vec::<u16>::new());

    // Nor does what was said after it wait for a file that cannot be read.
    std::fs::rename(app.folder.join("files"), app.folder.join("away")).unwrap();
    assert_eq!(ask().await[7]["content"], format!("{UNREAD}\nWho?"));
}

async fn what_is_no_image_of_ones_own_is_refused(stack: Stack) {
    let app = App::start(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let (cat, secret) = (kept(&ann, "c.png", png(60, 1)).await, kept(&bob, "s.png", png(60, 2)).await);
    let text = kept(&ann, "t.png", "words").await;
    let large = kept(&ann, "l.png", png(5 * 1_048_576 / 4 * 3 + 1, 3)).await;
    let mut halves = Vec::new();
    for fill in 4..8 {
        halves.push(kept(&ann, "h.png", png(5 * 1_048_576 / 4 * 3 - 60_000, fill)).await);
    }
    let unknown = "file_00000000000000000000000000";
    let many: Vec<&String> = std::iter::repeat_n(&cat, 9).collect();
    for (images, field) in [
        (json!([cat, secret]), "images[1]"),
        (json!([unknown]), "images[0]"),
        (json!(["../cat.png"]), "images[0]"),
        (json!([cat, text]), "images[1]"),
        (json!([large]), "images[0]"),
        (json!(halves), "images[3]"),
        (json!(many), "images"),
    ] {
        let body = json!({"message": "/images", "provider": "mock", "model": "mock-sees", "images": images});
        let refused = ann.post("/chat", &body).await.problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    // Another's and none are told alike.
    let told = |of: &str| json!({"message": "/images", "images": [of]});
    let why = |answer: Value| answer["errors"][0]["message"].clone();
    let foreign = why(ann.post("/chat", &told(&secret)).await.problem(422, "validation_failed"));
    assert_eq!(foreign, why(ann.post("/chat", &told(unknown)).await.problem(422, "validation_failed")));
    assert_eq!(ann.get("/chat/sessions").await.expect(200)["total"], 0, "nothing was begun");

    // Nobody is there who sees: the answer says so, and the message is kept with what came with it.
    let refused = ann.post("/chat", &told(&cat)).await.problem(422, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "images");
    let session = &ann.get("/chat/sessions").await.expect(200)["items"][0];
    let messages = ann.messages(session["id"].as_str().unwrap()).await;
    assert_eq!((messages.len(), &messages[0]["images"][0]["file_id"]), (2, &json!(cat)));
    let again = json!({"session_id": session["id"], "provider": "mock", "model": "mock-sees"});
    let seen = ann.post("/chat/regenerate", &again).await.expect(200);
    assert_eq!(seen["reply"], "turn 1: image/png of 60 bytes");
}

async fn openais_clients_name_images_by_their_files(stack: Stack) {
    let app = App::start(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let (cat, secret) = (kept(&ann, "c.png", png(60, 1)).await, kept(&bob, "s.png", png(61, 2)).await);
    let text = kept(&ann, "t.txt", "words").await;
    let v1 = User { base: ann.base.replace("/api/v1", "/v1"), ..ann.clone() };
    let turn = |file: &str| {
        let image = json!({"type": "input_image", "file_id": file, "detail": "low"});
        json!({"role": "user", "content": [{"type": "input_text", "text": "/images"}, image]})
    };
    let ask = |input: Value, previous: Value| json!({"model": "mock/mock-sees", "input": input, "previous_response_id": previous});
    let first = v1.post("/responses", &ask(json!([turn(&cat)]), Value::Null)).await.expect(200);
    let words = |answer: &Value| answer["output"][0]["content"][0]["text"].clone();
    assert_eq!(words(&first), "turn 1: image/png of 60 bytes");
    let id = first["id"].as_str().unwrap();
    let items = v1.get(&format!("/responses/{id}/input_items")).await.expect(200);
    assert_eq!(items["data"][0]["content"][1]["file_id"], json!(cat), "{items}");
    let next = v1.post("/responses", &ask(json!("/images"), json!(id))).await.expect(200);
    assert_eq!(words(&next), "turn 1: image/png of 60 bytes");

    for file in [&secret, &text] {
        let refused = v1.post("/responses", &ask(json!([turn(file)]), Value::Null)).await.expect(400);
        assert_eq!(refused["error"]["param"], "input[0].content[1].file_id", "{refused}");
        let refused = v1.post("/conversations", &json!({"items": [turn(file)]})).await.expect(400);
        assert_eq!(refused["error"]["param"], "input[0].content[1].file_id", "{refused}");
    }
    v1.post("/responses", &ask(json!([turn("file_none")]), Value::Null)).await.expect(400);
    let part =
        json!({"type": "image_file", "file_id": cat, "image_url": {"url": "data:image/png;base64,QUJD"}});
    let smuggled = json!({"model": "mock/mock-sees", "messages": [{"role": "user", "content": [part]}]});
    v1.post("/chat/completions", &smuggled).await.expect(400);
    let unseen = json!({"model": "mock", "input": [turn(&cat)]});
    v1.post("/responses", &unseen).await.expect(400);

    let held = v1.post("/conversations", &json!({"items": [turn(&cat)]})).await.expect(200);
    let body = json!({"model": "mock/mock-sees", "input": "/images", "conversation": held["id"]});
    assert_eq!(words(&v1.post("/responses", &body).await.expect(200)), "turn 1: image/png of 60 bytes");
    assert_eq!(ann.send(Method::DELETE, &format!("/files/{cat}"), &json!({})).await.status, 204);
    let gone = v1.post("/responses", &ask(json!("/images"), json!(id))).await.expect(200);
    assert_eq!(words(&gone), "I see no image.", "{gone}");
}
