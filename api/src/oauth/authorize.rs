//! Where a client sends its user's browser, and what the page there asks: whether the client may come in.
//!
//! The page is a screen of the web UI (`#/connect?…`), so that who is signed in, and what keeps other sites out, is as everywhere: its
//! answer is a request with an access token that only this origin's scripts have. No cookie lets a client in.

use axum::{
    Json as Answer,
    extract::{OriginalUri, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rapport_common::usecase::oauth::{
    Here,
    allow::{self, Asked, Request},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{self, Address, Caller, Json, Query},
    state::AppState,
};

/// The parameters of a request for authorization (RFC 6749, 7636, 8707), as the client gave them.
#[derive(Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Authorization {
    /// As it was registered.
    client_id: String,
    /// Where the answer goes: one of those that the client registered.
    redirect_uri: String,
    #[serde(default)]
    #[schema(example = "code")]
    response_type: String,
    /// Some of `memory` and `chat`, with spaces between; absent: both.
    scope: Option<String>,
    /// Given back as it is.
    state: Option<String>,
    code_challenge: Option<String>,
    /// `S256`.
    code_challenge_method: Option<String>,
    /// The address of `/mcp`.
    resource: Option<String>,
}

/// A client that asks to be let in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ClientRequest {
    /// Its own word for itself: anybody can say anything.
    client_name: String,
    /// Where the answer goes: a host, or the scheme of a program.
    #[schema(example = "127.0.0.1")]
    answers_to: String,
    /// What it asks for.
    #[schema(example = json!(["memory", "chat"]))]
    scopes: Vec<String>,
    /// Why it cannot be let in; null when it can.
    wrong: Option<String>,
    /// Where the browser goes to refuse it.
    refuse_at: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct LetIn {
    /// Where the browser goes with the code, which is good for a minute.
    go_to: String,
}

impl From<Authorization> for Asked {
    fn from(from: Authorization) -> Self {
        let Authorization { client_id, redirect_uri, response_type, scope, state, .. } = from;
        let Authorization { code_challenge, code_challenge_method, resource, .. } = from;
        Self {
            client_id,
            redirect_uri,
            response_type,
            scope,
            state,
            code_challenge,
            code_challenge_method,
            resource,
        }
    }
}

impl ClientRequest {
    fn of(request: &Request, here: &Here) -> Self {
        Self {
            client_name: request.client.name.clone(),
            answers_to: request.answers_to(),
            scopes: request.scopes.iter().map(ToString::to_string).collect(),
            wrong: request.wrong.as_ref().map(|wrong| wrong.detail.clone()),
            refuse_at: request.refusal(here),
        }
    }
}

/// Sends a browser on to the page, with all it came with. The way is relative, and so right below any prefix.
pub async fn authorize(OriginalUri(uri): OriginalUri) -> Response {
    let to = format!("./#/connect?{}", uri.query().unwrap_or_default());
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

/// Show an MCP client's request
///
/// What the page that a client sent its user to shows before they answer.
#[utoipa::path(get, path = "/oauth/authorization", tag = "accounts", params(Authorization),
    responses((status = 200, description = "The request", body = ClientRequest),
              (status = 422, description = "The address is not the client's", body = crate::problem::Problem)))]
pub async fn show(
    State(state): State<AppState>,
    _: Caller,
    extract::Here(here): extract::Here,
    Query(asked): Query<Authorization>,
) -> Result<Answer<ClientRequest>> {
    let request = allow::look(&state.ctx, &here, asked.into())?;
    Ok(Answer(ClientRequest::of(&request, &here)))
}

/// Let an MCP client in
///
/// The client gets an API key of its own, which shows among yours and ends when you delete it. The browser brings it the code.
#[utoipa::path(post, path = "/oauth/authorization", tag = "accounts", request_body = Authorization,
    responses((status = 200, description = "Where the browser goes", body = LetIn),
              (status = 409, description = "There are too many keys", body = crate::problem::Problem)))]
pub async fn let_in(
    State(state): State<AppState>,
    Caller(caller): Caller,
    extract::Here(here): extract::Here,
    Address(address): Address,
    Json(asked): Json<Authorization>,
) -> Result<Answer<LetIn>> {
    let go_to = allow::allow(&state.ctx, &caller, &here, asked.into(), Some(&address)).await?;
    Ok(Answer(LetIn { go_to }))
}
