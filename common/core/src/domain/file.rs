//! A file that a user sent.

use chrono::{DateTime, Utc};

use super::{
    ids::{FileId, JobId},
    words::words,
};
use crate::row;

words! {
    FileStatus as "file status" {
        /// It is kept, and has no text.
        Stored = "stored",
        /// It waits to be read.
        Queued = "queued",
        Reading = "reading",
        /// Its passages can be found.
        Indexed = "indexed",
        Failed = "failed",
    }
}

#[derive(Debug, Clone)]
pub struct File {
    pub id: FileId,
    pub name: String,
    /// What it is by its content.
    pub kind: String,
    pub bytes: i64,
    pub sha256: String,
    /// Where its bytes are: a folder of the store, and the names of the parts in it.
    pub place: String,
    pub parts: Vec<String>,
    pub status: FileStatus,
    /// Why it could not be read.
    pub error: Option<String>,
    pub job_id: Option<JobId>,
    /// The reading whose passages count.
    pub generation: Option<String>,
    pub pages: Option<i64>,
    pub chunks: i64,
    pub words: i64,
    /// What for, as a client of `/v1/files` said.
    pub purpose: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

row!(File:
    id, name, kind, bytes, sha256, place, parts as json, status, error, job_id, generation, pages, chunks, words,
    purpose, created_at, updated_at
);

/// A name holds at most this many characters.
pub const NAME_MAX: usize = 255;

/// A file's name as it is kept: the last part of what was sent, without what no system would show. It never names a place.
pub fn clean_name(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(NAME_MAX).collect();
    let name = name.trim();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name.to_owned() }
}

/// Signs that are not seen, and those that turn the direction of what follows: `gpj.exe` must not look like `exe.jpg`.
fn is_invisible(c: char) -> bool {
    matches!(c as u32, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_names_a_place() {
        for (sent, kept) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\ann\\a b.docx", "a b.docx"),
            ("..", "file"),
            ("", "file"),
            ("a\0b\nc", "abc"),
            ("exe.\u{202e}gpj", "exe.gpj"),
            ("ঢাকা.txt", "ঢাকা.txt"),
        ] {
            assert_eq!(clean_name(sent), kept, "{sent:?}");
        }
        assert_eq!(clean_name(&"x".repeat(1_000)).len(), NAME_MAX);
    }
}
