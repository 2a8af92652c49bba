//! Where the table of routes is mounted, and what surrounds it.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::OriginalUri,
    http::header,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use rapport_common::{Error, error::Code};
use tokio::sync::OnceCell;
use tower::ServiceBuilder;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    error::Failure,
    handlers::{health, pages},
    layers::{self, guard::Rules},
    oauth, openapi,
    policy::{Rule, Stated},
    state::AppState,
    table::{self, Table},
    ui,
};

/// Where the API is mounted: its place, and its aliases.
const MOUNTS: [&str; 3] = ["/api/v1", "/api", ""];

/// What is stated of an operation, by its method and its path: below `/api/v1`, or the whole one below `/v1`.
pub fn rule_of(method: &str, path: &str) -> Option<Rule> {
    static STATED: LazyLock<Vec<Stated>> =
        LazyLock::new(|| table::api().stated.into_iter().chain(table::v1().stated).collect());
    STATED.iter().find(|one| one.method.as_str() == method && one.path == path).map(|one| one.rule)
}

/// The API's description as JSON, as it is served at `/openapi.json`: without the aliases.
pub fn description() -> serde_json::Value {
    let Table { router, mut stated } = table::api();
    let v1 = table::v1();
    stated.extend(v1.stated);
    let all = OpenApiRouter::new().nest("/api/v1", router).merge(v1.router);
    let (_, mut description) = all.split_for_parts();
    openapi::complete(&mut description, &stated);
    openapi::with_examples(&description)
}

/// The description of the API. It is made when somebody first asks, aside from those who serve: it takes a tenth of a second and some
/// megabytes meanwhile, and few processes are ever asked.
async fn described() -> Result<Response, Failure> {
    static DESCRIPTION: OnceCell<String> = OnceCell::const_new();
    let make = || tokio::task::spawn_blocking(|| description().to_string());
    let text = DESCRIPTION.get_or_try_init(make).await.map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
}

/// The whole application: the API at `/api/v1`, its aliases at `/api` and `/`, and what surrounds it.
pub fn app(state: AppState) -> Router {
    let Table { router, stated } = table::api();
    let (api, _) = router.split_for_parts();
    let mut rules = Rules::default();
    let mut mounted = Router::new();
    for mount in MOUNTS {
        rules.add(mount, &stated);
        mounted =
            if mount.is_empty() { mounted.merge(api.clone()) } else { mounted.nest(mount, api.clone()) };
    }
    let v1 = table::v1();
    rules.add("", &v1.stated);
    mounted = mounted.merge(v1.router.split_for_parts().0);
    let cors = layers::cors::layer(&state.ctx.settings.cors);
    // With a port of their own, metrics are nobody's business here.
    let metrics = match state.ctx.settings.metrics_port {
        0 => Router::new().route("/metrics", get(health::metrics)),
        _ => Router::new(),
    };
    for (document, handler) in [
        ("/.well-known/oauth-protected-resource", get(oauth::protected_resource)),
        ("/.well-known/oauth-authorization-server", get(oauth::authorization_server)),
    ] {
        mounted = mounted.route(document, handler.clone()).route(&format!("{document}/{{*of}}"), handler);
    }
    mounted
        .route("/authorize", get(oauth::authorize))
        .route("/", get(pages::index))
        .route("/start", get(pages::start))
        .route("/ui/{version}/{*name}", get(ui::file))
        .merge(metrics)
        .route("/redoc", get(pages::redoc))
        .route("/redoc/redoc.standalone.js", get(pages::redoc_script))
        .route("/openapi.json", get(described))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), layers::shield::shield))
                .layer(from_fn(layers::observe::observe))
                .layer(cors)
                .layer(from_fn_with_state((state.clone(), Arc::new(rules)), layers::guard::guard)),
        )
        .with_state(state)
}

async fn not_found(OriginalUri(uri): OriginalUri) -> Failure {
    let path: String = uri.path().chars().take(200).collect();
    Failure(Error::new(Code::NotFound, format!("There is nothing at {path}.")))
}

async fn method_not_allowed() -> Failure {
    Failure(Error::new(Code::MethodNotAllowed, "This route does not take this method."))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::policy::Class;

    #[test]
    fn aliases_share_what_is_stated_and_nothing_else_does() {
        let mut rules = Rules::default();
        let stated = table::api().stated;
        for mount in MOUNTS {
            rules.add(mount, &stated);
        }
        let class = |method, path| rules.of(&method, path).map(|rule| rule.class);
        for path in ["/chat", "/api/chat", "/api/v1/chat"] {
            assert_eq!(class(Method::POST, path), Some(Class::Chat));
        }
        assert_eq!(class(Method::GET, "/api/v1/health"), Some(Class::Uncounted));
        assert_eq!(class(Method::HEAD, "/health"), Some(Class::Uncounted));
        let path = "/api/conversations/{id}/messages";
        assert_eq!(class(Method::POST, path), Some(Class::Chat));
        assert_eq!(class(Method::GET, path), Some(Class::Read));
        assert_eq!(class(Method::POST, "/v1/chat"), None, "a mount of its own states its own");
        assert_eq!(class(Method::DELETE, "/chat"), None);
    }
}
