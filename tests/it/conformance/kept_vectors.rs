//! What exact search keeps in memory of a user's vectors: what is gone goes, and the rest is not read again for it.

use std::collections::HashSet;

use rapport_common::{
    domain::ids::{MemoryId, UserId},
    embeddings::Embedder,
    memory::builtin_embedder::{embed, to_bytes},
    store::{Db, Querier, Tx, db::Raw, memories, memory_log, terms::Corpus},
    vectors::{Exact, VectorFilter, VectorIndex},
};
use uuid::Uuid;

use super::{
    sql::{postgres, sqlite},
    vectors::{put, put_in, user},
    words::{literal, run},
};

const COUNT: usize = 60;

async fn delete(db: &Db, user: UserId, ids: &[Uuid]) {
    let mut tx = db.begin().await.unwrap();
    for id in ids {
        assert!(memories::delete(&mut tx, user, MemoryId(*id)).await.unwrap());
    }
    tx.commit().await.unwrap();
}

/// Gives a memory the vector that is asked for, behind our back: without a new version, so that only who reads all again sees it.
async fn overwrite(tx: &mut Tx, document: Uuid) {
    let bytes: String = to_bytes(&embed("tea and chess")).iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = if matches!(tx.raw(), Raw::Pg(_)) { format!("'\\x{bytes}'") } else { format!("x'{bytes}'") };
    let document = literal(tx, document);
    run(tx, format!("update memory_vectors set vector = {bytes} where doc_id = {document}")).await;
}

async fn found(exact: &Exact, user: UserId) -> Vec<(Uuid, f32)> {
    let filter = VectorFilter::default();
    exact.search(user, Corpus::Memories, &embed("tea and chess"), &filter, 2 * COUNT).await.unwrap()
}

async fn what_is_deleted_is_not_found_and_the_rest_is_not_read_again(db: Db) {
    let model = Embedder::local().model();
    let exact = Exact::new(db.clone(), model.clone(), 1 << 20);
    let (ann, bob) = (user(&db).await, user(&db).await);
    let mut anns = Vec::new();
    for n in 0..COUNT {
        anns.push(put(&db, ann, n, &model).await);
    }
    let bobs = put(&db, bob, 1, &model).await;
    let before = found(&exact, ann).await;
    assert_eq!((before.len(), found(&exact, bob).await.len()), (COUNT, 1));
    let (behind, gone) = (anns[7], [anns[0], anns[30], anns[COUNT - 1]]);
    let mut tx = db.begin().await.unwrap();
    overwrite(&mut tx, behind).await;
    tx.commit().await.unwrap();
    delete(&db, ann, &gone).await;
    let left: Vec<(Uuid, f32)> = before.into_iter().filter(|(id, _)| !gone.contains(id)).collect();
    assert_eq!(found(&exact, ann).await, left, "the same in the same order, with the same cosines");
    // What comes and what goes at once.
    let fresh = put(&db, ann, 1_000, &model).await;
    delete(&db, ann, &anns[1..3]).await;
    let now: Vec<Uuid> = found(&exact, ann).await.into_iter().map(|one| one.0).collect();
    assert!(now.contains(&fresh) && !now.contains(&anns[1]) && !now.contains(&anns[2]));
    assert_eq!(now.len(), COUNT - 4);
    assert_eq!(found(&exact, bob).await[0].0, bobs);
    let rest: Vec<Uuid> = now.into_iter().filter(|id| *id != fresh).collect();
    delete(&db, ann, &rest).await;
    delete(&db, ann, &[fresh]).await;
    assert_eq!(found(&exact, ann).await, []);
    let again = put(&db, ann, 3, &model).await;
    assert_eq!(found(&exact, ann).await[0].0, again);
    // A database that was restored says less than what is known: all of it is read.
    let mut tx = db.begin().await.unwrap();
    overwrite(&mut tx, again).await;
    let who = literal(&mut tx, ann.0);
    run(&mut tx, format!("update memory_state set deletions = 0 where user_id = {who}")).await;
    tx.commit().await.unwrap();
    assert!((found(&exact, ann).await[0].1 - 1.0).abs() < 1e-3);
}

/// Very many are read part by part, each with a few more than it should have: those of one version stay together.
async fn all_of_very_many_are_found(db: Db) {
    let model = Embedder::local().model();
    let ann = user(&db).await;
    let mut tx = db.begin().await.unwrap();
    let mut ids = HashSet::new();
    for some in 0..MANY / TOGETHER {
        let version = memory_log::take_version(&mut tx, ann).await.unwrap();
        // Of the first part, half are another model's.
        let other = if some % 2 == 0 && some < 5_000 / TOGETHER { "another:384" } else { &model };
        for n in 0..TOGETHER {
            let id = put_in(&mut tx, ann, some * TOGETHER + n, (other, version)).await;
            if other == model {
                ids.insert(id);
            }
        }
    }
    tx.commit().await.unwrap();
    let exact = Exact::new(db.clone(), model.clone(), 1 << 20);
    let all = async || -> HashSet<Uuid> {
        let filter = VectorFilter::default();
        let found =
            exact.search(ann, Corpus::Memories, &embed("tea and chess"), &filter, MANY).await.unwrap();
        found.into_iter().map(|one| one.0).collect()
    };
    assert!(all().await == ids, "all that are of the model");
    ids.insert(put(&db, ann, MANY, &model).await);
    let gone = *ids.iter().next().unwrap();
    delete(&db, ann, &[gone]).await;
    ids.remove(&gone);
    assert!(all().await == ids, "the next one, and one less");
}

/// More than two parts.
const MANY: usize = 10_200;
/// Of one version; no part ends with one.
const TOGETHER: usize = 120;

#[tokio::test]
async fn very_many_are_found_on_sqlite() {
    all_of_very_many_are_found(sqlite().await).await;
}

#[tokio::test]
async fn very_many_are_found_on_postgres() {
    all_of_very_many_are_found(postgres().await).await;
}

#[tokio::test]
async fn deleted_vectors_are_not_found_on_sqlite() {
    what_is_deleted_is_not_found_and_the_rest_is_not_read_again(sqlite().await).await;
}

#[tokio::test]
async fn deleted_vectors_are_not_found_on_postgres() {
    what_is_deleted_is_not_found_and_the_rest_is_not_read_again(postgres().await).await;
}
