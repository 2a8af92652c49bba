//! The Python that `./test` sets up, with what tests/python/requirements.txt names.

use std::path::PathBuf;

/// `target/pytools/bin/<name>`.
pub fn tool(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("target/pytools/bin").join(name);
    assert!(path.is_file(), "{} is missing: ./test sets it up", path.display());
    path
}

pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// A folder of packages apart from the others: `target/<name>`.
pub fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target").join(name);
    assert!(path.is_dir(), "{} is missing: ./test sets it up", path.display());
    path
}
