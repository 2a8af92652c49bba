//! What can answer now, and what it can use.

use axum::{Json as Answer, extract::State};
use rapport_common::providers::health::Standing;
use serde::Serialize;
use serde_json::Value;

use crate::{extract::Caller, state::AppState};

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

/// List the tools a chat may use
///
/// Those that are configured here, with their parameters.
#[utoipa::path(get, path = "/tools", tag = "chat", responses((status = 200, description = "Tools", body = ToolList)))]
pub async fn tools(State(state): State<AppState>, _: Caller) -> Answer<ToolList> {
    let tools = &state.ctx.tools;
    let view = |tool: &std::sync::Arc<dyn rapport_common::tools::Tool>| {
        let spec = tool.spec().clone();
        ToolView {
            name: spec.name,
            description: spec.description,
            parameters: spec.parameters,
            read_only: tool.is_read_only(),
        }
    };
    let mcp_servers = tools.mcp.names().into_iter().map(str::to_owned).collect();
    Answer(ToolList { tools: tools.built_in().iter().map(view).collect(), mcp_servers })
}
