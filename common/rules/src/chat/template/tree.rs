//! A template as a tree.

#[derive(Debug)]
pub enum Node<'t> {
    Text(&'t str),
    Print(Expr<'t>),
    If {
        branches: Vec<(Expr<'t>, Vec<Node<'t>>)>,
        otherwise: Vec<Node<'t>>,
    },
    For {
        name: &'t str,
        list: Expr<'t>,
        body: Vec<Node<'t>>,
        /// For an empty list.
        otherwise: Vec<Node<'t>>,
    },
}

#[derive(Debug)]
pub struct Expr<'t> {
    pub kind: Kind<'t>,
    pub at: usize,
}

#[derive(Debug)]
pub enum Kind<'t> {
    Literal(serde_json::Value),
    /// `user.name`
    Path(Vec<&'t str>),
    Filtered(Box<Expr<'t>>, Filter, Option<Box<Expr<'t>>>),
    Compare(&'static str, Box<Expr<'t>>, Box<Expr<'t>>),
    Not(Box<Expr<'t>>),
    All(Vec<Expr<'t>>),
    Any(Vec<Expr<'t>>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filter {
    Upper,
    Lower,
    Title,
    Trim,
    Default,
    Length,
    Truncate,
    Date,
}
