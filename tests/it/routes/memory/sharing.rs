//! Memories shared by names: nothing says whether somebody has one.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        Stack, User,
        app::client,
        client::{Answer, PASSWORD},
        eventually,
        memory::app,
        servers::unique,
    },
};

both_stacks!(a_shared_memory_does_not_tell_who_has_an_account, a_name_stays_when_its_reader_is_erased);

async fn share(owner: &User, memory: &str, with: Value) -> Answer {
    let body = json!({"memory_ids": [memory], "is_private": false, "shared_with": with});
    owner.post("/memory/privacy", &body).await
}

async fn names(owner: &User, memory: &str) -> Value {
    let shown = owner.get(&format!("/memory/{memory}")).await.expect(200)["shared_with"].clone();
    let listed = owner.get("/memory").await.expect(200)["items"].clone();
    let listed = listed.as_array().unwrap().iter().find(|other| other["id"] == memory).unwrap().clone();
    assert_eq!(listed["shared_with"], shown);
    shown
}

async fn a_shared_memory_does_not_tell_who_has_an_account(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (owner, reader) = (app.user().await, app.user().await);
    let memory = owner.add_memory("Keeps bees on the roof").await;
    let path = format!("/memory/{memory}");
    let nobody = unique("nobody");
    // As they were given, each once, in that order; the owner's own name is one like others.
    let known = format!("  {} ", reader.name.to_uppercase());
    let with = json!([known, nobody, "no name at all", nobody, owner.name, "x@example.org"]);
    let answer = share(&owner, &memory, with).await.expect(200);
    assert_eq!(answer, json!({"updated": 1}));
    let shared = json!([known.trim(), nobody, "no name at all", owner.name, "x@example.org"]);
    assert_eq!(names(&owner, &memory).await, shared);
    // Who has one of the names reads, and does not see the others.
    assert_eq!(reader.get(&path).await.expect(200)["shared_with"], json!([]));
    assert_eq!(reader.get("/memory/shared").await.expect(200)[0]["id"], memory.as_str());
    assert_eq!(owner.get("/memory/shared").await.expect(200), json!([]));
    // Who takes a name later does not.
    let register = json!({"username": nobody, "password": PASSWORD});
    let url = format!("{}/auth/register", owner.base);
    let made = Answer::of(client().post(url).json(&register).send().await.unwrap()).await.expect(201);
    let token = made["access_token"].as_str().unwrap().to_owned();
    let late = User { token, name: nobody.clone(), ..reader.clone() };
    late.get(&path).await.problem(404, "not_found");
    assert_eq!(late.get("/memory/shared").await.expect(200), json!([]));
    // Until it is shared with them. By id it is the same.
    let id = late.get("/users/me").await.expect(200)["id"].clone();
    share(&owner, &memory, json!([id])).await.expect(200);
    assert_eq!(names(&owner, &memory).await, json!([id]));
    late.get(&path).await.expect(200);
    reader.get(&path).await.problem(404, "not_found");
    // What nobody could be called is refused, whoever is there.
    for bad in ["", "  ", "a\nb", &"x".repeat(255)] {
        let problem = share(&owner, &memory, json!([bad])).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "shared_with");
    }
    assert_eq!(names(&owner, &memory).await, json!([id]), "a refused list changes nothing");
}

async fn a_name_stays_when_its_reader_is_erased(stack: Stack) {
    let (app, _index) = app(stack).await;
    let (owner, reader) = (app.user().await, app.user().await);
    let memory = owner.add_memory("Keeps bees on the roof").await;
    share(&owner, &memory, json!([reader.name, "nobody-at-all"])).await.expect(200);
    let erasing = reader.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await;
    erasing.expect(202);
    let register = json!({"username": reader.name, "password": PASSWORD});
    let url = format!("{}/auth/register", owner.base);
    let made = eventually("the name is free again", Duration::from_secs(30), || async {
        let answer = Answer::of(client().post(&url).json(&register).send().await.unwrap()).await;
        (answer.status == 201).then_some(answer.body)
    })
    .await;
    // The owner's list shows no difference, and who has the name now reads nothing.
    assert_eq!(names(&owner, &memory).await, json!([reader.name, "nobody-at-all"]));
    let token = made["access_token"].as_str().unwrap().to_owned();
    let late = User { token, ..reader.clone() };
    late.get(&format!("/memory/{memory}")).await.problem(404, "not_found");
}
