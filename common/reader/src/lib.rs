//! Takes the text out of a file, whoever made it: plain text, Markdown, HTML, CSV, PDF, DOCX, XLSX and EPUB, from bytes in memory
//! to passages with their page and their place.
//!
//! Nothing here opens a file or a connection, and nothing expands what a file defines itself: entities, links and included
//! documents stay what they are. Whatever the file, text, passages, parts and columns are bounded ([`Limits`]); time, memory and
//! crashes are bounded by the process this runs in (`worker/src/reading.rs`).

mod csv_rows;
mod docx;
mod epub;
mod html;
mod kind;
mod pdf;
mod split;
mod table;
mod text;
mod xlsx;
mod xml;
mod zipped;

pub use kind::Kind;
pub use split::Piece;
use split::Splitter;

/// What a file is made to passages by. A passage of another version is read again only when its owner asks.
pub const VERSION: i64 = 1;

/// Why a file cannot be read: a sentence for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Unreadable {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

type Result<T, E = Unreadable> = std::result::Result<T, E>;

/// How much of a file is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of text.
    pub text: usize,
    /// Passages.
    pub pieces: usize,
    /// Bytes of all parts of an archive, unpacked.
    pub unpacked: u64,
    /// Parts of an archive.
    pub entries: usize,
    /// Columns of a table.
    pub columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text: 16 << 20, pieces: 20_000, unpacked: 128 << 20, entries: 10_000, columns: 1_000 }
    }
}

/// All of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub pieces: Vec<Piece>,
    /// Of those that have pages.
    pub pages: Option<u32>,
}

/// Reads a file of a kind. A file without any text is unreadable too: nobody could find anything in it.
pub fn read(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<Read> {
    let mut into = Splitter::new(limits);
    match kind {
        Kind::Text => text::plain(&text::decode(bytes)?, &mut into)?,
        Kind::Markdown => text::markdown(&text::decode(bytes)?, &mut into)?,
        Kind::Html => html::read(&text::decode(bytes)?, &mut into)?,
        Kind::Csv => csv_rows::read(&text::decode(bytes)?, limits, &mut into)?,
        Kind::Pdf => pdf::read(bytes, &mut into)?,
        Kind::Docx => docx::read(bytes, limits, &mut into)?,
        Kind::Xlsx => xlsx::read(bytes, limits, &mut into)?,
        Kind::Epub => epub::read(bytes, limits, &mut into)?,
        Kind::Png | Kind::Jpeg | Kind::Gif | Kind::Webp => {
            return Err(Unreadable::new("An image has no text."));
        }
    }
    let read = into.finish()?;
    if read.pieces.is_empty() {
        let why = if kind == Kind::Pdf { " It may be made of pictures of pages." } else { "" };
        return Err(Unreadable(format!("There is no text in it.{why}")));
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
