//! Reads `{"memories": [...], "merge_strategy": ..., …}` as it arrives, an element at a time.
//!
//! The elements of `memories` and `relationships` are given one by one; a `memories` that is a string (CSV) is given in
//! pieces; the two options are kept, if they are small; everything else is skipped. A top-level list is taken for the
//! memories.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// An element, or another value, holds at most this many bytes.
const ELEMENT: usize = 64 * 1_024;

#[derive(Debug, PartialEq)]
pub enum Piece {
    /// An element of a list under this key: JSON on one line.
    Element(&'static str, Vec<u8>),
    /// A part of the text that `memories` is.
    Text(String),
    /// In place of an element that was too large, where those are passed over.
    TooLarge,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Start,
    Key,
    InKey,
    Colon,
    Value,
    /// Inside the list under a key.
    List(&'static str),
    /// Inside an element of it, or another value, so deep in brackets.
    Inside {
        list: Option<&'static str>,
        nesting: Nesting,
    },
    /// Inside a value nobody asks for.
    Skipped {
        begun: bool,
        nesting: Nesting,
    },
    /// Inside the string under `memories`.
    LongText {
        escaped: bool,
    },
    AfterValue,
    End,
}

/// Where in a value the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Nesting {
    /// Open brackets.
    depth: usize,
    quoted: bool,
    /// After a backslash in a string.
    escaped: bool,
}

impl Nesting {
    /// Outside all brackets and strings.
    fn is_flat(self) -> bool {
        self.depth == 0 && !self.quoted
    }

    fn take(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'\\' if self.quoted && !self.escaped => self.escaped = true,
            b'"' if self.quoted && !self.escaped => self.quoted = false,
            _ if self.quoted => self.escaped = false,
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.checked_sub(1).ok_or("brackets do not match")?,
            _ => {}
        }
        Ok(())
    }
}

pub struct Scanner {
    state: State,
    key: Vec<u8>,
    held: Vec<u8>,
    /// A top-level list has nothing after it.
    bare: bool,
    values: HashMap<String, serde_json::Value>,
    /// Bytes of an element at most.
    element: usize,
    /// Whether larger ones are passed over; otherwise they are an error. And whether this one is.
    passes: bool,
    too_large: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(ELEMENT, false)
    }
}

/// The values that are kept.
const OPTIONS: [&[u8]; 2] = [b"format", b"merge_strategy"];

fn streamed(key: &[u8]) -> Option<&'static str> {
    match key {
        b"memories" => Some("memories"),
        b"relationships" => Some("relationships"),
        _ => None,
    }
}

/// How many bytes from the beginning are whole characters and whole escapes.
fn whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let needed = match (bytes[at], bytes.get(at + 1), bytes.get(at + 2)) {
            (b'\\', Some(b'u'), Some(b'd' | b'D')) => {
                // Perhaps the first half of a pair.
                let half = bytes
                    .get(at + 3)
                    .is_none_or(|byte| matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'));
                if half { 12 } else { 6 }
            }
            (b'\\', Some(b'u'), _) => 6,
            (b'\\', ..) => 2,
            (0xf0.., ..) => 4,
            (0xe0.., ..) => 3,
            (0xc0.., ..) => 2,
            _ => 1,
        };
        if at + needed > bytes.len() {
            break;
        }
        at += needed;
    }
    at
}

impl Scanner {
    /// Elements hold at most this many bytes; what is larger is passed over.
    pub fn passing_over(element: usize) -> Self {
        Self::new(element, true)
    }

    fn new(element: usize, passes: bool) -> Self {
        let (state, key, held, values) = (State::Start, Vec::new(), Vec::new(), HashMap::new());
        Self { state, key, held, bare: false, values, element, passes, too_large: false }
    }

    /// Takes the next bytes; gives what they complete. `Err`: this is no such JSON.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Piece>) -> Result<(), String> {
        for byte in bytes {
            self.step(*byte, out)?;
        }
        if let State::LongText { escaped: false } = self.state {
            self.flush_text(out)?;
        }
        Ok(())
    }

    /// The values beside the lists, once everything was read.
    pub fn finish(self) -> Result<HashMap<String, serde_json::Value>, String> {
        if self.state == State::End { Ok(self.values) } else { Err("it ends too early".to_owned()) }
    }

    fn hold(&mut self, byte: u8) -> Result<(), String> {
        if self.held.len() >= self.element {
            if self.passes {
                self.too_large = true;
                return Ok(());
            }
            return Err(format!("an element is larger than {} bytes", self.element));
        }
        // A line break outside a string is white space; inside one it is not allowed anyway.
        self.held.push(if byte == b'\n' || byte == b'\r' { b' ' } else { byte });
        Ok(())
    }

    fn flush_text(&mut self, out: &mut Vec<Piece>) -> Result<(), String> {
        let end = whole(&self.held);
        if end == 0 {
            return Ok(());
        }
        let mut quoted = vec![b'"'];
        quoted.extend(self.held.drain(..end));
        quoted.push(b'"');
        let text: String = serde_json::from_slice(&quoted).map_err(|error| error.to_string())?;
        out.push(Piece::Text(text));
        Ok(())
    }

    fn value_done(&mut self, list: Option<&'static str>, out: &mut Vec<Piece>) -> Result<(), String> {
        let held = std::mem::take(&mut self.held);
        let too_large = std::mem::take(&mut self.too_large);
        match list {
            Some(list) if too_large => {
                out.push(Piece::TooLarge);
                self.state = State::List(list);
            }
            Some(list) => {
                out.push(Piece::Element(list, held));
                self.state = State::List(list);
            }
            None => {
                let value = serde_json::from_slice(&held).map_err(|error| error.to_string())?;
                self.values.insert(String::from_utf8_lossy(&self.key).into_owned(), value);
                self.state = State::AfterValue;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "a table: an arm a state")]
    fn step(&mut self, byte: u8, out: &mut Vec<Piece>) -> Result<(), String> {
        let unexpected = || Err(format!("unexpected {:?}", char::from(byte)));
        let blank = byte.is_ascii_whitespace();
        match self.state {
            State::Start if blank => {}
            State::Start => match byte {
                b'{' => self.state = State::Key,
                b'[' => {
                    self.bare = true;
                    self.state = State::List("memories");
                }
                _ => return unexpected(),
            },
            State::Key if blank || byte == b',' => {}
            State::Key => match byte {
                b'"' => {
                    self.key.clear();
                    self.state = State::InKey;
                }
                b'}' => self.state = State::End,
                _ => return unexpected(),
            },
            State::InKey => match byte {
                b'"' => self.state = State::Colon,
                _ if self.key.len() < 100 => self.key.push(byte),
                _ => return Err("a name is too long".to_owned()),
            },
            State::Colon if blank => {}
            State::Colon if byte == b':' => self.state = State::Value,
            State::Colon => return unexpected(),
            State::Value if blank => {}
            State::Value => match (streamed(&self.key), byte) {
                (Some(list), b'[') => self.state = State::List(list),
                (Some("memories"), b'"') => self.state = State::LongText { escaped: false },
                _ if OPTIONS.contains(&self.key.as_slice()) => self.begin(None, byte, out)?,
                _ => {
                    self.state = State::Skipped { begun: false, nesting: Nesting::default() };
                    return self.step(byte, out);
                }
            },
            State::Skipped { begun, nesting } => return self.skip(byte, begun, nesting, out),
            State::List(_) if blank || byte == b',' => {}
            State::List(_) if byte == b']' => {
                self.state = if self.bare { State::End } else { State::AfterValue }
            }
            State::List(list) => self.begin(Some(list), byte, out)?,
            State::Inside { list, nesting } => self.inside(byte, list, nesting, out)?,
            State::LongText { escaped } => {
                if byte == b'"' && !escaped {
                    // What waits is whole now: another escape cannot follow.
                    let mut quoted = vec![b'"'];
                    quoted.append(&mut self.held);
                    quoted.push(b'"');
                    let text: String = serde_json::from_slice(&quoted).map_err(|error| error.to_string())?;
                    out.push(Piece::Text(text));
                    self.state = State::AfterValue;
                } else {
                    self.held.push(byte);
                    self.state = State::LongText { escaped: byte == b'\\' && !escaped };
                    if self.held.len() >= ELEMENT && byte != b'\\' && !escaped {
                        self.flush_text(out)?;
                    }
                }
            }
            State::AfterValue if blank => {}
            State::AfterValue => match byte {
                b',' => self.state = State::Key,
                b'}' => self.state = State::End,
                _ => return unexpected(),
            },
            State::End if blank => {}
            State::End => return Err("there is more after its end".to_owned()),
        }
        Ok(())
    }

    fn skip(
        &mut self,
        byte: u8,
        begun: bool,
        mut nesting: Nesting,
        out: &mut Vec<Piece>,
    ) -> Result<(), String> {
        if begun && nesting.is_flat() && matches!(byte, b',' | b'}') {
            // A number or a word has no end of its own.
            self.state = State::AfterValue;
            return self.step(byte, out);
        }
        nesting.take(byte)?;
        self.state = State::Skipped { begun: true, nesting };
        Ok(())
    }

    fn begin(&mut self, list: Option<&'static str>, byte: u8, out: &mut Vec<Piece>) -> Result<(), String> {
        self.held.clear();
        self.inside(byte, list, Nesting::default(), out)
    }

    fn inside(
        &mut self,
        byte: u8,
        list: Option<&'static str>,
        mut nesting: Nesting,
        out: &mut Vec<Piece>,
    ) -> Result<(), String> {
        if nesting.is_flat() && !self.held.is_empty() && matches!(byte, b',' | b']' | b'}') {
            self.value_done(list, out)?;
            return self.step(byte, out);
        }
        self.hold(byte)?;
        nesting.take(byte)?;
        if nesting.is_flat() && matches!(byte, b'"' | b'}' | b']') {
            return self.value_done(list, out);
        }
        self.state = State::Inside { list, nesting };
        Ok(())
    }
}
