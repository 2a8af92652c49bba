//! The description held against the service by programs of others: a linter, and a property-based fuzzer.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::{
    both_stacks,
    harness::{App, Stack, python},
};

both_stacks!(a_fuzzer_finds_no_500_and_nothing_undocumented);

#[test]
fn a_linter_finds_nothing() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let linted = Command::new(python::tool("python"))
        .args(["-m", "openapi_spec_validator"])
        .arg(file)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&linted.stdout).into_owned() + &String::from_utf8_lossy(&linted.stderr);
    assert!(linted.status.success() && said.contains("OK"), "{said}");
}

#[test]
fn bodies_have_examples_and_schemas_their_own_names() {
    let document = serde_json::to_value(rapport_api::document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let bodies = operation.pointer("/requestBody/content").into_iter().chain(
                operation["responses"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(status, _)| status.starts_with('2'))
                    .filter_map(|(_, response)| response.get("content")),
            );
            for (media, one) in bodies.filter_map(Value::as_object).flatten() {
                let described = one.get("example").is_some() || one.get("examples").is_some();
                assert!(described || !media.contains("json"), "{method} {path}: no example of {media}");
            }
        }
    }
    // Two structs of one name would silently be one schema.
    let mut names = std::collections::HashMap::new();
    for file in sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut derives = false;
        for line in text.lines() {
            // `words!` derives it for all of its own: `    JobStatus as "job status" {`.
            let word =
                line.strip_prefix("    ").filter(|rest| rest.contains(" as \"") && rest.ends_with("\" {"));
            derives = (derives || line.contains("ToSchema") || word.is_some()) && !line.trim().is_empty();
            // One that a macro makes is further to the right.
            let plain = line.trim_start();
            let plain = plain.strip_prefix("pub struct ").or(plain.strip_prefix("pub enum "));
            // `listed!(KeyList = …)` describes a list by itself.
            let list = line.trim_start().strip_prefix("listed!(");
            derives |= list.is_some();
            let Some(rest) = plain.or(word).or(list) else { continue };
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            if name.is_empty() {
                continue; // `$name`, in the macro itself
            }
            if std::mem::take(&mut derives)
                && let Some(other) = names.insert(name.clone(), file.clone())
            {
                panic!("{name} is in {} and in {}", other.display(), file.display());
            }
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let unseen: Vec<_> = schemas.keys().filter(|name| !names.contains_key(*name)).collect();
    assert!(unseen.is_empty(), "described, but this looked past them: {unseen:?}");
}

fn sources(root: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("api/src"), root.join("common")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found
}

async fn a_fuzzer_finds_no_500_and_nothing_undocumented(stack: Stack) {
    let app = App::builder(stack).env("CHAT__WAIT_SECONDS", "1").start().await;
    let admin = crate::routes::admin::admin(&app).await;
    let url = format!("{}/openapi.json", app.url(0));
    let folder = app.folder.clone();
    let ran = tokio::task::spawn_blocking(move || {
        let mut fuzzer = Command::new(python::tool("st"));
        fuzzer.current_dir(folder).args(["run", &url]);
        fuzzer.args(["-H", &format!("Authorization: Bearer {}", admin.token)]);
        fuzzer.args([
            "--phases",
            "examples,coverage,fuzzing",
            "-n",
            "12",
            "-w",
            "2",
            "--generation-deterministic",
        ]);
        fuzzer.args(["--request-timeout", "30", "--continue-on-failure"]);
        let checks =
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
        fuzzer.args(["-c", checks]);
        // Streams that never end, the end of the fuzzer's own session, and of the workers' work.
        for path in [
            "/events",
            "/memory/events",
            "/chat/ws",
            "/chat/stream",
            "/auth/logout",
            "/admin/queues/{queue}/pause",
        ] {
            fuzzer.args(["--exclude-path", &format!("/api/v1{path}")]);
        }
        fuzzer.output().unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let from = said.find("FAILURES").unwrap_or(said.len().saturating_sub(3_000));
    assert!(
        ran.status.success(),
        "{}",
        said.chars().skip(said[..from].chars().count()).take(8_000).collect::<String>()
    );
    assert!(said.contains("passed") && said.contains("Tested:"), "{said}");
}
