//! Disks that fill up, on a small file system in memory. Mounting one takes root.

use std::{path::Path, process::Command, time::Duration};

use serde_json::json;

use crate::harness::{App, Stack, User, eventually, servers::Postgres};

/// A file system of so many megabytes, unmounted when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=0777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success(), "a tmpfs is mounted (as root)");
        Self(at)
    }

    /// Leaves no byte of room.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        for size in [1 << 20, 4_096, 1] {
            let block = vec![0u8; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Fills the disk, sees that it is said and nothing is broken, frees it, and sees that all goes on.
async fn full_and_free(user: &User, disk: &Small<'_>) {
    let ready = || async {
        user.http.get(user.base.replace("/api/v1", "/readyz")).send().await.unwrap().status().as_u16()
    };
    let before = user.chat("/echo before").await;
    let slow = user.submit("/delay 100 /tokens 50").await;
    disk.fill();
    // What cannot be packed into the room that there is.
    let long: String = (0..800).map(|_| format!("{} ", rapport_common::domain::ids::JobId::new())).collect();
    let refused = eventually("a write is refused", Duration::from_secs(30), || async {
        // Many at once: what the database's files have in reserve is soon used up.
        let write = || async {
            let request = user.request(reqwest::Method::POST, "/chat").header("prefer", "respond-async");
            let body = json!({"message": format!("/echo {long}")});
            crate::harness::client::Answer::of(request.json(&body).send().await.unwrap()).await
        };
        let answers = futures::future::join_all((0..16).map(|_| write())).await;
        answers.into_iter().find(|answer| answer.status >= 500)
    })
    .await;
    refused.problem(507, "storage_full");
    eventually("it is not ready", Duration::from_secs(10), || async { (ready().await == 503).then_some(()) })
        .await;
    // Reading goes on.
    let session = before["session_id"].as_str().unwrap();
    assert_eq!(user.messages(session).await.len(), 2);
    disk.free();
    eventually("it is ready again", Duration::from_secs(15), || async {
        (ready().await == 200).then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(user.chat("/echo after").await["reply"], "after");
    }
    // What was under way is done: an answer that could not be stored was kept.
    let slow = user.finished(slow["id"].as_str().unwrap(), Duration::from_secs(30)).await;
    assert_eq!(slow["status"], "succeeded", "{slow}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_goes_on_by_itself_when_there_is_room_again() {
    let mut app = App::builder(Stack::Embedded).start().await;
    app.apis[0].kill();
    let folder = app.folder.join("small");
    let disk = Small::mount(&folder, 24);
    app.set_env("DATA_DIR", folder.to_str().unwrap());
    app.restart_api(0);
    let user = app.user().await;
    for _ in 0..3 {
        full_and_free(&user, &disk).await;
    }
    drop(app);
}

/// A new connection writes a file of its own, and ends when it cannot: no bare 500 comes of that either.
async fn new_connections_while_it_is_full(app: &App, user: &User, disk: &Small<'_>) {
    use sqlx::Connection;
    disk.fill();
    let found =
        Command::new("find").arg(disk.0).args(["-name", "pg_internal.init", "-print", "-delete"]).output();
    assert!(!found.unwrap().stdout.is_empty());
    disk.fill();
    let (server, database) = app.database_url().rsplit_once('/').unwrap();
    let mut elsewhere = sqlx::PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
    let (cut,): (i64,) = sqlx::query_as(cut).bind(database).fetch_one(&mut elsewhere).await.unwrap();
    assert!(cut > 0);
    eventually("it is said that the disk is full", Duration::from_secs(20), || async {
        let answer = user.post("/chat", &json!({"message": "/echo no room"})).await;
        assert!([503, 507].contains(&answer.status), "{} {}", answer.status, answer.body);
        (answer.status == 507).then_some(())
    })
    .await;
    disk.free();
    eventually("it goes on", Duration::from_secs(20), || async {
        (user.post("/chat", &json!({"message": "/echo room"})).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_on_by_itself_when_there_is_room_again() {
    let folder = crate::harness::servers::folder().join("smallpg");
    let disk = Small::mount(&folder, 40);
    // The tables alone: a PostgreSQL that cannot write its log stops, and nobody but its operator can start it again.
    let tables = folder.join("tables");
    std::fs::create_dir(&tables).unwrap();
    let owned = Command::new("chown").arg("postgres").arg(&tables).status();
    assert!(owned.unwrap().success());
    let (postgres, url) = tokio::task::spawn_blocking(move || {
        let postgres = Postgres::start();
        let url = postgres.create_database_in(&tables);
        (postgres, url)
    })
    .await
    .unwrap();
    let app = App::builder(Stack::Production).postgres(url).start().await;
    let user = app.user().await;
    full_and_free(&user, &disk).await;
    new_connections_while_it_is_full(&app, &user, &disk).await;
    drop((app, postgres));
}
