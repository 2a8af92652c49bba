//! A client's request to be let in, and the user's answer.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use url::Url;

use super::{
    Here, SCOPES,
    clients::{Client, known},
};
use crate::{
    Context, Error, Result,
    auth::{CLIENT_PREFIX, Caller, random_token, token_hash},
    clock,
    domain::{ids::KeyId, user::Scope},
    error::{Code, Wrong},
    store::{
        self,
        keys::ApiKey,
        oauth::{Grant, Kind},
    },
    usecase::{audit, keys::KEYS_MAX},
};

/// How long a code is good for.
const CODE: Duration = Duration::from_secs(60);
/// Bytes of what a client is given back as it sent it.
const STATE_BYTES: usize = 4_000;

/// The parameters of a request for authorization, as they came.
#[derive(Debug, Default)]
pub struct Asked {
    pub client_id: String,
    pub redirect_uri: String,
    pub response_type: String,
    pub scope: Option<String>,
    pub state: Option<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
    pub resource: Option<String>,
}

/// A request by a client that we know, whose answer goes where it may go.
#[derive(Debug)]
pub struct Request {
    pub client: Client,
    pub scopes: Vec<Scope>,
    /// Why it can only be refused.
    pub wrong: Option<Error>,
    challenge: Vec<u8>,
    answer_to: Url,
    asked: Asked,
}

/// Looks at a request. What is wrong with the client or its address is told to the user alone: the answer must not go there.
pub fn look(ctx: &Context, here: &Here, asked: Asked) -> Result<Request> {
    let unknown = || Error::new(Code::OAuthClient, "This client did not register here. Connect it anew.");
    let client = known(ctx, &asked.client_id).ok_or_else(unknown)?;
    let not_its_own =
        || Error::field("redirect_uri", Wrong::Form("is not an address that the client registered"));
    let answer_to = Url::parse(&asked.redirect_uri).ok().filter(|_| client.takes(&asked.redirect_uri));
    let answer_to = answer_to.ok_or_else(not_its_own)?;
    if asked.state.as_ref().is_some_and(|state| state.len() > STATE_BYTES) {
        return Err(Error::field("state", Wrong::Bytes { max: STATE_BYTES, nul: false }));
    }
    let (scopes, challenge, wrong) = match read(here, &asked) {
        Ok((scopes, challenge)) => (scopes, challenge, None),
        Err(wrong) => (Vec::new(), Vec::new(), Some(wrong)),
    };
    Ok(Request { client, scopes, wrong, challenge, answer_to, asked })
}

/// What is asked for, and the challenge.
fn read(here: &Here, asked: &Asked) -> Result<(Vec<Scope>, Vec<u8>)> {
    if asked.response_type != "code" {
        return Err(Error::new(Code::OAuthResponseType, "`response_type` must be `code`."));
    }
    if asked.resource.as_ref().is_some_and(|resource| !here.is_resource(resource)) {
        return Err(Error::new(Code::OAuthTarget, format!("`resource` must be {}.", here.resource())));
    }
    let is_s256 = asked.code_challenge_method.as_deref() == Some("S256");
    let challenge = asked.code_challenge.as_deref().filter(|_| is_s256).unwrap_or_default();
    let challenge = BASE64URL_NOPAD.decode(challenge.as_bytes()).ok().filter(|bytes| bytes.len() == 32);
    let challenge = challenge.ok_or_else(|| {
        Error::new(Code::OAuthRequest, "`code_challenge` with `code_challenge_method=S256` is needed (PKCE).")
    })?;
    let words: Vec<&str> = asked.scope.as_deref().unwrap_or_default().split_whitespace().collect();
    let wanted = |scope: &Scope| words.is_empty() || words.contains(&scope.as_str());
    let scopes: Vec<Scope> = SCOPES.into_iter().filter(wanted).collect();
    if scopes.is_empty() {
        return Err(Error::new(Code::OAuthScope, "`scope` must name `memory` or `chat`."));
    }
    Ok((scopes, challenge))
}

fn goes_to(to: &Url) -> String {
    match (to.scheme(), to.host_str(), to.port()) {
        ("http" | "https", Some(host), None) => host.to_owned(),
        ("http" | "https", Some(host), Some(port)) => format!("{host}:{port}"),
        (scheme, ..) => format!("{scheme}:"),
    }
}

impl Request {
    /// The host that the answer goes to, with a port that is not the usual one, or the scheme of a program.
    pub fn answers_to(&self) -> String {
        goes_to(&self.answer_to)
    }

    /// Where the browser goes with the answer that it is refused.
    pub fn refusal(&self, here: &Here) -> String {
        let (error, said) = match &self.wrong {
            Some(wrong) => (wrong.code.as_str(), wrong.detail.as_str()),
            None => ("access_denied", "The user said no."),
        };
        self.answer(here, &[("error", error), ("error_description", said)])
    }

    /// The client's address with our answer behind whatever it has. It says who answers (RFC 9207).
    fn answer(&self, here: &Here, said: &[(&str, &str)]) -> String {
        let mut to = self.answer_to.clone();
        {
            let mut query = to.query_pairs_mut();
            query.extend_pairs(said);
            if let Some(state) = &self.asked.state {
                query.append_pair("state", state);
            }
            query.append_pair("iss", &here.url);
        }
        to.into()
    }
}

/// The user lets the client in. Gives where the browser goes with the code.
pub async fn allow(
    ctx: &Context,
    caller: &Caller,
    here: &Here,
    asked: Asked,
    address: Option<&str>,
) -> Result<String> {
    let request = look(ctx, here, asked)?;
    if let Some(wrong) = request.wrong {
        return Err(wrong);
    }
    let (now, key, code) = (clock::now(), KeyId::new(), random_token()?);
    let until = now + CODE;
    let scopes: Vec<String> = request.scopes.iter().map(ToString::to_string).collect();
    let detail =
        json!({"key": key, "client": request.client.name, "scopes": scopes, "to": request.answers_to()});
    let row = ApiKey {
        id: key,
        name: request.client.name.clone(),
        prefix: CLIENT_PREFIX.to_owned(),
        scopes: Some(scopes),
        // The client has not come yet.
        expires_at: Some(until),
        monthly_tokens: None,
        last_used_at: None,
        created_at: now,
        is_client: true,
    };
    let grant = Grant {
        key,
        client: &token_hash(&request.asked.client_id),
        redirect_uri: &request.asked.redirect_uri,
        challenge: &request.challenge,
        resource: &here.resource(),
    };
    let mut tx = ctx.db.begin().await?;
    store::oauth::drop_expired(&mut tx, caller.user, now).await?;
    if store::keys::count(&mut tx, caller.user).await? >= KEYS_MAX {
        return Err(Error::new(
            Code::Conflict,
            format!("An account has at most {KEYS_MAX} keys and clients."),
        ));
    }
    // The digest of a text that is thrown away: nobody has this key itself.
    store::keys::insert(&mut tx, caller.user, &row, &token_hash(&random_token()?)).await?;
    store::oauth::insert_grant(&mut tx, caller.user, &grant, now).await?;
    store::oauth::insert_token(&mut tx, key, Kind::Code, &token_hash(&code), until).await?;
    audit::note(&mut tx, caller.user, "client_allowed", address, Some(detail)).await?;
    tx.commit().await?;
    Ok(request.answer(here, &[("code", &code)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_own_scheme_names_no_host() {
        for (url, shown) in [
            ("https://claude.ai/cb", "claude.ai"),
            ("http://127.0.0.1:5050/cb", "127.0.0.1:5050"),
            ("http.evil://claude.ai/cb", "http.evil:"),
            ("cursor://anysphere/cb", "cursor:"),
        ] {
            assert_eq!(goes_to(&Url::parse(url).unwrap()), shown);
        }
    }
}
