//! A stand-in for Qdrant: its gRPC protocol over exact search in memory. Only what Rapport uses is there; the rest says
//! `unimplemented`. It is honest only because the same conformance suite runs against a real server whenever
//! `TEST_QDRANT_URL` names one.

mod filter;
mod gate;
mod small;
mod store;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use gate::Gate;
use qdrant_client::qdrant::{
    self as q, collections_server::Collections, collections_server::CollectionsServer, points_server::Points,
    points_server::PointsServer,
};
use store::Store;
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
pub struct StandIn {
    store: Arc<Mutex<Store>>,
    fills: Arc<Gate>,
}

impl StandIn {
    fn with<T>(&self, act: impl FnOnce(&mut Store) -> Result<T, Status>) -> Result<T, Status> {
        act(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, what is put into a collection by its own name waits: that is what fills a new one. All others go by an alias.
    pub fn hold_fills(&self) {
        self.fills.close();
    }

    pub async fn until_a_fill_waits(&self) {
        self.fills.until_somebody_waits().await;
    }

    pub fn release_fills(&self) {
        self.fills.open();
    }

    /// The collections there are, by their own names.
    pub fn collections(&self) -> Vec<String> {
        self.with(|store| Ok(store.names())).unwrap_or_default()
    }

    /// Each point of a collection as text, by its id. Nothing, when there is no such collection.
    pub fn points_of(&self, collection: &str) -> BTreeMap<String, String> {
        self.with(|store| Ok(store.collection(collection)?.as_text())).unwrap_or_default()
    }

    /// How many points there are, for tests that look behind the protocol.
    pub fn points(&self) -> usize {
        self.with(|store| Ok(store.points())).unwrap_or(0)
    }

    /// Forgets everything, as a server that lost its disk.
    pub fn wipe(&self) {
        let _ = self.with(|store| {
            *store = Store::default();
            Ok(())
        });
    }

    /// Serves until the task is dropped. Gives the address it listens on.
    pub async fn serve(
        self,
        address: SocketAddr,
    ) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), String> {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| error.to_string())?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        let most = 64 * 1_024 * 1_024;
        let server = tonic::transport::Server::builder()
            .add_service(
                PointsServer::new(self.clone())
                    .max_decoding_message_size(most)
                    .max_encoding_message_size(most),
            )
            .add_service(CollectionsServer::new(self));
        let task = tokio::spawn(async move {
            let _stopped = server.serve_with_incoming(incoming).await;
        });
        Ok((bound, task))
    }
}

fn done() -> Response<q::PointsOperationResponse> {
    let result = Some(q::UpdateResult { operation_id: Some(0), status: q::UpdateStatus::Completed as i32 });
    Response::new(q::PointsOperationResponse { result, time: 0.0, usage: None })
}

/// What Rapport does not use, in the form `async_trait` gives methods.
macro_rules! not_here {
    ($($name:ident($request:ty) -> $response:ty;)*) => {$(
        fn $name<'s, 'a>(&'s self, _: Request<$request>) -> Answer<'a, $response>
        where
            's: 'a,
            Self: 'a,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )*};
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

#[tonic::async_trait]
impl Points for StandIn {
    async fn upsert(
        &self,
        request: Request<q::UpsertPoints>,
    ) -> Result<Response<q::PointsOperationResponse>, Status> {
        let request = request.into_inner();
        if self.with(|store| Ok(store.names().contains(&request.collection_name)))? {
            self.fills.pass().await;
        }
        self.with(|store| store.collection(&request.collection_name)?.upsert(request.points))?;
        Ok(done())
    }

    async fn delete(
        &self,
        request: Request<q::DeletePoints>,
    ) -> Result<Response<q::PointsOperationResponse>, Status> {
        let request = request.into_inner();
        self.with(|store| store.collection(&request.collection_name)?.delete(request.points))?;
        Ok(done())
    }

    async fn create_field_index(
        &self,
        request: Request<q::CreateFieldIndexCollection>,
    ) -> Result<Response<q::PointsOperationResponse>, Status> {
        let request = request.into_inner();
        self.with(|store| store.collection(&request.collection_name).map(drop))?;
        Ok(done())
    }

    async fn query(&self, request: Request<q::QueryPoints>) -> Result<Response<q::QueryResponse>, Status> {
        let request = request.into_inner();
        let result = self.with(|store| store.collection(&request.collection_name)?.query(&request))?;
        Ok(Response::new(q::QueryResponse { result, time: 0.0, usage: None }))
    }

    async fn count(&self, request: Request<q::CountPoints>) -> Result<Response<q::CountResponse>, Status> {
        let request = request.into_inner();
        let count =
            self.with(|store| store.collection(&request.collection_name)?.count(request.filter.as_ref()))?;
        Ok(Response::new(q::CountResponse { result: Some(q::CountResult { count }), time: 0.0, usage: None }))
    }

    async fn scroll(&self, request: Request<q::ScrollPoints>) -> Result<Response<q::ScrollResponse>, Status> {
        let request = request.into_inner();
        let result = self.with(|store| store.collection(&request.collection_name)?.scroll(&request))?;
        Ok(Response::new(q::ScrollResponse { next_page_offset: None, result, time: 0.0, usage: None }))
    }

    not_here! {
        get(q::GetPoints) -> q::GetResponse;
        update_vectors(q::UpdatePointVectors) -> q::PointsOperationResponse;
        delete_vectors(q::DeletePointVectors) -> q::PointsOperationResponse;
        set_payload(q::SetPayloadPoints) -> q::PointsOperationResponse;
        overwrite_payload(q::SetPayloadPoints) -> q::PointsOperationResponse;
        delete_payload(q::DeletePayloadPoints) -> q::PointsOperationResponse;
        clear_payload(q::ClearPayloadPoints) -> q::PointsOperationResponse;
        delete_field_index(q::DeleteFieldIndexCollection) -> q::PointsOperationResponse;
        create_vector_name(q::CreateVectorNameRequest) -> q::PointsOperationResponse;
        delete_vector_name(q::DeleteVectorNameRequest) -> q::PointsOperationResponse;
        search(q::SearchPoints) -> q::SearchResponse;
        search_batch(q::SearchBatchPoints) -> q::SearchBatchResponse;
        search_groups(q::SearchPointGroups) -> q::SearchGroupsResponse;
        recommend(q::RecommendPoints) -> q::RecommendResponse;
        recommend_batch(q::RecommendBatchPoints) -> q::RecommendBatchResponse;
        recommend_groups(q::RecommendPointGroups) -> q::RecommendGroupsResponse;
        discover(q::DiscoverPoints) -> q::DiscoverResponse;
        discover_batch(q::DiscoverBatchPoints) -> q::DiscoverBatchResponse;
        update_batch(q::UpdateBatchPoints) -> q::UpdateBatchResponse;
        query_batch(q::QueryBatchPoints) -> q::QueryBatchResponse;
        query_groups(q::QueryPointGroups) -> q::QueryGroupsResponse;
        facet(q::FacetCounts) -> q::FacetResponse;
        search_matrix_pairs(q::SearchMatrixPoints) -> q::SearchMatrixPairsResponse;
        search_matrix_offsets(q::SearchMatrixPoints) -> q::SearchMatrixOffsetsResponse;
    }
}

#[tonic::async_trait]
impl Collections for StandIn {
    async fn create(
        &self,
        request: Request<q::CreateCollection>,
    ) -> Result<Response<q::CollectionOperationResponse>, Status> {
        let request = request.into_inner();
        self.with(|store| store.create(&request))?;
        Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn delete(
        &self,
        request: Request<q::DeleteCollection>,
    ) -> Result<Response<q::CollectionOperationResponse>, Status> {
        let request = request.into_inner();
        let result = self.with(|store| Ok(store.drop_collection(&request.collection_name)))?;
        Ok(Response::new(q::CollectionOperationResponse { result, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<q::CollectionExistsRequest>,
    ) -> Result<Response<q::CollectionExistsResponse>, Status> {
        let name = request.into_inner().collection_name;
        let exists = self.with(|store| Ok(store.collection(&name).is_ok()))?;
        Ok(Response::new(q::CollectionExistsResponse {
            result: Some(q::CollectionExists { exists }),
            time: 0.0,
        }))
    }

    async fn get(
        &self,
        request: Request<q::GetCollectionInfoRequest>,
    ) -> Result<Response<q::GetCollectionInfoResponse>, Status> {
        let name = request.into_inner().collection_name;
        let result = Some(self.with(|store| Ok(store.collection(&name)?.info()))?);
        Ok(Response::new(q::GetCollectionInfoResponse { result, time: 0.0 }))
    }

    async fn list(
        &self,
        _: Request<q::ListCollectionsRequest>,
    ) -> Result<Response<q::ListCollectionsResponse>, Status> {
        let names = self.with(|store| Ok(store.names()))?;
        let collections = names.into_iter().map(|name| q::CollectionDescription { name }).collect();
        Ok(Response::new(q::ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn update_aliases(
        &self,
        request: Request<q::ChangeAliases>,
    ) -> Result<Response<q::CollectionOperationResponse>, Status> {
        self.with(|store| store.change_aliases(request.into_inner().actions))?;
        Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn list_aliases(
        &self,
        _: Request<q::ListAliasesRequest>,
    ) -> Result<Response<q::ListAliasesResponse>, Status> {
        let aliases = self.with(|store| Ok(store.aliases()))?;
        Ok(Response::new(q::ListAliasesResponse { aliases, time: 0.0 }))
    }

    not_here! {
        update(q::UpdateCollection) -> q::CollectionOperationResponse;
        list_collection_aliases(q::ListCollectionAliasesRequest) -> q::ListAliasesResponse;
        collection_cluster_info(q::CollectionClusterInfoRequest) -> q::CollectionClusterInfoResponse;
        update_collection_cluster_setup(q::UpdateCollectionClusterSetupRequest) -> q::UpdateCollectionClusterSetupResponse;
        create_shard_key(q::CreateShardKeyRequest) -> q::CreateShardKeyResponse;
        delete_shard_key(q::DeleteShardKeyRequest) -> q::DeleteShardKeyResponse;
        list_shard_keys(q::ListShardKeysRequest) -> q::ListShardKeysResponse;
    }
}
