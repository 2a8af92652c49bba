//! Cuts a template into text and tags, and tags into words.

use super::Problem;

/// A piece of a template between tags.
#[derive(Debug, PartialEq)]
pub enum Piece<'t> {
    Text(&'t str),
    /// `{{ … }}`
    Print(Vec<Token<'t>>),
    /// `{% … %}`
    Block(Vec<Token<'t>>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Word<'t> {
    Name(&'t str),
    Text(String),
    Number(i64),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    /// The end of the tag.
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token<'t> {
    pub word: Word<'t>,
    /// Where it stands, in bytes.
    pub at: usize,
}

/// The longest first.
const SYMBOLS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "=", "|", "(", ")", ".", ",", "-"];

/// The pieces of a template, comments left out. `{{-`, `-}}` and the like take the white space beside them away.
pub fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let (mut at, mut trim_start) = (0, false);
    while at < source.len() {
        let rest = &source[at..];
        // One look at each byte: a search for each kind of tag would look at the whole rest every time.
        let open = rest
            .match_indices('{')
            .map(|(open, _)| open)
            .find(|open| matches!(rest.as_bytes().get(open + 1), Some(b'{' | b'%' | b'#')));
        let text = &rest[..open.unwrap_or(rest.len())];
        let tag = open.map(|open| at + open);
        let trim_end = tag.is_some_and(|tag| source[tag + 2..].starts_with('-'));
        let text = if trim_start { text.trim_start() } else { text };
        let text = if trim_end { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        let Some(tag) = tag else { break };
        let inside = tag + 2 + usize::from(trim_end);
        let end = match &source[tag..tag + 2] {
            "{#" => source[inside..].find("#}").map(|end| inside + end),
            "{{" => Some(tokens(source, inside, "}}").map(|(words, end)| {
                pieces.push(Piece::Print(words));
                end
            })?),
            _ => Some(tokens(source, inside, "%}").map(|(words, end)| {
                pieces.push(Piece::Block(words));
                end
            })?),
        };
        let end = end.ok_or_else(|| Problem::at(source, tag, "this comment has no end: `#}` is missing"))?;
        trim_start = source[..end].ends_with('-') && end > inside;
        at = end + 2;
    }
    Ok(pieces)
}

/// The words of a tag from `at` to `close`, and where `close` stands.
fn tokens<'t>(source: &'t str, start: usize, close: &str) -> Result<(Vec<Token<'t>>, usize), Problem> {
    let (mut words, mut at) = (Vec::new(), start);
    loop {
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else {
            return Err(Problem::at(source, start, format!("this tag has no end: `{close}` is missing")));
        };
        if rest.starts_with(close) {
            // A `-` before it belongs to it.
            if words.last().is_some_and(|token: &Token| token.word == Word::Symbol("-") && token.at + 1 == at)
            {
                words.pop();
            }
            words.push(Token { word: Word::End, at });
            return Ok((words, at));
        }
        let (word, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '\'' | '"' => text(source, at, first)?,
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length =
                    rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Word::Name(&rest[..length]), length)
            }
            c if c.is_ascii_digit() => {
                let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let number = rest[..length].parse().ok().filter(|number| *number <= 1_000_000_000);
                let number = number.ok_or_else(|| Problem::at(source, at, "this number is too large"))?;
                (Word::Number(number), length)
            }
            _ => match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
                Some(symbol) => (Word::Symbol(symbol), symbol.len()),
                None => return Err(Problem::at(source, at, format!("`{first}` means nothing here"))),
            },
        };
        words.push(Token { word, at });
        at += length;
    }
}

/// A quoted text, and its length in the source.
fn text(source: &str, at: usize, quote: char) -> Result<(Word<'_>, usize), Problem> {
    let (mut text, mut escaped) = (String::new(), false);
    for (offset, c) in source[at..].char_indices().skip(1) {
        match c {
            _ if escaped => {
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    '\\' | '\'' | '"' => c,
                    _ => {
                        return Err(Problem::at(
                            source,
                            at + offset,
                            format!("`\\{c}` means nothing in a text"),
                        ));
                    }
                });
                escaped = false;
            }
            '\\' => escaped = true,
            c if c == quote => return Ok((Word::Text(text), offset + 1)),
            c => text.push(c),
        }
    }
    Err(Problem::at(source, at, format!("this text has no end: {quote} is missing")))
}
