//! Uploads that are made to fill the memory of whoever reads them. Every process runs with an address space not much
//! larger than it has when idle.

use std::process::Command;

use futures::stream;
use reqwest::Method;
use serde_json::Value;

use crate::{
    both_stacks,
    harness::{Stack, User, client::Answer, memory::quick, process::Process},
};

both_stacks!(no_upload_fills_the_memory);

const SIZE: usize = 24 << 20;
const OVER_IDLE: u64 = 64 << 20;
/// Threads started later want a stack each, and the allocator reserves more than it uses.
const ADDRESSES: u64 = 512 << 20;

/// A body: `head`, then `piece` up to `SIZE`, then `tail`.
struct Bomb {
    name: &'static str,
    kind: &'static str,
    head: &'static str,
    piece: String,
    tail: &'static str,
}

fn bombs() -> Vec<Bomb> {
    let csv =
        |name, head, piece: &str| Bomb { name, kind: "text/csv", head, piece: piece.to_owned(), tail: "" };
    let json = |name, head, piece: &str, tail| Bomb {
        name,
        kind: "application/json",
        head,
        piece: piece.to_owned(),
        tail,
    };
    let empty = "\"\",".repeat(20_000);
    let contexts = format!("{{\"content\":\"x\",\"contexts\":[{empty}\"\"]}},");
    let id = "i".repeat(20_000);
    vec![
        csv("a header of commas", "content", ","),
        csv("a header without end", "content", "x"),
        csv("an open quote", "content\n\"", "word\n"),
        csv("a quote in the header", "\"content", "\n"),
        csv("rows of commas", "content\n", &(",".repeat(60_000) + "\n")),
        csv("rows of semicolons", "content,contexts\n", &format!("x,{}\n", ";".repeat(60_000))),
        csv("rows of quotes", "content\n", &("\"".repeat(60_000) + "\n")),
        csv("lines of nothing", "content\n", "\n"),
        json(
            "values nobody asks for",
            "{\"memories\":[],\"a\":1",
            &format!(",\"{}\":\"{}\"", "k".repeat(60), "v".repeat(60_000)),
            "}",
        ),
        json("many small values", "{\"memories\":[],\"a\":1", ",\"key\":[{}]", "}"),
        json("one value without end", "{\"memories\":[],\"a\":\"", "x", "\"}"),
        json("a depth", "{\"memories\":[],\"a\":", "[", ""),
        json(
            "elements of a depth",
            "{\"memories\":[",
            &("[".repeat(30_000) + &"]".repeat(30_000) + ","),
            "1]}",
        ),
        json("contexts", "{\"memories\":[", &contexts, "{\"content\":\"y\"}]}"),
        json(
            "long ids",
            "{\"memories\":[",
            &format!("{{\"content\":\"x\",\"id\":\"{id}\",\"merged_into\":\"{id}\"}},"),
            "1]}",
        ),
        json(
            "links",
            "{\"memories\":[],\"relationships\":[",
            &format!("{{\"source\":\"{id}\",\"target\":\"{id}\",\"type\":\"{id}\"}},"),
            "1]}",
        ),
        json(
            "many links",
            "{\"memories\":[],\"relationships\":[",
            "{\"source\":\"a\",\"target\":\"b\",\"type\":\"c\"},",
            "1]}",
        ),
        json("a text of commas", "{\"format\":\"csv\",\"memories\":\"content", ",", "\"}"),
        json("a text of escapes", "{\"format\":\"csv\",\"memories\":\"content\\n", "\\u0022", "\"}"),
        json("an element without end", "{\"memories\":[\"", "x", "\"]}"),
    ]
}

async fn upload(user: &User, bomb: &Bomb) -> Answer {
    let times = SIZE / bomb.piece.len();
    let some = (4_096 / bomb.piece.len()).max(1);
    let chunk = bomb.piece.repeat(some);
    let pieces = (0..times / some).map(move |_| chunk.clone());
    let all = std::iter::once(bomb.head.to_owned()).chain(pieces).chain([bomb.tail.to_owned()]);
    let body = reqwest::Body::wrap_stream(stream::iter(all.map(Ok::<_, std::io::Error>)));
    let request = user.request(Method::POST, "/memory/import").header("content-type", bomb.kind);
    // What is refused is read to its end all the same: a client that is still sending hears of it.
    match request.header("prefer", "wait=110").body(body).send().await {
        Ok(answer) => Answer::of(answer).await,
        Err(error) => panic!("{}: {error:?}", bomb.name),
    }
}

/// A figure of `/proc/<pid>/status`, in bytes.
fn figure(process: &Process, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

fn has_ended(answer: &Value) -> bool {
    answer.get("imported").is_some()
        || answer["status"].as_u64().is_some_and(|status| (400..500).contains(&status))
}

async fn no_upload_fills_the_memory(stack: Stack) {
    // What is measured is what is used, not what is kept for later, by jemalloc or by SQLite's allocator.
    let jemalloc = "narenas:1,retain:false,dirty_decay_ms:0,muzzy_decay_ms:0";
    let app = quick(stack).env("_RJEM_MALLOC_CONF", jemalloc).env("MALLOC_ARENA_MAX", "1").start().await;
    let user = app.user().await;
    // What an import needs is there once.
    let warm = serde_json::json!({"memories": [{"content": "Likes tea"}]});
    user.post("/memory/import", &warm).await.expect(200);
    let idle: Vec<u64> =
        app.apis.iter().chain(&app.workers).map(|process| figure(process, "VmRSS:")).collect();
    for process in app.apis.iter().chain(&app.workers) {
        let limit = figure(process, "VmSize:") + ADDRESSES;
        let set = Command::new("prlimit")
            .args(["--pid", &process.pid().to_string(), &format!("--as={limit}")])
            .status();
        assert!(set.unwrap().success());
    }
    for bomb in bombs() {
        let answer = upload(&user, &bomb).await;
        assert!(has_ended(&answer.body), "{}: {} {}", bomb.name, answer.status, answer.body);
        for (process, idle) in app.apis.iter().chain(&app.workers).zip(&idle) {
            assert!(!process.has_exited(), "{}: {} is gone\n{}", bomb.name, process.name, process.output());
            let grown = figure(process, "VmHWM:").saturating_sub(*idle);
            assert!(grown <= OVER_IDLE, "{}: {} took {} MiB", bomb.name, process.name, grown >> 20);
        }
    }
    for (process, idle) in app.apis.iter().chain(&app.workers).zip(&idle) {
        eprintln!(
            "{}: {} MiB over idle at most",
            process.name,
            figure(process, "VmHWM:").saturating_sub(*idle) >> 20
        );
    }
}
