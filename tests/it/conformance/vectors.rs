//! Exact search and Qdrant answer alike for the same data.

use std::sync::Arc;

use rapport_common::{
    clock,
    domain::{
        ids::UserId,
        memory::{Memory, MemoryStatus, MemoryType},
    },
    embeddings::Embedder,
    memory::builtin_embedder,
    settings::QdrantAt,
    store::{Db, memories, memory_log, terms::Corpus, vectors as rows},
    vectors::{Exact, Qdrant, VectorFilter, VectorIndex},
};
use rapport_tests::StandIn;
use uuid::Uuid;

use crate::harness::servers::{folder, unique};

const TYPES: [MemoryType; 3] = [MemoryType::Preference, MemoryType::Fact, MemoryType::Goal];

async fn qdrant(model: &str) -> (Qdrant, Option<StandIn>) {
    let (url, stand_in) = match std::env::var_os("TEST_QDRANT_URL") {
        Some(url) => (url.into_string().unwrap(), None),
        None => {
            let stand_in = StandIn::default();
            let (address, _serving) = stand_in.clone().serve(([127, 0, 0, 1], 0).into()).await.unwrap();
            (format!("http://{address}"), Some(stand_in))
        }
    };
    let at = QdrantAt {
        url,
        api_key: None,
        prefix: unique("parity"),
        reconcile: std::time::Duration::from_secs(300),
    };
    (Qdrant::new(&at, model, builtin_embedder::DIMENSIONS).unwrap(), stand_in)
}

async fn user(db: &Db) -> UserId {
    let id = UserId::new();
    let mut tx = db.begin().await.unwrap();
    let new = rapport_common::store::users::NewUser {
        id,
        email: None,
        username: Some(id.to_string()),
        name: None,
        password_hash: "x".to_owned(),
        created_at: clock::now(),
    };
    rapport_common::store::users::insert(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn put(db: &Db, user: UserId, n: usize, model: &str) -> Uuid {
    let words = ["tea", "chess", "rain", "music", "bread", "trains"];
    let content = format!("Note {n} about {} and {} {}", words[n % 6], words[(n / 6 + 1) % 6], n * n % 97);
    let status = if n.is_multiple_of(5) { MemoryStatus::Confirmed } else { MemoryStatus::Pending };
    let mut memory = Memory::new(user, &content, TYPES[n % 3], status, clock::now());
    memory.importance = (n % 11) as f64 / 10.0;
    let mut tx = db.begin().await.unwrap();
    let version = memory_log::take_version(&mut tx, user).await.unwrap();
    memories::insert(&mut tx, &memory).await.unwrap();
    let bytes = builtin_embedder::to_bytes(&builtin_embedder::embed(&content));
    let new = rows::NewVector { doc: memory.id.0, model, vector: &bytes, version };
    rows::upsert(&mut tx, user, Corpus::Memories, new).await.unwrap();
    tx.commit().await.unwrap();
    memory.id.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn both_adapters_find_the_same_with_the_same_scores() {
    let db = Db::sqlite(&folder().join(unique("vectors")).with_extension("db")).await.unwrap();
    db.migrate().await.unwrap();
    let model = Embedder::local().model();
    let exact: Arc<dyn VectorIndex> = Arc::new(Exact::new(db.clone(), model.clone(), 1 << 20));
    let (qdrant, _stand_in) = qdrant(&model).await;
    let qdrant: Arc<dyn VectorIndex> = Arc::new(qdrant);
    let (ann, bob) = (user(&db).await, user(&db).await);
    let mut anns = Vec::new();
    for n in 0..150 {
        anns.push(put(&db, ann, n, &model).await);
        put(&db, bob, n, &model).await;
    }
    let points =
        rows::unindexed(&mut db.read().await.unwrap(), Corpus::Memories, &model, None, 1_000).await.unwrap();
    assert_eq!(points.len(), 300);
    qdrant.upsert(Corpus::Memories, &points).await.unwrap();
    qdrant.upsert(Corpus::Memories, &points).await.unwrap(); // again, without harm
    assert_eq!(qdrant.count().await.unwrap(), 300);
    let filters = [
        VectorFilter::default(),
        VectorFilter { memory_type: Some(MemoryType::Goal), ..VectorFilter::default() },
        VectorFilter { statuses: vec![MemoryStatus::Confirmed], ..VectorFilter::default() },
        VectorFilter {
            statuses: vec![MemoryStatus::Confirmed, MemoryStatus::Pending],
            min_importance: Some(0.55),
            ..VectorFilter::default()
        },
        VectorFilter { statuses: vec![MemoryStatus::Rejected], ..VectorFilter::default() },
    ];
    for query in ["tea and chess", "what about the rain", "music note 12"] {
        let vector = builtin_embedder::embed(query);
        for filter in &filters {
            let a = exact.search(ann, Corpus::Memories, &vector, filter, 20).await.unwrap();
            let b = qdrant.search(ann, Corpus::Memories, &vector, filter, 20).await.unwrap();
            assert_eq!(a.len(), b.len(), "{query} {filter:?}");
            // The same scores in the same order; equal scores may change places.
            for (one, other) in a.iter().zip(&b) {
                assert!((one.1 - other.1).abs() < 1e-4, "{query} {filter:?}: {one:?} {other:?}");
            }
            assert!(b.iter().all(|(id, _)| anns.contains(id)), "only one's own");
        }
        let mut a = exact.score(ann, Corpus::Memories, &vector, &anns[..10]).await.unwrap();
        let mut b = qdrant.score(ann, Corpus::Memories, &vector, &anns[..10]).await.unwrap();
        a.sort_by_key(|one| one.0);
        b.sort_by_key(|one| one.0);
        assert_eq!(a.len(), 10);
        assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-4));
        assert!(exact.search(ann, Corpus::Messages, &vector, &filters[0], 5).await.unwrap().is_empty());
        assert!(qdrant.search(ann, Corpus::Messages, &vector, &filters[0], 5).await.unwrap().is_empty());
    }
    // Exact search sees a change at once.
    let fresh = put(&db, ann, 1_000, &model).await;
    let vector = builtin_embedder::embed("Note 1000");
    assert!(
        exact
            .search(ann, Corpus::Memories, &vector, &filters[0], 200)
            .await
            .unwrap()
            .iter()
            .any(|(id, _)| *id == fresh)
    );
    // All pages together are all points.
    let (mut seen, mut after) = (0, None);
    loop {
        let page = qdrant.page(after, 77).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.0);
        seen += page.len();
    }
    assert_eq!(seen, 300);
    qdrant.delete(&model, &anns[..50]).await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 250);
    qdrant.delete_owner(bob).await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 100);
    qdrant.delete("a-model-nobody-had:3", &anns[..1]).await.unwrap();
    qdrant.reset().await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_is_made_once_by_many_at_once() {
    let stand_in = StandIn::default();
    let (address, _serving) = stand_in.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let at = QdrantAt {
        url: format!("http://{address}"),
        api_key: None,
        prefix: "race".to_owned(),
        reconcile: std::time::Duration::from_secs(300),
    };
    let racing = (0..8).map(|_| {
        let at = at.clone();
        tokio::spawn(async move { Qdrant::new(&at, "m:384", 384).unwrap().count().await })
    });
    for counted in futures::future::join_all(racing).await {
        assert_eq!(counted.unwrap().unwrap(), 0);
    }
}
