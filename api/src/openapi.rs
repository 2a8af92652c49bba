//! The API's description: generated from the code, completed here with what every route has.

use rapport_common::error::{FieldCode, FieldError};
use utoipa::{
    PartialSchema,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{
            Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityRequirement, SecurityScheme,
        },
        tag::TagBuilder,
    },
};

use crate::{oauth_error, policy::Stated, problem::Problem, v1_error};

/// The groups of routes, in the order a newcomer needs them.
const TAGS: [(&str, &str); 18] = [
    ("auth", "Create an account, sign in, stay signed in, sign out."),
    ("chat", "Send messages: wait for the answer, take a job, or stream it. Start here."),
    ("jobs", "Slow work: look at it, follow it, cancel it, run it again."),
    ("sessions", "Conversations and their messages: list, search, rename, branch, export, import."),
    ("memory", "What is remembered about you: list, add, confirm, search, share, delete."),
    ("memory graph", "Links between memories."),
    ("memory analytics", "Your memory in figures."),
    ("memory transfer", "Memories as files."),
    ("openai", "What OpenAI's and Anthropic's clients speak, below /v1 (docs/openai.md, docs/anthropic.md)."),
    ("conversations", "A simple view of sessions, for small clients."),
    ("projects", "Chats with a system prompt, a default model, keys and a budget of their own."),
    ("files", "Documents that chats look into: send, read, search, delete."),
    ("settings", "Your defaults for chats and memory."),
    ("accounts", "Your profile, your API keys, your data."),
    ("webhooks", "Have your server told what happens."),
    ("analytics", "Activity, tokens, cost, and what is left of your budget."),
    ("service", "Health of the service."),
    ("admin", "For admins: accounts, queues, failed jobs, providers, the audit log."),
];

fn problem(description: &str, path: &str) -> RefOr<utoipa::openapi::Response> {
    let (schema, kind) = match path {
        path if v1_error::is_anthropics(path) => ("AnthropicError", "application/json"),
        path if v1_error::is_below(path) => ("OpenAiError", "application/json"),
        path if oauth_error::is_of(path) => ("OAuthError", "application/json"),
        _ => ("Problem", "application/problem+json"),
    };
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(schema)))).build();
    RefOr::T(ResponseBuilder::new().description(description).content(kind, content).build())
}

/// Adds the title, the security scheme, and to each operation the errors that routes of its shape give.
pub fn complete(document: &mut OpenApi, stated: &[Stated]) {
    document.info.title = "Rapport".to_owned();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.description = Some(
        "A self-hosted chat backend. Slow work is a job: wait for it, poll it, or stream its events.\n\nStart with \
         `POST /auth/register`, then `POST /chat` with the `access_token` as `Authorization: Bearer`. On this page, \
         Authorize signs in with your name and password.\n\nErrors are `application/problem+json`; `code` is stable."
            .to_owned(),
    );
    // Without this the author of a library we use would stand here.
    document.info.contact = None;
    document.info.license = Some(
        utoipa::openapi::LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
    );
    let components = document.components.get_or_insert_with(Default::default);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let password = Flow::Password(Password::new("/api/v1/auth/token", Scopes::new()));
    components.add_security_scheme("password", SecurityScheme::OAuth2(OAuth2::new([password])));
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    components.schemas.insert("AnthropicError".to_owned(), v1_error::AnthropicError::schema());
    components.schemas.insert("FieldError".to_owned(), FieldError::schema());
    components.schemas.insert("FieldCode".to_owned(), FieldCode::schema());
    let tag = |(name, what): &(&str, &str)| TagBuilder::new().name(*name).description(Some(*what)).build();
    document.tags = Some(TAGS.iter().map(tag).collect());
    for (path, item) in &mut document.paths.paths {
        let short = path.strip_prefix("/api/v1").unwrap_or(path);
        let is_public = |method: &str| {
            let mut all = stated.iter().filter(|one| one.path == short);
            all.any(|one| one.method.as_str().eq_ignore_ascii_case(method) && one.rule.who.is_public())
        };
        let methods = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            // Handlers of different modules share their names; a client generator needs them apart.
            let name = short.replace(['{', '}'], "").replace(['/', '-'], "_");
            operation.operation_id = Some(format!("{method}{name}"));
            complete_operation(operation, path, is_public(method));
        }
    }
}

fn complete_operation(operation: &mut Operation, path: &str, is_public: bool) {
    let is_oauth = oauth_error::is_of(path);
    let signs_in = path.contains("/auth/") || is_oauth;
    let probe = !signs_in && is_public;
    let mut errors = vec![];
    if !is_public {
        // One of the two: a token or an API key, or what Swagger UI gets by signing in.
        operation.security = Some(
            ["bearer", "password"].map(|name| SecurityRequirement::new(name, Vec::<String>::new())).to_vec(),
        );
    }
    if !is_public {
        errors.push(("403", "Not allowed: not an admin, or not with this API key"));
    }
    if !is_public || signs_in {
        errors.push(("401", "No valid access token, or the credentials are wrong"));
    }
    let has_parameters = operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    if has_parameters || operation.request_body.is_some() {
        errors.push(("400", "The request could not be read"));
    }
    if path.contains('{')
        || path.ends_with("/chat")
        || path.ends_with("/stream")
        || path.ends_with("/history")
        || path.ends_with("/sessions")
    {
        errors.push(("404", "There is no such thing, or it is another user's"));
    }
    let is_v1 = path.starts_with("/v1/");
    if operation.request_body.is_some() {
        errors.push(("413", "The body is too large"));
        errors.push(("415", "The body has the wrong media type"));
        if is_v1 {
            errors.push(("404", "There is no such model, or session, or it is another user's"));
            errors.push(("409", "It was cancelled, or the session is busy"));
            errors.push(("502", "The provider failed"));
            errors.push(("504", "The provider timed out"));
        } else if !is_oauth {
            errors.push(("422", "A field's value is not allowed"));
        }
    }
    if !probe {
        errors.push(("429", "Too many requests; see `Retry-After`"));
        errors.push(("500", "A fault of ours"));
        errors.push(("503", "Overloaded, or a dependency is away; see `Retry-After`"));
    }
    // What is described by hand as a problem is one in its media type too.
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (!is_v1 && !is_oauth && status.starts_with(['4', '5']), response)
            && let Some(content) = response.content.swap_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
    for (status, description) in errors {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| problem(description, path));
    }
}

/// The description with an example for every body.
pub fn with_examples(document: &OpenApi) -> serde_json::Value {
    let mut value = serde_json::to_value(document).unwrap_or_default();
    crate::examples::add(&mut value);
    value
}
