//! Plain text and Markdown, and which bytes are text at all.

use crate::{Result, Unreadable, split::Splitter};

/// UTF-8, UTF-16 with its mark, else the Latin alphabet of old programs. Not what has NULs, or control characters throughout.
pub fn decode(bytes: &[u8]) -> Result<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
            }
        }
    };
    let strange =
        text.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c')).count();
    if text.contains('\0') || strange * 100 > text.len() {
        return Err(Unreadable::new("It is not text."));
    }
    Ok(text)
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Paragraphs are parted by empty lines, pages by form feeds.
pub fn plain(text: &str, into: &mut Splitter) -> Result<()> {
    let has_pages = text.contains('\x0c');
    for (page, text) in text.split('\x0c').enumerate() {
        if has_pages {
            into.page(u32::try_from(page).unwrap_or(u32::MAX).saturating_add(1))?;
        }
        paragraphs(text.lines(), into)?;
    }
    Ok(())
}

fn paragraphs<'a>(lines: impl Iterator<Item = &'a str>, into: &mut Splitter) -> Result<()> {
    let mut open = String::new();
    for line in lines {
        if line.trim().is_empty() {
            into.paragraph(&open)?;
            open.clear();
        } else {
            open.push_str(line);
            open.push('\n');
        }
    }
    into.paragraph(&open)
}

/// As it is written, with its headings known: quotes of it must be found in it.
pub fn markdown(text: &str, into: &mut Splitter) -> Result<()> {
    let (mut open, mut in_code) = (Vec::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        if !in_code && (1..=6).contains(&level) && title.starts_with(' ') {
            paragraphs(open.drain(..), into)?;
            into.heading(title.trim().trim_end_matches('#'))?;
        } else {
            open.push(line);
        }
    }
    paragraphs(open.into_iter(), into)
}
