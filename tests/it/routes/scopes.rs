//! What a key may see is told by its scopes, whichever route it comes by. One user with something of every kind, one key
//! for every scope, every route that gives something: no key sees what is not its own.

use std::collections::HashMap;

use rapport_api::{policy::Content, rule_of};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, User, eventually, memory, sse::Events},
};

both_stacks!(keys_see_what_their_scopes_say, a_key_without_memory_chats_without);

/// A word that stands in this kind of content alone.
const IN_MEMORY: &str = "quincunx";
/// As memories say what was told in a chat.
const AS_MEMORY: &str = "Lives in";
const IN_CHAT: &str = "heliotrope";
const IN_PROJECT: &str = "marzipan";
const IN_ACCOUNT: &str = "xylograph";

fn words(scopes: &[&str]) -> Vec<&'static str> {
    let may = |content: &Content| scopes.contains(&content.scope().as_str());
    [
        (Content::Memories, IN_MEMORY),
        (Content::Memories, AS_MEMORY),
        (Content::Conversations, IN_CHAT),
        (Content::Projects, IN_PROJECT),
        (Content::Account, IN_ACCOUNT),
    ]
    .into_iter()
    .filter(|(content, _)| !may(content))
    .map(|(_, word)| word)
    .collect()
}

async fn key(user: &User, scopes: &[&str]) -> User {
    let made = user.post("/api-keys", &json!({"name": "k", "scopes": scopes})).await.expect(201);
    User { token: made["key"].as_str().unwrap().to_owned(), ..user.clone() }
}

struct Kept {
    ids: HashMap<&'static str, String>,
    jobs: Vec<String>,
    /// A chat whose prompt had a memory.
    chat: String,
    memory_job: String,
}

/// Something of every kind, each with its word.
async fn fill(user: &User) -> Kept {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let settings = json!({"chat_settings": {"system_prompt": format!("Speak of the {IN_ACCOUNT}.")}});
    user.send(Method::PATCH, "/settings", &settings).await.expect(200);
    let project = user.post("/projects", &json!({"name": format!("The {IN_PROJECT}")})).await.expect(201);
    let prompts = format!("/projects/{}/prompts", text(&project["id"]));
    let prompt = json!({"name": "p", "content": format!("{IN_PROJECT} for {{{{ user.name }}}}")});
    let prompt = user.post(&prompts, &prompt).await.expect(201);
    let made =
        user.post("/memory", &json!({"content": format!("Loves durian and {IN_MEMORY}")})).await.expect(201);
    let chat = user.chat(&format!("/echo {IN_CHAT} durian")).await;
    assert_eq!(chat["memories_used"], 1, "{chat}");
    // What was read of a chat, and corrected since; and a job that reads it again.
    user.tell("I live in Lisbon.").await;
    let read = user.memory("Lives in Lisbon").await;
    let corrected = json!({"content": format!("Lives in Lisbon, by the {IN_MEMORY}")});
    user.send(Method::PATCH, &format!("/memory/{}", text(&read["id"])), &corrected).await.expect(200);
    let body = json!({"backfill": true, "dry_run": true});
    assert!(user.post("/memory/extract", &body).await.status < 300);
    let read = text(&user.get("/jobs?kind=backfill").await.expect(200)["items"][0]["id"]);
    user.finished(&read, std::time::Duration::from_secs(30)).await;
    let mut jobs = vec![text(&chat["job_id"]), read.clone()];
    let all = user.get("/jobs?limit=200").await.expect(200);
    jobs.extend(all["items"].as_array().unwrap().iter().map(|job| text(&job["id"])));
    let ids = HashMap::from([
        ("session", text(&chat["session_id"])),
        ("message", text(&chat["message_id"])),
        ("job", text(&chat["job_id"])),
        ("memory", text(&made["id"])),
        ("project", text(&project["id"])),
        ("prompt", text(&prompt["id"])),
    ]);
    Kept { ids, jobs, chat: text(&chat["job_id"]), memory_job: read }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn keys_see_what_their_scopes_say(stack: Stack) {
    let app = memory::quick(stack).start().await;
    let user = app.user().await;
    let kept = fill(&user).await;
    let document = serde_json::to_value(rapport_api::document()).unwrap();
    let mut looked = 0;
    for scopes in
        [&["chat"][..], &["memory"], &["projects"], &["account"], &["chat", "memory"], &["memory", "account"]]
    {
        let by = key(&user, scopes).await;
        let hidden = words(scopes);
        let check = |what: &str, body: &str| {
            for word in &hidden {
                assert!(!body.contains(word), "a key for {scopes:?} sees {word} by {what}: {body}");
            }
        };
        for (path, item) in document["paths"].as_object().unwrap() {
            let short = path.strip_prefix("/api/v1").unwrap_or(path);
            let by = if short == path { User { base: app.url(0), ..by.clone() } } else { by.clone() };
            if item.get("get").is_none() || short == "/chat/ws" || short == "/chat/stream" {
                continue;
            }
            if ["/events", "/memory/events"].contains(&short)
                || rule_of("GET", short).is_some_and(|rule| rule.who.is_public())
            {
                continue;
            }
            let kind = [
                ("/jobs", "job"),
                ("/memory", "memory"),
                ("/projects", "project"),
                ("/chat/messages", "message"),
            ];
            let kind =
                kind.iter().find(|(start, _)| short.starts_with(start)).map_or("session", |(_, kind)| kind);
            let place = short.replace("{id}", &kept.ids[kind]).replace("{prompt_id}", &kept.ids["prompt"]);
            let answer = by.get(&place).await;
            check(short, &answer.body.to_string());
            looked += usize::from(answer.status == 200);
        }
        for job in &kept.jobs {
            check("a job", &by.get(&format!("/jobs/{job}")).await.body.to_string());
            for query in ["", "?accumulate=true"] {
                let answer = by.get(&format!("/jobs/{job}/events{query}")).await;
                check("a job's events", &answer.body.to_string());
            }
        }
        for sources in [json!(["messages"]), json!(["memories", "messages"]), json!(["memories"])] {
            let body = json!({"query": format!("{IN_CHAT} {IN_MEMORY} durian"), "sources": sources, "mode": "keyword"});
            check("a search", &by.post("/memory/search", &body).await.body.to_string());
        }
        for path in ["/chat/sessions?q=heliotrope", "/jobs?kind=backfill", "/jobs?kind=title&limit=200"] {
            check(path, &by.get(path).await.body.to_string());
        }
    }
    assert!(looked > 40, "only {looked} answers");
    // What each may see it does see.
    let (chat, memories) = (key(&user, &["chat"]).await, key(&user, &["memory"]).await);
    let job = chat.get(&format!("/jobs/{}", kept.chat)).await.expect(200);
    assert!(job["result"]["reply"].as_str().unwrap().contains(IN_CHAT), "{job}");
    let job = memories.get(&format!("/jobs/{}", kept.memory_job)).await.expect(200);
    assert_eq!((job["result"]["dry_run"].as_bool(), job["status"].as_str()), (Some(true), Some("succeeded")));
    let other = memories.get(&format!("/jobs/{}", kept.chat)).await.expect(200);
    assert_eq!((&other["kind"], &other["result"]), (&json!("chat"), &Value::Null));
    let hits = json!({"query": IN_CHAT, "sources": ["messages"]});
    memories.post("/memory/search", &hits).await.problem(403, "key_not_allowed");
    let both = key(&user, &["chat", "memory"]).await;
    assert!(both.post("/memory/search", &hits).await.expect(200).to_string().contains(IN_CHAT));
    // Nor may it stop or repeat another kind's job.
    for act in ["cancel", "retry"] {
        let path = format!("/jobs/{}/{act}", kept.memory_job);
        chat.post(&path, &json!({})).await.problem(403, "key_not_allowed");
        let path = format!("/jobs/{}/{act}", kept.chat);
        memories.post(&path, &json!({})).await.problem(403, "key_not_allowed");
    }
    chat.get(&format!("/jobs/{}/events", kept.memory_job)).await.problem(403, "key_not_allowed");
    memories.get(&format!("/jobs/{}/events", kept.chat)).await.problem(403, "key_not_allowed");
    streams_hold_to_it(&user, &chat, &memories).await;
}

/// `GET /events` as both keys and the user see it, while something of each kind happens.
async fn streams_hold_to_it(user: &User, chat: &User, memories: &User) {
    let open = async |who: &User| Events::of(who.request(Method::GET, "/events").send().await.unwrap());
    let (mut all, mut of_chat, mut of_memory) = (open(user).await, open(chat).await, open(memories).await);
    assert_eq!((all.status, of_chat.status, of_memory.status), (200, 200, 200));
    let last = "memory_created";
    user.post("/memory", &json!({"content": format!("Grows {IN_MEMORY} trees")})).await.expect(201);
    let session = user.chat(&format!("/echo {IN_CHAT} again")).await["session_id"].clone();
    eventually("the session has a title", std::time::Duration::from_secs(20), || async {
        let jobs = user.get("/jobs?kind=title&status=succeeded&limit=200").await.expect(200);
        jobs["items"].as_array()?.iter().any(|job| job["session_id"] == session).then_some(())
    })
    .await;
    user.post("/memory", &json!({"content": format!("Paints {IN_MEMORY} doors")})).await.expect(201);
    let until = async |events: &mut Events, name: &str, times: usize| {
        let mut seen = Vec::new();
        while seen.iter().filter(|event: &&crate::harness::sse::Event| event.name == name).count() < times {
            seen.push(events.next().await.unwrap());
        }
        seen
    };
    let everything = until(&mut all, last, 2).await;
    assert!(everything.iter().any(|event| event.name == "title"), "{everything:?}");
    // A chat's job that ends after the last memory: by then the other stream has passed that memory over.
    user.chat("/echo the end").await;
    let chats = until(&mut of_chat, "title", 2).await;
    assert!(chats.iter().all(|event| !event.name.starts_with("memory")), "{chats:?}");
    assert!(chats.iter().all(|event| !event.data.to_string().contains(IN_MEMORY)), "{chats:?}");
    let told = until(&mut of_memory, last, 2).await;
    assert!(told.iter().all(|event| event.name != "title"), "{told:?}");
    assert!(told.iter().all(|event| !event.data.to_string().contains(IN_CHAT)), "{told:?}");
}

async fn a_key_without_memory_chats_without(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    user.post("/memory", &json!({"content": format!("Loves durian and {IN_MEMORY}")})).await.expect(201);
    let chat = key(&user, &["chat"]).await;
    // Neither by asking the model what it was told, nor by its tools, nor by asking for memory.
    for body in [
        json!({"message": "/system durian"}),
        json!({"message": "/system durian", "enable_memory": true}),
        json!({"message": r#"/tool search_memory {"query":"durian"} /tool save_memory {"content":"Is a fool"}"#,
               "tools": ["search_memory", "save_memory"]}),
    ] {
        let answer = chat.post("/chat", &body).await.expect(200);
        assert!(!answer.to_string().contains(IN_MEMORY), "{answer}");
        assert_eq!(answer["memories_used"], 0);
        // A regenerated answer is a new request of its own.
        let again = json!({"session_id": answer["session_id"]});
        let again = chat.post("/chat/regenerate", &again).await.expect(200);
        assert!(!again.to_string().contains(IN_MEMORY), "{again}");
        let events = chat.stream(&body).await.all().await;
        assert!(!format!("{events:?}").contains(IN_MEMORY), "{events:?}");
    }
    assert_eq!(user.memories("all").await.len(), 1);
    // The same by its owner finds it.
    assert!(user.chat("/system durian").await["reply"].as_str().unwrap().contains(IN_MEMORY));
}
