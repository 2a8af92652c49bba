//! One file a resource.

pub mod admin;
pub mod analytics;
pub mod api_keys;
pub mod auth;
pub mod branches;
pub mod chat;
pub mod codes;
pub mod conversations;
pub mod events;
pub mod files;
pub mod health;
pub mod history;
pub mod jobs;
pub mod memory;
pub mod messages;
pub mod models;
pub mod pages;
pub mod projects;
pub mod session_export;
pub mod session_import;
pub mod sessions;
pub mod settings;
pub mod users;
pub mod webhooks;
pub mod websocket;
