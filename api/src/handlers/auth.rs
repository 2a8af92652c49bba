//! Accounts: register, sign in, stay signed in, sign out.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::{FromRequest, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rapport_common::{
    Error, auth, clock,
    domain::{ids::UserId, user::User},
    error::Code,
    store,
    usecase::accounts::{self, Registration, SignedIn},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Failure, Result},
    extract::{Address, Caller, Json, JsonOrForm, KeyHeader},
    state::AppState,
    ui::cookie::InCookie,
};

#[derive(Deserialize, utoipa::ToSchema)]
pub struct RegisterBody {
    /// A valid address; this or `username` must be given.
    #[schema(example = "ann@example.com")]
    email: Option<String>,
    /// 3-50 of letters, digits and `_.-`, compared without case.
    #[schema(example = "ann")]
    username: Option<String>,
    /// 8-128 characters with an upper-case letter, a lower-case letter and a digit.
    #[schema(example = "Correct-horse-1")]
    password: String,
    /// 2-100 characters.
    #[schema(example = "Ann Lee")]
    name: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct LoginBody {
    /// An email or a username.
    #[serde(alias = "email")]
    #[schema(example = "ann@example.com")]
    username: String,
    #[schema(example = "Correct-horse-1")]
    password: String,
    // What OAuth2 clients send besides in a form: taken, and not looked at.
    #[schema(ignore)]
    #[expect(dead_code, reason = "known, so that it is no unknown field")]
    grant_type: Option<String>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "as above")]
    scope: Option<String>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "as above")]
    client_id: Option<String>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "as above")]
    client_secret: Option<String>,
    /// Of an earlier sign-in. With it you get in while strangers guess at your account and sign-ins to it are slowed.
    device_token: Option<String>,
}

/// The form of OAuth2's password grant. It has a name of its own: generators make one class a media type.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only described: LoginBody reads it")]
pub struct LoginForm {
    /// `password`, if given.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// An email or a username.
    #[schema(example = "ann@example.com")]
    username: String,
    #[schema(example = "Correct-horse-1")]
    password: String,
    /// Not looked at, as the two below.
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Of an earlier sign-in. With it you get in while strangers guess at your account and sign-ins to it are slowed.
    device_token: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct RefreshBody {
    refresh_token: String,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub struct LogoutBody {
    /// End every login of this account.
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Tokens {
    access_token: String,
    /// Empty for a page that asked with `X-Rapport-Session: cookie`: it is in a cookie then, which no script can read.
    refresh_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 1800)]
    expires_in: u64,
    /// Keep it, and send it with later sign-ins. It says that this device was signed in before, and nothing more.
    device_token: String,
    user: User,
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { access_token, refresh_token, expires_in, device_token, user } = signed_in;
        Self { access_token, refresh_token, token_type: "bearer", expires_in, device_token, user }
    }
}

/// Tokens as the client wants them: in the body, or the refresh token in a cookie.
pub fn tokens<T: Serialize>(
    state: &AppState,
    status: StatusCode,
    cookie: &InCookie,
    body: impl Fn(SignedIn) -> T,
    signed_in: SignedIn,
) -> Response {
    if !cookie.wanted {
        return (status, Answer(body(signed_in))).into_response();
    }
    let refresh_token = signed_in.refresh_token.clone();
    let shown = SignedIn { refresh_token: String::new(), ..signed_in };
    let mut response = (status, Answer(body(shown))).into_response();
    cookie.set(&mut response, &refresh_token, state.ctx.settings.auth.refresh_token.as_secs());
    response
}

/// Tokens, and what was made of the account once more at the top.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Registered {
    #[serde(flatten)]
    tokens: Tokens,
    #[schema(value_type = String, example = "user_01jd3kq7g0e5r8x2y4z6a8b0cm")]
    id: UserId,
    email: Option<String>,
    #[serde(with = "clock::rfc3339_millis")]
    created_at: DateTime<Utc>,
}

impl From<SignedIn> for Registered {
    fn from(signed_in: SignedIn) -> Self {
        let User { id, email, created_at, .. } = signed_in.user.clone();
        Self { tokens: signed_in.into(), id, email, created_at }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Said {
    pub message: &'static str,
}

/// Create an account
///
/// The account is signed in at once. Its `id`, `email` and `created_at` stand at the top and again in `user`.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = RegisterBody, security(()),
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters")),
    responses((status = 201, description = "The account and its tokens", body = Registered),
              (status = 409, description = "The email or username is taken", body = crate::problem::Problem)))]
pub async fn register(
    State(state): State<AppState>,
    Address(address): Address,
    KeyHeader(idempotency_key): KeyHeader,
    cookie: InCookie,
    Json(body): Json<RegisterBody>,
) -> Result<Response> {
    let RegisterBody { email, username, password, name } = body;
    let registration = Registration { email, username, password, name, idempotency_key, address };
    let (signed_in, replayed) = accounts::register(&state.ctx, registration).await?;
    let mut response = tokens(&state, StatusCode::CREATED, &cookie, Registered::from, signed_in);
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

/// Sign in
///
/// Takes the form of `POST /auth/token` too. An unknown account and a wrong password get the same answer in the same time.
#[utoipa::path(post, path = "/auth/login", tag = "auth", security(()),
    request_body = LoginBody,
    responses((status = 200, description = "Tokens", body = Tokens)))]
pub async fn login(
    State(state): State<AppState>,
    Address(address): Address,
    cookie: InCookie,
    JsonOrForm(body): JsonOrForm<LoginBody>,
) -> Result<Response> {
    let LoginBody { username, password, device_token, .. } = &body;
    let device = device_token.as_deref();
    let attempt = accounts::Attempt { name: username, password, device, address: &address };
    let signed_in = accounts::login(&state.ctx, attempt).await?;
    Ok(tokens(&state, StatusCode::OK, &cookie, Tokens::from, signed_in))
}

/// Sign in (OAuth2 password grant)
///
/// The same as `POST /auth/login`, under the name that OAuth2 clients expect.
#[utoipa::path(post, path = "/auth/token", tag = "auth", security(()),
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Tokens", body = Tokens)))]
pub async fn token(
    state: State<AppState>,
    address: Address,
    cookie: InCookie,
    body: JsonOrForm<LoginBody>,
) -> Result<Response> {
    login(state, address, cookie, body).await
}

/// Exchange a refresh token for new tokens
///
/// Each refresh token works once. One that is used again ends the login it belongs to. A page that keeps it in a cookie
/// (`X-Rapport-Session: cookie`) sends no body; its token is forgiven when it comes again within 30 seconds, because the
/// answer to the first may have been lost.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = Option<RefreshBody>, security(()),
    params(("X-Rapport-Session" = Option<String>, Header, description = "`cookie`: the token is in the cookie")),
    responses((status = 200, description = "New tokens", body = Tokens)))]
pub async fn refresh(State(state): State<AppState>, cookie: InCookie, request: Request) -> Result<Response> {
    if !cookie.wanted {
        let body = Json::<RefreshBody>::from_request(request, &state).await?.0;
        let signed_in = accounts::refresh(&state.ctx, &body.refresh_token, Duration::ZERO).await?;
        return Ok(tokens(&state, StatusCode::OK, &cookie, Tokens::from, signed_in));
    }
    let token = cookie.token.as_deref().unwrap_or_default();
    match accounts::refresh(&state.ctx, token, FORGIVEN).await {
        Ok(signed_in) => Ok(tokens(&state, StatusCode::OK, &cookie, Tokens::from, signed_in)),
        // What is not good any more is not kept, so that a page asks once.
        Err(error) if error.code == Code::BadRefreshToken => {
            let mut response = Failure(error).into_response();
            cookie.clear(&mut response);
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// How long a refresh token in a cookie may come again.
const FORGIVEN: Duration = Duration::from_secs(30);

/// Sign out
///
/// Ends this login; with `{"all": true}` every login of the account.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", request_body = Option<LogoutBody>,
    responses((status = 200, description = "Signed out", body = Said)))]
pub async fn logout(
    State(state): State<AppState>,
    Caller(caller): Caller,
    cookie: InCookie,
    request: Request,
) -> Result<Response> {
    let has_body = request.headers().contains_key("content-type");
    let body = if has_body {
        Json::<LogoutBody>::from_request(request, &state).await?.0
    } else {
        LogoutBody::default()
    };
    accounts::logout(&state.ctx, &caller, body.all).await?;
    let mut response = Answer(Said { message: "Signed out." }).into_response();
    if cookie.wanted {
        cookie.clear(&mut response);
    }
    Ok(response)
}

/// Show your account
///
/// Name, address, role and whether the address is verified.
#[utoipa::path(get, path = "/auth/me", tag = "auth", responses((status = 200, description = "The account", body = User)))]
pub async fn me(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<User>> {
    let user = store::users::get(&mut state.ctx.db.read().await?, caller.user).await?;
    Ok(Answer(user.ok_or_else(|| Error::not_found("account"))?))
}

/// Show your account (alias)
///
/// The same as `GET /auth/me`.
#[utoipa::path(get, path = "/users/me", tag = "accounts", responses((status = 200, description = "The account", body = User)))]
pub async fn users_me(state: State<AppState>, caller: Caller) -> Result<Answer<User>> {
    me(state, caller).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Ticket {
    /// For `?token=` of a WebSocket or event stream; good once.
    ticket: String,
    /// Seconds.
    #[schema(example = 30)]
    expires_in: u64,
}

/// Get a ticket for a WebSocket
///
/// A browser cannot set headers on a WebSocket: the ticket goes into its URL instead of the access token, works once,
/// and only for 30 seconds.
#[utoipa::path(post, path = "/auth/ws-ticket", tag = "auth",
    responses((status = 200, description = "A ticket", body = Ticket)))]
pub async fn ws_ticket(State(state): State<AppState>, Caller(caller): Caller) -> Result<Answer<Ticket>> {
    Ok(Answer(Ticket { ticket: tickets::issue(&state, &caller)?, expires_in: tickets::GOOD_FOR.as_secs() }))
}

/// Tickets: `<caller>.<expiry>.<nonce>.<mac>`, checked by their MAC, spent in the limits.
pub mod tickets {
    use super::*;
    use data_encoding::BASE64URL_NOPAD;
    use rapport_common::{
        auth::Proof,
        clock,
        domain::ids::{KeyId, LoginId},
        error::Code,
    };

    use crate::error::Failure;

    pub const GOOD_FOR: Duration = Duration::from_secs(30);

    fn parts(claims: &str) -> [&[u8]; 2] {
        [b"ws-ticket", claims.as_bytes()]
    }

    pub fn issue(state: &AppState, caller: &auth::Caller) -> Result<String> {
        let expiry = clock::now().timestamp() + GOOD_FOR.as_secs() as i64;
        let proof = match &caller.proof {
            Proof::Login(login) => login.to_string(),
            Proof::Key(key, _) => key.to_string(),
        };
        let claims = format!("{}.{proof}.{expiry}.{}", caller.user, auth::random_token()?);
        let mac = BASE64URL_NOPAD.encode(&state.ctx.auth.digest(&parts(&claims)));
        Ok(format!("{claims}.{mac}"))
    }

    /// Spends a ticket; `None` when the text has not a ticket's form.
    pub async fn spend(state: &AppState, text: &str) -> Option<Result<auth::Caller>> {
        let (claims, given) = text.rsplit_once('.')?;
        let [user, proof, expiry, _nonce] = claims.split('.').collect::<Vec<_>>()[..] else { return None };
        let user = user.parse().ok()?;
        let (login, key) = (proof.parse::<LoginId>().ok(), proof.parse::<KeyId>().ok());
        let refused = || Error::new(Code::Unauthorized, "The ticket is not valid (any more).");
        let mac = BASE64URL_NOPAD.decode(given.as_bytes()).unwrap_or_default();
        let good = state.ctx.auth.is_digest(&parts(claims), &mac)
            && expiry.parse::<i64>().is_ok_and(|expiry| expiry > clock::now().timestamp());
        if !good {
            return Some(Err(refused().into()));
        }
        Some(match state.ctx.limits.once(&format!("ticket:{given}"), GOOD_FOR * 2).await {
            Ok(true) => state.ctx.auth.of_proof(&state.ctx.db, user, login, key).await.map_err(Failure),
            Ok(false) => Err(refused().into()),
            Err(error) => Err(Error::unavailable("ticket store", error).into()),
        })
    }
}
