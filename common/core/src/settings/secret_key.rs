//! The rules for `SECRET_KEY`: given and good, or made at random beside the embedded data; never weak, never guessed.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use data_encoding::HEXLOWER;
use rand::{TryRngCore, rngs::OsRng};

use crate::{files, secret::Secret};

const KNOWN_DEFAULTS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "your-secret-key",
    "your_secret_key",
    "supersecret",
    "insecure",
    "default",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", // FastAPI's tutorial
];

/// What is wrong with a key, or `None`.
pub fn problem(key: &str) -> Option<&'static str> {
    let lower = key.to_lowercase();
    let distinct = lower.chars().collect::<std::collections::HashSet<_>>().len();
    if key.len() < 32 {
        Some("must have at least 32 characters (try: openssl rand -hex 32)")
    } else if KNOWN_DEFAULTS.iter().any(|known| lower.replace(known, "").len() < 16) || distinct < 8 {
        Some("is a well-known default or too regular: make a random one (try: openssl rand -hex 32)")
    } else {
        None
    }
}

/// The key in force and where it came from. With a `DATABASE_URL` the key must be given: several processes must share
/// it, and a deployment must not lose it with a container. Without `makes`, a missing key stays missing.
pub fn resolve(
    given: Option<&str>,
    data_dir: &Path,
    database_given: bool,
    makes: bool,
) -> Result<(Secret, String), String> {
    if let Some(key) = given {
        return match problem(key) {
            Some(problem) => Err(format!("SECRET_KEY {problem}")),
            None => Ok((Secret::new(key), "SECRET_KEY".to_owned())),
        };
    }
    if database_given {
        return Err("SECRET_KEY must be set when DATABASE_URL is (try: openssl rand -hex 32)".to_owned());
    }
    let path = data_dir.join("secret_key");
    if !makes && !path.exists() {
        return Ok((Secret::new(""), format!("{} (made on the first start)", path.display())));
    }
    let key = read_or_make(data_dir, &path).map_err(|error| files::unusable(&path, &error))?;
    Ok((Secret::new(key), path.display().to_string()))
}

fn read_or_make(data_dir: &Path, path: &Path) -> io::Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Ok(key) = fs::read_to_string(path) {
        let key = key.trim().to_owned();
        return match problem(&key) {
            None => Ok(key),
            Some(problem) => Err(io::Error::other(format!("the stored key {problem}"))),
        };
    }
    files::folder(data_dir)?;
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let key = HEXLOWER.encode(&bytes);
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(key.as_bytes())?;
            file.sync_all()?;
            Ok(key)
        }
        // Another process made it first: theirs counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(path)?.trim().to_owned())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused() {
        for key in ["", "short", &"a".repeat(64), &"changeme".repeat(8), "your-secret-key-your-secret-key-1"]
        {
            assert!(problem(key).is_some(), "{key}");
        }
        assert!(problem("0f2c8a5de91b7746a3c8d5e0f1b2937c").is_none());
    }

    #[test]
    fn a_made_key_is_kept_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("rapport-key-{}", uuid::Uuid::now_v7()));
        let (first, _) = resolve(None, &dir, false, true).unwrap();
        let (second, _) = resolve(None, &dir, false, true).unwrap();
        assert_eq!(first, second);
        let mode = fs::metadata(dir.join("secret_key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(dir).unwrap();
    }
}
