//! What changes data: one transaction each, with its jobs enqueued in it, announced after the commit.

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod blobs;
pub mod branch;
pub mod budget;
pub mod cancel_job;
pub mod choice;
pub mod codes;
pub mod end_job;
pub mod erase;
pub mod finish_chat;
pub mod finish_title;
pub mod import_session;
pub mod keys;
mod look_alike;
pub mod memory;
pub mod model_pace;
pub mod profile;
pub mod projects;
mod rate_answer;
pub mod ready;
pub mod repeat;
pub mod retention;
pub mod retry_job;
pub mod send_message;
pub mod sessions;
pub mod settings;
pub mod take_back;
mod throttle;
pub mod tool_calls;
pub mod usage;
pub mod use_variant;
pub mod webhooks;

pub use rate_answer::rate_answer;
