//! Names of settings that are not ours: other systems' names for the same thing, names that mean nothing here, and
//! misspelt ones.

use std::collections::BTreeSet;

/// Our key, and what it is called elsewhere. `*` stands for the rest of both names.
const SAME: [(&str, &str); 12] = [
    ("AI_SERVICES__OPEN_ROUTER_*", "AI_SERVICES__OPENROUTER_*"),
    ("AI_SERVICES__OPENAI_API_KEY", "OPENAI_API_KEY"),
    ("AI_SERVICES__OPENAI_BASE_URL", "OPENAI_BASE_URL"),
    ("AI_SERVICES__OPEN_ROUTER_API_KEY", "OPENROUTER_API_KEY"),
    ("AI_SERVICES__GROQ_API_KEY", "GROQ_API_KEY"),
    ("AI_SERVICES__GEMINI_API_KEY", "GEMINI_API_KEY"),
    ("AI_SERVICES__ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
    ("CORS__ALLOWED_ORIGINS", "ALLOWED_ORIGINS"),
    ("CORS__ALLOWED_ORIGINS", "CORS__ALLOW_ORIGINS"),
    ("EMAIL__PASSWORD", "EMAIL__GMAIL_APP_PASSWORD"),
    ("SECRET_KEY", "SECURITY__JWT_SECRET"),
    ("CHAT__APP_INFO", "APP_INFO"),
];

/// Read where they matter, by [`super::Env::elsewhere`].
const READ_ELSEWHERE: [&str; 4] = ["LLM_PROVIDER", "LOG_LEVEL", "DEBUG", "EMAIL__GMAIL_FROM_EMAIL"];

/// Names of the systems we replace that mean nothing here, and what to do instead.
const NOTHING: [(&str, &str); 15] = [
    ("MONGO_URI", "there is no MongoDB here: everything is kept where DATABASE_URL says"),
    ("MONGODB_URI", "there is no MongoDB here: everything is kept where DATABASE_URL says"),
    ("MONGODB_URL", "there is no MongoDB here: everything is kept where DATABASE_URL says"),
    ("MONGO_DATABASE", "there is no MongoDB here: everything is kept where DATABASE_URL says"),
    ("SECURITY__BCRYPT_ROUNDS", "passwords are hashed with Argon2id, with parameters of its own"),
    ("BCRYPT_ROUNDS", "passwords are hashed with Argon2id, with parameters of its own"),
    ("SECURITY__JWT_ALGORITHM", "access tokens are always signed with HS256"),
    ("JWT_ALGORITHM", "access tokens are always signed with HS256"),
    ("ALGORITHM", "access tokens are always signed with HS256"),
    ("SECURITY__JWT_EXPIRES_IN", "set ACCESS_TOKEN_EXPIRE_MINUTES"),
    ("JWT_EXPIRES_IN", "set ACCESS_TOKEN_EXPIRE_MINUTES"),
    ("JWT_SECRET", "set SECRET_KEY"),
    ("JWT_SECRET_KEY", "set SECRET_KEY"),
    ("SMTP_SERVER", "set EMAIL__SMTP_SERVER"),
    ("SMTP_PASSWORD", "set EMAIL__PASSWORD"),
];

/// What else a key of ours is called.
pub fn also_called(key: &str) -> impl Iterator<Item = String> {
    SAME.iter().filter_map(move |(ours, theirs)| match (ours.strip_suffix('*'), theirs.strip_suffix('*')) {
        (Some(ours), Some(theirs)) => key.strip_prefix(ours).map(|rest| format!("{theirs}{rest}")),
        _ => (*ours == key).then(|| (*theirs).to_owned()),
    })
}

/// What there is to say of a variable that was not read: nothing, when it is none of our business.
pub fn remark(name: &str, value: &str, known: &BTreeSet<String>) -> Option<String> {
    let upper = name.to_uppercase();
    if known.contains(name) || READ_ELSEWHERE.contains(&name) {
        return None;
    }
    if known.iter().any(|key| also_called(key).any(|other| other == name)) {
        return None;
    }
    if let Some((_, instead)) = NOTHING.iter().find(|(theirs, _)| *theirs == upper) {
        let as_here = instead.contains("HS256") && value.trim().eq_ignore_ascii_case("HS256");
        return (!as_here).then(|| format!("{name} means nothing here: {instead}"));
    }
    let ours = upper.split_once("__").is_some_and(|(prefix, _)| {
        prefix == "SECURITY" || known.iter().any(|key| key.split_once("__").is_some_and(|(p, _)| p == prefix))
    });
    // A prefix of ours shows who is meant; without one, only a long name that is almost ours does.
    let most = if ours { allowed(&upper).max(4) } else { allowed(&upper) };
    match nearest(&upper, most, known.iter().map(String::as_str)) {
        Some(key) => Some(format!("{name} is not known: did you mean {key}?")),
        _ if ours => Some(format!("{name} is not known: .env.example has every setting")),
        _ => None,
    }
}

/// Letters that may differ in a name that stands alone: `HOST` and `HOME` are not misspellings of each other.
fn allowed(name: &str) -> usize {
    match name.len() {
        0..=7 => 0,
        8..=9 => 1,
        _ => 2,
    }
}

/// The name that is most like this one, if they differ in at most so many letters. Of names whose lengths differ by more it is not
/// asked: every start compares its whole environment with all settings.
pub fn nearest<'a>(name: &str, most: usize, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter(|key| most > 0 && key.len().abs_diff(name.len()) <= most)
        .map(|key| (key, strsim::damerau_levenshtein(name, key)))
        .filter(|(_, distance)| *distance <= most)
        .min_by_key(|(_, distance)| *distance)
        .map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> Option<String> {
        let known =
            ["HOST", "PORT", "RUST_LOG", "DATABASE_URL", "CHAT__WAIT_SECONDS", "AI_SERVICES__GROQ_API_KEY"];
        remark(name, value, &known.iter().map(|&key| key.to_owned()).collect())
    }

    #[test]
    fn what_looks_like_ours_is_remarked_on() {
        for (name, word) in [
            ("CHAT__WAIT_SECOND", "CHAT__WAIT_SECONDS"),
            ("CHAT__WAITSECONDS", "CHAT__WAIT_SECONDS"),
            ("chat__wait_seconds", "CHAT__WAIT_SECONDS"),
            ("CHAT__COLOUR_OF_THE_SKY", ".env.example"),
            ("AI_SERVICES__GROK_API_KEY", "AI_SERVICES__GROQ_API_KEY"),
            ("DATABSE_URL", "DATABASE_URL"),
            ("MONGO_URI", "DATABASE_URL"),
            ("ALGORITHM", "HS256"),
            ("SECURITY__BCRYPT_ROUNDS", "Argon2id"),
            ("SECURITY__PEPPER", ".env.example"),
        ] {
            let said = said(name, "x").unwrap_or_default();
            assert!(said.starts_with(name) && said.contains(word), "{name}: {said}");
        }
    }

    #[test]
    fn what_belongs_to_others_is_left_alone() {
        for name in [
            "HOME",
            "PATH",
            "POST",
            "HOSTNAME",
            "RUST_BACKTRACE",
            "CARGO_HOME",
            "GIT__X",
            "DATABASE_HOST",
            "GROQ_API_KEY",
            "DEBUG",
            "LLM_PROVIDER",
            "CHAT__WAIT_SECONDS",
            "KUBERNETES_PORT",
            "_",
        ] {
            assert_eq!(said(name, "x"), None, "{name}");
        }
        assert_eq!(said("ALGORITHM", "HS256"), None);
    }
}
