//! The words of a page, by a tokenizer: there is no tree, so nothing can be nested too deeply.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use crate::{Result, split::Splitter};

/// What is shown to nobody.
const HIDDEN: [&[u8]; 7] = [b"script", b"style", b"template", b"noscript", b"svg", b"head", b"iframe"];
/// What begins a paragraph.
const BLOCKS: [&[u8]; 26] = [
    b"p",
    b"div",
    b"li",
    b"ul",
    b"ol",
    b"dl",
    b"dt",
    b"dd",
    b"table",
    b"tr",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"main",
    b"nav",
    b"aside",
    b"blockquote",
    b"pre",
    b"figure",
    b"figcaption",
    b"form",
    b"fieldset",
    b"hr",
    b"body",
    b"caption",
];

fn is_heading(name: &[u8]) -> bool {
    matches!(name, [b'h', b'1'..=b'6'])
}

struct Page<'a> {
    into: &'a mut Splitter,
    open: String,
    in_heading: bool,
    /// The hidden element that is open, and how often it was opened within itself.
    hidden: Option<(Vec<u8>, usize)>,
}

/// Reads a page, or a chapter.
pub fn read(text: &str, into: &mut Splitter) -> Result<()> {
    let mut page = Page { into, open: String::new(), in_heading: false, hidden: None };
    let mut emitter = DefaultEmitter::default();
    // As a browser does: what stands in a script is no markup.
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(text, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag.name, tag.self_closing)?,
            Token::EndTag(tag) => page.end(&tag.name)?,
            Token::String(text) if page.hidden.is_none() => page.words(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    page.close()
}

impl Page<'_> {
    fn start(&mut self, name: &[u8], closes: bool) -> Result<()> {
        if let Some((hidden, depth)) = &mut self.hidden {
            *depth += usize::from(hidden.as_slice() == name && !closes);
            // A head without an end is ended by the body.
            if !(hidden == b"head" && name == b"body") {
                return Ok(());
            }
            self.hidden = None;
        }
        if HIDDEN.contains(&name) {
            if !closes {
                self.hidden = Some((name.to_vec(), 1));
            }
        } else if is_heading(name) {
            self.close()?;
            self.in_heading = true;
        } else if BLOCKS.contains(&name) {
            self.close()?;
        } else if name == b"br" {
            self.open.push('\n');
        } else if matches!(name, b"td" | b"th") && !self.open.trim().is_empty() {
            self.open.push_str(" · ");
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8]) -> Result<()> {
        if let Some((hidden, depth)) = &mut self.hidden {
            if hidden.as_slice() == name {
                *depth -= 1;
                if *depth == 0 {
                    self.hidden = None;
                }
            }
            return Ok(());
        }
        if is_heading(name) || BLOCKS.contains(&name) {
            self.close()?;
        }
        Ok(())
    }

    /// A line break in the source is a blank.
    fn words(&mut self, text: &str) {
        self.open.extend(text.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
    }

    fn close(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        if std::mem::take(&mut self.in_heading) {
            self.into.heading(&open.replace('\n', " "))
        } else {
            self.into.paragraph(&open)
        }
    }
}
