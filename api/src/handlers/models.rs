//! What can answer now.

use axum::{Json as Answer, extract::State};
use serde::Serialize;

use crate::{extract::Caller, state::AppState};

#[derive(Serialize, utoipa::ToSchema)]
pub struct Model {
    #[schema(example = "mock")]
    provider: String,
    /// The provider's default model.
    #[schema(example = "mock-1")]
    model: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ModelList {
    /// In the order `auto` tries them.
    models: Vec<Model>,
}

/// List providers and their default models
#[utoipa::path(get, path = "/models", tag = "chat", responses((status = 200, description = "Models", body = ModelList)))]
pub async fn models(State(state): State<AppState>, _: Caller) -> Answer<ModelList> {
    let models =
        state.ctx.providers.list().into_iter().map(|(provider, model)| Model { provider, model }).collect();
    Answer(ModelList { models })
}
