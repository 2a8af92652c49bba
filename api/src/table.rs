//! Every route on one page: who may call it, how its calls are counted, and its handler. A route cannot be added without
//! the first two. The checks, the limits, the API's description and the tests all read this table.

use Class::{Auth, Chat, Read, Uncounted};
use Policy::{Admin, Both, Login, Public, User};
use axum::http::Method;
use rapport_common::domain::user::Scope;
use utoipa::openapi::path::PathItem;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    handlers::{
        admin, analytics, api_keys, auth, branches, chat, codes, conversations, events,
        files::{self, attached, content, knowledge, uploads},
        health, history, jobs, memory, messages, models,
        projects::{self, prompts, provider_keys, tools},
        session_export, session_import, sessions, settings, users, webhooks, websocket,
    },
    mcp, oauth,
    policy::{Class, Policy, Rule, Stated},
    state::AppState,
    ui,
    v1::{self, conversations as conversations_v1, files as files_v1, vector_stores},
};

#[derive(Default)]
pub struct Table {
    pub router: OpenApiRouter<AppState>,
    pub stated: Vec<Stated>,
}

impl Table {
    fn at(self, who: Policy, class: Class, routes: UtoipaMethodRouter<AppState>) -> Self {
        self.with(Rule { who, class, takes_tickets: false, takes_clients: false }, routes)
    }

    /// A stream, whose client may show a ticket.
    fn stream(self, who: Policy, routes: UtoipaMethodRouter<AppState>) -> Self {
        self.with(Rule { who, class: Read, takes_tickets: true, takes_clients: false }, routes)
    }

    /// What MCP clients sign in for.
    fn clients(self, who: Policy, routes: UtoipaMethodRouter<AppState>) -> Self {
        self.with(Rule { who, class: Read, takes_tickets: false, takes_clients: true }, routes)
    }

    fn with(mut self, rule: Rule, routes: UtoipaMethodRouter<AppState>) -> Self {
        for (path, item) in &routes.1.paths {
            for method in methods(item) {
                self.stated.push(Stated { method, path: path.clone(), rule });
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
        .at(User(Scope::Account), Read, routes!(auth::me))
        .at(User(Scope::Account), Read, routes!(auth::users_me))
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
        .at(Login, Read, routes!(oauth::show, oauth::let_in))
        .at(Both, Read, routes!(auth::ws_ticket))
        .at(User(Scope::Chat), Chat, routes!(chat::chat))
        .at(User(Scope::Chat), Chat, routes!(chat::chat_stream))
        .stream(User(Scope::Chat), routes!(websocket::chat_stream_ws))
        .stream(User(Scope::Chat), routes!(websocket::chat_ws))
        .at(User(Scope::Chat), Read, routes!(models::models))
        .at(User(Scope::Chat), Read, routes!(models::tools))
        .at(User(Scope::Chat), Read, routes!(sessions::list, sessions::create))
        .at(
            User(Scope::Chat),
            Read,
            routes!(sessions::get, sessions::change, sessions::put, sessions::delete),
        )
        .at(User(Scope::Chat), Read, routes!(session_import::import))
        .at(User(Scope::Chat), Chat, routes!(branches::branch))
        .at(User(Scope::Chat), Chat, routes!(branches::regenerate))
        .at(User(Scope::Chat), Read, routes!(messages::feedback))
        .at(User(Scope::Chat), Read, routes!(branches::variants))
        .at(User(Scope::Chat), Read, routes!(messages::get))
        .at(User(Scope::Chat), Read, routes!(messages::use_variant))
        .at(User(Scope::Chat), Read, routes!(session_export::export))
        .at(User(Scope::Chat), Read, routes!(conversations::list, conversations::create))
        .at(User(Scope::Chat), Read, routes!(conversations::delete))
        .at(User(Scope::Chat), Read, routes!(conversations::messages))
        .at(User(Scope::Chat), Chat, routes!(conversations::send))
        .at(User(Scope::Chat), Read, routes!(history::session_messages))
        .at(User(Scope::Chat), Read, routes!(history::chat_history))
        .at(User(Scope::Chat), Read, routes!(history::history))
        .at(Both, Read, routes!(jobs::list_jobs))
        .at(Both, Read, routes!(jobs::get_job))
        .stream(Both, routes!(jobs::job_events))
        .at(Both, Read, routes!(jobs::cancel))
        .at(Both, Read, routes!(jobs::retry))
        .stream(Both, routes!(events::events))
        .at(User(Scope::Projects), Read, routes!(projects::list, projects::create))
        .at(
            User(Scope::Projects),
            Read,
            routes!(projects::get, projects::change, projects::put, projects::delete),
        )
        .at(User(Scope::Projects), Read, routes!(prompts::list_prompts, prompts::create_prompt))
        .at(User(Scope::Projects), Read, routes!(prompts::preview))
        .at(
            User(Scope::Projects),
            Read,
            routes!(prompts::get_prompt, prompts::change_prompt, prompts::delete_prompt),
        )
        .at(User(Scope::Projects), Read, routes!(prompts::versions))
        .at(User(Scope::Projects), Read, routes!(projects::budget))
        .at(User(Scope::Projects), Read, routes!(provider_keys::list_keys))
        .at(User(Scope::Projects), Read, routes!(provider_keys::put_key, provider_keys::delete_key))
        .at(User(Scope::Projects), Read, routes!(tools::list_tools))
        .at(User(Scope::Projects), Read, routes!(tools::get_tool))
        .at(User(Scope::Projects), Read, routes!(tools::get_disabled, tools::put_disabled))
        // A tool hears what a model says in a conversation, and outlives a key, as a webhook does.
        .at(Login, Read, routes!(tools::create_tool))
        .at(Login, Read, routes!(tools::import_tools))
        .at(Login, Read, routes!(tools::change_tool, tools::delete_tool))
        .at(User(Scope::Chat), Read, routes!(files::list, files::create))
        .at(User(Scope::Chat), Read, routes!(uploads::create))
        .at(User(Scope::Chat), Read, routes!(uploads::get, uploads::send, uploads::delete))
        .at(User(Scope::Chat), Read, routes!(files::get, files::change, files::delete))
        .at(User(Scope::Chat), Read, routes!(content::content))
        .at(User(Scope::Chat), Read, routes!(content::passages))
        .at(User(Scope::Chat), Read, routes!(files::retry))
        .at(User(Scope::Chat), Read, routes!(attached::of_session, attached::set_of_session))
        .at(User(Scope::Projects), Read, routes!(attached::of_project, attached::set_of_project))
        .at(User(Scope::Chat), Read, routes!(knowledge::search))
        // A webhook says what was answered and remembered, and outlives a key: more than any one scope gives.
        .at(Login, Read, routes!(webhooks::list, webhooks::create))
        .at(Login, Read, routes!(webhooks::delete))
        .at(Login, Read, routes!(webhooks::deliveries))
        .at(Login, Read, routes!(webhooks::redeliver))
        .at(Login, Read, routes!(webhooks::test))
        .at(Login, Read, routes!(webhooks::said))
        .at(User(Scope::Account), Read, routes!(analytics::activity))
        .at(User(Scope::Account), Read, routes!(analytics::models))
        .at(User(Scope::Account), Read, routes!(analytics::usage))
        .at(User(Scope::Account), Read, routes!(analytics::quota))
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
        .at(User(Scope::Account), Read, routes!(settings::get, settings::patch, settings::put))
        .at(User(Scope::Account), Read, routes!(settings::get_alias, settings::put_alias))
        .at(User(Scope::Memory), Read, routes!(memory::list::list, memory::crud::add))
        .at(User(Scope::Memory), Read, routes!(memory::list::pending))
        .at(User(Scope::Memory), Read, routes!(memory::list::shared))
        .at(User(Scope::Memory), Read, routes!(memory::crud::get, memory::crud::change, memory::crud::delete))
        .at(User(Scope::Memory), Read, routes!(memory::history::history))
        .at(User(Scope::Memory), Read, routes!(memory::history::undo_change))
        .at(User(Scope::Memory), Read, routes!(memory::history::unmerge))
        .at(User(Scope::Memory), Read, routes!(memory::verify::verify))
        .at(User(Scope::Memory), Read, routes!(memory::verify::verify_many))
        .at(User(Scope::Memory), Read, routes!(memory::search::search))
        .at(User(Scope::Memory), Read, routes!(memory::links::link, memory::links::unlink))
        .at(User(Scope::Memory), Read, routes!(memory::links::related))
        .at(User(Scope::Memory), Read, routes!(memory::links::graph_around))
        .at(User(Scope::Memory), Read, routes!(memory::links::graph_of_all))
        .at(User(Scope::Memory), Read, routes!(memory::conflicts::detect))
        .at(User(Scope::Memory), Read, routes!(memory::conflicts::list))
        .at(User(Scope::Memory), Read, routes!(memory::conflicts::resolve))
        .at(User(Scope::Memory), Read, routes!(memory::merge::consolidate))
        .at(User(Scope::Memory), Read, routes!(memory::merge::suggestions))
        .at(User(Scope::Memory), Read, routes!(memory::merge::review))
        .at(User(Scope::Memory), Read, routes!(memory::merge::classify_expiration))
        .at(User(Scope::Memory), Read, routes!(memory::analytics::dashboard))
        .at(User(Scope::Memory), Read, routes!(memory::analytics::top))
        .at(User(Scope::Memory), Read, routes!(memory::transfer::export))
        .at(User(Scope::Memory), Read, routes!(memory::transfer::download))
        .at(User(Scope::Memory), Read, routes!(memory::transfer::import))
        .at(User(Scope::Memory), Read, routes!(memory::privacy::privacy))
        .at(User(Scope::Memory), Read, routes!(memory::privacy::delete_many))
        .at(User(Scope::Memory), Read, routes!(memory::extract::extract))
        .at(User(Scope::Memory), Read, routes!(memory::extract::runs))
        .stream(User(Scope::Memory), routes!(memory::events::events))
        .at(
            Public("for people and load balancers; tells nothing of users"),
            Uncounted,
            routes!(health::health),
        )
        .at(Public("probe"), Uncounted, routes!(health::livez))
        .at(Public("probe"), Uncounted, routes!(health::readyz))
        .at(Public("says who is signed in, if anybody is"), Uncounted, routes!(ui::boot::boot))
}

/// The APIs that other programs speak, at `/v1` and `/mcp` and nowhere else, and how MCP clients sign in. Errors below `/v1`, and of
/// OAuth, have their own form.
pub fn v1() -> Table {
    Table::default()
        .clients(Both, routes!(mcp::mcp))
        .at(Public("a client gets nothing until a user lets it in"), Auth, routes!(oauth::register_client))
        .at(Public("the code or the refresh token is the proof"), Read, routes!(oauth::give_tokens))
        .at(Public("the token is the proof"), Read, routes!(oauth::take_back))
        .at(User(Scope::Chat), Read, routes!(v1::list))
        .at(User(Scope::Chat), Read, routes!(v1::one))
        .at(User(Scope::Chat), Chat, routes!(v1::completions))
        .at(User(Scope::Chat), Read, routes!(v1::embeddings))
        .at(User(Scope::Chat), Chat, routes!(v1::messages))
        .at(User(Scope::Chat), Read, routes!(v1::count_tokens))
        .at(User(Scope::Chat), Chat, routes!(v1::create))
        .at(User(Scope::Chat), Read, routes!(v1::get, v1::delete))
        .at(User(Scope::Chat), Read, routes!(v1::cancel))
        .at(User(Scope::Chat), Read, routes!(v1::input_items))
        .at(User(Scope::Chat), Read, routes!(conversations_v1::create))
        .at(
            User(Scope::Chat),
            Read,
            routes!(conversations_v1::get, conversations_v1::change, conversations_v1::delete),
        )
        .at(User(Scope::Chat), Read, routes!(conversations_v1::list_items, conversations_v1::add_items))
        .at(User(Scope::Chat), Read, routes!(conversations_v1::get_item, conversations_v1::delete_item))
        .at(User(Scope::Chat), Read, routes!(files_v1::list, files_v1::create))
        .at(User(Scope::Chat), Read, routes!(files_v1::get, files_v1::delete))
        .at(User(Scope::Chat), Read, routes!(files_v1::file_content))
        .at(User(Scope::Chat), Read, routes!(vector_stores::list, vector_stores::create))
        .at(
            User(Scope::Chat),
            Read,
            routes!(vector_stores::get, vector_stores::change, vector_stores::delete),
        )
        .at(User(Scope::Chat), Read, routes!(vector_stores::search))
        .at(User(Scope::Chat), Read, routes!(vector_stores::members, vector_stores::add))
        .at(
            User(Scope::Chat),
            Read,
            routes!(vector_stores::member, vector_stores::set_attributes, vector_stores::remove),
        )
        .at(User(Scope::Chat), Read, routes!(vector_stores::text))
        .at(User(Scope::Chat), Read, routes!(vector_stores::create_batch))
        .at(User(Scope::Chat), Read, routes!(vector_stores::batch))
        .at(User(Scope::Chat), Read, routes!(vector_stores::cancel_batch))
        .at(User(Scope::Chat), Read, routes!(vector_stores::batch_files))
}
