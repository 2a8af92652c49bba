//! The collections of a model: which is in use, which is being filled, and what they are like.
//!
//! Two aliases name them, and everybody writes and searches by these names alone. `…_live` is the collection in use. `…_next`,
//! while `rapport reindex` works, is the one it fills: whoever changes a point changes it in both. The server swaps an alias in
//! one step, so a search sees the one or the other. The collections themselves are `…_v1`, `…_v2` and so on. Before there were
//! aliases the collection had the name without an ending: it is in use, as it is, until the next reindex.

use qdrant_client::qdrant::{
    BinaryQuantizationBuilder, CollectionInfo, CreateAliasBuilder, CreateCollectionBuilder,
    CreateFieldIndexCollectionBuilder, Distance, FieldType, HnswConfigDiffBuilder, KeywordIndexParamsBuilder,
    Memory, QuantizationSearchParams, QuantizationSearchParamsBuilder, QuantizationType,
    ScalarQuantizationBuilder, SearchParams, SearchParamsBuilder, VectorParams, VectorParamsBuilder,
    quantization_config, vectors_config,
};

use super::{Qdrant, VectorError, again, already_exists, not_found};
use crate::settings::{QdrantLayout, Quantization};

/// The names of one model's collections.
pub(super) struct Names {
    /// `text-embedding-3-small:1536` → `rapport_text-embedding-3-small_1536`: what all of them begin with.
    pub base: String,
    pub live: String,
    pub next: String,
}

impl Names {
    pub fn of(prefix: &str, model: &str) -> Self {
        let safe: String =
            model.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let base = format!("{prefix}_{safe}");
        Self { live: format!("{base}_live"), next: format!("{base}_next"), base }
    }

    fn version(&self, number: u64) -> String {
        format!("{}_v{number}", self.base)
    }

    /// Which version a collection is, if it is one of this model's. The one from before there were versions is 0.
    fn number_of(&self, collection: &str) -> Option<u64> {
        match collection.strip_prefix(&self.base)? {
            "" => Some(0),
            ending => ending.strip_prefix("_v")?.parse().ok(),
        }
    }
}

/// How the first look, at small vectors, is made good: so many more are weighed again by the vectors as they came. A byte a
/// number loses little; a bit a number much.
fn oversampling(quantization: Quantization) -> Option<f64> {
    match quantization {
        Quantization::None => None,
        Quantization::Int8 => Some(1.5),
        Quantization::Binary => Some(3.0),
    }
}

/// Weighs again also where the settings say nothing of small vectors: the collection may still have them, from before.
pub(super) fn nearest(layout: QdrantLayout) -> SearchParams {
    let again = QuantizationSearchParamsBuilder::default().rescore(true);
    let again: QuantizationSearchParams = match oversampling(layout.quantization) {
        Some(times) => again.oversampling(times).build(),
        None => again.build(),
    };
    SearchParamsBuilder::default().quantization(again).build()
}

/// All that is asked for, by the vectors as they came.
pub(super) fn exactly() -> SearchParams {
    SearchParamsBuilder::default().exact(true).build()
}

fn quantization(kind: Quantization) -> Option<quantization_config::Quantization> {
    match kind {
        Quantization::None => None,
        Quantization::Int8 => Some(
            ScalarQuantizationBuilder::default()
                .r#type(QuantizationType::Int8 as i32)
                // The rarest numbers, one in a hundred, would make the steps between all others coarser.
                .quantile(0.99)
                .always_ram(true)
                .into(),
        ),
        Quantization::Binary => Some(BinaryQuantizationBuilder::new(true).into()),
    }
}

impl Qdrant {
    /// Sees to it that there is a collection in use, safely by many processes at once.
    pub(super) async fn make_sure(&self) -> Result<(), VectorError> {
        if !self.exists(&self.names.live).await? {
            let first = if self.exists(&self.names.base).await? {
                self.names.base.clone()
            } else {
                self.make(1).await?
            };
            self.point(&self.names.live, &first).await?;
        }
        // Also where it was there: who made it may have been killed before this.
        self.index_fields(&self.names.live).await
    }

    pub(super) async fn exists(&self, name: &str) -> Result<bool, VectorError> {
        again(|| self.client.collection_exists(name)).await
    }

    async fn make(&self, number: u64) -> Result<String, VectorError> {
        let name = self.names.version(number);
        let layout = self.layout;
        // Tenants search only among their own: links within a tenant are enough, one graph over all is not needed.
        let hnsw = HnswConfigDiffBuilder::default().m(0).payload_m(16);
        let vectors = VectorParamsBuilder::new(self.dimensions, Distance::Cosine).on_disk(layout.on_disk);
        let mut request = CreateCollectionBuilder::new(&name).vectors_config(vectors).hnsw_config(hnsw);
        if let Some(kind) = quantization(layout.quantization) {
            request = request.quantization_config(kind);
        }
        if let Some(shards) = layout.shards {
            request = request.shard_number(shards);
        }
        if let Some(replicas) = layout.replicas {
            request = request.replication_factor(replicas);
        }
        match self.client.create_collection(request).await {
            Ok(_) => Ok(name),
            // Another process was quicker: the collection is there, which is all that is wanted.
            Err(error) if already_exists(&error) => Ok(name),
            Err(error) => {
                // An answer that was lost: the collection may be there all the same.
                if self.exists(&name).await? { Ok(name) } else { Err(error.into()) }
            }
        }
    }

    async fn index_fields(&self, collection: &str) -> Result<(), VectorError> {
        let tenant = KeywordIndexParamsBuilder::default().is_tenant(true);
        let index = |field: &str, kind: FieldType| {
            CreateFieldIndexCollectionBuilder::new(collection, field, kind).wait(true)
        };
        let fields = [
            index("user_id", FieldType::Keyword).field_index_params(tenant),
            index("corpus", FieldType::Keyword),
            index("kind", FieldType::Keyword),
            index("status", FieldType::Keyword),
            index("importance", FieldType::Float),
        ];
        for field in fields {
            again(|| self.client.create_field_index(field.clone())).await?;
        }
        Ok(())
    }

    /// Lets an alias name a collection from now on. One that named another is swapped in one step.
    async fn point(&self, alias: &str, collection: &str) -> Result<(), VectorError> {
        let request = CreateAliasBuilder::new(collection, alias);
        again(|| self.client.create_alias(request.clone())).await.map(drop)
    }

    /// The collection that an alias names.
    async fn named(&self, alias: &str) -> Result<Option<String>, VectorError> {
        let all = again(|| self.client.list_aliases()).await?.aliases;
        Ok(all.into_iter().find(|one| one.alias_name == alias).map(|one| one.collection_name))
    }

    /// All collections of a model, with their numbers: also what nobody uses any more.
    pub(super) async fn versions(&self, names: &Names) -> Result<Vec<(u64, String)>, VectorError> {
        let all = again(|| self.client.list_collections()).await?.collections;
        Ok(all.into_iter().filter_map(|one| Some((names.number_of(&one.name)?, one.name))).collect())
    }

    /// Ends what a reindex that was killed left, and begins a new collection. Its name.
    pub(super) async fn begin(&self) -> Result<String, VectorError> {
        self.make_sure().await?;
        if let Some(half) = self.named(&self.names.next).await? {
            // First of all: nobody writes to what goes.
            self.end_next().await?;
            if self.named(&self.names.live).await?.as_ref() != Some(&half) {
                self.drop_one(&half).await?;
            }
        }
        let newest =
            self.versions(&self.names).await?.into_iter().map(|(number, _)| number).max().unwrap_or(0);
        let name = self.make(newest + 1).await?;
        self.index_fields(&name).await?;
        self.point(&self.names.next, &name).await?;
        Ok(name)
    }

    /// Puts a filled collection in the place of the one in use.
    pub(super) async fn put_in_use(&self, collection: &str) -> Result<(), VectorError> {
        if self.named(&self.names.next).await?.as_deref() != Some(collection) {
            return Err(VectorError(format!(
                "{collection} was not kept up to date: another reindex took over"
            )));
        }
        self.point(&self.names.live, collection).await?;
        self.end_next().await?;
        // It is in use: that what was before does not go is no reason to have failed. The next reindex drops it, and `doctor` tells.
        if let Err(error) = self.drop_others(collection).await {
            tracing::warn!(%error, "a collection that is not in use any more could not be dropped");
        }
        Ok(())
    }

    /// Gives up a collection that was to be filled, if it is still the next.
    pub(super) async fn give_up(&self, collection: &str) -> Result<(), VectorError> {
        if self.named(&self.names.next).await?.as_deref() == Some(collection) {
            self.end_next().await?;
            self.drop_one(collection).await?;
        }
        Ok(())
    }

    async fn end_next(&self) -> Result<(), VectorError> {
        again(|| self.client.delete_alias(self.names.next.as_str())).await.map(drop)
    }

    /// Drops all collections of this model but the one in use, if everybody agrees that it is: a node of a cluster may not have heard
    /// yet of a swap.
    async fn drop_others(&self, live: &str) -> Result<(), VectorError> {
        if self.named(&self.names.live).await?.as_deref() != Some(live) {
            return Err(VectorError(format!("{} does not name {live} everywhere yet", self.names.live)));
        }
        for (_, name) in self.versions(&self.names).await? {
            if name != live {
                self.drop_one(&name).await?;
            }
        }
        Ok(())
    }

    /// The server may need longer than a request may take: then it is asked whether the collection went.
    async fn drop_one(&self, collection: &str) -> Result<(), VectorError> {
        match again(|| self.client.delete_collection(collection)).await {
            Err(_) if !self.exists(collection).await? => Ok(()),
            done => done.map(drop),
        }
    }

    /// What there is to say of the collection in use: how many points it holds, and what `rapport reindex` would change. Makes
    /// and changes nothing.
    pub async fn look(&self) -> Result<Look, VectorError> {
        let live = self.named(&self.names.live).await?;
        let next = self.named(&self.names.next).await?;
        let unfinished = next.is_some();
        let before = if live.is_none() && self.exists(&self.names.base).await? {
            Some(self.names.base.clone())
        } else {
            None
        };
        let Some(collection) = live.or(before) else {
            return Ok(Look { unfinished, ..Look::default() });
        };
        let info = match self.client.collection_info(collection.as_str()).await {
            Ok(answer) => answer.result,
            // Dropped since: a reindex ended.
            Err(error) if not_found(&error) => None,
            Err(error) => return Err(error.into()),
        };
        let differences = info.map(|info| differences(&info, self.layout)).unwrap_or_default();
        let points = self.count_in(&collection).await?;
        let all = self.versions(&self.names).await?;
        let mut left: Vec<String> = all.into_iter().map(|(_, name)| name).collect();
        left.retain(|name| *name != collection && Some(name) != next.as_ref());
        Ok(Look { collection: Some(collection), points, differences, unfinished, left })
    }
}

/// What an operator is told of the index.
#[derive(Debug, Default)]
pub struct Look {
    /// In use; `None`: the first write makes it.
    pub collection: Option<String>,
    pub points: u64,
    /// What it is like, and is to be like: `quantization is none, not int8`.
    pub differences: Vec<String>,
    /// A reindex is under way, or was broken off.
    pub unfinished: bool,
    /// Collections of this model that nobody uses: the next reindex drops them.
    pub left: Vec<String>,
}

#[expect(deprecated, reason = "servers before 1.19 know no other way to say it, and later ones take it")]
fn is_on_disk(vectors: &VectorParams) -> bool {
    vectors.on_disk == Some(true) || vectors.memory == Some(Memory::Cold as i32)
}

fn differences(info: &CollectionInfo, wanted: QdrantLayout) -> Vec<String> {
    let Some(config) = &info.config else { return Vec::new() };
    let Some(params) = &config.params else { return Vec::new() };
    let mut told = Vec::new();
    let mut tell = |what: &str, is: &str, wanted: &str| {
        if is != wanted {
            told.push(format!("{what} is {is}, not {wanted}"));
        }
    };
    let vectors = match params.vectors_config.as_ref().and_then(|one| one.config.as_ref()) {
        Some(vectors_config::Config::Params(vectors)) => Some(vectors),
        _ => None,
    };
    let kind =
        vectors.and_then(|one| one.quantization_config.as_ref()).or(config.quantization_config.as_ref());
    let kind = match kind.and_then(|one| one.quantization.as_ref()) {
        None => "none",
        Some(quantization_config::Quantization::Scalar(_)) => "int8",
        Some(quantization_config::Quantization::Binary(_)) => "binary",
        Some(_) => "of another kind",
    };
    // Where nothing is asked for the server has its own way.
    if wanted.quantization != Quantization::None {
        tell("quantization", kind, wanted.quantization.as_str());
    }
    let place = |on_disk: bool| if on_disk { "on disk" } else { "in memory" };
    tell("the place of vectors", place(vectors.is_some_and(is_on_disk)), place(wanted.on_disk));
    if let Some(shards) = wanted.shards {
        tell("the number of shards", &params.shard_number.to_string(), &shards.to_string());
    }
    if let Some(replicas) = wanted.replicas {
        let is = params.replication_factor.unwrap_or(1);
        tell("the number of replicas", &is.to_string(), &replicas.to_string());
    }
    told
}
