//! Which pages of others may call us.

use super::Env;

#[derive(Debug, Clone)]
pub struct Cors {
    pub allowed_origins: Vec<String>,
    pub allow_credentials: bool,
    /// Of preflight answers; empty: the methods we have.
    pub allow_methods: Vec<String>,
    /// Of preflight answers; empty: what is asked for.
    pub allow_headers: Vec<String>,
}

pub fn cors(env: &mut Env) -> Cors {
    let mut names = |key: &str| -> Vec<String> {
        let given = env.list(key, &[]);
        let token = |name: &String| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if !given.iter().all(token) {
            env.problem(&format!("{key} must be a JSON list of names, or [\"*\"]"));
        }
        given.into_iter().filter(|name| name != "*").collect()
    };
    let cors = Cors {
        allow_methods: names("CORS__ALLOW_METHODS").iter().map(|name| name.to_uppercase()).collect(),
        allow_headers: names("CORS__ALLOW_HEADERS"),
        allowed_origins: env.list("CORS__ALLOWED_ORIGINS", &[]),
        allow_credentials: env.flag("CORS__ALLOW_CREDENTIALS", false),
    };
    if cors.allow_credentials && cors.allowed_origins.iter().any(|origin| origin == "*") {
        env.problem("CORS__ALLOW_CREDENTIALS cannot be combined with the origin \"*\": name the origins");
    }
    cors
}
