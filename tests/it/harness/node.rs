//! The packages of node that `./test` sets up (tests/node/package.json), and scripts that use them.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use super::servers;

/// `target/nodetools/node_modules`.
fn modules() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/nodetools/node_modules");
    assert!(path.is_dir(), "{} is missing: ./test sets it up", path.display());
    path.canonicalize().unwrap_or(path)
}

/// `target/nodetools/node_modules/.bin/<name>`.
pub fn tool(name: &str) -> PathBuf {
    let path = modules().join(".bin").join(name);
    assert!(path.exists(), "{} is missing: ./test sets it up", path.display());
    path.canonicalize().unwrap_or(path)
}

/// A folder of its own beside the packages: node looks for them nowhere else.
fn beside() -> PathBuf {
    let folder = servers::folder().join(servers::unique("node"));
    std::fs::create_dir_all(&folder).unwrap();
    symlink(modules(), folder.join("node_modules")).unwrap();
    folder
}

/// The MCP Inspector's command line, where it would lie in the whole Inspector, which is ten times as large: it looks for that one's
/// `package.json`.
pub fn inspector() -> PathBuf {
    let (folder, package) = (beside(), modules().join("@modelcontextprotocol/inspector-cli"));
    std::fs::create_dir(folder.join("cli")).unwrap();
    std::fs::copy(package.join("package.json"), folder.join("package.json")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(package.join("build")).arg(folder.join("cli")).status();
    assert!(copied.unwrap().success());
    folder.join("cli/build/cli.js")
}

/// A script of tests/node.
pub fn script(name: &str) -> PathBuf {
    let folder = beside();
    let path = folder.join(name);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(name), &path).unwrap();
    path
}
