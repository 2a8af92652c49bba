//! A conversation: an ordered list of messages that belongs to one user.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::ids::{ProjectId, SessionId, UserId};
use crate::row;

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Session {
    #[schema(value_type = String, example = "sess_01jd3kq7g0e5r8x2y4z6a8b0cm")]
    pub id: SessionId,
    #[serde(skip)]
    pub user_id: UserId,
    pub title: String,
    #[schema(value_type = Option<String>)]
    pub project_id: Option<ProjectId>,
    pub message_count: i64,
    #[schema(example = "active")]
    pub status: String,
    pub is_pinned: bool,
    #[schema(value_type = Option<String>)]
    pub parent_session_id: Option<SessionId>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub updated_at: DateTime<Utc>,
}

row!(Session:
    id, user_id, title, project_id, message_count, status, is_pinned, parent_session_id, created_at,
    updated_at
);

/// Titles hold at most this many characters.
pub const TITLE_MAX: usize = 200;

/// The title a session has until the `title` job has made a better one: the first words of its first message.
pub fn first_words(message: &str) -> String {
    const LIMIT: usize = 48;
    let mut title = String::new();
    for word in message.split_whitespace() {
        if title.chars().count() + word.chars().count() + 1 > LIMIT {
            if title.is_empty() {
                title = word.chars().take(LIMIT).collect();
            }
            return title + "…";
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_whole_words() {
        assert_eq!(first_words("  Hello\n there "), "Hello there");
        assert_eq!(first_words(&"x".repeat(100)), "x".repeat(48) + "…");
        assert!(first_words(&"word ".repeat(40)).chars().count() <= 49);
    }
}
