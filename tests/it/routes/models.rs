//! Models in the process, as an operator meets them: fetched, put in force, and broken.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::harness::{
    App, Stack,
    binary::binary,
    minilm,
    servers::{folder, unique},
};

/// Runs a command that must end by itself.
fn run(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let data = folder().join(unique("models"));
    std::fs::create_dir_all(&data).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().env("DATA_DIR", &data).env("PORT", "0").current_dir(&data);
    command.envs(env.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_model_that_cannot_be_used_is_refused_with_the_reason() {
    let with = |name: &str, bytes: &[u8]| {
        let folder = minilm::another();
        minilm::replace(&folder, name, bytes);
        folder
    };
    let config = std::fs::read_to_string(minilm::model().join("config.json")).unwrap();
    let weights = std::fs::read(minilm::model().join("model.safetensors")).unwrap();
    let pooling = br#"{"pooling_mode_max_tokens": true}"#;
    let dense = br#"[{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]"#;
    let outside = br#"[{"path": "../elsewhere", "type": "a.Transformer"}]"#;
    // The last tensors' numbers are none.
    let mut none = weights.clone();
    none[80_000_000..].fill(0xff);
    let cases: [(PathBuf, &[&str]); 12] = [
        (PathBuf::from("/none"), &["/none/config.json is missing"]),
        (with("config.json", b"{"), &["config.json is broken"]),
        (
            with("config.json", config.replace("\"bert\"", "\"t5\"").as_bytes()),
            &["\"t5\"", "all-MiniLM-L6-v2"],
        ),
        (
            with("config.json", config.replace("384", "768").as_bytes()),
            &["has the shape [30522, 384]", "768"],
        ),
        (with("config.json", config.replace("1536", "0").as_bytes()), &["intermediate_size 0"]),
        (with("1_Pooling/config.json", pooling), &["the pooling max_tokens", "mean and cls"]),
        (with("modules.json", dense), &["a module of the type Dense"]),
        (with("modules.json", outside), &["../elsewhere", "no folder of the model"]),
        (
            with("tokenizer.json", br#"{"model": {"type": "BPE", "vocab": {}}}"#),
            &["the type BPE", "WordPiece"],
        ),
        (
            with("model.safetensors", &weights[..weights.len() / 2]),
            &["model.safetensors is broken", "outside the file"],
        ),
        (with("model.safetensors", &none), &["gives numbers that are none"]),
        (with("model.safetensors", b"PK"), &["ends before its table"]),
    ];
    for (folder, words) in cases {
        let folder = folder.display().to_string();
        for arguments in [&[][..], &["doctor"]] {
            let output = run(arguments, &[("EMBEDDING__MODEL_DIR", &folder)]);
            let text = said(&output);
            assert!(!output.status.success(), "{folder}: {text}");
            for word in words {
                assert!(text.contains(word), "{word:?} is not in {text}");
            }
            assert!(text.contains("EMBEDDING__MODEL_DIR") && !text.contains("panicked"), "{text}");
        }
    }
    let folder = minilm::model().display().to_string();
    let small = [("EMBEDDING__MODEL_DIR", folder.as_str()), ("EMBEDDING__MAX_MODEL_MB", "50")];
    assert!(
        said(&run(&["doctor"], &small)).contains("too large: 87 MB, and EMBEDDING__MAX_MODEL_MB allows 50")
    );
    let without = run(&["doctor"], &[("AI_SERVICES__EMBEDDING_PROVIDER", "model")]);
    assert!(said(&without).contains("needs EMBEDDING__MODEL_DIR"), "{}", said(&without));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn banner_and_doctor_say_which_embedder_is_in_force_and_how_to_get_a_better_one() {
    let app = App::start(Stack::Embedded).await;
    let banner = app.apis[0].output();
    assert!(banner.contains("by words only") && banner.contains("rapport model pull"), "{banner}");
    let doctor = said(&app.command().arg("doctor").output().unwrap());
    assert!(doctor.contains("by words only") && doctor.contains("rapport model pull"), "{doctor}");
    let model = minilm::model().display().to_string();
    let app = App::builder(Stack::Embedded).env("EMBEDDING__MODEL_DIR", &model).start().await;
    let banner = app.apis[0].output();
    assert!(banner.contains("in this process, 384 dimensions") && !banner.contains("model pull"), "{banner}");
    let doctor = said(&app.command().arg("doctor").output().unwrap());
    assert!(doctor.contains(&model) && doctor.contains("answers in"), "{doctor}");
}

/// A hub that has one repository, of the model's files. The first answer with weights breaks off in the middle.
struct Hub {
    url: String,
    weights_asked: Arc<AtomicUsize>,
    /// Where the last request for weights began.
    from: Arc<AtomicUsize>,
}

const COMMIT: &str = "c0ffee";

/// The SHA-256 of the weights as their authors published them.
const WEIGHTS: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

impl Hub {
    async fn start(checksum: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let weights_asked = Arc::new(AtomicUsize::new(0));
        let from = Arc::default();
        let counts = (Arc::clone(&weights_asked), Arc::clone(&from));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, checksum, counts.clone()));
            }
        });
        Self { url, weights_asked, from }
    }
}

/// What the hub's list says of the model's files, with some that nobody wants.
fn list(checksum: &str) -> String {
    let size = |name: &str| std::fs::metadata(minilm::model().join(name)).unwrap().len();
    let names = [
        "config.json",
        "tokenizer.json",
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ];
    let mut files: Vec<_> = names.iter().map(|name| json!({"rfilename": name, "size": size(name)})).collect();
    files.push(json!({"rfilename": "model.safetensors", "size": size("model.safetensors"), "lfs": {"sha256": checksum}}));
    files.push(json!({"rfilename": "pytorch_model.bin", "size": 1u64 << 40}));
    files.push(json!({"rfilename": "../../elsewhere/config.json", "size": 1}));
    json!({"sha": COMMIT, "siblings": files}).to_string()
}

async fn answer(
    mut connection: TcpStream,
    checksum: &str,
    (asked, began): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let path = head.split(' ').nth(1).unwrap();
    let (mut status, mut more, mut body) = ("200 OK", String::new(), Vec::new());
    let mut sent = usize::MAX;
    if path == "/api/models/sentence-transformers/minilm/revision/main?blobs=true" {
        body = list(checksum).into_bytes();
    } else if let Some(name) = path.strip_prefix(&format!("/sentence-transformers/minilm/resolve/{COMMIT}/"))
    {
        let name = if name == "1_pooling/config.json" { "1_Pooling/config.json" } else { name };
        body = std::fs::read(minilm::model().join(name)).unwrap();
        let from = head
            .split("range: bytes=")
            .nth(1)
            .map(|rest| rest.split('-').next().unwrap().parse::<usize>().unwrap());
        if let Some(from) = from {
            status = "206 Partial Content";
            more = format!("content-range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
            body.drain(..from);
        }
        if name == "model.safetensors" {
            began.store(from.unwrap_or(0), Ordering::SeqCst);
        }
        if name == "model.safetensors" && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            sent = body.len() / 2;
        }
    } else {
        status = "404 Not Found";
    }
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n", body.len());
    connection.write_all(head.as_bytes()).await.unwrap();
    // A client that has enough may go.
    let _gone = connection.write_all(&body[..sent.min(body.len())]).await;
    let _gone = connection.shutdown().await;
}

/// Pulls in a thread of its own: the hub answers in this one.
async fn pull(hub: &Hub, name: &'static str, to: &Path) -> Output {
    let (url, to) = (hub.url.clone(), to.display().to_string());
    let pull = move || run(&["model", "pull", name, "--to", &to], &[("EMBEDDING__MIRROR", &url)]);
    tokio::task::spawn_blocking(pull).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_pulled_goes_on_after_a_break_and_is_not_pulled_twice() {
    let (hub, to) = (Hub::start(WEIGHTS).await, folder().join(unique("pulled")));
    let first = pull(&hub, "minilm", &to).await;
    let text = said(&first);
    assert!(first.status.success(), "{text}");
    assert!(text.contains("EMBEDDING__MODEL_DIR=") && text.contains("384 dimensions"), "{text}");
    assert_eq!(hub.weights_asked.load(Ordering::SeqCst), 2);
    assert!(hub.from.load(Ordering::SeqCst) > 1_000_000, "the second time from where it broke off");
    let mut names: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "1_Pooling",
            "config.json",
            "model.safetensors",
            "modules.json",
            "sentence_bert_config.json",
            "tokenizer.json"
        ]
    );
    assert!(pull(&hub, "minilm", &to).await.status.success());
    assert_eq!(hub.weights_asked.load(Ordering::SeqCst), 2, "what is there is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_the_hub_says_is_not_kept() {
    let (hub, to) = (Hub::start("00").await, folder().join(unique("pulled")));
    let text = said(&pull(&hub, "minilm", &to).await);
    assert!(text.contains("model.safetensors came with another checksum"), "{text}");
    assert!(!to.join("model.safetensors").exists() && !to.join("model.safetensors.part").exists());
    for (name, word) in
        [("nobody/has-it", "404"), ("../../etc", "no name of a model"), ("minilm@a/b", "no name")]
    {
        let output = pull(&hub, name, &to).await;
        assert!(!output.status.success() && said(&output).contains(word), "{name}: {}", said(&output));
    }
    let nowhere = run(&["model", "pull", "x"], &[("EMBEDDING__MIRROR", "http://127.0.0.1:1")]);
    assert!(said(&nowhere).contains("cannot be reached"), "{}", said(&nowhere));
}
