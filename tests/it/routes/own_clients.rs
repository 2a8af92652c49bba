//! Our own clients, unmodified, against a running server, through links that are cut: nothing is lost, and nothing comes twice.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack, client::PASSWORD, node, proxy::Proxy, python, servers},
};

both_stacks!(our_own_clients_lose_and_double_nothing);

const PARTS: [&str; 7] = ["stream", "send", "resources", "errors", "sign_in", "retry_after", "once_only"];

/// The TypeScript client as JavaScript.
fn typescript() -> &'static Path {
    static ONCE: OnceLock<PathBuf> = OnceLock::new();
    ONCE.get_or_init(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/typescript");
        let out = servers::folder().join(servers::unique("typescript-client"));
        let mut tsc = Command::new(node::tool("tsc"));
        let ran = tsc.current_dir(source).arg("--outDir").arg(&out).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
        std::fs::write(out.join("package.json"), r#"{"type": "module"}"#).unwrap();
        out
    })
}

/// Runs a script, with links of its own that are cut.
async fn run(app: &App, mut command: Command, says: usize) {
    let user = app.user().await;
    let key = json!({"name": "program", "scopes": ["chat", "memory"]});
    let key = user.post("/api-keys", &key).await.expect(201);
    let port = app.url(0).rsplit(':').next().unwrap().parse().unwrap();
    let (cutting, losing) = (Proxy::start(port).await, Proxy::start(port).await);
    cutting.cut(3, 2_000);
    losing.cut(1, 0);
    command
        .env("RAPPORT_URL", app.url(0))
        .env("CUTTING_URL", format!("http://127.0.0.1:{}", cutting.port))
        .env("LOSING_URL", format!("http://127.0.0.1:{}", losing.port))
        .env("RAPPORT_KEY", key["key"].as_str().unwrap())
        .env("RAPPORT_USER", &user.name)
        .env("RAPPORT_PASSWORD", PASSWORD);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), says, "{said}");
    assert_eq!((cutting.cuts_left(), losing.cuts_left()), (0, 0), "all cuts were made");
}

async fn our_own_clients_lose_and_double_nothing(stack: Stack) {
    // `/fail` fails once.
    let app = App::builder(stack).env("QUEUE__MAX_ATTEMPTS", "1").start().await;
    let compiled = tokio::task::spawn_blocking(typescript).await.unwrap();
    let mut node = Command::new("node");
    node.arg(node::script("own_client.mjs")).args(PARTS).env("RAPPORT_CLIENT", compiled.join("index.js"));
    let with_python = |how: &str| {
        let mut python = Command::new(python::tool("python"));
        python.arg(python::script("own_client.py")).arg(how);
        python
    };
    let mut blocking = with_python("blocking");
    blocking.args(PARTS);
    tokio::join!(
        run(&app, node, PARTS.len()),
        run(&app, blocking, PARTS.len()),
        run(&app, with_python("asynchronous"), 1)
    );
}
