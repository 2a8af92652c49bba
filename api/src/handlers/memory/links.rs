//! Links between memories, and the graph they make.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, clock,
    domain::{
        ids::{MemoryId, UserId},
        memory::{Memory, MemoryStatus, MemoryType, MemoryView, Relationship},
    },
    error::Code,
    store::{Querier, memories, memory_links},
    usecase::memory::graph,
};
use serde::{Deserialize, Serialize};

use super::memory_id;
use crate::{
    bodies::Link,
    error::Result,
    extract::{Caller, Json, MemoryPath, Query},
    state::AppState,
};

/// Links are followed so far at most.
const DEPTH: i32 = 5;
/// Nodes of a graph at most.
const NODES: usize = 500;

#[derive(Deserialize, utoipa::ToSchema)]
pub struct LinkBody {
    #[schema(example = "mem_06dqz6ef8swq1bnx1rc6a2k8t4")]
    source_id: String,
    #[schema(example = "mem_06dqz6ef8swq1bnx1rc6a2k8t8")]
    target_id: String,
    /// `relates_to` (default), `contradicts`, `supports`, `caused_by` or `similar_to`.
    #[schema(example = "supports")]
    relationship_type: Option<String>,
}

fn relationship(word: Option<&str>) -> std::result::Result<Option<Relationship>, Error> {
    let parsed = word.map(str::parse).transpose();
    parsed.map_err(|_| Error::field("relationship_type", Relationship::one_of()))
}

/// A link that was made. `source_id` and `target_id` are as they were sent; `source` and `target` as graphs show them: a
/// link that says the same in both directions goes from the older to the newer memory.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LinkMade {
    #[serde(flatten)]
    link: Link,
    #[schema(value_type = String)]
    source_id: MemoryId,
    #[schema(value_type = String)]
    target_id: MemoryId,
    #[schema(value_type = String, example = "supports")]
    relationship_type: Relationship,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

/// Link two memories
///
/// 201 when the link is new, 200 when it was there.
#[utoipa::path(post, path = "/memory/link", tag = "memory graph", request_body = LinkBody,
    responses((status = 201, description = "The link", body = LinkMade), (status = 200, description = "It was there", body = LinkMade),
              (status = 404, description = "One of the two is not there, or another user's", body = crate::problem::Problem)))]
pub async fn link(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Answer<LinkMade>)> {
    let (source, target) = (memory_id(&body.source_id)?, memory_id(&body.target_id)?);
    let relationship = relationship(body.relationship_type.as_deref())?.unwrap_or(Relationship::RelatesTo);
    let (link, created_at, made) = graph::link(&state.ctx, caller.user, source, target, relationship).await?;
    let answer = LinkMade {
        source_id: source,
        target_id: target,
        relationship_type: link.relationship,
        created_at,
        link: link.into(),
    };
    Ok((if made { StatusCode::CREATED } else { StatusCode::OK }, Answer(answer)))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Unlinked {
    deleted: u64,
}

/// Delete links between two memories
///
/// Of one kind, or, without `relationship_type`, of every kind.
#[utoipa::path(delete, path = "/memory/link", tag = "memory graph", request_body = LinkBody,
    responses((status = 200, description = "How many links were deleted", body = Unlinked),
              (status = 404, description = "There is no such link", body = crate::problem::Problem)))]
pub async fn unlink(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Json(body): Json<LinkBody>,
) -> Result<Answer<Unlinked>> {
    let (source, target) = (memory_id(&body.source_id)?, memory_id(&body.target_id)?);
    let relationship = relationship(body.relationship_type.as_deref())?;
    let deleted = graph::unlink(&state.ctx, caller.user, source, target, relationship).await?;
    Ok(Answer(Unlinked { deleted }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RelatedQuery {
    relationship_type: Option<String>,
    /// 1-5, 1 by default.
    #[param(minimum = 1, maximum = 5)]
    depth: Option<i32>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Related {
    memory: MemoryView,
    /// Of the last link on the way to it.
    #[schema(value_type = String, example = "supports")]
    relationship: Relationship,
    /// Links on the way.
    distance: i32,
}

fn depth_of(depth: Option<i32>, name: &str, default: i32) -> Result<i32> {
    let depth = depth.unwrap_or(default);
    if !(1..=DEPTH).contains(&depth) {
        return Err(Error::new(Code::BadQuery, format!("`{name}` must be from 1 to {DEPTH}.")).into());
    }
    Ok(depth)
}

async fn own(q: &mut impl Querier, user: UserId, id: MemoryId) -> Result<Memory> {
    Ok(memories::get(q, user, id).await?.ok_or_else(|| Error::not_found("memory"))?)
}

/// List memories linked to a memory
///
/// Nearest first, up to `depth` links away, at most 500.
#[utoipa::path(get, path = "/memory/{id}/related", tag = "memory graph", params(("id" = String, Path), RelatedQuery),
    responses((status = 200, description = "The nearest first; at most 500", body = [Related])))]
pub async fn related(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Query(query): Query<RelatedQuery>,
) -> Result<Answer<Vec<Related>>> {
    let depth = depth_of(query.depth, "depth", 1)?;
    let bad = |error: Error| Error::new(Code::BadQuery, error.detail);
    let kind = relationship(query.relationship_type.as_deref()).map_err(bad)?;
    let mut conn = state.ctx.db.read().await?;
    own(&mut conn, caller.user, id).await?;
    let found = memory_links::related(&mut conn, caller.user, id, depth, kind, NODES as i64).await?;
    let distance =
        |of: MemoryId| if of == id { Some(0) } else { found.iter().find(|(m, _)| *m == of).map(|(_, d)| *d) };
    let mut ids: Vec<MemoryId> = found.iter().map(|(memory, _)| *memory).collect();
    let rows = memories::get_many(&mut conn, caller.user, &ids).await?;
    ids.push(id);
    let links = memory_links::among(&mut conn, caller.user, &ids).await?;
    let mut related: Vec<Related> = rows
        .into_iter()
        .filter_map(|memory| {
            let at = distance(memory.id)?;
            let last = links.iter().filter(|link| kind.is_none_or(|kind| kind == link.relationship)).find(
                |link| {
                    let other = if link.source == memory.id { link.target } else { link.source };
                    (link.source == memory.id || link.target == memory.id) && distance(other) == Some(at - 1)
                },
            )?;
            Some(Related { relationship: last.relationship, memory: memory.into(), distance: at })
        })
        .collect();
    related.sort_by_key(|one| (one.distance, one.memory.id));
    Ok(Answer(related))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Node {
    #[schema(value_type = String)]
    id: MemoryId,
    content: String,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "fact")]
    memory_type: MemoryType,
    #[schema(value_type = String)]
    status: MemoryStatus,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Link>,
    /// There are more nodes than these.
    truncated: bool,
}

async fn graph_of(q: &mut impl Querier, user: UserId, mut ids: Vec<MemoryId>) -> Result<Graph> {
    let truncated = ids.len() > NODES;
    ids.truncate(NODES);
    let rows = memories::get_many(q, user, &ids).await?;
    let edges = if ids.is_empty() { Vec::new() } else { memory_links::among(q, user, &ids).await? };
    let node = |memory: Memory| Node {
        id: memory.id,
        content: memory.content,
        memory_type: memory.memory_type,
        status: memory.status,
    };
    Ok(Graph {
        nodes: rows.into_iter().map(node).collect(),
        edges: edges.into_iter().map(Link::from).collect(),
        truncated,
    })
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GraphQuery {
    /// 1-5, 2 by default.
    #[param(minimum = 1, maximum = 5)]
    max_depth: Option<i32>,
}

/// Show the graph around a memory
///
/// Nodes and edges up to `max_depth` links away, at most 500 nodes.
#[utoipa::path(get, path = "/memory/{id}/graph", tag = "memory graph", params(("id" = String, Path), GraphQuery),
    responses((status = 200, description = "Nodes and edges; at most 500 nodes", body = Graph)))]
pub async fn graph_around(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MemoryPath(id): MemoryPath,
    Query(query): Query<GraphQuery>,
) -> Result<Answer<Graph>> {
    let depth = depth_of(query.max_depth, "max_depth", 2)?;
    let mut conn = state.ctx.db.read().await?;
    own(&mut conn, caller.user, id).await?;
    let found = memory_links::related(&mut conn, caller.user, id, depth, None, NODES as i64).await?;
    let ids = std::iter::once(id).chain(found.into_iter().map(|(memory, _)| memory)).collect();
    Ok(Answer(graph_of(&mut conn, caller.user, ids).await?))
}

/// Show the graph of all linked memories
///
/// Nodes and edges, at most 500 nodes.
#[utoipa::path(get, path = "/memory/graph", tag = "memory graph",
    responses((status = 200, description = "Nodes and edges; at most 500 nodes", body = Graph)))]
pub async fn graph_of_all(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<Graph>> {
    let mut conn = state.ctx.db.read().await?;
    let ids = memory_links::linked(&mut conn, caller.user, NODES as i64 + 1).await?;
    Ok(Answer(graph_of(&mut conn, caller.user, ids).await?))
}
