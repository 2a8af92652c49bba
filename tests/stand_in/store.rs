//! Collections and points in memory, by tenant.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{
    self as q, point_id::PointIdOptions, points_selector::PointsSelectorOneOf, query, vector, vector_input,
    vectors, vectors_config,
};
use tonic::Status;

use crate::filter;

#[derive(Default)]
pub struct Store {
    collections: HashMap<String, Collection>,
}

/// Points of one tenant, in the order of their ids.
type Tenant = BTreeMap<String, Stored>;

pub struct Collection {
    dimensions: usize,
    tenants: BTreeMap<String, Tenant>,
}

pub struct Stored {
    pub payload: HashMap<String, q::Value>,
    vector: Vec<f32>,
}

fn bad(message: &str) -> Status {
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

fn dot(a: &[f32], b: &[f32]) -> f32 {
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
        if self.collections.contains_key(&request.collection_name) {
            return Err(Status::already_exists(format!(
                "Collection `{}` already exists!",
                request.collection_name
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
        let collection = Collection { dimensions: params.size as usize, tenants: BTreeMap::new() };
        self.collections.insert(request.collection_name.clone(), collection);
        Ok(())
    }

    pub fn drop_collection(&mut self, name: &str) -> bool {
        self.collections.remove(name).is_some()
    }

    pub fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        self.collections
            .get_mut(name)
            .ok_or_else(|| Status::not_found(format!("Collection `{name}` doesn't exist!")))
    }
}

impl Collection {
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
        let mut all: Vec<(f32, &String)> = tenants
            .into_iter()
            .flatten()
            .filter(|(id, point)| filter.is_none_or(|filter| filter::matches(filter, id, point)))
            .map(|(id, point)| (dot(&asked, &point.vector), id))
            .collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let best = all.into_iter().take(request.limit.unwrap_or(10) as usize);
        Ok(best
            .map(|(score, id)| q::ScoredPoint { id: point_id(id), score, ..q::ScoredPoint::default() })
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
