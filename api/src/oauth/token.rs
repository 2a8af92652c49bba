//! Codes and refresh tokens traded for tokens (RFC 6749), and given back (RFC 7009).

use axum::{Json as Answer, extract::State, http::StatusCode};
use rapport_common::{
    Error,
    error::Code,
    usecase::oauth::tokens::{self, Proof, Shown},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Address, Here, JsonOrForm},
    state::AppState,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct TokenForm {
    /// `authorization_code` or `refresh_token`.
    #[schema(example = "refresh_token")]
    grant_type: Option<String>,
    client_id: Option<String>,
    /// Of `authorization_code`.
    code: Option<String>,
    /// The same as in the request for the code.
    redirect_uri: Option<String>,
    /// What the challenge was made of (PKCE).
    code_verifier: Option<String>,
    /// Of `refresh_token`.
    refresh_token: Option<String>,
    /// The address of `/mcp`.
    resource: Option<String>,
    scope: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ClientTokens {
    /// Good at `/mcp`, and nowhere else.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 1800)]
    expires_in: u64,
    /// Works once. One that comes again puts the client out.
    refresh_token: String,
    #[schema(example = "memory chat")]
    scope: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct RevokeForm {
    token: Option<String>,
    /// Not looked at: a token says what it is.
    #[expect(dead_code, reason = "known, so that it is no unknown field")]
    token_type_hint: Option<String>,
    client_id: Option<String>,
}

fn needed<'a>(value: &'a Option<String>, name: &str) -> Result<&'a str> {
    let found = value.as_deref().filter(|value| !value.is_empty());
    Ok(found.ok_or_else(|| Error::new(Code::OAuthRequest, format!("`{name}` is needed.")))?)
}

/// Get an MCP client's tokens
///
/// RFC 6749, for public clients: a code with its PKCE verifier, or a refresh token. Each works once; one that comes a second time puts
/// the client out.
#[utoipa::path(post, path = "/token", tag = "auth", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Tokens", body = ClientTokens),
              (status = 400, description = "The code or refresh token is not valid", body = crate::oauth_error::OAuthError)))]
pub async fn give_tokens(
    State(state): State<AppState>,
    Here(here): Here,
    Address(address): Address,
    JsonOrForm(form): JsonOrForm<TokenForm>,
) -> Result<Answer<ClientTokens>> {
    let proof = match needed(&form.grant_type, "grant_type")? {
        "authorization_code" => Proof::Code {
            code: needed(&form.code, "code")?,
            redirect_uri: needed(&form.redirect_uri, "redirect_uri")?,
            verifier: needed(&form.code_verifier, "code_verifier")?,
        },
        "refresh_token" => Proof::Refresh(needed(&form.refresh_token, "refresh_token")?),
        _ => {
            let detail = "`grant_type` must be `authorization_code` or `refresh_token`.";
            return Err(Error::new(Code::OAuthGrantType, detail).into());
        }
    };
    let shown = Shown {
        client_id: needed(&form.client_id, "client_id")?,
        proof,
        resource: form.resource.as_deref(),
        scope: form.scope.as_deref(),
        address: &address,
    };
    let given = tokens::trade(&state.ctx, &here, shown).await?;
    Ok(Answer(ClientTokens {
        access_token: given.access_token,
        token_type: "Bearer",
        expires_in: given.expires_in,
        refresh_token: given.refresh_token,
        scope: given.scopes.join(" "),
    }))
}

/// Take an MCP client's access back
///
/// RFC 7009. Any token of a client ends all of its access; a token that is not known is taken for one that ended.
#[utoipa::path(post, path = "/revoke", tag = "auth", security(()),
    request_body(content = RevokeForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It has no access any more"),
              (status = 400, description = "It is another client's token", body = crate::oauth_error::OAuthError)))]
pub async fn take_back(
    State(state): State<AppState>,
    Address(address): Address,
    JsonOrForm(form): JsonOrForm<RevokeForm>,
) -> Result<StatusCode> {
    let (token, client) = (needed(&form.token, "token")?, needed(&form.client_id, "client_id")?);
    tokens::revoke(&state.ctx, client, token, &address).await?;
    Ok(StatusCode::OK)
}
