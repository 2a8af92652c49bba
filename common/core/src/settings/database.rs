//! `DATABASE_URL` in the forms people have it in: ours, SQLAlchemy's and asyncpg's.

use std::path::{Path, PathBuf};

use super::Env;
use crate::secret::Secret;

/// Where everything is kept.
#[derive(Debug, PartialEq)]
pub enum Database {
    Postgres(Secret),
    Sqlite(PathBuf),
}

/// Reads a URL; says what is wrong with it without repeating it, since it may hold a password.
pub fn parse(url: &str) -> Result<Database, String> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let scheme = scheme.to_lowercase();
    // `+driver` names a library of Python's.
    let (kind, driver) = scheme.split_once('+').unwrap_or((&scheme, ""));
    match (kind, driver) {
        ("postgres" | "postgresql", "" | "asyncpg" | "psycopg" | "psycopg2" | "psycopg2cffi" | "pg8000") => {
            if !rest.starts_with("//") {
                return Err(
                    "DATABASE_URL must be of the form postgres://user:password@host/database".to_owned()
                );
            }
            Ok(Database::Postgres(Secret::new(format!("postgres:{}", with_sslmode(rest)))))
        }
        ("sqlite", "" | "aiosqlite" | "pysqlite") => sqlite(rest).map(Database::Sqlite),
        _ => Err("DATABASE_URL must begin with postgres:// or sqlite://".to_owned()),
    }
}

/// `DATABASE_DIRECT_URL`: PostgreSQL itself, when `DATABASE_URL` is a pooler's in front of it.
pub(super) fn direct(env: &mut Env, has_postgres: bool) -> Option<Secret> {
    let url = env.optional("DATABASE_DIRECT_URL")?;
    match parse(&url) {
        Ok(Database::Postgres(url)) if has_postgres => return Some(url),
        Ok(Database::Postgres(_)) => env.problem("DATABASE_DIRECT_URL is for a DATABASE_URL of PostgreSQL's"),
        Ok(Database::Sqlite(_)) => env.problem("DATABASE_DIRECT_URL must begin with postgres://"),
        Err(problem) => env.problem(&problem.replace("DATABASE_URL", "DATABASE_DIRECT_URL")),
    }
    None
}

/// asyncpg says `?ssl=require` where everybody else says `?sslmode=require`.
fn with_sslmode(rest: &str) -> String {
    match rest.split_once('?') {
        Some((address, query)) => {
            let renamed = |part: &str| match part.strip_prefix("ssl=") {
                Some("true" | "True" | "1") => "sslmode=require".to_owned(),
                Some(mode) => format!("sslmode={mode}"),
                None => part.to_owned(),
            };
            let parts: Vec<String> = query.split('&').map(renamed).collect();
            format!("{address}?{}", parts.join("&"))
        }
        None => rest.to_owned(),
    }
}

/// `sqlite://path` and `sqlite:path` are ours. With three slashes the path is relative and with four it is absolute, as
/// SQLAlchemy has it.
fn sqlite(rest: &str) -> Result<PathBuf, String> {
    let path = rest.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("///") {
        Some(path) if !path.is_empty() => {
            moved(path)?;
            path
        }
        _ => path.strip_prefix("//").unwrap_or(path),
    };
    if path.is_empty() || path == "/" || path.contains(":memory:") {
        return Err(
            "DATABASE_URL must name a file: sqlite:///relative/path or sqlite:////absolute/path".to_owned()
        );
    }
    Ok(PathBuf::from(path))
}

/// Version 0.1 read `sqlite:///path` as an absolute path. Whoever has a file there must not start with an empty one.
fn moved(path: &str) -> Result<(), String> {
    let absolute = Path::new("/").join(path);
    if absolute.is_file() && !Path::new(path).exists() && !path.starts_with('/') {
        return Err(format!(
            "DATABASE_URL: sqlite:///{path} is the relative path {path}, which is not there, while {} is: write \
             sqlite:///{} for that file",
            absolute.display(),
            absolute.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_count_as_in_sqlalchemy() {
        for (url, path) in [
            ("sqlite:///./chatbot.db", "./chatbot.db"),
            ("sqlite:///chatbot.db", "chatbot.db"),
            ("sqlite:///data/chatbot.db?timeout=5", "data/chatbot.db"),
            ("sqlite:////var/lib/chatbot.db", "/var/lib/chatbot.db"),
            ("sqlite+aiosqlite:///./chatbot.db", "./chatbot.db"),
            ("sqlite://data/chatbot.db", "data/chatbot.db"),
            ("sqlite:data/chatbot.db", "data/chatbot.db"),
            ("sqlite:/var/lib/chatbot.db", "/var/lib/chatbot.db"),
        ] {
            assert_eq!(parse(url), Ok(Database::Sqlite(PathBuf::from(path))), "{url}");
        }
    }

    #[test]
    fn drivers_of_python_are_read_over() {
        for (url, read) in [
            ("postgres://u:p@h/d", "postgres://u:p@h/d"),
            ("postgresql://u:p@h/d", "postgres://u:p@h/d"),
            ("postgresql+asyncpg://u:p@h:5432/d", "postgres://u:p@h:5432/d"),
            ("postgresql+psycopg2://h/d?sslmode=disable", "postgres://h/d?sslmode=disable"),
            ("postgresql+psycopg://h/d", "postgres://h/d"),
            ("postgresql+asyncpg://h/d?a=b&ssl=require", "postgres://h/d?a=b&sslmode=require"),
        ] {
            assert_eq!(parse(url), Ok(Database::Postgres(Secret::new(read))), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for url in [
            "mysql://u:hunter2@h/d",
            "hunter2",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "postgres:hunter2",
            "postgresql+odbc://hunter2",
        ] {
            let problem = parse(url).unwrap_err();
            assert!(problem.contains("DATABASE_URL") && !problem.contains("hunter2"), "{url}: {problem}");
        }
    }

    #[test]
    fn a_file_that_version_0_1_made_is_not_left_behind() {
        let folder = std::env::temp_dir().join(format!("rapport-moved-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("x.db");
        std::fs::write(&file, "").unwrap();
        let problem = parse(&format!("sqlite://{}", file.display())).unwrap_err();
        assert!(problem.contains(&format!("sqlite:///{}", file.display())), "{problem}");
        assert_eq!(parse(&format!("sqlite:///{}", file.display())), Ok(Database::Sqlite(file)));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
