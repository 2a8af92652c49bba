//! What exact search keeps in memory of a user's vectors: what is gone goes, and the rest is not read again for it.

use rapport_common::{
    domain::ids::{MemoryId, UserId},
    embeddings::Embedder,
    memory::builtin_embedder::{embed, to_bytes},
    store::{Db, memories, terms::Corpus},
    vectors::{Exact, VectorFilter, VectorIndex},
};
use uuid::Uuid;

use super::{
    sql::{postgres, sqlite},
    vectors::{put, user},
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
    // Behind its back, as nothing of ours does: without a new version, so that who reads all again sees it.
    let (behind, gone) = (anns[7], [anns[0], anns[30], anns[COUNT - 1]]);
    let mut tx = db.begin().await.unwrap();
    let document = literal(&mut tx, behind);
    let bytes: String = to_bytes(&embed("tea and chess")).iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = if matches!(db, Db::Pg(_)) { format!("'\\x{bytes}'") } else { format!("x'{bytes}'") };
    run(&mut tx, format!("update memory_vectors set vector = {bytes} where doc_id = {document}")).await;
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
}

#[tokio::test]
async fn deleted_vectors_are_not_found_on_sqlite() {
    what_is_deleted_is_not_found_and_the_rest_is_not_read_again(sqlite().await).await;
}

#[tokio::test]
async fn deleted_vectors_are_not_found_on_postgres() {
    what_is_deleted_is_not_found_and_the_rest_is_not_read_again(postgres().await).await;
}
