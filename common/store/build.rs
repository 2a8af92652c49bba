//! Makes the list of the migrations, so that their texts become part of the binary: `(version, what it does, its SQL)`, in order.

use std::{
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../migrations");
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut list = String::new();
    for database in ["postgres", "sqlite"] {
        let files: Result<Vec<PathBuf>, _> =
            fs::read_dir(migrations.join(database))?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut files = files?;
        files.sort();
        writeln!(list, "pub const {}: &[(i64, &str, &str)] = &[", database.to_uppercase())?;
        for file in files {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().replace('_', " ");
            let (number, what) = name.split_once(' ').ok_or(format!("{name}: not NNNN_what.sql"))?;
            let version: i64 = number.parse()?;
            writeln!(list, "    ({version}, {what:?}, include_str!({file:?})),")?;
        }
        list.push_str("];\n");
    }
    let out = std::env::var_os("OUT_DIR").ok_or("cargo names a folder")?;
    fs::write(Path::new(&out).join("migrations.rs"), list)?;
    Ok(())
}
