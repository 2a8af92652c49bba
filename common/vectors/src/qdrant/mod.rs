//! Qdrant: one collection per model and dimension in use, one tenant per user.
//!
//! The collection is made when it is first needed, safely by many processes at once; `collections` says how another takes
//! its place. Points carry what searches filter by; the search filters by owner inside the index, and whoever reads the answer
//! loads rows by owner again.

mod collections;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use qdrant_client::{
    Payload, QdrantError,
    qdrant::{
        Condition, CountPointsBuilder, DeletePointsBuilder, Filter, PointId, PointStruct, PointsIdsList,
        QueryPointsBuilder, Range, ScrollPointsBuilder, SearchParams, UpsertPointsBuilder,
        point_id::PointIdOptions, points_selector::PointsSelectorOneOf,
    },
};
use tokio::sync::OnceCell;
use tokio_retry::{
    RetryIf,
    strategy::{ExponentialBackoff, jitter},
};
use uuid::Uuid;

use self::collections::Names;
use super::{VectorError, VectorFilter, VectorIndex};
use crate::{
    domain::ids::UserId,
    memory::builtin_embedder::from_bytes,
    settings::{QdrantAt, QdrantLayout},
    store::{terms::Corpus, vector_index::Point},
};

/// Points sent in one request.
const BATCH: usize = 256;
/// How long one request may take. A link that fell silent costs a job two of these: one until it is noticed, and one more on
/// the same connection.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

pub use collections::Look;

pub struct Qdrant {
    client: qdrant_client::Qdrant,
    prefix: String,
    names: Names,
    layout: QdrantLayout,
    dimensions: u64,
    ready: OnceCell<()>,
}

impl From<QdrantError> for VectorError {
    fn from(error: QdrantError) -> Self {
        Self(error.to_string())
    }
}

/// Whether the same request may succeed shortly.
fn is_transient(error: &QdrantError) -> bool {
    use tonic_code::*;
    match error {
        QdrantError::ResponseError { status } => {
            [UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, RESOURCE_EXHAUSTED, CANCELLED]
                .contains(&(status.code() as i32))
        }
        QdrantError::Io(_) => true,
        _ => false,
    }
}

/// gRPC's status codes, by their numbers.
mod tonic_code {
    pub const CANCELLED: i32 = 1;
    pub const DEADLINE_EXCEEDED: i32 = 4;
    pub const NOT_FOUND: i32 = 5;
    pub const ALREADY_EXISTS: i32 = 6;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const ABORTED: i32 = 10;
    pub const UNAVAILABLE: i32 = 14;
}

/// Three more tries with growing, jittered pauses.
async fn patiently<T, F: Future<Output = Result<T, QdrantError>>>(
    action: impl FnMut() -> F,
) -> Result<T, QdrantError> {
    let pauses = ExponentialBackoff::from_millis(4).factor(25).map(jitter).take(3);
    RetryIf::start(pauses, action, is_transient).await
}

async fn again<T, F: Future<Output = Result<T, QdrantError>>>(
    action: impl FnMut() -> F,
) -> Result<T, VectorError> {
    Ok(patiently(action).await?)
}

impl Qdrant {
    /// `model` as vectors are tagged with it: `name:dimensions`.
    pub fn new(at: &QdrantAt, model: &str, dimensions: usize) -> Result<Self, VectorError> {
        let mut config = qdrant_client::Qdrant::from_url(&at.url)
            .timeout(CALL_DEADLINE)
            .connect_timeout(Duration::from_secs(3));
        // The check asks for the server's version on a connection of its own before anything else.
        config.check_compatibility = false;
        config.api_key = at.api_key.as_ref().map(|key| key.expose().to_owned());
        Ok(Self {
            client: config.build()?,
            prefix: at.prefix.clone(),
            names: Names::of(&at.prefix, model),
            layout: at.layout,
            dimensions: dimensions as u64,
            ready: OnceCell::new(),
        })
    }

    async fn ready(&self) -> Result<(), VectorError> {
        self.ready.get_or_try_init(|| self.make_sure()).await.map(drop)
    }
}

fn already_exists(error: &QdrantError) -> bool {
    matches!(error, QdrantError::ResponseError { status } if status.code() as i32 == tonic_code::ALREADY_EXISTS)
}

fn not_found(error: &QdrantError) -> bool {
    matches!(error, QdrantError::ResponseError { status } if status.code() as i32 == tonic_code::NOT_FOUND)
}

/// What is not there, or went meanwhile, needs no change.
fn unless_it_is_gone(done: Result<(), QdrantError>) -> Result<(), VectorError> {
    match done {
        Err(error) if not_found(&error) => Ok(()),
        done => Ok(done?),
    }
}

fn owner(user: UserId, corpus: Corpus) -> Vec<Condition> {
    vec![
        Condition::matches("user_id", user.0.simple().to_string()),
        Condition::matches("corpus", corpus.as_str().to_owned()),
    ]
}

fn uuid_of(id: Option<PointId>) -> Option<Uuid> {
    match id?.point_id_options? {
        PointIdOptions::Uuid(text) => text.parse().ok(),
        PointIdOptions::Num(_) => None,
    }
}

fn point_id(id: Uuid) -> PointId {
    PointId::from(id.to_string())
}

#[async_trait]
impl VectorIndex for Qdrant {
    fn name(&self) -> &'static str {
        "qdrant"
    }

    fn is_outside(&self) -> bool {
        true
    }

    async fn search(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        filter: &VectorFilter,
        limit: usize,
    ) -> Result<Vec<(Uuid, f32)>, VectorError> {
        self.ready().await?;
        let mut conditions = owner(user, corpus);
        if let Some(kind) = filter.memory_type {
            conditions.push(Condition::matches("kind", kind.to_string()));
        }
        if !filter.statuses.is_empty() {
            conditions.push(Condition::matches(
                "status",
                filter.statuses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ));
        }
        if !filter.readings.is_empty() {
            conditions.push(Condition::matches("kind", filter.readings.clone()));
        }
        if let Some(least) = filter.min_importance {
            conditions.push(Condition::range("importance", Range { gte: Some(least), ..Range::default() }));
        }
        self.query(query, Filter::must(conditions), limit, collections::nearest(self.layout)).await
    }

    async fn score(
        &self,
        user: UserId,
        corpus: Corpus,
        query: &[f32],
        docs: &[Uuid],
    ) -> Result<Vec<(Uuid, f32)>, VectorError> {
        if docs.is_empty() {
            return Ok(Vec::new());
        }
        self.ready().await?;
        let mut conditions = owner(user, corpus);
        conditions.push(Condition::has_id(docs.iter().map(|doc| point_id(*doc))));
        self.query(query, Filter::must(conditions), docs.len(), collections::exactly()).await
    }

    async fn upsert(&self, corpus: Corpus, points: &[Point]) -> Result<(), VectorError> {
        self.ready().await?;
        // First the one that is being filled: should it be in use already when this comes to the other, that is the same one.
        unless_it_is_gone(self.put(&self.names.next, corpus, points).await)?;
        Ok(self.put(&self.names.live, corpus, points).await?)
    }

    async fn delete(&self, model: &str, docs: &[Uuid]) -> Result<(), VectorError> {
        if docs.is_empty() {
            return Ok(());
        }
        // From all there are, also what a reindex left: nobody looks there, and nothing may stay. A collection that is begun later is
        // filled from the database, which has them no more.
        for (_, collection) in self.versions(&Names::of(&self.prefix, model)).await? {
            unless_it_is_gone(self.take(&collection, docs).await)?;
        }
        Ok(())
    }

    async fn delete_owner(&self, user: UserId) -> Result<(), VectorError> {
        self.ready().await?;
        let owned = Filter::must([Condition::matches("user_id", user.0.simple().to_string())]);
        let owned = PointsSelectorOneOf::Filter(owned);
        for (_, collection) in self.versions(&self.names).await? {
            unless_it_is_gone(self.delete_points(&collection, owned.clone()).await)?;
        }
        Ok(())
    }

    async fn count(&self) -> Result<u64, VectorError> {
        self.ready().await?;
        self.count_in(&self.names.live).await
    }

    async fn page(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<(Uuid, Corpus)>, VectorError> {
        self.ready().await?;
        // The offset is the first id of the page: one more is asked for, and the one we know is left out.
        let mut request = ScrollPointsBuilder::new(&self.names.live)
            .limit(limit + 1)
            .with_payload(true)
            .with_vectors(false);
        if let Some(after) = after {
            request = request.offset(point_id(after));
        }
        let found = again(|| self.client.scroll(request.clone())).await?;
        let points = found.result.into_iter().filter_map(|point| {
            let named = point.payload.get("corpus").and_then(|v| v.as_str());
            let found = Corpus::ALL.into_iter().find(|corpus| named.is_some_and(|c| c == corpus.as_str()));
            let corpus = found.unwrap_or(Corpus::Memories);
            Some((uuid_of(point.id)?, corpus))
        });
        Ok(points.filter(|(id, _)| Some(*id) != after).take(limit as usize).collect())
    }

    async fn begin_anew(&self) -> Result<String, VectorError> {
        self.begin().await
    }

    async fn fill(&self, anew: &str, corpus: Corpus, points: &[Point]) -> Result<(), VectorError> {
        Ok(self.put(anew, corpus, points).await?)
    }

    async fn unfill(&self, anew: &str, docs: &[Uuid]) -> Result<(), VectorError> {
        Ok(self.take(anew, docs).await?)
    }

    async fn switch(&self, anew: &str) -> Result<(), VectorError> {
        self.put_in_use(anew).await
    }

    async fn abandon(&self, anew: &str) -> Result<(), VectorError> {
        self.give_up(anew).await
    }
}

impl Qdrant {
    async fn query(
        &self,
        query: &[f32],
        filter: Filter,
        limit: usize,
        params: SearchParams,
    ) -> Result<Vec<(Uuid, f32)>, VectorError> {
        let request = QueryPointsBuilder::new(&self.names.live)
            .query(query.to_vec())
            .filter(filter)
            .limit(limit as u64)
            .params(params)
            .with_payload(false);
        let found = again(|| self.client.query(request.clone())).await?;
        let mut scored: Vec<(Uuid, f32)> =
            found.result.into_iter().filter_map(|point| Some((uuid_of(point.id)?, point.score))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(scored)
    }

    async fn put(&self, collection: &str, corpus: Corpus, points: &[Point]) -> Result<(), QdrantError> {
        for batch in points.chunks(BATCH) {
            let points: Vec<PointStruct> = batch.iter().map(|point| structure(corpus, point)).collect();
            let request = UpsertPointsBuilder::new(collection, points).wait(true);
            patiently(|| self.client.upsert_points(request.clone())).await?;
        }
        Ok(())
    }

    async fn take(&self, collection: &str, docs: &[Uuid]) -> Result<(), QdrantError> {
        for batch in docs.chunks(BATCH) {
            let ids = PointsIdsList { ids: batch.iter().map(|doc| point_id(*doc)).collect() };
            self.delete_points(collection, PointsSelectorOneOf::Points(ids)).await?;
        }
        Ok(())
    }

    async fn delete_points(
        &self,
        collection: &str,
        selected: PointsSelectorOneOf,
    ) -> Result<(), QdrantError> {
        let request = DeletePointsBuilder::new(collection).points(selected).wait(true);
        patiently(|| self.client.delete_points(request.clone())).await.map(drop)
    }

    async fn count_in(&self, collection: &str) -> Result<u64, VectorError> {
        let request = CountPointsBuilder::new(collection).exact(true);
        Ok(again(|| self.client.count(request.clone())).await?.result.map_or(0, |result| result.count))
    }
}

fn structure(corpus: Corpus, point: &Point) -> PointStruct {
    let payload: HashMap<&str, qdrant_client::qdrant::Value> = HashMap::from([
        ("user_id", point.user_id.0.simple().to_string().into()),
        ("corpus", corpus.as_str().to_owned().into()),
        ("kind", point.kind.clone().into()),
        ("status", point.status.clone().into()),
        ("importance", point.importance.into()),
    ]);
    PointStruct::new(point_id(point.doc_id), from_bytes(&point.vector), Payload::from(payload))
}
