//! The packages of node that `./test` sets up (tests/node/package.json), and scripts that use them.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
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

/// A script of tests/node, beside the packages: node looks for them nowhere else.
pub fn script(name: &str) -> PathBuf {
    let folder = servers::folder().join(servers::unique("node"));
    std::fs::create_dir_all(&folder).unwrap();
    symlink(modules(), folder.join("node_modules")).unwrap();
    let path = folder.join(name);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(name), &path).unwrap();
    path
}
