//! Every route on one page: who may call it, how its calls are counted, and its handler. A route cannot be added without
//! the first two. The checks, the limits, the API's description and the tests all read this table.

use Class::{Auth, Chat, Read, Uncounted};
use Policy::{Admin, Both, Login, Public, User};
use axum::http::Method;
use utoipa::openapi::path::PathItem;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    handlers::{
        admin, analytics, api_keys, auth, branches, chat, codes, conversations, events, health, history,
        jobs, memory, messages, models,
        projects::{self, prompts, provider_keys},
        session_export, sessions, settings, users, webhooks, websocket,
    },
    policy::{Class, Policy, Rule, Stated},
    state::AppState,
    ui,
};

#[derive(Default)]
pub struct Table {
    pub router: OpenApiRouter<AppState>,
    pub stated: Vec<Stated>,
}

impl Table {
    fn at(mut self, who: Policy, class: Class, routes: UtoipaMethodRouter<AppState>) -> Self {
        for (path, item) in &routes.1.paths {
            for method in methods(item) {
                self.stated.push(Stated { method, path: path.clone(), rule: Rule { who, class } });
            }
        }
        self.router = self.router.routes(routes);
        self
    }
}

fn methods(item: &PathItem) -> Vec<Method> {
    let all = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method).collect()
}

/// The API, as it is mounted at `/api/v1` and its aliases.
#[expect(clippy::too_many_lines, reason = "a table: a line a route, on one page")]
pub fn api() -> Table {
    Table::default()
        .at(Public("makes the account"), Auth, routes!(auth::register))
        .at(Public("gives the token"), Auth, routes!(auth::login))
        .at(Public("gives the token"), Auth, routes!(auth::token))
        .at(Public("the refresh token is the proof"), Read, routes!(auth::refresh))
        .at(Login, Read, routes!(auth::logout))
        .at(User("account"), Read, routes!(auth::me))
        .at(User("account"), Read, routes!(auth::users_me))
        .at(Login, Read, routes!(users::change, users::erase))
        .at(Public("says the same to everybody"), Auth, routes!(codes::request_otp))
        .at(Public("the code is the proof"), Auth, routes!(codes::verify_otp))
        .at(Public("says the same to everybody"), Auth, routes!(codes::forgot_password))
        .at(Public("the token is the proof"), Auth, routes!(codes::reset_password))
        .at(Login, Read, routes!(users::change_password))
        .at(Login, Read, routes!(users::deactivate))
        .at(Login, Read, routes!(users::export))
        .at(Login, Read, routes!(users::download))
        .at(Login, Read, routes!(api_keys::list, api_keys::create))
        .at(Login, Read, routes!(api_keys::delete))
        .at(Both, Read, routes!(auth::ws_ticket))
        .at(User("chat"), Chat, routes!(chat::chat))
        .at(User("chat"), Chat, routes!(chat::chat_stream))
        .at(User("chat"), Read, routes!(websocket::chat_stream_ws))
        .at(User("chat"), Read, routes!(websocket::chat_ws))
        .at(User("chat"), Read, routes!(models::models))
        .at(User("chat"), Read, routes!(models::tools))
        .at(User("chat"), Read, routes!(sessions::list, sessions::create))
        .at(User("chat"), Read, routes!(sessions::get, sessions::change, sessions::put, sessions::delete))
        .at(User("chat"), Read, routes!(sessions::import))
        .at(User("chat"), Chat, routes!(branches::branch))
        .at(User("chat"), Chat, routes!(branches::regenerate))
        .at(User("chat"), Read, routes!(messages::feedback))
        .at(User("chat"), Read, routes!(branches::variants))
        .at(User("chat"), Read, routes!(messages::get))
        .at(User("chat"), Read, routes!(messages::use_variant))
        .at(User("chat"), Read, routes!(session_export::export))
        .at(User("chat"), Read, routes!(conversations::list, conversations::create))
        .at(User("chat"), Read, routes!(conversations::delete))
        .at(User("chat"), Read, routes!(conversations::messages))
        .at(User("chat"), Chat, routes!(conversations::send))
        .at(User("chat"), Read, routes!(history::session_messages))
        .at(User("chat"), Read, routes!(history::chat_history))
        .at(User("chat"), Read, routes!(history::history))
        .at(Both, Read, routes!(jobs::list_jobs))
        .at(Both, Read, routes!(jobs::get_job))
        .at(Both, Read, routes!(jobs::job_events))
        .at(Both, Read, routes!(jobs::cancel))
        .at(Both, Read, routes!(jobs::retry))
        .at(Both, Read, routes!(events::events))
        .at(User("projects"), Read, routes!(projects::list, projects::create))
        .at(User("projects"), Read, routes!(projects::get, projects::change, projects::put, projects::delete))
        .at(User("projects"), Read, routes!(prompts::list_prompts, prompts::create_prompt))
        .at(User("projects"), Read, routes!(prompts::preview))
        .at(
            User("projects"),
            Read,
            routes!(prompts::get_prompt, prompts::change_prompt, prompts::delete_prompt),
        )
        .at(User("projects"), Read, routes!(prompts::versions))
        .at(User("projects"), Read, routes!(projects::budget))
        .at(User("projects"), Read, routes!(provider_keys::list_keys))
        .at(User("projects"), Read, routes!(provider_keys::put_key, provider_keys::delete_key))
        // A webhook says what was answered and remembered, and outlives a key: more than any one scope gives.
        .at(Login, Read, routes!(webhooks::list, webhooks::create))
        .at(Login, Read, routes!(webhooks::delete))
        .at(Login, Read, routes!(webhooks::deliveries))
        .at(Login, Read, routes!(webhooks::redeliver))
        .at(Login, Read, routes!(webhooks::test))
        .at(Login, Read, routes!(webhooks::said))
        .at(User("account"), Read, routes!(analytics::activity))
        .at(User("account"), Read, routes!(analytics::models))
        .at(User("account"), Read, routes!(analytics::usage))
        .at(User("account"), Read, routes!(analytics::quota))
        .at(Admin, Read, routes!(admin::users::users))
        .at(Admin, Read, routes!(admin::users::activate))
        .at(Admin, Read, routes!(admin::users::deactivate))
        .at(Admin, Read, routes!(admin::users::quota))
        .at(Admin, Read, routes!(admin::queues::queues))
        .at(Admin, Read, routes!(admin::queues::pause))
        .at(Admin, Read, routes!(admin::queues::resume))
        .at(Admin, Read, routes!(admin::dead::dead))
        .at(Admin, Read, routes!(admin::dead::retry_dead))
        .at(Admin, Read, routes!(admin::dead::discard_dead))
        .at(Admin, Read, routes!(admin::providers::providers))
        .at(Admin, Read, routes!(admin::audit::audit))
        .at(User("account"), Read, routes!(settings::get, settings::patch, settings::put))
        .at(User("account"), Read, routes!(settings::get_alias, settings::put_alias))
        .at(User("memory"), Read, routes!(memory::list::list, memory::crud::add))
        .at(User("memory"), Read, routes!(memory::list::pending))
        .at(User("memory"), Read, routes!(memory::list::shared))
        .at(User("memory"), Read, routes!(memory::crud::get, memory::crud::change, memory::crud::delete))
        .at(User("memory"), Read, routes!(memory::history::history))
        .at(User("memory"), Read, routes!(memory::history::undo_change))
        .at(User("memory"), Read, routes!(memory::history::unmerge))
        .at(User("memory"), Read, routes!(memory::verify::verify))
        .at(User("memory"), Read, routes!(memory::verify::verify_many))
        .at(User("memory"), Read, routes!(memory::search::search))
        .at(User("memory"), Read, routes!(memory::links::link, memory::links::unlink))
        .at(User("memory"), Read, routes!(memory::links::related))
        .at(User("memory"), Read, routes!(memory::links::graph_around))
        .at(User("memory"), Read, routes!(memory::links::graph_of_all))
        .at(User("memory"), Read, routes!(memory::conflicts::detect))
        .at(User("memory"), Read, routes!(memory::conflicts::list))
        .at(User("memory"), Read, routes!(memory::conflicts::resolve))
        .at(User("memory"), Read, routes!(memory::merge::consolidate))
        .at(User("memory"), Read, routes!(memory::merge::suggestions))
        .at(User("memory"), Read, routes!(memory::merge::review))
        .at(User("memory"), Read, routes!(memory::merge::classify_expiration))
        .at(User("memory"), Read, routes!(memory::analytics::dashboard))
        .at(User("memory"), Read, routes!(memory::analytics::top))
        .at(User("memory"), Read, routes!(memory::transfer::export))
        .at(User("memory"), Read, routes!(memory::transfer::download))
        .at(User("memory"), Read, routes!(memory::transfer::import))
        .at(User("memory"), Read, routes!(memory::privacy::privacy))
        .at(User("memory"), Read, routes!(memory::privacy::delete_many))
        .at(User("memory"), Read, routes!(memory::extract::extract))
        .at(User("memory"), Read, routes!(memory::extract::runs))
        .at(User("memory"), Read, routes!(memory::events::events))
        .at(
            Public("for people and load balancers; tells nothing of users"),
            Uncounted,
            routes!(health::health),
        )
        .at(Public("probe"), Uncounted, routes!(health::livez))
        .at(Public("probe"), Uncounted, routes!(health::readyz))
        .at(Public("says who is signed in, if anybody is"), Uncounted, routes!(ui::boot::boot))
}
