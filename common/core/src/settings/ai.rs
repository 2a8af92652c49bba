//! Model providers: who is configured, and in which order `auto` asks them.

use std::time::Duration;

use serde::Deserialize;

use super::Env;
use crate::secret::Secret;

/// One provider's address, keys and default model.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: &'static str,
    pub base_url: String,
    pub keys: Vec<Secret>,
    pub model: String,
    /// There is a key, or an address of its own. Without, it answers only whoever brings a key.
    pub is_configured: bool,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Model {
    /// The beginning of the model's name, without a vendor before a slash.
    pub name: String,
    /// Tokens of prompt and answer together.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// US dollars per million.
    #[serde(default)]
    pub prompt_price: Option<f64>,
    #[serde(default)]
    pub completion_price: Option<f64>,
    /// Whether it takes images. Not known: it is asked, and says so.
    #[serde(default)]
    pub images: Option<bool>,
}

/// How long a provider may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub first_byte: Duration,
    pub idle: Duration,
}

#[derive(Debug, Clone)]
pub struct Ai {
    /// The order in which `auto` tries providers.
    pub order: Vec<String>,
    pub endpoints: Vec<Endpoint>,
    /// Models besides the known ones, or with other prices.
    pub models: Vec<Model>,
    /// Outages in a row that open a provider's circuit breaker, and how long it rests the first time.
    pub breaker_failures: u32,
    pub breaker_rest: Duration,
    pub connect_timeout: Duration,
    pub first_byte_timeout: Duration,
    /// No shorter silence of a streaming model is taken for a lost request; zero: none is.
    pub silence_timeout: Duration,
    pub idle_timeout: Duration,
    /// Between two words of the in-process mock provider.
    pub mock_delay: Duration,
}

impl Ai {
    /// The endpoints that can be asked without a key of the caller's own.
    pub fn configured(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(|endpoint| endpoint.is_configured)
    }

    pub fn timeouts(&self) -> Timeouts {
        Timeouts { first_byte: self.first_byte_timeout, idle: self.idle_timeout }
    }
}

/// The providers: name, variable, base URL, model, whether a key is needed. In the order in which `auto` asks them.
const ENDPOINTS: [(&str, &str, &str, &str, bool); 6] = [
    ("openai", "OPENAI", "https://api.openai.com/v1", "gpt-4o-mini", true),
    ("openrouter", "OPEN_ROUTER", "https://openrouter.ai/api/v1", "openai/gpt-4o-mini", true),
    ("gemini", "GEMINI", "https://generativelanguage.googleapis.com/v1beta", "gemini-2.5-flash", true),
    ("groq", "GROQ", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", true),
    ("anthropic", "ANTHROPIC", "https://api.anthropic.com/v1", "claude-haiku-4-5", true),
    ("ollama", "OLLAMA", "http://127.0.0.1:11434/v1", "llama3.2", false),
];

pub fn ai(env: &mut Env) -> Ai {
    let mut endpoints = Vec::new();
    for (name, variable, base_url, model, needs_key) in ENDPOINTS {
        let given_url = env.optional(&format!("AI_SERVICES__{variable}_BASE_URL"));
        let mut keys: Vec<Secret> = Vec::new();
        keys.extend(env.optional(&format!("AI_SERVICES__{variable}_API_KEY")).map(Secret::new));
        for number in 1..=9 {
            keys.extend(env.optional(&format!("AI_SERVICES__{variable}_API_KEY_{number}")).map(Secret::new));
        }
        let model = env.text(&format!("AI_SERVICES__{variable}_MODEL"), model);
        // A provider with neither key nor its own base URL is not offered.
        let is_configured = given_url.is_some() || needs_key && !keys.is_empty();
        {
            let base_url = given_url.unwrap_or_else(|| base_url.to_owned()).trim_end_matches('/').to_owned();
            if !(base_url.starts_with("http://") || base_url.starts_with("https://")) {
                env.problem(&format!("AI_SERVICES__{variable}_BASE_URL must begin with http:// or https://"));
            }
            endpoints.push(Endpoint { name, base_url, keys, model, is_configured });
        }
    }
    let order = order(env, &endpoints);
    let models = env.optional("AI_SERVICES__MODELS").map_or_else(Vec::new, |text| {
        serde_json::from_str(&text).unwrap_or_else(|error| {
            env.problem(&format!("AI_SERVICES__MODELS must be a JSON list of models: {error}"));
            Vec::new()
        })
    });
    Ai {
        order,
        endpoints,
        models,
        breaker_failures: env.number("AI_SERVICES__BREAKER_FAILURES", 5, 1..=1_000_000) as u32,
        breaker_rest: env.seconds("AI_SERVICES__BREAKER_REST", 10.0, 0.1..=600.0),
        connect_timeout: env.seconds("AI_SERVICES__CONNECT_TIMEOUT", 5.0, 0.1..=60.0),
        first_byte_timeout: env.seconds("AI_SERVICES__FIRST_BYTE_TIMEOUT", 60.0, 0.1..=600.0),
        silence_timeout: env.seconds("AI_SERVICES__SILENCE_TIMEOUT", 10.0, 0.0..=600.0),
        idle_timeout: env.seconds("AI_SERVICES__IDLE_TIMEOUT", 30.0, 0.1..=600.0),
        mock_delay: Duration::from_millis(env.number("AI_SERVICES__MOCK_TOKEN_DELAY_MS", 15, 0..=60_000)),
    }
}

/// The providers by name. Not the mock: nobody wants its answers because a real provider is down. It answers when nothing
/// else is set up.
pub const PROVIDERS: [&str; ENDPOINTS.len()] = {
    let mut names = [""; ENDPOINTS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = ENDPOINTS[at].0;
        at += 1;
    }
    names
};

/// Whom `auto` asks, as configured; who is configured to be first elsewhere (`LLM_PROVIDER`) is first.
fn order(env: &mut Env, endpoints: &[Endpoint]) -> Vec<String> {
    let first = env.elsewhere("LLM_PROVIDER").map(|name| name.to_lowercase());
    let given = env.list("AI_SERVICES__ORDER", &[]);
    let (key, named) = match (given.is_empty(), first) {
        (false, first) => {
            if first.is_some() {
                env.warn("LLM_PROVIDER is ignored: AI_SERVICES__ORDER is set too");
            }
            ("AI_SERVICES__ORDER", given)
        }
        (true, Some(first)) => ("LLM_PROVIDER", vec![first]),
        (true, None) => return PROVIDERS.map(str::to_owned).to_vec(),
    };
    let mut answers = false;
    for name in &named {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.name == name);
        match endpoint {
            _ if name == "mock" => answers = true,
            None => env
                .problem(&format!("{key} names {name:?}: the providers are {}, mock", PROVIDERS.join(", "))),
            Some(endpoint) if endpoint.is_configured => answers = true,
            Some(_) => {
                let variable = ENDPOINTS.iter().find(|known| known.0 == name).map_or("", |known| known.1);
                let lacks = if name == "ollama" { "BASE_URL" } else { "API_KEY" };
                env.warn(&format!(
                    "{key} names {name}, which is not set up: set AI_SERVICES__{variable}_{lacks}"
                ));
            }
        }
    }
    if !answers {
        env.problem(&format!(
            "{key} names no provider that is set up (a provider needs its AI_SERVICES__..._API_KEY)"
        ));
    }
    let rest =
        PROVIDERS.iter().filter(|name| key == "LLM_PROVIDER" && !named.iter().any(|first| first == *name));
    let rest: Vec<String> = rest.map(|name| (*name).to_owned()).collect();
    named.into_iter().chain(rest).collect()
}
