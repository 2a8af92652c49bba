//! What can answer now, and what it can use.

use std::sync::Arc;

use axum::{Json as Answer, extract::State};
use rapport_common::{Error, domain::ids::ProjectId, providers::health::Standing, tools::Tool};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Result,
    extract::{Caller, Query},
    policy::Content,
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct Model {
    #[schema(example = "mock")]
    provider: String,
    /// The provider's default model.
    #[schema(example = "mock-1")]
    model: String,
    /// Whether it would be asked now: its circuit breaker is closed, and not all of its keys rest.
    available: bool,
    /// Tokens of prompt and answer together, where known.
    context_tokens: Option<u64>,
    /// US dollars per million tokens of the prompt, where known.
    prompt_price: Option<f64>,
    /// US dollars per million tokens of the answer, where known.
    completion_price: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ModelList {
    /// In the order `auto` tries them.
    models: Vec<Model>,
}

/// List providers and their default models
///
/// What a chat can name in `provider` now, in the order `auto` tries them.
#[utoipa::path(get, path = "/models", tag = "chat", responses((status = 200, description = "Models", body = ModelList)))]
pub async fn models(State(state): State<AppState>, _: Caller) -> Answer<ModelList> {
    let providers = &state.ctx.providers;
    let models = providers.list().into_iter().map(|offered| {
        let known = providers.models.get(&offered.model);
        Model {
            available: !matches!(offered.standing, Standing::Open(_)) && offered.resting_keys < offered.keys,
            context_tokens: known.and_then(|known| known.context_tokens),
            prompt_price: known.and_then(|known| known.prompt_price),
            completion_price: known.and_then(|known| known.completion_price),
            provider: offered.provider,
            model: offered.model,
        }
    });
    Answer(ModelList { models: models.collect() })
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ToolView {
    #[schema(example = "current_time")]
    name: String,
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// Whether it changes nothing.
    read_only: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ToolList {
    tools: Vec<ToolView>,
    /// Configured MCP servers; their tools are called `server__tool`.
    mcp_servers: Vec<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ToolQuery {
    /// What a chat in this project may use.
    project_id: Option<String>,
}

/// List the tools a chat may use
///
/// Those that are configured here, with their parameters; with `project_id` the project's own as well, and without those that it
/// does without.
#[utoipa::path(get, path = "/tools", tag = "chat", params(ToolQuery),
    responses((status = 200, description = "Tools", body = ToolList),
              (status = 404, description = "There is no such project", body = crate::problem::Problem)))]
pub async fn tools(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<ToolQuery>,
) -> Result<Answer<ToolList>> {
    let ctx = &state.ctx;
    let mut all = ctx.tools.built_in().to_vec();
    if let Some(project) = query.project_id {
        Content::Projects.check(&caller)?;
        let project: ProjectId = project.parse().map_err(|_| Error::not_found("project"))?;
        all = ctx.tools.of_project(ctx, caller.user, project).await?.over(all);
    }
    let view = |tool: &Arc<dyn Tool>| {
        let spec = tool.spec().clone();
        ToolView {
            name: spec.name,
            description: spec.description,
            parameters: spec.parameters,
            read_only: tool.is_read_only(),
        }
    };
    let mcp_servers = ctx.tools.mcp.names().into_iter().map(str::to_owned).collect();
    Ok(Answer(ToolList { tools: all.iter().map(view).collect(), mcp_servers }))
}
