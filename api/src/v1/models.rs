//! What a request can name in `model`.

use axum::{Json as Answer, extract::State};
use rapport_common::{Context, Error, Result, domain::texts::ModelName, error::Wrong, problems::Problems};
use serde::Serialize;

use crate::{
    error,
    extract::{Caller, ModelPath},
    state::AppState,
};

/// When models were made is not known; clients want a number.
const CREATED: i64 = 1_700_000_000;

#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenAiModel {
    /// `auto`, or `provider/model`.
    #[schema(example = "mock/mock-1")]
    id: String,
    #[schema(example = "model")]
    object: &'static str,
    created: i64,
    #[schema(example = "mock")]
    owned_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenAiModels {
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<OpenAiModel>,
}

/// Who is asked, and for which model. Without a model it is the provider's own.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub provider: String,
    pub model: Option<ModelName>,
}

/// Reads `auto`, `provider`, `provider/model` and a model's bare name: that of the provider whose own it is, or of the first
/// that `auto` asks.
pub fn named(ctx: &Context, text: &str) -> Result<Named> {
    let providers = &ctx.providers;
    let (provider, model) = match text.split_once('/') {
        Some((provider, model)) if providers.has(provider) => (provider.to_owned(), Some(model)),
        _ if providers.has(text) => (text.to_owned(), None),
        _ => {
            let own = providers.list().into_iter().find(|offered| offered.model == text);
            (own.map_or_else(|| "auto".to_owned(), |offered| offered.provider), Some(text))
        }
    };
    let mut problems = Problems::default();
    let checked = problems.checked::<_, ModelName>("model", model.map(str::to_owned));
    problems.unless(!text.is_empty(), "model", Wrong::Empty);
    problems.done()?;
    Ok(Named { provider, model: checked })
}

fn all(ctx: &Context) -> Vec<OpenAiModel> {
    let model =
        |id: String, owned_by: String| OpenAiModel { id, object: "model", created: CREATED, owned_by };
    let auto = model("auto".to_owned(), "rapport".to_owned());
    let offered = ctx.providers.list().into_iter();
    std::iter::once(auto)
        .chain(offered.map(|one| model(format!("{}/{}", one.provider, one.model), one.provider)))
        .collect()
}

/// List models, for OpenAI's clients
///
/// `auto`, and each provider with its own model, in the order `auto` tries them. Other models of a provider can be named
/// as `provider/model`.
#[utoipa::path(get, path = "/v1/models", tag = "openai",
    responses((status = 200, description = "Models", body = OpenAiModels)))]
pub async fn list(State(state): State<AppState>, _: Caller) -> Answer<OpenAiModels> {
    Answer(OpenAiModels { object: "list", data: all(&state.ctx) })
}

/// Get one model, for OpenAI's clients
///
/// One of those that `GET /v1/models` lists, by its id (`/` written as `%2F`).
#[utoipa::path(get, path = "/v1/models/{model}", tag = "openai",
    params(("model" = String, Path, description = "As in `GET /v1/models`")),
    responses((status = 200, description = "The model", body = OpenAiModel)))]
pub async fn one(
    State(state): State<AppState>,
    _: Caller,
    ModelPath(id): ModelPath,
) -> error::Result<Answer<OpenAiModel>> {
    let found = all(&state.ctx).into_iter().find(|model| model.id == id);
    Ok(Answer(found.ok_or_else(|| Error::not_found("model"))?))
}
