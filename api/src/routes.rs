//! Every route, on one page.

use axum::{
    Router,
    extract::OriginalUri,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use rapport_common::{Error, error::Code};
use tower::ServiceBuilder;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    error::Failure,
    handlers::{
        admin, analytics, auth, branches, chat, conversations, events, health, history, jobs, memory,
        messages, models, pages, projects, sessions, settings, users, webhooks,
    },
    layers, openapi,
    state::AppState,
    stream::websocket,
    ui,
};

/// Routes that need no access token, each with its reason. All others do; a test compares this with the description.
pub const PUBLIC: [(&str, &str); 12] = [
    ("/auth/register", "makes the account"),
    ("/auth/login", "gives the token"),
    ("/auth/token", "gives the token"),
    ("/auth/refresh", "the refresh token is the proof"),
    ("/auth/request-otp", "says the same to everybody"),
    ("/auth/verify-otp", "the code is the proof"),
    ("/auth/forgot-password", "says the same to everybody"),
    ("/auth/reset-password", "the token is the proof"),
    ("/health", "for people and load balancers; tells nothing of users"),
    ("/livez", "probe"),
    ("/readyz", "probe"),
    ("/ui/boot", "says who is signed in, if anybody is"),
];

fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::token))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::users_me, users::change, users::erase))
        .routes(routes!(users::request_otp))
        .routes(routes!(users::verify_otp))
        .routes(routes!(users::forgot_password))
        .routes(routes!(users::reset_password))
        .routes(routes!(users::change_password))
        .routes(routes!(users::deactivate))
        .routes(routes!(users::export))
        .routes(routes!(users::download))
        .routes(routes!(users::list_keys, users::make_key))
        .routes(routes!(users::delete_key))
        .routes(routes!(auth::ws_ticket))
        .routes(routes!(chat::chat))
        .routes(routes!(chat::chat_stream, websocket::chat_stream_ws))
        .routes(routes!(websocket::chat_ws))
        .routes(routes!(models::models))
        .routes(routes!(models::tools))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::get, sessions::change, sessions::put, sessions::delete))
        .routes(routes!(sessions::import))
        .routes(routes!(branches::branch))
        .routes(routes!(branches::regenerate))
        .routes(routes!(branches::feedback))
        .routes(routes!(branches::variants))
        .routes(routes!(messages::get))
        .routes(routes!(messages::use_variant))
        .routes(routes!(branches::export))
        .routes(routes!(conversations::list, conversations::create))
        .routes(routes!(conversations::delete))
        .routes(routes!(conversations::messages, conversations::send))
        .routes(routes!(history::session_messages))
        .routes(routes!(history::chat_history))
        .routes(routes!(history::history))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::job_events))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::events))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::get, projects::change, projects::put, projects::delete))
        .routes(routes!(projects::list_prompts, projects::create_prompt))
        .routes(routes!(projects::preview))
        .routes(routes!(projects::get_prompt, projects::change_prompt, projects::delete_prompt))
        .routes(routes!(projects::versions))
        .routes(routes!(projects::budget))
        .routes(routes!(projects::list_keys))
        .routes(routes!(projects::put_key, projects::delete_key))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::delete))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::said))
        .routes(routes!(analytics::activity))
        .routes(routes!(analytics::models))
        .routes(routes!(analytics::usage))
        .routes(routes!(analytics::quota))
        .routes(routes!(admin::users))
        .routes(routes!(admin::activate))
        .routes(routes!(admin::deactivate))
        .routes(routes!(admin::quota))
        .routes(routes!(admin::queues))
        .routes(routes!(admin::pause))
        .routes(routes!(admin::resume))
        .routes(routes!(admin::dead))
        .routes(routes!(admin::retry_dead))
        .routes(routes!(admin::discard_dead))
        .routes(routes!(admin::providers))
        .routes(routes!(admin::audit))
        .routes(routes!(settings::get, settings::patch, settings::put))
        .routes(routes!(settings::get_alias, settings::put_alias))
        .routes(routes!(memory::crud::list, memory::crud::add))
        .routes(routes!(memory::crud::pending))
        .routes(routes!(memory::crud::shared))
        .routes(routes!(memory::crud::get, memory::crud::change, memory::crud::delete))
        .routes(routes!(memory::crud::history))
        .routes(routes!(memory::crud::undo_change))
        .routes(routes!(memory::crud::unmerge))
        .routes(routes!(memory::verify::verify))
        .routes(routes!(memory::verify::verify_many))
        .routes(routes!(memory::search::search))
        .routes(routes!(memory::links::link, memory::links::unlink))
        .routes(routes!(memory::links::related))
        .routes(routes!(memory::links::graph_around))
        .routes(routes!(memory::links::graph_of_all))
        .routes(routes!(memory::conflicts::detect))
        .routes(routes!(memory::conflicts::list))
        .routes(routes!(memory::conflicts::resolve))
        .routes(routes!(memory::merge::consolidate))
        .routes(routes!(memory::merge::suggestions))
        .routes(routes!(memory::merge::review))
        .routes(routes!(memory::merge::classify_expiration))
        .routes(routes!(memory::analytics::dashboard))
        .routes(routes!(memory::analytics::top))
        .routes(routes!(memory::transfer::export))
        .routes(routes!(memory::transfer::download))
        .routes(routes!(memory::transfer::import))
        .routes(routes!(memory::privacy::privacy))
        .routes(routes!(memory::privacy::delete_many))
        .routes(routes!(memory::extract::extract))
        .routes(routes!(memory::extract::runs))
        .routes(routes!(memory::events::events))
        .routes(routes!(health::health))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(ui::boot::boot))
}

/// The API's description, without the aliases.
pub fn description() -> serde_json::Value {
    let (_, mut description) = OpenApiRouter::new().nest("/api/v1", api()).split_for_parts();
    openapi::complete(&mut description, &PUBLIC);
    openapi::with_examples(&description)
}

/// The whole application: the API at `/api/v1`, its aliases at `/api` and `/`, and what surrounds it.
pub fn app(state: AppState) -> Router {
    let (api, _) = api().split_for_parts();
    let cors = layers::cors::layer(&state.ctx.settings.cors);
    // With a port of their own, metrics are nobody's business here.
    let metrics = match state.ctx.settings.metrics_port {
        0 => Router::new().route("/metrics", get(health::metrics)),
        _ => Router::new(),
    };
    Router::new()
        .nest("/api/v1", api.clone())
        .nest("/api", api.clone())
        .merge(api)
        .route("/", get(pages::index))
        .route("/start", get(pages::start))
        .route("/ui/{version}/{*name}", get(ui::file))
        .merge(metrics)
        .route("/redoc", get(pages::redoc))
        .route("/redoc/redoc.standalone.js", get(pages::redoc_script))
        .merge(SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", description()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), layers::shield::shield))
                .layer(from_fn(layers::observe::observe))
                .layer(cors)
                .layer(from_fn_with_state(state.clone(), layers::guard::guard)),
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
