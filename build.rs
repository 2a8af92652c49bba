//! Tells the binary which commit it was built from, where that is known: `RAPPORT_COMMIT`, or git.

use std::{path::Path, process::Command};

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RAPPORT_COMMIT");
    // Both change with every commit and checkout. A path that is not there would make cargo build anew each time.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let given = std::env::var_os("RAPPORT_COMMIT").and_then(|commit| commit.into_string().ok());
    let commit =
        given.filter(|commit| !commit.is_empty()).or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo:rustc-env=RAPPORT_BUILT_FROM={commit}");
}
