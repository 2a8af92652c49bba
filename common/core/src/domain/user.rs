//! A person with an account, and the rules for what they may be called.

use chrono::{DateTime, Utc};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_security::{MixedScript, skeleton};

use super::{ids::UserId, words::words};
use crate::{row, wrong::Wrong};

words! {
    /// What an account may do beyond its own affairs.
    UserRole as "role" {
        User = "user",
        /// Runs the place.
        Admin = "admin",
    }

    /// What an API key may be bound to.
    Scope as "scope" {
        Chat = "chat",
        Memory = "memory",
        Projects = "projects",
        Account = "account",
        Admin = "admin",
    }
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct User {
    #[schema(value_type = String, example = "user_01jd3kq7g0e5r8x2y4z6a8b0cm")]
    pub id: UserId,
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    #[schema(value_type = String, example = "user")]
    pub role: UserRole,
    pub is_active: bool,
    pub is_verified: bool,
    #[serde(with = "crate::clock::rfc3339_millis")]
    pub created_at: DateTime<Utc>,
}

row!(User: id, email, username, name, role, is_active, is_verified, created_at);

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

/// A username as we store it: 3-50 of letters, digits and `_.-`, compared without case. However its letters are composed,
/// it is one name (NFKC), and its letters are of one script (UTS 39), so that `аnn` with a Cyrillic `а` is no name.
pub fn normalise_username(text: &str) -> Option<String> {
    let folded: String = text.trim().nfkc().collect::<String>().to_lowercase();
    let text: String = folded.nfkc().collect();
    let length = text.chars().count();
    let is_name = (3..=50).contains(&length)
        && text.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
        && text.is_single_script();
    is_name.then_some(text)
}

/// What a username looks like: names that are drawn alike have the same (UTS 39).
pub fn appearance(username: &str) -> String {
    skeleton(username).collect()
}

/// Whether two different usernames could be taken for each other. Plain ones never are: `ann0` and `anno`, `rn` and `m`
/// differ enough for those who chose them, and many people have such names.
pub fn looks_like(one: &str, other: &str) -> bool {
    one != other && !(one.is_ascii() && other.is_ascii()) && appearance(one) == appearance(other)
}

/// What somebody signs in with, an address or a username, as we store it. `None` when nobody can have it.
pub fn normalise_login(text: &str) -> Option<String> {
    if text.contains('@') { normalise_email(text) } else { normalise_username(text) }
}

/// What a new password must have (`PASSWORD__…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordRules {
    pub min_length: usize,
    pub upper: bool,
    pub lower: bool,
    pub digit: bool,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { min_length: 8, upper: true, lower: true, digit: true }
    }
}

/// Passwords that everybody tries first.
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

/// What is wrong with a new password, or `None`. It keeps the rules, has at most 128 characters, and is not one of the
/// most common ones.
pub fn password_problem(password: &str, rules: PasswordRules) -> Option<Wrong> {
    let length = password.chars().count();
    if length < rules.min_length {
        return Some(Wrong::TooShort(rules.min_length));
    }
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    if length > 128 {
        Some(Wrong::TooLong { max: 128, length })
    } else if password.contains('\0') {
        Some(Wrong::Nul)
    } else if rules.upper && !has(char::is_uppercase) {
        Some(Wrong::NoUpperCase)
    } else if rules.lower && !has(char::is_lowercase) {
        Some(Wrong::NoLowerCase)
    } else if rules.digit && !has(char::is_numeric) {
        Some(Wrong::NoDigit)
    } else if COMMON.contains(&password.to_lowercase().as_str()) {
        Some(Wrong::CommonPassword)
    } else {
        None
    }
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
    fn look_alikes_are_told_unless_both_are_plain() {
        // Cyrillic аех and сосо, Greek ορο.
        for (other, latin) in [
            ("\u{430}\u{435}\u{445}", "aex"),
            ("\u{441}\u{43e}\u{441}\u{43e}", "coco"),
            ("\u{3bf}\u{3c1}\u{3bf}", "opo"),
        ] {
            assert!(normalise_username(other).is_some() && other != latin);
            assert!(looks_like(other, latin) && looks_like(latin, other), "{other} {latin}");
        }
        for (one, other) in [
            ("ann0", "anno"),
            ("modern", "rnodern"),
            ("bill", "bi11"),
            ("aex", "aex"),
            ("\u{430}\u{43d}\u{43d}\u{430}", "anna"),
            ("ren\u{e9}", "rene"),
        ] {
            assert!(!looks_like(one, other), "{one} {other}");
        }
    }

    /// Migration 10 computes this in SQL.
    #[test]
    fn the_appearance_of_plain_names_is_what_the_migration_says() {
        for c in ('a'..='z').chain('0'..='9').chain("_.-".chars()) {
            let text = c.to_string();
            assert_eq!(appearance(&text), text.replace('m', "rn").replace('1', "l").replace('0', "O"));
        }
    }

    #[test]
    fn passwords_are_judged_by_characters_not_bytes() {
        let problem = |password: &str| password_problem(password, PasswordRules::default());
        assert_eq!(problem("Пароль123"), None);
        assert!(problem("Password123").is_some());
        assert!(problem("short1A").is_some());
        assert!(problem("alllowercase1").is_some());
    }

    #[test]
    fn password_rules_can_be_others() {
        let lenient = PasswordRules { min_length: 6, upper: false, lower: true, digit: false };
        assert_eq!(password_problem("tulips", lenient), None);
        assert!(password_problem("tulip", lenient).is_some_and(|wrong| wrong.to_string().contains('6')));
        // The most common ones are refused whatever the rules.
        assert!(password_problem("password123", lenient).is_some());
    }
}
