//! What a file is, by its content. Its name, and what its sender says of it, count for nothing.

use crate::text;

macro_rules! kinds {
    ($($kind:ident = $name:literal $media:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($kind,)* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            pub fn as_str(self) -> &'static str { match self { $(Kind::$kind => $name),* } }
            pub fn media_type(self) -> &'static str { match self { $(Kind::$kind => $media),* } }
        }
    };
}

kinds! {
    Text = "text" "text/plain";
    Markdown = "markdown" "text/markdown";
    Html = "html" "text/html";
    Csv = "csv" "text/csv";
    Pdf = "pdf" "application/pdf";
    Docx = "docx" "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    Xlsx = "xlsx" "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    Epub = "epub" "application/epub+zip";
    Png = "png" "image/png";
    Jpeg = "jpeg" "image/jpeg";
    Gif = "gif" "image/gif";
    Webp = "webp" "image/webp";
}

/// So much of a text says what it is.
const SAMPLE: usize = 16 * 1_024;

impl Kind {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Whether there is text to take out of it.
    pub fn has_text(self) -> bool {
        !self.is_image()
    }

    pub fn is_image(self) -> bool {
        matches!(self, Kind::Png | Kind::Jpeg | Kind::Gif | Kind::Webp)
    }

    /// By the beginning of a file, some megabytes of it or all. `None`: nothing that is taken.
    pub fn of(head: &[u8]) -> Option<Self> {
        // A reader of PDF looks for its mark in the first kilobyte, and so must who tells what a file is.
        if find(&head[..head.len().min(1_024)], b"%PDF-").is_some_and(|at| at == 0 || !is_zip(head)) {
            return Some(Kind::Pdf);
        }
        if is_zip(head) {
            return of_archive(head);
        }
        match infer::get(head).map(|found| found.mime_type()) {
            Some("image/png") => return Some(Kind::Png),
            Some("image/jpeg") => return Some(Kind::Jpeg),
            Some("image/gif") => return Some(Kind::Gif),
            Some("image/webp") => return Some(Kind::Webp),
            Some(mime) if !mime.starts_with("text/") => return None,
            _ => {}
        }
        let mut sample = &head[..head.len().min(SAMPLE)];
        if let Err(error) = std::str::from_utf8(sample)
            && error.error_len().is_none()
        {
            sample = &sample[..error.valid_up_to()]; // cut within a character
        }
        let sample = text::decode(sample).ok()?;
        Some(of_text(&sample))
    }
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

/// By the names of its first parts, which stand in plain words before each.
fn of_archive(head: &[u8]) -> Option<Kind> {
    let has = |name: &[u8]| find(head, name).is_some();
    if find(&head[..head.len().min(256)], b"application/epub+zip").is_some() {
        Some(Kind::Epub)
    } else if has(b"word/") {
        Some(Kind::Docx)
    } else if has(b"xl/") {
        Some(Kind::Xlsx)
    } else if has(b"META-INF/container.xml") {
        Some(Kind::Epub)
    } else {
        None
    }
}

fn of_text(sample: &str) -> Kind {
    let begin: String = sample.trim_start().chars().take(1_024).collect::<String>().to_lowercase();
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|mark| begin.starts_with(mark))
        || begin.starts_with('<')
            && ["<html", "<body", "<p>", "<div", "<h1", "<table"].iter().any(|mark| begin.contains(mark))
    {
        return Kind::Html;
    }
    if crate::csv_rows::separator(sample).is_some() {
        return Kind::Csv;
    }
    let mut lines = sample.lines();
    let is_mark = |line: &str| {
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        (1..=6).contains(&level) && title.starts_with(' ') || line.starts_with("```") || line.contains("](")
    };
    if lines.any(is_mark) { Kind::Markdown } else { Kind::Text }
}
