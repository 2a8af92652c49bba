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
    settings::{QdrantAt, QdrantLayout, Quantization},
    store::{Db, Tx, memories, memory_log, terms::Corpus, vector_index, vectors as rows},
    vectors::{Exact, Qdrant, VectorFilter, VectorIndex},
};
use rapport_tests::StandIn;
use uuid::Uuid;

use crate::harness::{
    memory::{forget_collections, qdrant_server},
    servers::{folder, unique},
};

const TYPES: [MemoryType; 3] = [MemoryType::Preference, MemoryType::Fact, MemoryType::Goal];

fn at(url: &str, prefix: &str, layout: QdrantLayout) -> QdrantAt {
    QdrantAt {
        url: url.to_owned(),
        api_key: None,
        prefix: prefix.to_owned(),
        reconcile: std::time::Duration::from_secs(300),
        layout,
    }
}

fn qdrant(at: &QdrantAt, model: &str) -> Qdrant {
    Qdrant::new(at, model, builtin_embedder::DIMENSIONS).unwrap()
}

pub async fn user(db: &Db) -> UserId {
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

pub async fn put(db: &Db, user: UserId, n: usize, model: &str) -> Uuid {
    let mut tx = db.begin().await.unwrap();
    let version = memory_log::take_version(&mut tx, user).await.unwrap();
    let id = put_in(&mut tx, user, n, (model, version)).await;
    tx.commit().await.unwrap();
    id
}

pub async fn put_in(tx: &mut Tx, user: UserId, n: usize, (model, version): (&str, i64)) -> Uuid {
    let words = ["tea", "chess", "rain", "music", "bread", "trains"];
    let content = format!("Note {n} about {} and {} {}", words[n % 6], words[(n / 6 + 1) % 6], n * n % 97);
    let status = if n.is_multiple_of(5) { MemoryStatus::Confirmed } else { MemoryStatus::Pending };
    let mut memory = Memory::new(user, &content, TYPES[n % 3], status, clock::now());
    memory.importance = (n % 11) as f64 / 10.0;
    memories::insert(tx, &memory).await.unwrap();
    let bytes = builtin_embedder::to_bytes(&builtin_embedder::embed(&content));
    let new = rows::NewVector { doc: memory.id.0, model, vector: &bytes, version };
    rows::upsert(tx, user, Corpus::Memories, new).await.unwrap();
    memory.id.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one scenario: each step stands on those before")]
async fn both_adapters_find_the_same_with_the_same_scores() {
    let db = Db::sqlite(&folder().join(unique("vectors")).with_extension("db")).await.unwrap();
    db.migrate().await.unwrap();
    let model = Embedder::local().model();
    let exact: Arc<dyn VectorIndex> = Arc::new(Exact::new(db.clone(), model.clone(), 1 << 20));
    let ((url, _stand_in), prefix) = (qdrant_server().await, unique("parity"));
    let qdrant: Arc<dyn VectorIndex> = Arc::new(qdrant(&at(&url, &prefix, QdrantLayout::default()), &model));
    let (ann, bob) = (user(&db).await, user(&db).await);
    let mut anns = Vec::new();
    for n in 0..150 {
        anns.push(put(&db, ann, n, &model).await);
        put(&db, bob, n, &model).await;
    }
    let points =
        vector_index::unindexed(&mut db.read().await.unwrap(), Corpus::Memories, &model, None, 1_000)
            .await
            .unwrap();
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
    let anew = qdrant.begin_anew().await.unwrap();
    qdrant.switch(&anew).await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 0);
    forget_collections(&url, &prefix).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_vectors_are_weighed_again_by_the_vectors_as_they_came() {
    let db = Db::sqlite(&folder().join(unique("vectors")).with_extension("db")).await.unwrap();
    db.migrate().await.unwrap();
    let model = Embedder::local().model();
    let exact = Exact::new(db.clone(), model.clone(), 1 << 20);
    let ann = user(&db).await;
    let mut all = Vec::new();
    for n in 0..60 {
        all.push(put(&db, ann, n, &model).await);
    }
    let points =
        vector_index::unindexed(&mut db.read().await.unwrap(), Corpus::Memories, &model, None, 1_000)
            .await
            .unwrap();
    let ((url, _stand_in), anything) = (qdrant_server().await, VectorFilter::default());
    for (quantization, on_disk) in [(Quantization::Int8, true), (Quantization::Binary, false)] {
        let (prefix, layout) =
            (unique("small"), QdrantLayout { quantization, on_disk, ..QdrantLayout::default() });
        let index = qdrant(&at(&url, &prefix, layout), &model);
        index.upsert(Corpus::Memories, &points).await.unwrap();
        let vector = builtin_embedder::embed("Note about tea and chess");
        let truth = exact.search(ann, Corpus::Memories, &vector, &anything, 60).await.unwrap();
        let found = index.search(ann, Corpus::Memories, &vector, &anything, 10).await.unwrap();
        assert_eq!(found.len(), 10);
        for (doc, score) in &found {
            let (_, known) = truth.iter().find(|(one, _)| one == doc).unwrap();
            assert!((known - score).abs() < 1e-4, "{quantization:?}: {score}, not {known}");
        }
        if quantization == Quantization::Int8 {
            let (best, known) = (found[9].1, truth[9].1);
            assert!((best - known).abs() < 1e-4, "a byte a number loses none of the best");
        }
        let scored = index.score(ann, Corpus::Memories, &vector, &all).await.unwrap();
        assert_eq!(scored.len(), 60, "all that are asked for");
        assert!(scored.iter().zip(&truth).all(|(a, b)| (a.1 - b.1).abs() < 1e-4));
        // The settings of before, and of after.
        assert_eq!(index.look().await.unwrap().differences, [""; 0]);
        let plain =
            qdrant(&at(&url, &prefix, QdrantLayout { shards: Some(2), ..QdrantLayout::default() }), &model);
        let differences = plain.look().await.unwrap().differences.join(", ");
        // Small vectors that nobody asks for may be the server's own way: nothing is told of them.
        assert!(differences.contains("shards is 1, not 2") && !differences.contains("none"), "{differences}");
        assert_eq!(differences.contains("on disk, not in memory"), on_disk, "{differences}");
        let anew = plain.begin_anew().await.unwrap();
        plain.fill(&anew, Corpus::Memories, &points).await.unwrap();
        plain.switch(&anew).await.unwrap();
        let look = plain.look().await.unwrap();
        assert_eq!((look.points, look.differences.len(), look.unfinished), (60, 0, false));
        forget_collections(&url, &prefix).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_from_before_there_were_aliases_stays_in_use_until_it_is_built_anew() {
    use qdrant_client::qdrant::{CreateCollectionBuilder, Distance, VectorParamsBuilder};
    let db = Db::sqlite(&folder().join(unique("vectors")).with_extension("db")).await.unwrap();
    db.migrate().await.unwrap();
    let (model, ann) = (Embedder::local().model(), user(&db).await);
    put(&db, ann, 1, &model).await;
    let points =
        vector_index::unindexed(&mut db.read().await.unwrap(), Corpus::Memories, &model, None, 1_000)
            .await
            .unwrap();
    let ((url, _stand_in), prefix) = (qdrant_server().await, unique("older"));
    let client = qdrant_client::Qdrant::from_url(&url).build().unwrap();
    let older = format!("{prefix}_{}", model.replace(':', "_"));
    let vectors = VectorParamsBuilder::new(builtin_embedder::DIMENSIONS as u64, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new(&older).vectors_config(vectors)).await.unwrap();
    let index = qdrant(&at(&url, &prefix, QdrantLayout::default()), &model);
    assert_eq!(index.look().await.unwrap().collection.as_deref(), Some(older.as_str()));
    index.upsert(Corpus::Memories, &points).await.unwrap();
    let names = async || {
        let all = client.list_collections().await.unwrap().collections;
        let mut all: Vec<String> =
            all.into_iter().map(|one| one.name).filter(|name| name.starts_with(&prefix)).collect();
        all.sort();
        all
    };
    assert_eq!(names().await, [older.as_str()], "nothing is made beside it");
    let anew = index.begin_anew().await.unwrap();
    // What changes now changes in both, and searches go on with the old one.
    index.upsert(Corpus::Memories, &points).await.unwrap();
    assert_eq!((names().await.len(), index.count().await.unwrap()), (2, 1));
    index.switch(&anew).await.unwrap();
    assert_eq!((names().await, index.count().await.unwrap()), (vec![format!("{older}_v1")], 1));
    forget_collections(&url, &prefix).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_is_made_once_by_many_at_once() {
    let stand_in = StandIn::default();
    let (address, _serving) = stand_in.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let at = at(&format!("http://{address}"), "race", QdrantLayout::default());
    let racing = (0..8).map(|_| {
        let at = at.clone();
        tokio::spawn(async move { Qdrant::new(&at, "m:384", 384).unwrap().count().await })
    });
    for counted in futures::future::join_all(racing).await {
        assert_eq!(counted.unwrap().unwrap(), 0);
    }
}
