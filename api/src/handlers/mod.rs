//! One file a resource.

pub mod analytics;
pub mod auth;
pub mod chat;
pub mod health;
pub mod history;
pub mod jobs;
pub mod memory;
pub mod models;
pub mod sessions;
pub mod settings;
pub mod ui;
