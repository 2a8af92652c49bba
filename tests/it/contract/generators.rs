//! The description held against the generators that people make clients with: no warning, and what they made works.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{node, python, servers};

/// Runs a command in a folder; gives what it said.
fn run(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    // Their helpers (ruff, node's own) are looked for beside them.
    let beside = program.parent().unwrap().display().to_string();
    command.env("PATH", format!("{beside}:{}", std::env::var_os("PATH").unwrap_or_default().display()));
    let ran = command.current_dir(folder).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{} {arguments:?}: {said}", program.display());
    said
}

/// A folder with the description in it.
fn folder(name: &str) -> PathBuf {
    let folder = servers::folder().join(servers::unique(name));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("openapi.json"), rapport_api::document().to_string()).unwrap();
    folder
}

const USE: &str = r#"
import type { components, operations } from "./api";
type Ok<O extends keyof operations> = operations[O]["responses"];
// The answer and the job are two types.
export const reply = (body: Ok<"post_chat">[200]["content"]["application/json"]): string => body.reply;
export const job = (body: Ok<"post_chat">[202]["content"]["application/json"]): string => body.status;
export const made = (body: components["schemas"]["Registered"]): string => body.access_token + body.id;
export const form: components["schemas"]["LoginForm"] = { username: "ann", password: "secret" };
"#;

#[test]
fn typescript_types_compile() {
    let folder = folder("types");
    let said = run(&folder, &node::tool("openapi-typescript"), &["openapi.json", "-o", "api.d.ts"]);
    assert!(!said.to_lowercase().contains("warn"), "{said}");
    std::fs::write(folder.join("use.ts"), USE).unwrap();
    run(&folder, &node::tool("tsc"), &["--strict", "--noEmit", "--target", "es2022", "api.d.ts", "use.ts"]);
}

const IMPORT: &str = r#"
import importlib, pkgutil, sys
sys.path.insert(0, ".")
import rapport_client
found = [module.name for module in pkgutil.walk_packages(rapport_client.__path__, "rapport_client.")]
for name in found:
    importlib.import_module(name)
from rapport_client.api.auth import post_auth_login, post_auth_token
from rapport_client.models import ChatReply, JobView, LoginBody, LoginForm
assert ChatReply is not JobView
assert LoginBody(username="ann", password="secret").to_dict()["username"] == "ann"
assert callable(post_auth_login.sync) and callable(post_auth_token.sync)
print(len(found), "modules")
"#;

#[test]
fn a_python_client_is_made_without_a_warning_and_imports() {
    let folder = folder("python-client");
    // The generator knows few content types; that of tus' pieces is bytes.
    let types = "content_type_overrides:\n  application/offset+octet-stream: application/octet-stream\n";
    std::fs::write(folder.join("config.yml"), types).unwrap();
    let arguments = [
        ["generate", "--path", "openapi.json", "--meta", "none"].as_slice(),
        &["--config", "config.yml", "--output-path", "rapport_client"],
    ]
    .concat();
    let said = run(&folder, &python::tool("openapi-python-client"), &arguments);
    assert!(!said.to_lowercase().contains("warning"), "{said}");
    let said = run(&folder, &python::tool("python"), &["-c", IMPORT]);
    assert!(said.contains("modules"), "{said}");
}

/// What our own clients have from the description. `UPDATE=1` writes it anew.
#[test]
fn our_own_clients_know_the_description() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let check: &[&str] = if std::env::var_os("UPDATE").is_some() { &[] } else { &["--check"] };
    run(&root, &python::tool("python"), &[&["clients/generate.py"], check].concat());
}
