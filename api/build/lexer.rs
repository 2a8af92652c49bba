//! JavaScript as tokens: exactly as much as is needed to know what is code and what is a string, a template, a pattern or a comment.
//! Where it cannot know (a `/` after a `}`), it says so instead of guessing.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Space,
    Comment,
    /// A name, a keyword or a number.
    Word,
    /// A string in single or double quotes.
    Text,
    /// What stands between a template's backtick or `}` and its next `${` or backtick, with both.
    Template,
    Pattern,
    /// One character.
    Sign,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub line: usize,
    /// How many brackets are open around it; a bracket stands outside of itself.
    pub depth: usize,
}

/// A fault and its line.
pub type Fault = (usize, String);

#[derive(PartialEq)]
enum Open {
    Brace,
    Bracket,
    /// Whether it belongs to `if`, `while`, `for` or `with`, so that a statement follows.
    Paren {
        condition: bool,
    },
    Template,
}

/// After these a value begins, so that `/` begins a pattern.
const BEFORE_VALUES: [&str; 15] = [
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "else",
    "do",
    "await",
    "yield",
    "instanceof",
    "default",
];

pub fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$' || !letter.is_ascii()
}

pub fn tokens(source: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut lexer =
        Lexer { source, at: 0, line: 1, found: Vec::new(), open: Vec::new(), after_condition: false };
    while lexer.at < source.len() {
        lexer.step()?;
    }
    if lexer.open.is_empty() {
        Ok(lexer.found)
    } else {
        Err((lexer.line, "a bracket is never closed".into()))
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    found: Vec<Token<'a>>,
    open: Vec<Open>,
    /// Whether the last `)` closed a condition.
    after_condition: bool,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) -> Result<(), Fault> {
        let rest = &self.source[self.at..];
        let Some(letter) = rest.chars().next() else { return Ok(()) };
        let until = |end: Option<usize>| end.unwrap_or(rest.len());
        match letter {
            _ if letter.is_whitespace() => {
                self.take(Kind::Space, until(rest.find(|one: char| !one.is_whitespace())));
            }
            _ if rest.starts_with("//") => self.take(Kind::Comment, until(rest.find('\n'))),
            _ if rest.starts_with("/*") => {
                let end = rest.find("*/").ok_or_else(|| self.fault("a comment is never closed"))?;
                self.take(Kind::Comment, end + 2);
            }
            '\'' | '"' => {
                let end = self.end_of(rest, letter)?;
                self.take(Kind::Text, end);
            }
            '`' => self.template(rest)?,
            '}' if self.open.last() == Some(&Open::Template) => {
                self.open.pop();
                self.template(rest)?;
            }
            '/' if self.begins_pattern()? => {
                let end = self.end_of_pattern(rest)?;
                self.take(Kind::Pattern, end);
            }
            _ if is_name(letter) => self.take(Kind::Word, until(rest.find(|one: char| !is_name(one)))),
            _ => self.sign(letter)?,
        }
        Ok(())
    }

    fn fault(&self, what: &str) -> Fault {
        (self.line, what.to_owned())
    }

    fn take(&mut self, kind: Kind, length: usize) {
        let text = &self.source[self.at..self.at + length];
        self.found.push(Token { kind, text, line: self.line, depth: self.open.len() });
        self.line += text.matches('\n').count();
        self.at += length;
    }

    fn sign(&mut self, letter: char) -> Result<(), Fault> {
        let opened = match letter {
            '{' => Some(Open::Brace),
            '[' => Some(Open::Bracket),
            '(' => Some(Open::Paren { condition: self.condition_follows() }),
            _ => None,
        };
        if let '}' | ']' | ')' = letter {
            let closed = self.open.pop();
            self.after_condition = closed == Some(Open::Paren { condition: true });
            let fits = match closed {
                Some(Open::Brace) => letter == '}',
                Some(Open::Bracket) => letter == ']',
                Some(Open::Paren { .. }) => letter == ')',
                Some(Open::Template) | None => false,
            };
            if !fits {
                return Err((self.line, format!("`{letter}` closes nothing")));
            }
        }
        self.take(Kind::Sign, letter.len_utf8());
        self.open.extend(opened);
        Ok(())
    }

    /// The last tokens that are neither space nor comment, newest first.
    fn before(&self) -> impl Iterator<Item = &Token<'a>> {
        self.found.iter().rev().filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment))
    }

    fn condition_follows(&self) -> bool {
        let mut before = self.before();
        let Some(last) = before.next() else { return false };
        let is_property = before.next().is_some_and(|token| token.text == ".");
        !is_property && ["if", "while", "for", "with"].contains(&last.text)
    }

    fn begins_pattern(&self) -> Result<bool, Fault> {
        let mut before = self.before();
        let Some(last) = before.next() else { return Ok(true) };
        let second = before.next().map_or("", |token| token.text);
        Ok(match (last.kind, last.text) {
            (Kind::Word, word) => second != "." && BEFORE_VALUES.contains(&word),
            (Kind::Template, text) => text.ends_with("${"),
            (Kind::Text | Kind::Pattern, _) | (_, "]") => false,
            (_, ")") => self.after_condition,
            (_, "}") => return Err(self.fault("cannot tell whether `/` after `}` divides")),
            (_, sign @ ("+" | "-")) if second == sign => false,
            _ => true,
        })
    }

    /// Where a string ends, with its closing quote.
    fn end_of(&self, rest: &str, quote: char) -> Result<usize, Fault> {
        let mut escaped = false;
        for (at, letter) in rest.char_indices().skip(1) {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\n' => break,
                _ if letter == quote => return Ok(at + 1),
                _ => {}
            }
        }
        Err(self.fault("a string is never closed"))
    }

    fn end_of_pattern(&self, rest: &str) -> Result<usize, Fault> {
        let (mut escaped, mut in_class) = (false, false);
        for (at, letter) in rest.char_indices().skip(1) {
            match letter {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => {
                    let flags = &rest[at + 1..];
                    return Ok(at + 1 + flags.find(|one: char| !is_name(one)).unwrap_or(flags.len()));
                }
                _ => {}
            }
        }
        Err(self.fault("a pattern is never closed"))
    }

    /// A piece of a template, which begins with a backtick or with the `}` of what was put in.
    fn template(&mut self, rest: &str) -> Result<(), Fault> {
        let (mut escaped, mut dollar) = (false, false);
        for (at, letter) in rest.char_indices().skip(1) {
            let opens = dollar && letter == '{';
            dollar = !escaped && letter == '$';
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '`' => {
                    self.take(Kind::Template, at + 1);
                    return Ok(());
                }
                _ if opens => {
                    self.take(Kind::Template, at + 1);
                    self.open.push(Open::Template);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(self.fault("a template is never closed"))
    }
}
