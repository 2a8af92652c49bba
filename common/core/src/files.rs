//! Files that only we may read: made so whatever the umask, and made so again when they were found looser.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// What SQLite puts beside its file. It gives them the file's mode.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A folder, with its parents, if it is not there.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Opens a file for writing, and makes it if it is not there. What is in it stays.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE).open(path)
}

/// Writes a file anew.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE).open(path)?;
    file.write_all(bytes)
}

/// Says which file or folder cannot be used, why, and what to do.
pub fn unusable(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot use {}: {error} (the data folder must be a folder we may write to: set DATA_DIR)",
        path.display()
    )
}

fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    // A link is not followed: it could lead anywhere.
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() || found.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Shuts the data folder, and what is known to be in it, to others. Gives what could not be shut: a mounted volume may
/// belong to somebody else.
pub fn tighten(data_dir: &Path, database: &Path) -> Vec<(PathBuf, io::Error)> {
    let outbox = data_dir.join("outbox");
    let mut files = vec![data_dir.join("secret_key"), data_dir.join("rapport.lock"), database.to_owned()];
    for suffix in BESIDE {
        let mut beside = database.as_os_str().to_owned();
        beside.push(suffix);
        files.push(beside.into());
    }
    let mails = fs::read_dir(&outbox).into_iter().flatten().flatten();
    files.extend(
        mails.map(|mail| mail.path()).filter(|path| path.extension().is_some_and(|end| end == "eml")),
    );
    let folders =
        [data_dir.to_owned(), outbox, data_dir.join("files")].into_iter().map(|path| (path, FOLDER));
    let all = folders.chain(files.into_iter().map(|path| (path, FILE)));
    all.filter_map(|(path, mode)| restrict(&path, mode).err().map(|error| (path, error))).collect()
}
