//! What is configured, for an operator to read: a line each, nothing that is not set, no secret.

use std::{fmt::Write, path::Path, time::Duration};

use rapport_common::{
    secret::redact_url,
    settings::{Cors, Quantization, Settings, ToolsAs},
};

/// Lines of a name and what it is set to.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn line(&mut self, name: &str, value: impl AsRef<str>) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{name:<16}{}", value.as_ref());
    }
}

pub fn sheet(settings: &Settings) -> String {
    let mut sheet = Sheet::default();
    sheet.line("listen", format!("{}, port {}", settings.host, settings.port));
    sheet.line("data folder", settings.data_dir.display().to_string());
    stores(&mut sheet, settings);
    let auth = &settings.auth;
    sheet.line("secret key", format!("from {}", auth.secret_key_origin));
    if auth.previous_key.is_some() {
        sheet.line("", "the previous key is still accepted");
    }
    let (access, refresh) = (span(auth.access_token), span(auth.refresh_token));
    sheet.line("sign-in", format!("access tokens live {access}, refresh tokens {refresh}"));
    limits(&mut sheet, settings);
    cors(&mut sheet, &settings.cors);
    providers(&mut sheet, settings);
    memory(&mut sheet, settings);
    tools(&mut sheet, settings);
    mail(&mut sheet, settings);
    sheet.0.push('\n');
    sheet.0
}

fn stores(sheet: &mut Sheet, settings: &Settings) {
    let database = match &settings.postgres_url {
        Some(url) => format!("{}, {} connections", redact_url(url.expose()), settings.database_pool),
        None => format!("SQLite, {}", settings.sqlite_path.display()),
    };
    sheet.line("database", database);
    let redis = settings.redis_url.as_ref().map(|url| redact_url(url.expose()));
    sheet.line("redis", redis.unwrap_or_else(|| "not used: everything runs in one process".to_owned()));
    for url in &settings.queue_redis_urls {
        sheet.line("redis of queues", redact_url(url.expose()));
    }
    for url in &settings.events_redis_urls {
        sheet.line("redis of events", redact_url(url.expose()));
    }
    let files = &settings.files;
    let kept = files.store_url.as_ref().map_or("the data folder".to_owned(), |url| redact_url(url));
    sheet.line(
        "files",
        format!("in {kept}, {} MiB each, {} MiB a user", files.max_bytes >> 20, files.user_bytes >> 20),
    );
    if let Some(at) = &settings.qdrant {
        let smaller = match at.layout.quantization {
            Quantization::None => String::new(),
            kind => format!(", {} for the first look", kind.as_str()),
        };
        let place = if at.layout.on_disk { ", vectors on disk" } else { "" };
        sheet.line("qdrant", format!("{}, collections {}…{smaller}{place}", redact_url(&at.url), at.prefix));
    }
}

fn limits(sheet: &mut Sheet, settings: &Settings) {
    let rate = settings.rate_limit;
    sheet.line(
        "rate limit",
        match rate.requests_per_minute {
            0 => "none".to_owned(),
            each => format!("{each} requests a minute, {} at once", rate.burst),
        },
    );
    if settings.trusted_proxies > 0 {
        sheet.line("", format!("{} trusted proxies tell the client's address", settings.trusted_proxies));
    }
    let queue = settings.queue;
    sheet.line(
        "jobs",
        format!(
            "at most {} wait in a queue; {} attempts each; a silent worker loses its jobs after {}",
            queue.max_depth,
            queue.max_attempts,
            span(queue.lease)
        ),
    );
    let budget = settings.budget;
    let mut daily = Vec::new();
    if budget.daily_tokens > 0 {
        daily.push(format!("{} tokens", budget.daily_tokens));
    }
    if budget.daily_cost > 0 {
        daily.push(format!("{} US dollars", budget.daily_cost as f64 / 1e6));
    }
    if !daily.is_empty() {
        sheet.line("budget", format!("{} a day for each user", daily.join(", ")));
    }
}

fn cors(sheet: &mut Sheet, cors: &Cors) {
    if cors.allowed_origins.is_empty() {
        return;
    }
    let cookies = if cors.allow_credentials { ", with credentials" } else { "" };
    sheet.line("cors", format!("{}{cookies}", cors.allowed_origins.join(", ")));
    for (what, names) in [("methods", &cors.allow_methods), ("headers", &cors.allow_headers)] {
        if !names.is_empty() {
            sheet.line("", format!("{what} {}", names.join(", ")));
        }
    }
}

fn providers(sheet: &mut Sheet, settings: &Settings) {
    let ai = &settings.ai;
    let answers =
        |name: &&String| *name == "mock" || ai.configured().any(|endpoint| endpoint.name == name.as_str());
    let order: Vec<&str> = ai.order.iter().filter(answers).map(String::as_str).collect();
    if order.is_empty() {
        sheet.line("providers", "mock (built in, offline): set an API key for a real one, see .env.example");
    } else {
        sheet.line("providers", order.join(", then "));
    }
    for endpoint in ai.configured() {
        let keys = match endpoint.keys.len() {
            0 => "no key".to_owned(),
            1 => "one key".to_owned(),
            count => format!("{count} keys"),
        };
        sheet.line(
            "",
            format!(
                "{}: {}, {keys}, model {}",
                endpoint.name,
                redact_url(&endpoint.base_url),
                endpoint.model
            ),
        );
    }
}

fn memory(sheet: &mut Sheet, settings: &Settings) {
    let memory = &settings.memory;
    let model = memory.model.as_deref().map(|model| format!(", model {model}")).unwrap_or_default();
    let idle = memory.idle.to_std().unwrap_or_default();
    sheet
        .line("memory", format!("read by {}{model}, {} after the last message", memory.provider, span(idle)));
    let embedding = &settings.embedding;
    sheet.line(
        "embeddings",
        match embedding.provider.as_str() {
            "local" => {
                "built in, by words only; by meaning: `rapport model pull all-MiniLM-L6-v2`".to_owned()
            }
            "model" => format!(
                "a model in this process, {}; threads: one for questions, {} for many texts",
                embedding.model_dir.as_deref().unwrap_or(Path::new("")).display(),
                embedding.threads
            ),
            _ => {
                let at = redact_url(&embedding.base_url);
                format!("{} of {} dimensions at {at}", embedding.model, embedding.dimensions)
            }
        },
    );
}

fn tools(sheet: &mut Sheet, settings: &Settings) {
    let tools = &settings.tools;
    let mut on = vec!["built in"];
    on.extend(tools.weather_key.as_ref().map(|_| "weather"));
    on.extend(tools.tavily_key.as_ref().map(|_| "web search"));
    sheet.line("tools", on.join(", "));
    for server in &tools.mcp {
        let at = server.url.as_deref().map_or_else(|| server.command.clone(), redact_url);
        sheet.line("", format!("MCP server {} at {at}", server.name));
    }
    for one in &tools.http {
        sheet.line(
            "",
            match &one.described {
                ToolsAs::One(described) => {
                    let word = |key: &str| described[key].as_str().unwrap_or("?").to_owned();
                    format!("{} at {}", word("name"), redact_url(&word("url")))
                }
                ToolsAs::Document { file, .. } => format!("operations of {}", file.display()),
            },
        );
    }
    if !tools.hosts.is_empty() {
        let hosts: Vec<String> = tools.hosts.iter().map(ToString::to_string).collect();
        sheet.line("projects' tools", format!("at {} alone", hosts.join(", ")));
    }
    if !settings.egress_allow.is_empty() {
        let allowed: Vec<String> = settings.egress_allow.iter().map(ToString::to_string).collect();
        sheet.line("egress", format!("public addresses, and {}", allowed.join(", ")));
    }
}

fn mail(sheet: &mut Sheet, settings: &Settings) {
    let email = &settings.email;
    sheet.line(
        "mail",
        match &email.smtp_server {
            Some(server) => format!("{server}, port {}, {}, from {}", email.smtp_port, email.tls, email.from),
            None => format!("files in {}", settings.data_dir.join("outbox").display()),
        },
    );
}

/// A time as people say it.
fn span(time: Duration) -> String {
    let (count, unit) = match time.as_secs() {
        seconds if seconds >= 86_400 && seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => (seconds / 3_600, "hour"),
        seconds if seconds >= 60 && seconds % 60 == 0 => (seconds / 60, "minute"),
        _ if time.subsec_millis() > 0 => return format!("{:.1} seconds", time.as_secs_f64()),
        seconds => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
