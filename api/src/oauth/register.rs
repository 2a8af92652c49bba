//! Clients that register themselves (RFC 7591).

use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rapport_common::{
    Error,
    error::Code,
    usecase::oauth::{
        SCOPES,
        clients::{self, Client, Metadata},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::Result, extract::Json, state::AppState};

/// What a client says of itself. What else it says is not looked at.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct ClientMetadata {
    /// Where codes may be sent: https, this machine, or a program's own scheme.
    #[serde(default)]
    #[schema(example = json!(["http://127.0.0.1:33418/callback"]))]
    redirect_uris: Vec<String>,
    #[schema(example = "My editor")]
    client_name: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ClientInformation {
    client_id: String,
    /// Unix seconds.
    client_id_issued_at: i64,
    client_name: String,
    redirect_uris: Vec<String>,
    #[schema(example = json!(["authorization_code", "refresh_token"]))]
    grant_types: [&'static str; 2],
    #[schema(example = json!(["code"]))]
    response_types: [&'static str; 1],
    /// There are no secrets: a client shows that a code is its own by PKCE.
    #[schema(example = "none")]
    token_endpoint_auth_method: &'static str,
    #[schema(example = "memory chat")]
    scope: String,
}

/// Register an MCP client
///
/// RFC 7591. Anybody may: a client gets nothing until a user lets it in. It is kept nowhere; its id says what it registered with.
#[utoipa::path(post, path = "/register", tag = "auth", request_body = ClientMetadata, security(()),
    responses((status = 201, description = "The client", body = ClientInformation),
              (status = 400, description = "What the client says of itself is not what it must be", body = crate::oauth_error::OAuthError)))]
pub async fn register_client(
    State(state): State<AppState>,
    Json(said): Json<Map<String, Value>>,
) -> Result<Response> {
    let wrong = |error: serde_json::Error| Error::new(Code::OAuthMetadata, format!("{error}."));
    let ClientMetadata { redirect_uris, client_name } =
        serde_json::from_value(Value::Object(said)).map_err(wrong)?;
    let (client_id, client) = clients::register(&state.ctx, Metadata { name: client_name, redirect_uris })?;
    let Client { name, redirect_uris, issued_at } = client;
    let information = ClientInformation {
        client_id,
        client_id_issued_at: issued_at,
        client_name: name,
        redirect_uris,
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        scope: SCOPES.map(|scope| scope.as_str()).join(" "),
    };
    Ok((StatusCode::CREATED, Answer(information)).into_response())
}
