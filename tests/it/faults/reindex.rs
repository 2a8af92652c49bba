//! The index outside is built anew while people talk, and while it is broken off: nothing that changes meanwhile is lost.

use std::{
    collections::BTreeSet,
    process::{Child, Output, Stdio},
    time::Duration,
};

use rapport_tests::StandIn;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        client::PASSWORD,
        dump, eventually,
        memory::{quick, with_index_on_any},
    },
};

both_stacks!(what_changes_during_a_reindex_is_in_the_new_index, a_reindex_that_was_killed_is_begun_anew,);

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the index in use has all that the database has.
async fn until_indexed(app: &App) {
    let db = app.db().await;
    eventually("all is in the index", PATIENCE, || async {
        let mut conn = db.read().await.unwrap();
        let left = dump::count(
            &mut conn,
            "select (select count(*) from memories where not embedded) + (select count(*) from memory_vectors where not indexed)
                + (select count(*) from vector_deletions)",
        );
        (left.await == 0).then_some(())
    })
    .await;
}

fn reindex(app: &App) -> Child {
    let mut command = app.command();
    command.env("QDRANT__QUANTIZATION", "int8").arg("reindex").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

async fn doctor(app: &App) -> String {
    let mut command = app.command();
    command.env("QDRANT__QUANTIZATION", "int8").arg("doctor");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The only collection there is, by the end of its name.
fn only(stand_in: &StandIn, ending: &str) -> String {
    let all = stand_in.collections();
    assert!(all.len() == 1 && all[0].ends_with(ending), "{all:?} {ending}");
    all[0].clone()
}

/// How many users have points in each collection.
fn owners(stand_in: &StandIn) -> Vec<usize> {
    let of = |name: &String| {
        let points = stand_in.points_of(name);
        let owner =
            |point: &String| point.split("user_id").nth(1).map(|rest| rest.chars().take(90).collect());
        points.values().filter_map(owner).collect::<BTreeSet<String>>().len()
    };
    stand_in.collections().iter().map(of).collect()
}

async fn found(user: &User, query: &str) -> Vec<String> {
    let hits = user.search(json!({"query": query, "mode": "semantic", "limit": 20})).await;
    hits.iter().map(|hit: &Value| hit["memory"]["content"].as_str().unwrap().to_owned()).collect()
}

async fn what_changes_during_a_reindex_is_in_the_new_index(stack: Stack) {
    let (builder, index) = with_index_on_any(quick(stack)).await;
    let app = builder.start().await;
    let user = app.user().await;
    let tea = user.add_memory("Likes green tea").await;
    let maps = user.add_memory("Likes old maps").await;
    let trains = user.add_memory("Likes night trains").await;
    user.add_memory("Likes brass bands").await;
    until_indexed(&app).await;
    if index.stand_in.is_some() {
        assert!(doctor(&app).await.contains("quantization is none, not int8: `rapport reindex` makes it so"));
    }

    if let Some(stand_in) = &index.stand_in {
        stand_in.hold_fills();
    }
    let child = reindex(&app);
    if let Some(stand_in) = &index.stand_in {
        // It has read all four, and is about to put them in as they were.
        stand_in.until_a_fill_waits().await;
    }
    user.send(Method::DELETE, &format!("/memory/{tea}"), &Value::Null).await.expect(204);
    user.send(Method::PATCH, &format!("/memory/{maps}"), &json!({"content": "Likes new globes"}))
        .await
        .expect(200);
    user.verify(&trains, "reject").await;
    user.add_memory("Likes cold soup").await;
    // Searches and changes go on.
    user.until_found("cold soup", "Likes cold soup").await;
    until_indexed(&app).await;
    let held = index.stand_in.as_ref().map(|stand_in| {
        let live = stand_in.collections().into_iter().find(|name| name.ends_with("_v1")).unwrap();
        let held = stand_in.points_of(&live);
        stand_in.release_fills();
        held
    });
    let told = said(&ended(child).await);
    assert!(told.contains("the index holds 4 points") && !told.contains("put right"), "{told}");
    if let (Some(stand_in), Some(held)) = (&index.stand_in, held) {
        assert_eq!(held.len(), 4);
        assert_eq!(stand_in.points_of(&only(stand_in, "_v2")), held, "as the index in use had it");
        let told = doctor(&app).await;
        assert!(told.contains("_v2 holds 4 points") && !told.contains("reindex"), "{told}");
    }
    let mut all = found(&user, "what do I like").await;
    all.sort();
    assert_eq!(all, ["Likes brass bands", "Likes cold soup", "Likes new globes"]);
    // What comes after goes into the new one.
    user.add_memory("Likes wet streets").await;
    user.until_found("wet streets", "Likes wet streets").await;
    index.forget().await;
}

async fn a_reindex_that_was_killed_is_begun_anew(stack: Stack) {
    let (builder, index) = with_index_on_any(quick(stack)).await;
    // A real server cannot be stopped in the middle.
    let Some(stand_in) = &index.stand_in else { return };
    let app = builder.start().await;
    let user = app.user().await;
    user.add_memory("Likes green tea").await;
    until_indexed(&app).await;
    stand_in.hold_fills();
    let mut child = reindex(&app);
    stand_in.until_a_fill_waits().await;
    child.kill().unwrap();
    ended(child).await;
    stand_in.release_fills();
    assert!(doctor(&app).await.contains("a reindex is under way, or was broken off"));
    // Half an index is no harm: the one in use is as it was, and goes on.
    user.add_memory("Likes cold soup").await;
    until_indexed(&app).await;
    assert_eq!(found(&user, "tea or soup").await.len(), 2);
    assert_eq!(stand_in.collections().len(), 2);
    // Who is erased now goes from both.
    let other = app.user().await;
    other.add_memory("Likes loud drums").await;
    until_indexed(&app).await;
    assert_eq!(owners(stand_in), [2, 2]);
    other.send(Method::DELETE, "/users/me", &json!({"password": PASSWORD})).await.expect(202);
    eventually("the erasure is done", PATIENCE, || async { (owners(stand_in) == [1, 1]).then_some(()) })
        .await;
    let told = said(&ended(reindex(&app)).await);
    assert!(told.contains("the index holds 2 points") && !told.contains("put right"), "{told}");
    assert_eq!(stand_in.points_of(&only(stand_in, "_v2")).len(), 2);

    // Only one at a time: the second would drop what the first fills.
    stand_in.hold_fills();
    let first = reindex(&app);
    stand_in.until_a_fill_waits().await;
    let second = ended(reindex(&app)).await;
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another reindex is under way"), "{told}");
    stand_in.release_fills();
    assert!(said(&ended(first).await).contains("the index holds 2 points"));
    only(stand_in, "_v3");
}
