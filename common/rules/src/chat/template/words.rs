//! The words of one tag, and the expressions they make. How deep these go is bounded here.

use super::{
    Problem,
    lex::{Token, Word},
    tree::{Expr, Filter, Kind},
};

/// Brackets and `not`s inside each other.
const BRACKETS: usize = 16;
/// Filters one after another, and names with dots between them.
const CHAIN: usize = 16;

/// A filter's name, itself, and whether it takes a value, may take one, or takes none.
const FILTERS: [(&str, Filter, Takes); 8] = [
    ("upper", Filter::Upper, Takes::Nothing),
    ("lower", Filter::Lower, Takes::Nothing),
    ("title", Filter::Title, Takes::Nothing),
    ("trim", Filter::Trim, Takes::Nothing),
    ("default", Filter::Default, Takes::Value),
    ("length", Filter::Length, Takes::Nothing),
    ("truncate", Filter::Truncate, Takes::Value),
    ("date", Filter::Date, Takes::Maybe),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    Nothing,
    Maybe,
    Value,
}

/// The words of one tag.
pub struct Words<'t> {
    source: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
}

impl<'t> Words<'t> {
    pub fn new(source: &'t str, tokens: Vec<Token<'t>>) -> Self {
        Self { source, tokens, next: 0 }
    }

    fn problem<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem::at(self.source, at, message))
    }

    /// The next word; the end of the tag stays.
    fn take(&mut self) -> Token<'t> {
        let token =
            self.tokens.get(self.next).cloned().unwrap_or(Token { word: Word::End, at: self.source.len() });
        if token.word != Word::End {
            self.next += 1;
        }
        token
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |token| token.at)
    }

    fn takes(&mut self, wanted: &Word<'t>) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|token| token.word == *wanted);
        if found {
            self.next += 1;
        }
        found
    }

    fn symbol(&mut self, symbol: &'static str) -> bool {
        self.takes(&Word::Symbol(symbol))
    }

    pub fn name(&mut self, what: &str) -> Result<(&'t str, usize), Problem> {
        let token = self.take();
        match token.word {
            Word::Name(name) => Ok((name, token.at)),
            _ => self.problem(token.at, format!("here must be {what}")),
        }
    }

    pub fn end(&mut self) -> Result<(), Problem> {
        let token = self.take();
        if token.word == Word::End { Ok(()) } else { self.problem(token.at, "here the tag must end") }
    }

    pub fn expression(&mut self, depth: usize) -> Result<Expr<'t>, Problem> {
        let at = self.at();
        let mut parts = vec![self.conjunction(depth)?];
        while self.takes(&Word::Name("or")) {
            parts.push(self.conjunction(depth)?);
        }
        Ok(one_or(parts, at, Kind::Any))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expr<'t>, Problem> {
        let at = self.at();
        let mut parts = vec![self.negated(depth)?];
        while self.takes(&Word::Name("and")) {
            parts.push(self.negated(depth)?);
        }
        Ok(one_or(parts, at, Kind::All))
    }

    fn negated(&mut self, depth: usize) -> Result<Expr<'t>, Problem> {
        let at = self.at();
        if self.takes(&Word::Name("not")) {
            let inner = self.deeper(depth, at, Self::negated)?;
            return Ok(Expr { kind: Kind::Not(Box::new(inner)), at });
        }
        let left = self.filtered(depth)?;
        let Some(sign) = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|sign| self.symbol(sign)) else {
            return Ok(left);
        };
        let right = self.filtered(depth)?;
        Ok(Expr { kind: Kind::Compare(sign, Box::new(left), Box::new(right)), at })
    }

    fn deeper(
        &mut self,
        depth: usize,
        at: usize,
        inner: fn(&mut Self, usize) -> Result<Expr<'t>, Problem>,
    ) -> Result<Expr<'t>, Problem> {
        if depth >= BRACKETS {
            return self.problem(at, format!("it has more than {BRACKETS} brackets inside each other"));
        }
        inner(self, depth + 1)
    }

    fn filtered(&mut self, depth: usize) -> Result<Expr<'t>, Problem> {
        let mut value = self.value(depth)?;
        let mut filters = 0;
        while self.symbol("|") {
            let (name, at) = self.name("the name of a filter")?;
            let Some((_, filter, takes)) = FILTERS.into_iter().find(|(known, ..)| *known == name) else {
                let known = FILTERS.map(|(name, ..)| name).join(", ");
                return self.problem(at, format!("there is no filter `{name}`: there are {known}"));
            };
            filters += 1;
            if filters > CHAIN {
                return self.problem(at, format!("it has more than {CHAIN} filters one after another"));
            }
            let argument = self.argument(name, takes)?;
            value = Expr { kind: Kind::Filtered(Box::new(value), filter, argument), at };
        }
        Ok(value)
    }

    fn argument(&mut self, name: &str, takes: Takes) -> Result<Option<Box<Expr<'t>>>, Problem> {
        let at = self.at();
        if !self.symbol("(") {
            let missing = takes == Takes::Value;
            return if missing {
                self.problem(at, format!("`{name}` needs a value in brackets"))
            } else {
                Ok(None)
            };
        }
        if takes == Takes::Nothing {
            return self.problem(at, format!("`{name}` takes no value"));
        }
        let value = self.plain()?;
        let at = self.at();
        if !self.symbol(")") {
            return self.problem(at, format!("`{name}` takes one value, and then `)`"));
        }
        Ok(Some(Box::new(value)))
    }

    fn value(&mut self, depth: usize) -> Result<Expr<'t>, Problem> {
        let at = self.at();
        if !self.symbol("(") {
            return self.plain();
        }
        let inner = self.deeper(depth, at, Self::expression)?;
        let end = self.at();
        if !self.symbol(")") {
            return self.problem(end, "here must be `)`");
        }
        Ok(inner)
    }

    /// A text, a number, `true`, `false`, `none`, or a variable.
    fn plain(&mut self) -> Result<Expr<'t>, Problem> {
        let token = self.take();
        let at = token.at;
        let kind = match token.word {
            Word::Text(text) => Kind::Literal(text.into()),
            Word::Number(number) => Kind::Literal(number.into()),
            Word::Name("true") => Kind::Literal(true.into()),
            Word::Name("false") => Kind::Literal(false.into()),
            Word::Name("none") => Kind::Literal(serde_json::Value::Null),
            Word::Name(name @ ("and" | "or" | "not" | "in")) => {
                return self.problem(at, format!("before `{name}` a value is missing"));
            }
            Word::Name(name) => Kind::Path(self.path(name)?),
            Word::Symbol(symbol) => return self.problem(at, format!("`{symbol}` means nothing here")),
            Word::End => return self.problem(at, "a value is missing"),
        };
        Ok(Expr { kind, at })
    }

    fn path(&mut self, first: &'t str) -> Result<Vec<&'t str>, Problem> {
        let mut path = vec![first];
        while self.symbol(".") {
            let (name, at) = self.name("a name after the dot")?;
            if path.len() >= CHAIN {
                return self.problem(at, format!("it has more than {CHAIN} names one after another"));
            }
            path.push(name);
        }
        Ok(path)
    }
}

/// The only part itself, or all of them joined: a chain is a list, so that a long one is not deep.
fn one_or<'t>(mut parts: Vec<Expr<'t>>, at: usize, join: fn(Vec<Expr<'t>>) -> Kind<'t>) -> Expr<'t> {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Expr { kind: join(parts), at }
        }
    }
}
