//! Collections and points in memory, by tenant; and the names that collections go by.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{
    self as q, alias_operations::Action, point_id::PointIdOptions, points_selector::PointsSelectorOneOf,
    query, vector, vector_input, vectors, vectors_config,
};
use tonic::Status;

use crate::{filter, small::Small};

#[derive(Default)]
pub struct Store {
    collections: HashMap<String, Collection>,
    /// Alias to collection, as `lib/storage/src/content_manager/toc` of Qdrant has them.
    aliases: BTreeMap<String, String>,
}

/// Points of one tenant, in the order of their ids.
type Tenant = BTreeMap<String, Stored>;

pub struct Collection {
    dimensions: usize,
    /// As it was asked for.
    made: q::CreateCollection,
    tenants: BTreeMap<String, Tenant>,
}

pub struct Stored {
    pub payload: HashMap<String, q::Value>,
    vector: Vec<f32>,
}

pub fn bad(message: &str) -> Status {
    Status::invalid_argument(message.to_owned())
}

fn id_text(id: Option<&q::PointId>) -> Result<String, Status> {
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Uuid(text)) => Ok(text.to_lowercase()),
        _ => Err(bad("only uuid ids are known here")),
    }
}

fn point_id(text: &str) -> Option<q::PointId> {
    Some(q::PointId { point_id_options: Some(PointIdOptions::Uuid(text.to_owned())) })
}

fn dense(vector: q::Vector) -> Option<Vec<f32>> {
    match vector.vector {
        Some(vector::Vector::Dense(dense)) => Some(dense.data),
        #[expect(deprecated, reason = "older clients write vectors so")]
        None => Some(vector.data),
        Some(_) => None,
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    vector
}

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

impl Store {
    pub fn points(&self) -> usize {
        self.collections.values().flat_map(|collection| collection.tenants.values()).map(BTreeMap::len).sum()
    }

    pub fn create(&mut self, request: &q::CreateCollection) -> Result<(), Status> {
        let name = &request.collection_name;
        if self.collections.contains_key(name) {
            return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
        }
        if self.aliases.contains_key(name) {
            return Err(bad(&format!(
                "Can't create collection with name {name}. Alias with the same name already exists"
            )));
        }
        let Some(vectors_config::Config::Params(params)) =
            request.vectors_config.as_ref().and_then(|config| config.config.as_ref())
        else {
            return Err(bad("one unnamed vector is known here"));
        };
        if params.distance != q::Distance::Cosine as i32 {
            return Err(bad("only cosine is known here"));
        }
        let dimensions = params.size as usize;
        let collection = Collection { dimensions, made: request.clone(), tenants: BTreeMap::new() };
        self.collections.insert(name.clone(), collection);
        Ok(())
    }

    /// By its own name alone: an alias is nothing to drop. Its aliases go with it.
    pub fn drop_collection(&mut self, name: &str) -> bool {
        self.aliases.retain(|_, of| of != name);
        self.collections.remove(name).is_some()
    }

    /// By its name, or by an alias.
    pub fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.collections.get_mut(name).ok_or_else(|| absent(name))
    }

    pub fn names(&self) -> Vec<String> {
        self.collections.keys().cloned().collect()
    }

    pub fn aliases(&self) -> Vec<q::AliasDescription> {
        let described = |(alias, collection): (&String, &String)| q::AliasDescription {
            alias_name: alias.clone(),
            collection_name: collection.clone(),
        };
        self.aliases.iter().map(described).collect()
    }

    /// One after another, under one lock: no request is answered between them.
    pub fn change_aliases(&mut self, actions: Vec<q::AliasOperations>) -> Result<(), Status> {
        for action in actions {
            match action.action.ok_or_else(|| bad("no action"))? {
                Action::CreateAlias(new) => {
                    if !self.collections.contains_key(&new.collection_name) {
                        return Err(absent(&new.collection_name));
                    }
                    if self.collections.contains_key(&new.alias_name) {
                        return Err(Status::already_exists(format!(
                            "Collection `{}` already exists!",
                            new.alias_name
                        )));
                    }
                    // One that is there is overwritten.
                    self.aliases.insert(new.alias_name, new.collection_name);
                }
                Action::DeleteAlias(gone) => drop(self.aliases.remove(&gone.alias_name)),
                Action::RenameAlias(_) => return Err(Status::unimplemented("rename_alias")),
            }
        }
        Ok(())
    }
}

fn absent(name: &str) -> Status {
    Status::not_found(format!("Collection `{name}` doesn't exist!"))
}

impl Collection {
    pub fn as_text(&self) -> BTreeMap<String, String> {
        let text = |(id, point): (&String, &Stored)| {
            let payload: BTreeMap<&String, &q::Value> = point.payload.iter().collect();
            (id.clone(), format!("{payload:?} {:?}", point.vector))
        };
        self.tenants.values().flatten().map(text).collect()
    }

    pub fn info(&self) -> q::CollectionInfo {
        let params = q::CollectionParams {
            shard_number: self.made.shard_number.unwrap_or(1),
            vectors_config: self.made.vectors_config.clone(),
            replication_factor: Some(self.made.replication_factor.unwrap_or(1)),
            ..q::CollectionParams::default()
        };
        let config = q::CollectionConfig {
            params: Some(params),
            hnsw_config: self.made.hnsw_config,
            quantization_config: self.made.quantization_config,
            ..q::CollectionConfig::default()
        };
        q::CollectionInfo {
            status: q::CollectionStatus::Green as i32,
            config: Some(config),
            points_count: Some(self.tenants.values().map(BTreeMap::len).sum::<usize>() as u64),
            ..q::CollectionInfo::default()
        }
    }

    pub fn upsert(&mut self, points: Vec<q::PointStruct>) -> Result<(), Status> {
        for point in points {
            let id = id_text(point.id.as_ref())?;
            let Some(vectors::VectorsOptions::Vector(vector)) = point.vectors.and_then(|v| v.vectors_options)
            else {
                return Err(bad("a point needs one vector"));
            };
            let vector = dense(vector).ok_or_else(|| bad("only dense vectors are known here"))?;
            if vector.len() != self.dimensions {
                let message = format!(
                    "Vector dimension error: expected dim: {}, got {}",
                    self.dimensions,
                    vector.len()
                );
                return Err(bad(&message));
            }
            let tenant =
                point.payload.get("user_id").and_then(|value| value.as_str()).cloned().unwrap_or_default();
            self.tenants
                .entry(tenant)
                .or_default()
                .insert(id, Stored { payload: point.payload, vector: unit(vector) });
        }
        Ok(())
    }

    /// The tenants a filter can match: one, if it names one.
    fn tenants<'a>(&'a self, filter: Option<&q::Filter>) -> Vec<&'a Tenant> {
        match filter.and_then(filter::tenant) {
            Some(tenant) => self.tenants.get(&tenant).into_iter().collect(),
            None => self.tenants.values().collect(),
        }
    }

    pub fn delete(&mut self, selector: Option<q::PointsSelector>) -> Result<(), Status> {
        match selector.and_then(|selector| selector.points_selector_one_of) {
            Some(PointsSelectorOneOf::Points(ids)) => {
                for id in &ids.ids {
                    let id = id_text(Some(id))?;
                    self.tenants.values_mut().for_each(|tenant| {
                        tenant.remove(&id);
                    });
                }
            }
            Some(PointsSelectorOneOf::Filter(filter)) => {
                for tenant in self.tenants.values_mut() {
                    tenant.retain(|id, point| !filter::matches(&filter, id, point));
                }
            }
            None => return Err(bad("nothing is selected")),
        }
        Ok(())
    }

    pub fn query(&self, request: &q::QueryPoints) -> Result<Vec<q::ScoredPoint>, Status> {
        let Some(query::Variant::Nearest(input)) =
            request.query.as_ref().and_then(|query| query.variant.as_ref())
        else {
            return Err(bad("only nearest is known here"));
        };
        let Some(vector_input::Variant::Dense(asked)) = &input.variant else {
            return Err(bad("only dense vectors"));
        };
        if asked.data.len() != self.dimensions {
            return Err(bad("Vector dimension error"));
        }
        let asked = unit(asked.data.clone());
        let filter = request.filter.as_ref();
        let tenants = self.tenants(filter);
        let small = Small::of(self.made.quantization_config.as_ref(), request.params.as_ref())?;
        let limit = request.limit.unwrap_or(10) as usize;
        let mut all: Vec<(f32, &String, &Stored)> = tenants
            .into_iter()
            .flatten()
            .filter(|(id, point)| filter.is_none_or(|filter| filter::matches(filter, id, point)))
            .map(|(id, point)| (small.likeness(&asked, &point.vector), id, point))
            .collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(small.first(limit));
        if small.rescores() {
            all.iter_mut().for_each(|(score, _, point)| *score = dot(&asked, &point.vector));
            all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        }
        let best = all.into_iter().take(limit);
        Ok(best
            .map(|(score, id, _)| q::ScoredPoint { id: point_id(id), score, ..q::ScoredPoint::default() })
            .collect())
    }

    pub fn count(&self, filter: Option<&q::Filter>) -> Result<u64, Status> {
        let points = self.tenants(filter).into_iter().flatten();
        Ok(
            points
                .filter(|(id, point)| filter.is_none_or(|filter| filter::matches(filter, id, point)))
                .count() as u64,
        )
    }

    pub fn scroll(&self, request: &q::ScrollPoints) -> Result<Vec<q::RetrievedPoint>, Status> {
        let from = request.offset.as_ref().map(|id| id_text(Some(id))).transpose()?.unwrap_or_default();
        let mut all: Vec<(&String, &Stored)> = self
            .tenants(request.filter.as_ref())
            .into_iter()
            .flat_map(|tenant| tenant.range(from.clone()..))
            .collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        let page = all.into_iter().take(request.limit.unwrap_or(10) as usize);
        Ok(page
            .map(|(id, point)| q::RetrievedPoint {
                id: point_id(id),
                payload: point.payload.clone(),
                ..q::RetrievedPoint::default()
            })
            .collect())
    }
}
