//! Whether the names in a template are there, before anything is rendered.

use serde_json::Value;

use super::{
    Problem,
    render::{Result, field, unknown},
    tree::{Expr, Filter, Kind, Node},
};

/// Every variable that a template names is there, or has a `default`. What an item of a list holds is not known before
/// it is rendered.
pub fn check(source: &str, nodes: &[Node<'_>], variables: &Value) -> Result<()> {
    let mut items = Vec::new();
    names_in(source, nodes, variables, &mut items)
}

fn names_in<'t>(
    source: &str,
    nodes: &'t [Node<'t>],
    variables: &Value,
    items: &mut Vec<&'t str>,
) -> Result<()> {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Print(expr) => names_of(source, expr, variables, items)?,
            Node::If { branches, otherwise } => {
                for (condition, nodes) in branches {
                    names_of(source, condition, variables, items)?;
                    names_in(source, nodes, variables, items)?;
                }
                names_in(source, otherwise, variables, items)?;
            }
            Node::For { name, list, body, otherwise } => {
                names_of(source, list, variables, items)?;
                items.push(name);
                names_in(source, body, variables, items)?;
                items.pop();
                names_in(source, otherwise, variables, items)?;
            }
        }
    }
    Ok(())
}

fn names_of(source: &str, expr: &Expr<'_>, variables: &Value, items: &[&str]) -> Result<()> {
    match &expr.kind {
        Kind::Literal(_) => Ok(()),
        Kind::Path(path) => {
            let known = path.split_first().is_some_and(|(first, rest)| {
                items.contains(first)
                    || variables.get(first).is_some_and(|value| field(value, rest).is_some())
            });
            if known { Ok(()) } else { Err(Problem::at(source, expr.at, unknown(expr))) }
        }
        Kind::Filtered(inner, filter, argument) => {
            if !(*filter == Filter::Default && matches!(inner.kind, Kind::Path(_))) {
                names_of(source, inner, variables, items)?;
            }
            argument.as_deref().map_or(Ok(()), |argument| names_of(source, argument, variables, items))
        }
        Kind::Compare(_, left, right) => {
            names_of(source, left, variables, items)?;
            names_of(source, right, variables, items)
        }
        Kind::Not(inner) => names_of(source, inner, variables, items),
        Kind::All(parts) | Kind::Any(parts) => {
            parts.iter().try_for_each(|part| names_of(source, part, variables, items))
        }
    }
}
