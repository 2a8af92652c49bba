//! Code as it is served: without comments, indentation and spaces that mean nothing. Also paths.

use super::lexer::{Kind, Token, is_name};

/// Collects tokens. A line stays a line: where a statement may end by it, and where a fault is found.
#[derive(Default)]
pub struct Text {
    out: String,
    /// The last character, kept when the text is taken away.
    last: Option<char>,
    gap: Gap,
}

#[derive(Default, Clone, Copy, PartialEq, PartialOrd)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
}

impl Text {
    pub fn push(&mut self, token: &Token) {
        match token.kind {
            Kind::Space | Kind::Comment => {
                let gap = if token.text.contains('\n') { Gap::Line } else { Gap::Space };
                self.gap = if gap > self.gap { gap } else { self.gap };
            }
            _ => {
                self.gap_before(token.text);
                self.code(token.text);
            }
        }
    }

    pub fn code(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = text.chars().last().or(self.last);
    }

    /// Writes what must stand between the last token and this one.
    pub fn gap_before(&mut self, text: &str) {
        let gap = std::mem::take(&mut self.gap);
        match (gap, self.last, text.chars().next()) {
            (Gap::Line, Some(last), _) if last != '\n' => self.code("\n"),
            (Gap::Space, Some(last), Some(next)) if must_be_apart(last, next) => self.code(" "),
            _ => {}
        }
    }

    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }
}

/// Whether two characters mean something else when nothing stands between them.
fn must_be_apart(last: char, next: char) -> bool {
    let names = is_name(last) && is_name(next);
    let signs = last == next && "+-&|=<>?*.".contains(last);
    // Of a division and a pattern; of a number and its property.
    let risky = last == '/' || next == '/' || (last.is_ascii_digit() && next == '.');
    names || signs || risky
}

/// A style sheet without comments and indentation.
pub fn style(source: &str) -> String {
    // An escape could hide the end of a string.
    if source.contains('\\') {
        return source.to_owned();
    }
    let mut out = String::new();
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' | '\'' => 1 + rest[1..].find(letter).map_or(rest.len() - 1, |end| end + 1),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if letter.is_whitespace() => rest.find(|one: char| !one.is_whitespace()).unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let piece = &rest[..length];
        match letter {
            '/' if piece.len() > 1 => {}
            _ if !letter.is_whitespace() => out.push_str(piece),
            _ if piece.contains('\n') => out.push('\n'),
            _ => out.push(' '),
        }
        rest = &rest[length..];
    }
    let lines: Vec<_> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n") + "\n"
}

/// A path that stands in a file, as one from the root.
pub fn join(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// How a file names another.
pub fn relative(file: &str, target: &str) -> String {
    let mut from: Vec<&str> = file.split('/').collect();
    from.pop();
    let to: Vec<&str> = target.split('/').collect();
    let shared = from.iter().zip(&to[..to.len() - 1]).take_while(|(one, other)| one == other).count();
    let up = "../".repeat(from.len() - shared);
    let prefix = if up.is_empty() { "./" } else { &up };
    format!("{prefix}{}", to[shared..].join("/"))
}

/// FNV-1a: tells whether a file is the one that was built in.
pub fn mark(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}
