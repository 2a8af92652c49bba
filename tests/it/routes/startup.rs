//! What an operator sees when starting it wrong, and right.

use std::{process::Output, time::Duration};

use rapport_common::store::{Querier, db::Raw};
use serde_json::json;

use crate::harness::{
    App, Stack,
    app::{SECRET_KEY, client},
    binary::binary,
    client::Answer,
    eventually,
    process::Process,
    servers::{folder, free_port, unique},
};

/// Runs a command that must end by itself.
fn run(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let data = folder().join(unique("startup"));
    std::fs::create_dir_all(&data).unwrap();
    let mut command = std::process::Command::new(binary());
    command.args(arguments).env_clear().env("DATA_DIR", &data).current_dir(&data);
    command.envs(env.iter().copied()).output().unwrap()
}

#[track_caller]
fn refuses(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn bad_configuration_is_refused_with_every_problem() {
    let postgres = ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x");
    let env = [("PORT", "high"), ("QUEUE__MAX_ATTEMPTS", "0"), ("SECRET_KEY", "changeme"), postgres];
    let output = run(&[], &env);
    refuses(&output, &["PORT", "QUEUE__MAX_ATTEMPTS", "SECRET_KEY", "at least 32"]);
    refuses(&run(&["api"], &[("SECRET_KEY", SECRET_KEY)]), &["DATABASE_URL", "REDIS_URL"]);
    refuses(&run(&["worker"], &[("SECRET_KEY", SECRET_KEY)]), &["DATABASE_URL", "REDIS_URL"]);
    refuses(&run(&["worker", "--queues", "nope"], &[]), &["no queue is called", "chat, background"]);
    refuses(&run(&["api"], &[postgres]), &["SECRET_KEY must be set"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}

#[test]
fn a_tool_that_cannot_be_offered_ends_the_start_and_fails_doctor() {
    for (tools, words) in [
        ("nonsense", ["TOOLS__HTTP", "JSON list"]),
        (r#"[{"name":"a b","url":"https://example.com/"}]"#, ["a b", "`name` must be"]),
        (r#"[{"name":"x","url":"http://127.0.0.1/"}]"#, ["not on the public internet", "EGRESS__ALLOW"]),
        (r#"[{"name":"x","url":"https://example.com/","colour":1}]"#, ["TOOLS__HTTP", "colour"]),
        (r#"[{"name":"current_time","url":"https://example.com/"}]"#, ["current_time", "built in"]),
        (r#"[{"openapi":"nowhere.json"}]"#, ["nowhere.json", "No such file"]),
        (r#"[{"name":"x","url":"https://example.com/","secret":"hunter2"}]"#, ["secret", "whsec_"]),
    ] {
        let output = run(&[], &[("PORT", "0"), ("TOOLS__HTTP", tools)]);
        refuses(&output, &words);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
    }
    let output = run(&["doctor"], &[("TOOLS__HTTP", r#"[{"name":"x","url":"http://127.0.0.1/"}]"#)]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("FAILED  tools: TOOLS__HTTP: x"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_used_data_folder_are_said_clearly() {
    let app = App::start(Stack::Embedded).await;
    let port = app.url(0).rsplit(':').next().unwrap().to_owned();
    refuses(&run(&[], &[("PORT", &port)]), &[&port, "taken", "PORT="]);
    let data = app.folder.display().to_string();
    refuses(&run(&[], &[("PORT", "0"), ("DATA_DIR", &data)]), &["another rapport"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_banners_three_lines_work_when_pasted() {
    let app = App::start(Stack::Embedded).await;
    let banner = app.apis[0].output();
    let lines: Vec<&str> =
        banner.lines().filter(|line| line.starts_with("curl") || line.starts_with("TOKEN=")).collect();
    assert_eq!(lines.len(), 3, "{banner}");
    let output = std::process::Command::new("bash").args(["-c", &lines.join("\n")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("access_token") && text.contains("\"reply\":\"Hello! I am the built-in mock model"),
        "{text}"
    );
    assert!(banner.contains("SQLite") && banner.contains("mock") && banner.contains(&app.url(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_tells_what_is_in_force_and_what_is_sick() {
    let app = App::builder(Stack::Production).http_provider(&[]).start().await;
    let well = app.command().arg("doctor").output().unwrap();
    let text = String::from_utf8_lossy(&well.stdout);
    assert!(well.status.success(), "{text}");
    for word in ["postgresql answers", "schema is current", "redis", "openai", "secret key"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    assert!(!text.contains(SECRET_KEY) && !text.contains("sk-test-canary"));
    let sick = app.command().arg("doctor").env("REDIS_URL", "redis://127.0.0.1:1").output().unwrap();
    assert!(!sick.status.success());
    assert!(String::from_utf8_lossy(&sick.stdout).contains("FAILED  redis"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_without_logging_anyone_out() {
    let mut app = App::start(Stack::Embedded).await;
    let user = app.user().await;
    app.set_env("SECRET_KEY", "90b1f6e4c2d8a7535e1f0c9b8d7a6e42");
    app.set_env("SECRET_KEY_PREVIOUS", SECRET_KEY);
    app.restart_api(0);
    user.get("/auth/me").await.expect(200);
    app.set_env("SECRET_KEY_PREVIOUS", "");
    app.restart_api(0);
    user.get("/auth/me").await.problem(401, "unauthorized");
    let body = json!({"username": user.name, "password": crate::harness::client::PASSWORD});
    let login = client().post(format!("{}/auth/login", user.base)).json(&body).send().await.unwrap();
    Answer::of(login).await.expect(200);
}

/// Paths under a folder that others may open, with their modes.
fn open_to_others(folder: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut look = vec![folder.to_owned()];
    while let Some(path) = look.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push(format!("{} {mode:o}", path.display()));
        }
        if meta.is_dir() {
            look.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_shut_to_others_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let base = folder().join(unique("umask"));
    let data = base.join("data");
    std::fs::create_dir_all(&base).unwrap();
    let port = free_port();
    let start = || {
        let server =
            Process::start("umask", std::path::Path::new("/bin/sh"), &base.join(unique("log")), |command| {
                command.args(["-c", "umask 000; exec \"$0\""]).arg(binary()).env_clear();
                command
                    .env("DATA_DIR", &data)
                    .env("PORT", port.to_string())
                    .env("RATE_LIMIT__REQUESTS_PER_MINUTE", "0");
            });
        server.line_with("listens on", Duration::from_secs(60));
        server
    };
    let url = format!("http://127.0.0.1:{port}");
    let server = start();
    let mails = async |count: usize| {
        let body = json!({"email": format!("mail{count}@example.com"), "password": crate::harness::client::PASSWORD});
        let made = client().post(format!("{url}/api/v1/auth/register")).json(&body).send().await.unwrap();
        Answer::of(made).await.expect(201);
        let asked = json!({"email": body["email"]});
        let asked = client().post(format!("{url}/api/v1/auth/forgot-password")).json(&asked).send().await;
        assert!(asked.unwrap().status().is_success());
        eventually("a mail", Duration::from_secs(20), || async {
            let found = std::fs::read_dir(data.join("outbox")).ok()?.count();
            (found >= count).then_some(())
        })
        .await;
    };
    mails(1).await;
    for name in ["rapport.db", "rapport.db-wal", "rapport.db-shm", "secret_key", "rapport.lock"] {
        assert!(data.join(name).exists(), "{name}");
    }
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    drop(server);
    // What an earlier version left open is shut at the next start.
    let mut all = vec![data.clone(), data.join("outbox")];
    for folder in all.clone() {
        all.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    for path in &all {
        let mode = if path.is_dir() { 0o777 } else { 0o666 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _server = start();
    mails(2).await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let base = folder().join(unique("unusable"));
    std::fs::create_dir_all(base.join("folder/rapport.db")).unwrap();
    std::fs::write(base.join("file"), "x").unwrap();
    let (file, taken) = (base.join("file").display().to_string(), base.join("folder").display().to_string());
    for env in
        [vec![("DATA_DIR", file.as_str())], vec![("DATA_DIR", file.as_str()), ("SECRET_KEY", SECRET_KEY)]]
    {
        let env = [env, vec![("PORT", "0")]].concat();
        refuses(&run(&[], &env), &["cannot use", &file, "set DATA_DIR"]);
    }
    let env = [("DATA_DIR", taken.as_str()), ("PORT", "0")];
    refuses(&run(&[], &env), &["cannot use", &taken, "Is a directory"]);
}

/// Separate processes refuse a database of another version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_refused_by_api_and_worker() {
    let app = App::builder(Stack::Production).apis(0).workers(0).start().await;
    let empty = tokio::task::spawn_blocking(|| crate::harness::servers::Postgres::shared().create_database())
        .await
        .unwrap();
    for role in ["api", "worker"] {
        let output = app.command().arg(role).env("DATABASE_URL", &empty).env("PORT", "0").output().unwrap();
        refuses(&output, &["rapport migrate"]);
    }
}

/// A database from the future is refused in words for an operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_database_is_refused_in_words() {
    for stack in [Stack::Embedded, Stack::Production] {
        let app = App::builder(stack).workers(0).start().await;
        let db = app.db().await;
        let mut conn = db.relaxed().await.unwrap();
        let sql = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                   select 99999, 'of the future', success, checksum, 1 from _sqlx_migrations where version = 1";
        match conn.raw() {
            Raw::Pg(c) => sqlx::query(sql).execute(c).await.map(drop).unwrap(),
            Raw::Lite(c) => sqlx::query(sql).execute(c).await.map(drop).unwrap(),
        }
        drop(conn);
        db.close().await;
        app.apis[0].kill();
        app.leaves_jobs(); // none, but this database is nobody's to read
        let roles: &[&str] =
            if stack == Stack::Embedded { &["serve", "migrate"] } else { &["api", "worker", "migrate"] };
        for role in roles {
            let output = app.command().arg(role).env("PORT", "0").output().unwrap();
            refuses(&output, &["newer version of rapport"]);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("99999"));
        }
    }
}
