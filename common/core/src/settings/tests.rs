//! What is documented, what is refused, and that everything wrong is said at once.

use super::*;

fn load_from(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    load(&mut Env::from_pairs(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()))))
}

const KEY: (&str, &str) = ("SECRET_KEY", "0f2c8a5de91b7746a3c8d5e0f1b2937c");

#[test]
fn every_key_is_documented_in_the_example() {
    let mut env = Env::from_pairs([(KEY.0.to_owned(), KEY.1.to_owned())]);
    load(&mut env).unwrap();
    let example = include_str!("../../../../.env.example");
    let documented: std::collections::BTreeSet<&str> = example
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").trim_start_matches('#').split_once('='))
        .map(|(key, _)| key)
        .filter(|key| key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .collect();
    let read: std::collections::BTreeSet<&str> = env.keys_read().collect();
    let numbered = |key: &&&str| !key.trim_end_matches(char::is_numeric).ends_with("_API_KEY_");
    let missing: Vec<_> = read.difference(&documented).filter(numbered).collect();
    let stale: Vec<_> = documented.difference(&read).filter(numbered).collect();
    assert!(missing.is_empty(), "not in .env.example: {missing:?}");
    assert!(stale.is_empty(), "in .env.example but never read: {stale:?}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems =
        load_from(&[("PORT", "x"), ("QUEUE__LEASE_SECONDS", "-1"), ("SECRET_KEY", "short")]).unwrap_err();
    for key in ["PORT", "QUEUE__LEASE_SECONDS", "SECRET_KEY"] {
        assert!(problems.contains(key), "{problems}");
    }
}

#[test]
fn dangerous_combinations_are_refused() {
    let problems =
        load_from(&[KEY, ("CORS__ALLOWED_ORIGINS", r#"["*"]"#), ("CORS__ALLOW_CREDENTIALS", "true")])
            .unwrap_err();
    assert!(problems.contains("CORS__ALLOW_CREDENTIALS"));
    assert!(load_from(&[("DATABASE_URL", "postgres://x")]).unwrap_err().contains("SECRET_KEY"));
}

#[test]
fn a_provider_needs_a_key_or_its_own_address() {
    let none = load_from(&[KEY]).unwrap();
    assert!(none.ai.endpoints.iter().all(|endpoint| !endpoint.is_configured));
    let two = load_from(&[
        KEY,
        ("AI_SERVICES__OPENAI_BASE_URL", "http://127.0.0.1:9/v1/"),
        ("AI_SERVICES__GROQ_API_KEY_1", "k"),
    ])
    .unwrap();
    let configured = two.ai.endpoints.iter().filter(|endpoint| endpoint.is_configured);
    let found: Vec<_> = configured.map(|e| (e.name, e.base_url.as_str())).collect();
    assert_eq!(found, [("openai", "http://127.0.0.1:9/v1"), ("groq", "https://api.groq.com/openai/v1")]);
}
