//! What clients and operators rely on, as files that change only on purpose. `UPDATE=1 cargo test --workspace --test it
//! contract` writes them anew.

mod fuzz;
mod generators;
mod readme;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use rapport_api::{policy::Policy, rule_of};
use rapport_common::{
    error::{Code, FieldCode},
    telemetry::metrics::METRICS,
};
use serde_json::Value;

fn compare(path: &str, now: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "{} is not what the code says: run UPDATE=1 cargo test --workspace --test it contract",
        path.display()
    );
}

#[test]
fn the_openapi_description_is_the_kept_one() {
    compare("docs/openapi.json", &(serde_json::to_string_pretty(&rapport_api::document()).unwrap() + "\n"));
}

/// One line an operation: what a reviewer of a change of the API reads instead of the whole description.
#[test]
fn docs_routes_txt_lists_every_operation() {
    let document = rapport_api::document();
    let mut text = "# Every operation, below /api/v1 unless it begins with /v1 or is /mcp or one of /register, /token, /revoke, who may use it, and what it is. `key:chat` is whoever signed in, or an API key\n\
                    # with that scope; `password` no key; `admin` an admin, or an admin's key with the scope `admin`. Generated:\n\
                    # UPDATE=1 cargo test --workspace --test it contract\n\n"
        .to_owned();
    let paths: BTreeMap<&String, &Value> = document["paths"].as_object().unwrap().iter().collect();
    for (path, item) in paths {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let who = match rule_of(&method, path).unwrap().who {
                Policy::Public(_) => "anybody".to_owned(),
                Policy::User(scope) => format!("key:{scope}"),
                Policy::Both => "key:chat|memory".to_owned(),
                Policy::Login => "password".to_owned(),
                Policy::Admin => "admin".to_owned(),
            };
            let summary = operation["summary"].as_str().unwrap().trim_end_matches('.');
            text += &format!("{method:<6} {path:<51} {who:<16} {summary}\n");
        }
    }
    compare("docs/routes.txt", &text);
}

#[test]
fn docs_errors_md_lists_every_code() {
    let mut text = "# Errors\n\nGenerated from `common/core/src/error.rs`. Every error is `application/problem+json` (RFC 9457): `type`, `title`,\n`status`, `detail` (a sentence for a person), `code` (stable), `request_id`, and for validation `errors: [{field, message, code, params}]`:\nsee below.\n\n| code | status | when |\n| --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        text += &format!("| `{}` | {} | {} |\n", code.as_str(), code.status(), code.meaning().trim());
    }
    text += "\n## What is wrong with a field\n\n`errors[].code` of 422, generated from `common/core/src/wrong/field.rs`: stable, like the codes above, though there may be more of\nthem one day. `params` holds the values that are named here, numbers and texts, to write the sentence in another language;\n`message` is the sentence in English, and completes \"`field` …\".\n\n| code | what is wrong |\n| --- | --- |\n";
    for code in FieldCode::ALL {
        text += &format!("| `{}` | {} |\n", code.as_str(), code.meaning().trim());
    }
    compare("docs/errors.md", &text);
}

#[test]
fn docs_metrics_md_lists_every_metric() {
    let rendered = {
        // Vectors without a value are not rendered: give each one.
        METRICS.requests.with_label_values(&["r", "m", "s"]).inc();
        METRICS.request_seconds.with_label_values(&["r", "m"]).observe(0.1);
        METRICS.open_streams.with_label_values(&["t"]).set(0);
        METRICS.jobs_enqueued.with_label_values(&["k"]).inc();
        METRICS.job_attempts.with_label_values(&["k", "o"]).inc();
        METRICS.job_seconds.with_label_values(&["k"]).observe(0.1);
        METRICS.job_wait_seconds.with_label_values(&["k"]).observe(0.1);
        METRICS.reclaimed.with_label_values(&["k"]).inc();
        METRICS.first_token_seconds.with_label_values(&["p"]).observe(0.1);
        METRICS.tokens.with_label_values(&["p", "m", "d"]).inc();
        METRICS.provider_errors.with_label_values(&["p", "c"]).inc();
        METRICS.events.with_label_values(&["f"]).inc();
        METRICS.wire_errors.with_label_values(&["o"]).inc();
        METRICS.pool_connections.with_label_values(&["p", "s"]).set(0);
        METRICS.recalls.with_label_values(&["o"]).inc();
        METRICS.recall_seconds.with_label_values::<&str>(&[]).observe(0.1);
        METRICS.past_turns.with_label_values(&["o"]).inc();
        METRICS.past_turns_seconds.with_label_values::<&str>(&[]).observe(0.1);
        METRICS.vectors_forgotten.with_label_values(&["c"]).inc();
        METRICS.windows.with_label_values(&["o"]).inc();
        METRICS.facts.with_label_values(&["b"]).inc();
        METRICS.files.with_label_values(&["o"]).inc();
        METRICS.file_bytes.with_label_values(&["d"]).inc();
        METRICS.rate_limited.with_label_values(&["c"]).inc();
        METRICS.clock_ahead.with_label_values::<&str>(&[]).set(0);
        METRICS.sweeper_leads.with_label_values::<&str>(&[]).set(0);
        METRICS.grouped.with_label_values(&["w"]).inc();
        METRICS.groups.with_label_values(&["w"]).inc();
        METRICS.tool_calls.with_label_values(&["t", "o"]).inc();
        METRICS.connections.with_label_values(&["s"]).set(0);
        METRICS.connections_refused.with_label_values::<&str>(&[]).inc();
        METRICS.render()
    };
    let help: BTreeSet<&str> =
        rendered.lines().filter_map(|line| line.strip_prefix("# HELP rapport_")).collect();
    let mut text = "# Metrics\n\nGenerated from `common/core/src/telemetry/metrics.rs`; served at `/metrics` (on\n`METRICS_PORT` when that is set), besides the process's own.\n\n| metric | what |\n| --- | --- |\n".to_owned();
    for line in help {
        let (name, what) = line.split_once(' ').unwrap();
        text += &format!("| `rapport_{name}` | {what} |\n");
    }
    compare("docs/metrics.md", &text);
}

#[test]
fn every_operation_says_what_it_is_and_how_it_fails() {
    let document = serde_json::to_value(rapport_api::document()).unwrap();
    let mut operations = 0;
    let tags = document["tags"].as_array().unwrap();
    assert!(tags.iter().all(|tag| tag["description"].as_str().is_some_and(|text| !text.is_empty())));
    let tags: Vec<&str> = tags.iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(
        (&tags[..5], *tags.last().unwrap()),
        (&["auth", "chat", "jobs", "sessions", "memory"][..], "admin")
    );
    assert!(document["info"]["contact"].is_null(), "{}", document["info"]);
    let sign_in = &document["components"]["securitySchemes"]["password"]["flows"]["password"];
    assert_eq!(sign_in["tokenUrl"], "/api/v1/auth/token");
    for (path, item) in document["paths"].as_object().unwrap() {
        let own = ["/api/v1/", "/v1/", "/mcp", "/token", "/register", "/revoke"];
        assert!(own.iter().any(|own| path.starts_with(own)), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let name = format!("{method} {path}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{name} has no summary"
            );
            let said = operation["description"].as_str().unwrap_or_default();
            assert!(!said.is_empty(), "{name} has no description");
            assert!(operation["tags"].as_array().is_some_and(|tags| !tags.is_empty()), "{name} has no tag");
            for tag in operation["tags"].as_array().unwrap() {
                assert!(tags.contains(&tag.as_str().unwrap()), "{name}: the tag {tag} is not described");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with(['1', '2'])), "{name} has no success");
            let secured = operation["security"]
                .as_array()
                .is_none_or(|all| all.iter().any(|one| one["bearer"].is_array()));
            assert!(!secured || responses.contains_key("401"), "{name} does not say 401");
            assert!(!path.contains('{') || responses.contains_key("404"), "{name} does not say 404");
        }
    }
    // Every handler that the table names is described.
    let table = include_str!("../../../api/src/table.rs");
    let named: usize = table
        .lines()
        .filter_map(|line| line.trim().split_once("routes!(")?.1.split_once(')'))
        .map(|(handlers, _)| handlers.split(',').count())
        .sum();
    assert_eq!(operations, named);
}

/// `cargo test` without arguments leaves out these tests and no others, and what the end-to-end tests start is what stands in the source.
#[test]
fn only_these_tests_are_left_to_the_whole_run_and_they_are_of_this_source() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(&root)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let members =
        |field: &str| -> BTreeSet<String> { serde_json::from_value(metadata[field].clone()).unwrap() };
    let left = &members("workspace_members") - &members("workspace_default_members");
    assert!(left.len() == 1 && left.iter().all(|member| member.contains("rapport-tests")), "{left:?}");
    let binary = crate::harness::binary::binary();
    let changed = |path: &std::path::Path| path.metadata().unwrap().modified().unwrap();
    let sources = std::fs::read_to_string(binary.with_extension("d")).unwrap();
    let (_, sources) = sources.split_once(": ").unwrap();
    for source in sources.split_whitespace().filter(|source| source.ends_with(".rs")) {
        assert!(changed(source.as_ref()) <= changed(binary), "{source} is newer than {}", binary.display());
    }
}

#[test]
fn every_decision_is_indexed_and_every_table_is_whole() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let index = std::fs::read_to_string(docs.join("decisions/README.md")).unwrap();
    for entry in std::fs::read_dir(docs.join("decisions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name} is not in the index");
    }
    // A row after an empty line is no table any more.
    let lines: Vec<&str> = index.lines().collect();
    for pair in lines.windows(2) {
        let heading = lines.iter().any(|line| line.starts_with("| ---")) && pair[1].starts_with("| for |");
        assert!(!pair[0].is_empty() || !pair[1].starts_with('|') || heading, "{}", pair[1]);
    }
}
