//! From blocks to passages: paragraphs stay together while they fit, headings and pages begin a new one, and what is too long is
//! cut between sentences. Passages do not overlap: one after another, with a line break between, they are the file's text.

use serde::{Deserialize, Serialize};

use crate::{Limits, Read, Result, Unreadable};

/// Characters of a passage at most: about what a model of sentences reads at once.
pub const PIECE: usize = 1_000;
/// One that is shorter is not ended by a heading of the same page alone.
const HEADING: usize = 200;

/// A passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub text: String,
    /// Under which it stands; empty for none.
    pub heading: String,
    /// From 1, of those files that have pages.
    pub page: Option<u32>,
    /// Where it begins in the file's text, in characters.
    pub start: u64,
}

pub struct Splitter {
    limits: Limits,
    read: Read,
    /// The passage that grows.
    text: String,
    /// Its characters.
    count: usize,
    heading: String,
    page: Option<u32>,
    /// Characters and bytes of all that is whole.
    at: u64,
    bytes: usize,
}

impl Splitter {
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            read: Read::default(),
            text: String::new(),
            count: 0,
            heading: String::new(),
            page: None,
            at: 0,
            bytes: 0,
        }
    }

    /// All that comes stands on this page.
    pub fn page(&mut self, number: u32) -> Result<()> {
        self.end()?;
        self.page = Some(number);
        self.read.pages = Some(number.max(self.read.pages.unwrap_or(0)));
        Ok(())
    }

    /// All that comes stands under this heading. It is text too.
    pub fn heading(&mut self, text: &str) -> Result<()> {
        let text = clean(text);
        if text.is_empty() {
            return Ok(());
        }
        self.end()?;
        self.heading = text.chars().take(HEADING).collect();
        self.add(&text)
    }

    /// What stands together: a paragraph, a row of a table.
    pub fn paragraph(&mut self, text: &str) -> Result<()> {
        let text = clean(text);
        if text.is_empty() { Ok(()) } else { self.add(&text) }
    }

    fn add(&mut self, text: &str) -> Result<()> {
        self.bytes += text.len() + 1;
        if self.bytes > self.limits.text {
            return Err(Unreadable(format!("It holds more than {} MiB of text.", self.limits.text >> 20)));
        }
        for part in parts(text) {
            let count = part.chars().count();
            if self.count > 0 && self.count + 1 + count > PIECE {
                self.end()?;
            }
            if self.count > 0 {
                self.text.push('\n');
                self.count += 1;
            }
            self.text.push_str(part);
            self.count += count;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        if self.read.pieces.len() >= self.limits.pieces {
            return Err(Unreadable(format!("It makes more than {} passages.", self.limits.pieces)));
        }
        let text = std::mem::take(&mut self.text);
        self.read.pieces.push(Piece { text, heading: self.heading.clone(), page: self.page, start: self.at });
        self.at += std::mem::take(&mut self.count) as u64 + 1;
        Ok(())
    }

    pub fn finish(mut self) -> Result<Read> {
        self.end()?;
        Ok(self.read)
    }
}

/// Without control characters, with single spaces; its lines stay.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words =
            line.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let Some(first) = words.next() else { continue };
        if !clean.is_empty() {
            clean.push('\n');
        }
        clean.push_str(first);
        for word in words {
            clean.push(' ');
            clean.push_str(word);
        }
    }
    clean
}

/// Parts of a text of at most [`PIECE`] characters, cut behind sentences, else between words, else anywhere.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((most, _)) = rest.char_indices().nth(PIECE) {
        let within = &rest[..most];
        let half = within.len() / 2;
        let sentence = within.rmatch_indices(['.', '!', '?', '।', '\n']).map(|(at, mark)| at + mark.len());
        let sentence = sentence
            .take_while(|at| *at > half)
            .find(|at| rest[*at..].starts_with(char::is_whitespace) || within[..*at].ends_with('\n'));
        let word = || within.rfind(char::is_whitespace).filter(|at| *at > half);
        let cut = sentence.or_else(word).unwrap_or(most);
        let part = rest[..cut].trim();
        if !part.is_empty() {
            parts.push(part);
        }
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}
