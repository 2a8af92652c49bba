//! What changes data: one transaction each, with its jobs enqueued in it, announced after the commit.

pub mod accounts;
pub mod budget;
pub mod cancel_job;
pub mod end_job;
pub mod finish_chat;
pub mod finish_title;
pub mod import_session;
pub mod memory;
pub mod retry_job;
pub mod send_message;
pub mod sessions;
pub mod settings;
