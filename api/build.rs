//! Makes what the web UI consists of, so that it is part of the binary (build/mod.rs).
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where to write by the environment"
)]

use std::{
    error::Error,
    fmt::Write,
    path::{Path, PathBuf},
};

#[path = "build/mod.rs"]
mod bundle;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A folder stands for all that is in it, also for what is added or removed.
    for watched in ["build.rs", "build", "assets/ui"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut list = String::from("pub const FILES: &[(&str, &[u8])] = &[\n");
    for (name, bytes) in bundle::bundle(&bundle::read(&root.join("assets/ui"))?)? {
        let path = out.join("ui").join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(&out))?;
        std::fs::write(&path, bytes)?;
        writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())?;
    }
    list.push_str("];\n");
    std::fs::write(out.join("ui_files.rs"), list)?;
    Ok(())
}
