//! What was said in one conversation is known in another, as far as its user wants: not what was forgotten, not what is private outside
//! of the deployment, not across projects, and never another user's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, memory::id},
};

both_stacks!(
    what_was_said_elsewhere_is_known_here,
    what_its_user_withdrew_is_in_no_prompt,
    of_the_conversation_itself_nothing_comes_twice,
    what_is_private_or_not_read_yet_goes_to_nobody_outside,
);

const OPEN: &str = "<past_turns>";

/// The system prompt that a question in a new conversation has.
async fn prompt(user: &User, question: &str, more: Value) -> String {
    let mut body = json!({"message": format!("/system {question}")});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    user.post("/chat", &body).await.expect(200)["reply"].as_str().unwrap().to_owned()
}

async fn what_was_said_elsewhere_is_known_here(stack: Stack) {
    let app = App::start(stack).await;
    let (ann, bob) = (app.user().await, app.user().await);
    let first = ann.chat("My train to Sylhet leaves from platform seven").await;
    let none = prompt(&ann, "What is the capital of Mongolia?", json!({})).await;
    assert!(!none.contains(OPEN), "nothing bears on it: {none}");
    let question = "Which platform does the Sylhet train leave from?";
    // Where it is in the window it is not told twice.
    let here = json!({"session_id": first["session_id"]});
    assert!(!prompt(&ann, question, here).await.contains("platform seven"));
    let said = prompt(&ann, question, json!({})).await;
    assert!(said.contains(OPEN) && said.contains("platform seven"), "{said}");
    assert!(!prompt(&bob, question, json!({})).await.contains(OPEN));
    // Who asks without memory gets none.
    assert!(!prompt(&ann, question, json!({"enable_memory": false})).await.contains(OPEN));
    // A stream says which turns it has, by their ids.
    let body = json!({"message": format!("/system {question}")});
    let events = ann.stream(&body).await.all().await;
    let told = events.iter().find(|event| event.name == "past_turns").expect("the event");
    let told = told.data["turns"].as_array().unwrap();
    let from_first = told.iter().find(|turn| turn["session_id"] == first["session_id"]).unwrap();
    assert_eq!(from_first["message_id"], ann.messages(first["session_id"].as_str().unwrap()).await[0]["id"]);
    // What a model answered is no source: it would come back as if it were known.
    let again = prompt(&ann, question, json!({})).await;
    let block = again.split(OPEN).nth(1).unwrap().split("</past_turns>").next().unwrap();
    assert!(block.contains("platform seven") && !block.contains("You are"), "{block}");
    // In another project it is another matter.
    let project = ann.post("/projects", &json!({"name": "Desk"})).await.expect(201)["id"].clone();
    assert!(!prompt(&ann, question, json!({"project_id": project})).await.contains(OPEN));
    // With a conversation it goes.
    for session in ann.get("/chat/sessions?limit=100").await.expect(200)["items"].as_array().unwrap() {
        let path = format!("/chat/sessions/{}", session["id"].as_str().unwrap());
        ann.request(Method::DELETE, &path).send().await.unwrap();
    }
    assert!(!prompt(&ann, question, json!({})).await.contains("platform seven"));
}

async fn what_its_user_withdrew_is_in_no_prompt(stack: Stack) {
    let (app, _index) = crate::harness::memory::app(stack).await;
    let user = app.user().await;
    let question = "Is there a peanut allergy, and where is the violin lesson?";
    // As it is said, before anything is read, and not if it is said not to be remembered.
    user.post("/chat", &json!({"message": "My violin lesson is in Uttara", "enable_memory": false}))
        .await
        .expect(200);
    assert!(!prompt(&user, question, json!({})).await.contains("Uttara"));
    user.tell("I am allergic to peanut butter, my violin lesson is on Friday").await;
    // What is sensitive waits for its user, and so do the words that say it.
    let memories = user.memories("all").await;
    let allergy = memories.iter().find(|memory| memory["content"].as_str().unwrap().contains("peanut"));
    let allergy = allergy.unwrap_or_else(|| panic!("{memories:?}")).clone();
    user.verify(id(&allergy), "confirm").await;
    assert!(prompt(&user, question, json!({})).await.contains("violin lesson is on Friday"));
    let off = json!({"memory_settings": {"use_past_conversations": false}});
    assert_eq!(
        user.send(Method::PATCH, "/settings", &off).await.expect(200)["memory_settings"]["use_past_conversations"],
        false
    );
    assert!(!prompt(&user, question, json!({})).await.contains(OPEN));
    let on = json!({"memory_settings": {"use_past_conversations": true}});
    user.send(Method::PATCH, "/settings", &on).await.expect(200);
    // Deleted, a memory takes its words along, and the answer that says them again.
    let path = format!("/memory/{}", id(&allergy));
    assert!(user.request(Method::DELETE, &path).send().await.unwrap().status().is_success());
    let after = prompt(&user, question, json!({})).await;
    assert!(!after.contains("I am allergic") && !after.contains("on Friday"), "{after}");
    // Nor if it is said again: what reads it knows that it is not wanted.
    user.tell("I am allergic to peanut butter. The violin is in tune for the lesson.").await;
    let after = prompt(&user, question, json!({})).await;
    assert!(!after.contains("in tune"), "{after}");
}

/// Neither is what follows in the conversation itself, nor what a branch was made to replace.
async fn of_the_conversation_itself_nothing_comes_twice(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    user.chat("/echo another conversation").await;
    let first = user.chat("/system The budget of the wedding is 5000").await;
    let session = first["session_id"].as_str().unwrap();
    user.chat_in(session, "The budget of the wedding is now 7000").await;
    let messages = user.messages(session).await;
    let at = json!({"session_id": session, "from_message_id": messages[1]["id"]});
    let branch = user.post("/chat/branch", &at).await.expect(201);
    let branch = branch["new_session_id"].as_str().unwrap();
    let branched = user.chat_in(branch, "/system What is the budget of the wedding?").await;
    assert!(!branched["reply"].as_str().unwrap().contains(OPEN), "{branched}");
    let elsewhere = prompt(&user, "What is the budget of the wedding?", json!({})).await;
    assert!(elsewhere.contains("5000") && elsewhere.contains("7000"), "{elsewhere}");
}

async fn what_is_private_or_not_read_yet_goes_to_nobody_outside(stack: Stack) {
    let builder = crate::harness::memory::quick(stack).http_provider(&[]).env("MEMORY__PROVIDER", "mock");
    let app = builder.start().await;
    let user = app.user().await;
    let question = "Where does the therapist have her office?";
    let (outside, inside) = (json!({"provider": "openai"}), json!({"provider": "mock"}));
    let session = user.chat("I like the office of my therapist in Banani").await["session_id"].clone();
    user.until_read(session.as_str().unwrap()).await;
    assert!(
        prompt(&user, question, outside.clone()).await.contains("Banani"),
        "it was read, and nothing is private"
    );
    for memory in user.memories("all").await {
        let body = json!({"memory_ids": [memory["id"]], "is_private": true});
        user.post("/memory/privacy", &body).await.expect(200);
    }
    assert!(!prompt(&user, question, outside.clone()).await.contains("Banani"));
    assert!(prompt(&user, question, inside).await.contains("Banani"));
    let allow = json!({"memory_settings": {"allow_private_in_context": true}});
    user.send(Method::PATCH, "/settings", &allow).await.expect(200);
    assert!(prompt(&user, question, outside.clone()).await.contains("Banani"));
    // Nobody can know yet whether it is private.
    let deny =
        json!({"memory_settings": {"allow_private_in_context": false, "auto_memory_extraction": false}});
    user.send(Method::PATCH, "/settings", &deny).await.expect(200);
    user.chat("The plumber has her office in Gulshan").await;
    let question = "Where does the plumber have her office?";
    assert!(!prompt(&user, question, outside).await.contains("Gulshan"));
    assert!(prompt(&user, question, json!({"provider": "mock"})).await.contains("Gulshan"));
}
