//! One module: what it imports, exports and fetches later, and its code with those places marked.
//! It knows the forms our modules and the vendored ones use, and refuses the others.

use super::{
    lexer::{Fault, Kind, Token, tokens},
    text::{Text, join},
};

/// A part of a module's code. Two depend on the file that the code is put into.
pub enum Piece {
    Code(String),
    /// The address in `import('…')`: from which file of ours, between which marks.
    Fetch {
        target: String,
        open: char,
        close: &'static str,
    },
    /// `import.meta.url`.
    Here,
}

/// `import { name as local } from '…'`; a passed-on name counts as one without a local name.
pub struct Import {
    pub from: String,
    pub line: usize,
    /// What it is called there, and here.
    pub names: Vec<(String, String)>,
    /// The name of `* as name`.
    pub all: Option<String>,
}

pub enum Origin {
    Here(String),
    There { module: String, name: String },
}

/// What is fetched when it is needed: one file, or all whose names begin and end so.
pub struct Fetched {
    pub begin: String,
    /// Empty for one file.
    pub end: String,
    pub line: usize,
}

pub struct Module {
    pub path: String,
    pub imports: Vec<Import>,
    pub exports: Vec<(String, Origin)>,
    pub fetched: Vec<Fetched>,
    pub body: Vec<Piece>,
}

impl Module {
    pub fn read(path: &str, source: &str) -> Result<Self, String> {
        let read = || {
            let all = tokens(source)?;
            let module = Module {
                path: path.to_owned(),
                imports: Vec::new(),
                exports: Vec::new(),
                fetched: Vec::new(),
                body: Vec::new(),
            };
            let mut reader = Reader { all, at: 0, text: Text::default(), module, listed: Vec::new() };
            reader.run()?;
            Ok(reader.module)
        };
        read().map_err(|(line, what): Fault| format!("{path}:{line}: {what}"))
    }

    /// Files of others come as they are: they are kept single by what they are, not by our rules.
    pub fn is_vendored(&self) -> bool {
        self.path.starts_with("vendor/")
    }
}

struct Reader<'a> {
    all: Vec<Token<'a>>,
    at: usize,
    text: Text,
    module: Module,
    /// What `export { … }` names of this file.
    listed: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(&token) = self.all.get(self.at) {
            let (last, next) = (self.last(self.at), self.peek(1));
            let is_word = token.kind == Kind::Word && last != ".";
            match token.text {
                "import" if is_word && next == "(" => self.fetch(token)?,
                "import" if is_word && next == "." => self.meta(token)?,
                "import" if is_word && token.depth == 0 => self.import(token)?,
                "export" if is_word && token.depth == 0 => self.export(token)?,
                "import" | "export" if is_word && next != ":" => {
                    return Err((token.line, format!("`{}` in a form that is not known", token.text)));
                }
                _ => {
                    self.text.push(&token);
                    self.at += 1;
                }
            }
        }
        let rest = self.text.take();
        self.module.body.push(Piece::Code(rest));
        self.no_changing_exports()
    }

    // --- tokens that are neither space nor comment ---

    fn next_at(&self, from: usize) -> usize {
        let means = |token: &Token| !matches!(token.kind, Kind::Space | Kind::Comment);
        (from..self.all.len()).find(|&at| means(&self.all[at])).unwrap_or(self.all.len())
    }

    fn last(&self, from: usize) -> &'a str {
        let means = |token: &&Token| !matches!(token.kind, Kind::Space | Kind::Comment);
        self.all[..from].iter().rev().find(means).map_or("", |token| token.text)
    }

    /// The text of the token that is `ahead` after this one.
    fn peek(&self, ahead: usize) -> &'a str {
        let at = (0..ahead).fold(self.at, |at, _| self.next_at(at + 1));
        self.all.get(at).map_or("", |token| token.text)
    }

    /// Moves on and gives the token.
    fn next(&mut self) -> Result<Token<'a>, Fault> {
        let line = self.all.get(self.at).map_or(0, |token| token.line);
        self.at = self.next_at(self.at + 1);
        self.all.get(self.at).copied().ok_or((line, "the file ends in mid-statement".into()))
    }

    fn expect(&mut self, text: &str) -> Result<(), Fault> {
        let token = self.next()?;
        if token.text == text {
            return Ok(());
        }
        Err((token.line, format!("`{text}` was expected, not `{}`", token.text)))
    }

    fn name(&mut self) -> Result<String, Fault> {
        let token = self.next()?;
        if token.kind == Kind::Word {
            return Ok(token.text.to_owned());
        }
        Err((token.line, format!("a name was expected, not `{}`", token.text)))
    }

    /// A path in quotes, as a path of ours.
    fn path(&mut self) -> Result<String, Fault> {
        let token = self.next()?;
        let inner = token.text.trim_matches(['\'', '"']);
        if token.kind != Kind::Text || !inner.starts_with('.') {
            return Err((token.line, format!("a relative path in quotes was expected, not {}", token.text)));
        }
        Ok(join(&self.module.path, inner))
    }

    /// Leaves a statement behind, with its `;` if it has one; otherwise it must be the last on its line.
    fn leave(&mut self) -> Result<(), Fault> {
        let (next, line) = (self.next_at(self.at + 1), self.all[self.at].line);
        match self.all.get(next) {
            Some(token) if token.text == ";" => self.at = next,
            Some(token) if token.line == line => {
                return Err((line, format!("`;` was expected, not `{}`", token.text)));
            }
            _ => {}
        }
        self.at += 1;
        Ok(())
    }

    /// `{ a, b as c }` from its brace on: pairs of what is before and after `as`.
    fn names(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let mut names = Vec::new();
        while self.peek(1) != "}" {
            let first = self.name()?;
            let second = if self.peek(1) == "as" {
                self.expect("as").and_then(|()| self.name())?
            } else {
                first.clone()
            };
            names.push((first, second));
            if self.peek(1) == "," {
                self.expect(",")?;
            }
        }
        self.expect("}")?;
        Ok(names)
    }

    // --- statements ---

    fn import(&mut self, begin: Token) -> Result<(), Fault> {
        let (mut names, mut all) = (Vec::new(), None);
        if !self.peek(1).starts_with(['\'', '"']) {
            loop {
                match self.peek(1) {
                    "{" => {
                        self.expect("{")?;
                        names.extend(self.names()?);
                    }
                    "*" => {
                        self.expect("*")?;
                        self.expect("as")?;
                        all = Some(self.name()?);
                    }
                    _ => names.push(("default".into(), self.name()?)),
                }
                if self.peek(1) != "," {
                    break;
                }
                self.expect(",")?;
            }
            self.expect("from")?;
        }
        let from = self.path()?;
        self.leave()?;
        self.module.imports.push(Import { from, line: begin.line, names, all });
        Ok(())
    }

    fn export(&mut self, begin: Token) -> Result<(), Fault> {
        match self.peek(1) {
            "{" => return self.export_list(begin),
            "default" => {
                self.expect("default")?;
                self.text.gap_before("const");
                self.text.code("const $default=");
                self.module.exports.push(("default".into(), Origin::Here("$default".into())));
                // A function as a statement may be called before it stands there, one in a constant may not: it must be the last statement.
                if ["function", "class", "async"].contains(&self.peek(1)) && !self.ends_with_this() {
                    return Err((begin.line, "after `export default function` nothing may follow".into()));
                }
                self.at = self.next_at(self.at + 1);
                return Ok(());
            }
            "const" => {
                let name = self.peek(2).to_owned();
                if self.peek(3) != "=" {
                    return Err((begin.line, "`export const` of anything but one name".into()));
                }
                self.one_constant(begin)?;
                self.module.exports.push((name.clone(), Origin::Here(name)));
            }
            word @ ("function" | "class" | "async") => {
                let ahead = if word == "async" { 3 } else { 2 };
                let name = self.peek(ahead).to_owned();
                if !name.starts_with(super::lexer::is_name) {
                    return Err((begin.line, "an exported function or class has a name".into()));
                }
                self.module.exports.push((name.clone(), Origin::Here(name)));
            }
            other => return Err((begin.line, format!("`export {other}` is not a form that is known"))),
        }
        self.at = self.next_at(self.at + 1);
        Ok(())
    }

    fn export_list(&mut self, begin: Token) -> Result<(), Fault> {
        self.expect("{")?;
        let names = self.names()?;
        let module =
            if self.peek(1) == "from" { Some(self.expect("from").and_then(|()| self.path())?) } else { None };
        self.leave()?;
        for (first, second) in names {
            let origin = match &module {
                Some(module) => Origin::There { module: module.clone(), name: first },
                None => {
                    self.listed.push((begin.line, first.clone()));
                    Origin::Here(first)
                }
            };
            self.module.exports.push((second, origin));
        }
        if let Some(from) = module {
            self.module.imports.push(Import { from, line: begin.line, names: Vec::new(), all: None });
        }
        Ok(())
    }

    /// `export const a = 1, b = 2;` would lose `b`.
    fn one_constant(&self, begin: Token) -> Result<(), Fault> {
        for token in &self.all[self.at + 1..] {
            match (token.text, token.depth) {
                (";", 0) => return Ok(()),
                (",", 0) => return Err((token.line, "`export const` of more than one name".into())),
                ("export", 0) => break,
                _ => {}
            }
        }
        Err((begin.line, "`export const` must end with `;`".into()))
    }

    /// Whether the function or class that begins here is the file's last statement.
    fn ends_with_this(&self) -> bool {
        let mut rest =
            self.all[self.at + 1..].iter().skip_while(|token| token.depth > 0 || token.text != "}").skip(1);
        rest.all(|token| matches!(token.kind, Kind::Space | Kind::Comment) || token.text == ";")
    }

    // --- expressions ---

    fn fetch(&mut self, begin: Token) -> Result<(), Fault> {
        self.text.push(&begin);
        self.expect("(")?;
        self.text.code("(");
        let token = self.next()?;
        let begins_template = token.kind == Kind::Template && token.text.ends_with("${");
        let path = token.text[1..].trim_end_matches("${").trim_end_matches(['\'', '"', '`']);
        let is_relative = path.starts_with('.') && path.contains('/');
        let (close, end) = match token.kind {
            Kind::Text => ("'", String::new()),
            Kind::Template if begins_template => ("${", self.end_of_template()?),
            _ => return Err((token.line, "`import()` of anything but a string or a template".into())),
        };
        if !is_relative {
            return Err((token.line, "`import()` must name a relative path".into()));
        }
        let target = join(&self.module.path, path);
        let code = self.text.take();
        self.module.fetched.push(Fetched { begin: target.clone(), end, line: token.line });
        let open = if begins_template { '`' } else { '\'' };
        self.module.body.extend([Piece::Code(code), Piece::Fetch { target, open, close }]);
        self.at += 1;
        Ok(())
    }

    /// What a template in `import()` ends with; it must put in one value only.
    fn end_of_template(&self) -> Result<String, Fault> {
        let token = self.all[self.at];
        let end =
            self.all[self.at + 1..].iter().find(|one| one.kind == Kind::Template && one.depth == token.depth);
        match end.map(|one| one.text) {
            Some(text) if text.ends_with('`') => Ok(text[1..text.len() - 1].to_owned()),
            _ => Err((token.line, "`import()` of a template with more than one value".into())),
        }
    }

    fn meta(&mut self, begin: Token) -> Result<(), Fault> {
        for text in [".", "meta", ".", "url"] {
            self.expect(text).map_err(|_| (begin.line, "of `import.meta` only `url` is known".to_owned()))?;
        }
        self.text.gap_before(begin.text);
        let code = self.text.take();
        self.module.body.extend([Piece::Code(code), Piece::Here]);
        self.at += 1;
        Ok(())
    }

    /// Who imports a name gets its value once, so a variable that changes must not be exported: of what is declared here only
    /// constants, functions and classes are, at their declaration.
    fn no_changing_exports(&self) -> Result<(), Fault> {
        let module = &self.module;
        let mut known = module.imports.iter().flat_map(|import| import.names.iter().map(|(_, local)| local));
        let listed = self.listed.iter().find(|(_, name)| !known.any(|local| local == name));
        match listed {
            Some((line, name)) if !module.is_vendored() => {
                Err((*line, format!("`{name}` must be exported where it is declared")))
            }
            _ => Ok(()),
        }
    }
}
