//! How providers stand, their breakers and keys.

use axum::{Json as Answer, extract::State};
use rapport_common::providers::{Offered, health::Standing};
use serde::Serialize;

use crate::{
    extract::{Caller, NoPages},
    page::{List, listed},
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct ProviderView {
    #[schema(example = "openai")]
    name: String,
    model: String,
    /// `closed`, `open` or `half_open`.
    #[schema(example = "closed")]
    breaker: &'static str,
    /// Seconds that an open breaker stays so.
    open_for: Option<f64>,
    keys: usize,
    /// Keys that rest: their rate is used up, or they were refused.
    resting_keys: usize,
}

listed!(ProviderList = List<ProviderView>);

/// Show the state of the providers
///
/// Whether each provider is used, whether its circuit breaker is open, and how many of its keys are resting.
#[utoipa::path(get, path = "/admin/providers", tag = "admin",
    responses((status = 200, description = "Providers", body = ProviderList)))]
pub async fn providers(State(state): State<AppState>, _: Caller, _: NoPages) -> Answer<ProviderList> {
    let view = |offered: Offered| {
        let (breaker, open_for) = match offered.standing {
            Standing::Closed => ("closed", None),
            Standing::HalfOpen => ("half_open", None),
            Standing::Open(wait) => ("open", Some((wait.as_secs_f64() * 10.0).round() / 10.0)),
        };
        ProviderView {
            name: offered.provider,
            model: offered.model,
            breaker,
            open_for,
            keys: offered.keys,
            resting_keys: offered.resting_keys,
        }
    };
    Answer(List::of(state.ctx.providers.list().into_iter().map(view).collect()))
}
