//! Settings as people have them: other systems' names and forms, misspelt names, flags.

use std::{path::Path, process::Output};

use reqwest::Method;
use serde_json::json;

use crate::harness::{
    App, Stack,
    app::{SECRET_KEY, client},
    binary::binary,
    servers::{Redis, folder, unique},
};

/// Runs a command that must end by itself, in a folder of its own.
fn run_in(data: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    std::fs::create_dir_all(data).unwrap();
    let mut command = std::process::Command::new(binary());
    command.args(arguments).env_clear().env("SECRET_KEY", SECRET_KEY).current_dir(data);
    command.envs(env.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn three_slashes_are_a_relative_path() {
    let data = folder().join(unique("urls"));
    let made = unique("relative");
    let url = format!("sqlite:///./{made}/chatbot.db");
    let output = run_in(&data, &["migrate"], &[("DATABASE_URL", &url)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(data.join(&made).join("chatbot.db").is_file(), "{:?}", entries(&data));
    let four = format!("sqlite:///{}", data.join("four.db").display());
    let output = run_in(&data, &["migrate"], &[("DATABASE_URL", &four)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(data.join("four.db").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlalchemys_urls_of_postgresql_are_taken() {
    let app = App::builder(Stack::Production).apis(0).workers(0).start().await;
    let url = app.database_url();
    for scheme in ["postgresql", "postgresql+asyncpg", "postgresql+psycopg2"] {
        let url = url.replacen("postgres", scheme, 1);
        let output = app.command().arg("doctor").env("DATABASE_URL", &url).output().unwrap();
        let text = text(&output.stdout);
        assert!(output.status.success() && text.contains("schema is current"), "{scheme}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_spoken_to_over_tls() {
    let (redis, authority) = Redis::start_with_tls();
    let app = App::builder(Stack::Production).apis(0).workers(0).start().await;
    let doctor = |authority: &Path| {
        let mut command = app.command();
        command.arg("doctor").env("REDIS_URL", redis.url()).env("SSL_CERT_FILE", authority);
        text(&command.output().unwrap().stdout)
    };
    let trusted = doctor(&authority);
    assert!(redis.url().starts_with("rediss://") && trusted.contains("ok      redis"), "{trusted}");
    let untrusted = doctor(Path::new("/dev/null"));
    assert!(untrusted.contains("FAILED  redis"), "{untrusted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_other_systems_are_honoured_and_unknown_ones_told() {
    let app = App::builder(Stack::Embedded)
        .env("ALLOWED_ORIGINS", "https://app.example.com")
        .env("CORS__ALLOW_METHODS", r#"["GET"]"#)
        .env("CORS__ALLOW_HEADERS", "X-Own")
        .env("LLM_PROVIDER", "mock")
        .env("AI_SERVICES__OPENROUTER_MODEL", "some/model")
        .env("AI_SERVICES__OPENROUTER_BASE_URL", "http://127.0.0.1:1/v1")
        .env("CHAT__WAIT_SECOND", "5")
        .env("MONGO_URI", "mongodb://x")
        .start()
        .await;
    let user = app.user().await;
    let models = user.get("/models").await.expect(200);
    let named = |place: usize| {
        (models["models"][place]["provider"].clone(), models["models"][place]["model"].clone())
    };
    assert_eq!(named(0), (json!("mock"), json!("mock-1")), "{models}");
    assert_eq!(named(1), (json!("openrouter"), json!("some/model")), "{models}");
    let preflight = client()
        .request(Method::OPTIONS, format!("{}/api/v1/chat", app.url(0)))
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-other")
        .send()
        .await
        .unwrap();
    let header =
        |name: &str| preflight.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase());
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("https://app.example.com"));
    assert_eq!(header("access-control-allow-methods").as_deref(), Some("get"));
    assert_eq!(header("access-control-allow-headers").as_deref(), Some("x-own"));
    let log = app.apis[0].output();
    let told = |text: &str| {
        text.contains("CHAT__WAIT_SECOND is not known: did you mean CHAT__WAIT_SECONDS?")
            && text.contains("MONGO_URI means nothing here")
    };
    assert!(told(&log), "{log}");
    let doctor = app.command().arg("doctor").output().unwrap();
    assert!(told(&text(&doctor.stdout)), "{}", text(&doctor.stdout));
    assert!(!text(&doctor.stdout).contains("ALLOWED_ORIGINS is"), "what is honoured is not complained of");
}
