//! From words to a tree of blocks. How deep a tree goes is bounded here, so that walking it can't use up a stack.

use super::{
    Problem, TEMPLATE_MAX,
    lex::{self, Piece},
    tree::Node,
    words::Words,
};

/// Blocks inside blocks.
const BLOCKS: usize = 16;

pub fn parse(source: &str) -> Result<Vec<Node<'_>>, Problem> {
    if source.chars().count() > TEMPLATE_MAX {
        return Err(Problem::at(source, 0, format!("it is longer than {TEMPLATE_MAX} characters")));
    }
    let mut parser = Parser { source, pieces: lex::pieces(source)?.into_iter(), open: Vec::new() };
    let (nodes, end) = parser.nodes()?;
    match end {
        None => Ok(nodes),
        Some(end) => {
            let word = end.keyword;
            Err(Problem::at(source, end.at, format!("`{word}` has no beginning")))
        }
    }
}

struct Parser<'t> {
    source: &'t str,
    pieces: std::vec::IntoIter<Piece<'t>>,
    /// Where the blocks around this one begin.
    open: Vec<usize>,
}

/// The tag that ended a run of nodes: `elif`, `else`, `endif` or `endfor`.
struct Ending<'t> {
    keyword: &'t str,
    words: Words<'t>,
    at: usize,
}

type Nodes<'t> = Vec<Node<'t>>;

impl<'t> Parser<'t> {
    fn problem<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem::at(self.source, at, message))
    }

    /// Nodes up to a tag that ends them, or the end of the template.
    fn nodes(&mut self) -> Result<(Nodes<'t>, Option<Ending<'t>>), Problem> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Print(tokens) => {
                    let mut words = Words::new(self.source, tokens);
                    nodes.push(Node::Print(words.expression(0)?));
                    words.end()?;
                    continue;
                }
                Piece::Block(tokens) => tokens,
            };
            let mut words = Words::new(self.source, tokens);
            let (keyword, at) = words.name("a word such as `if` or `for`")?;
            match keyword {
                "if" => nodes.push(self.if_block(words, at)?),
                "for" => nodes.push(self.for_block(words, at)?),
                "elif" | "else" | "endif" | "endfor" => {
                    return Ok((nodes, Some(Ending { keyword, words, at })));
                }
                other => {
                    return self.problem(
                        at,
                        format!("there is no `{other}`: a tag is `if`, `elif`, `else` or `for`"),
                    );
                }
            }
        }
        Ok((nodes, None))
    }

    /// The inside of a block that began at `at`.
    fn inside(&mut self, at: usize) -> Result<(Nodes<'t>, Ending<'t>), Problem> {
        if self.open.len() >= BLOCKS {
            return self.problem(at, format!("it has more than {BLOCKS} blocks inside each other"));
        }
        self.open.push(at);
        let (nodes, end) = self.nodes()?;
        self.open.pop();
        match end {
            Some(end) => Ok((nodes, end)),
            None => self.problem(at, "this block has no end"),
        }
    }

    fn if_block(&mut self, words: Words<'t>, at: usize) -> Result<Node<'t>, Problem> {
        let mut branches = Vec::new();
        let mut words = words;
        loop {
            let condition = words.expression(0)?;
            words.end()?;
            let (nodes, mut end) = self.inside(at)?;
            branches.push((condition, nodes));
            match end.keyword {
                "elif" => words = end.words,
                "else" => {
                    end.words.end()?;
                    let otherwise = self.last(at, "endif")?;
                    return Ok(Node::If { branches, otherwise });
                }
                "endif" => {
                    end.words.end()?;
                    return Ok(Node::If { branches, otherwise: Vec::new() });
                }
                other => return self.problem(end.at, format!("`{other}` does not belong to `if`")),
            }
        }
    }

    fn for_block(&mut self, mut words: Words<'t>, at: usize) -> Result<Node<'t>, Problem> {
        let (name, _) = words.name("a name for the item")?;
        let (between, place) = words.name("`in`")?;
        if between != "in" {
            return self.problem(place, "here must be `in`");
        }
        let list = words.expression(0)?;
        words.end()?;
        let (body, mut end) = self.inside(at)?;
        end.words.end()?;
        match end.keyword {
            "endfor" => Ok(Node::For { name, list, body, otherwise: Vec::new() }),
            "else" => Ok(Node::For { name, list, body, otherwise: self.last(at, "endfor")? }),
            other => self.problem(end.at, format!("`{other}` does not belong to `for`")),
        }
    }

    /// What follows an `else`.
    fn last(&mut self, at: usize, expected: &str) -> Result<Nodes<'t>, Problem> {
        let (nodes, mut end) = self.inside(at)?;
        end.words.end()?;
        if end.keyword != expected {
            return self.problem(end.at, format!("here must be `{expected}`"));
        }
        Ok(nodes)
    }
}
