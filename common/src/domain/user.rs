//! A person with an account, and the rules for what they may be called.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::ids::UserId;

#[derive(Debug, Clone, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct User {
    #[schema(value_type = String, example = "user_01jd3kq7g0e5r8x2y4z6a8b0cm")]
    pub id: UserId,
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    #[schema(example = "user")]
    pub role: String,
    pub is_active: bool,
    pub is_verified: bool,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

impl User {
    /// What they are called.
    pub fn display_name(&self) -> String {
        let known = self.name.as_ref().or(self.username.as_ref()).or(self.email.as_ref());
        known.cloned().unwrap_or_default()
    }
}

/// An address as we store it: trimmed, the domain and local part in lower case, one `@`, a dotted domain.
/// `None` when it is no address mail could be sent to. 254 characters at most (RFC 5321).
pub fn normalise_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let domain_ok = domain.contains('.') && domain.split('.').all(label);
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.split('.').all(|atom| {
            !atom.is_empty() && atom.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c))
        });
    (domain_ok && local_ok && text.len() <= 254).then_some(text)
}

/// A username as we store it: 3-50 of letters, digits and `_.-`, compared without case.
pub fn normalise_username(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let length = text.chars().count();
    ((3..=50).contains(&length) && text.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c)))
        .then_some(text)
}

/// What is wrong with a person's name, or `None`.
pub fn name_problem(name: &str) -> Option<&'static str> {
    (!(2..=100).contains(&name.chars().count()) || name.chars().any(char::is_control))
        .then_some("must be 2 to 100 characters, without control characters")
}

/// What is wrong with a password, or `None`. 8-128 characters with an upper-case letter, a lower-case letter and a
/// digit, and not one of the most common ones.
pub fn password_problem(password: &str) -> Option<&'static str> {
    const COMMON: &[&str] = &[
        "password1",
        "password12",
        "password123",
        "passw0rd",
        "passw0rd1",
        "p@ssw0rd",
        "p@ssword1",
        "qwerty123",
        "qwerty12",
        "qwertyuiop1",
        "welcome1",
        "welcome123",
        "letmein1",
        "letmein123",
        "admin123",
        "administrator1",
        "abc12345",
        "abcd1234",
        "abc123456",
        "iloveyou1",
        "monkey123",
        "dragon123",
        "sunshine1",
        "princess1",
        "football1",
        "baseball1",
        "superman1",
        "trustno1",
        "changeme1",
        "changeme123",
        "secret123",
        "test1234",
        "testtest1",
        "1q2w3e4r",
        "1qaz2wsx",
        "zaq12wsx",
        "q1w2e3r4",
        "master123",
        "hello123",
        "summer2024",
        "summer2025",
        "summer2026",
        "winter2024",
        "winter2025",
        "winter2026",
        "michael1",
        "charlie1",
        "jordan23",
        "asdf1234",
        "asdfgh123",
        "zxcvbnm1",
        "google123",
        "computer1",
        "starwars1",
    ];
    let length = password.chars().count();
    if length < 8 {
        return Some("must have at least 8 characters");
    }
    if length > 128 {
        return Some("must have at most 128 characters");
    }
    if password.contains('\0') {
        return Some("must not contain a NUL character");
    }
    if !password.chars().any(char::is_uppercase) {
        return Some("must contain an upper-case letter");
    }
    if !password.chars().any(char::is_lowercase) {
        return Some("must contain a lower-case letter");
    }
    if !password.chars().any(char::is_numeric) {
        return Some("must contain a digit");
    }
    COMMON
        .contains(&password.to_lowercase().as_str())
        .then_some("is one of the most common passwords: choose another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised_or_refused() {
        assert_eq!(normalise_email(" Ann.Lee+x@Example.COM ").as_deref(), Some("ann.lee+x@example.com"));
        for bad in
            ["", "a", "a@", "@b.c", "a@b", "a@@b.c", "a b@c.d", "a@b..c", ".a@b.c", "a@-b.c", "a\0@b.c"]
        {
            assert_eq!(normalise_email(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_judged_by_characters_not_bytes() {
        assert_eq!(password_problem("Пароль123"), None);
        assert!(password_problem("Password123").is_some());
        assert!(password_problem("short1A").is_some());
        assert!(password_problem("alllowercase1").is_some());
    }
}
