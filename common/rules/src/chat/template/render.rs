//! From a tree and values to text, within a budget.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Problem,
    forms::{date, title, truncate},
    tree::{Expr, Filter, Kind, Node},
};

/// Bytes of what a template renders to.
pub const RENDERED_MAX: usize = 100_000;
/// Bytes read and written, plus some for every step: what bounds the time.
const WORK: usize = 300_000;
const STEP: usize = 20;
/// Deeper values are not printed.
const DEPTH: usize = 32;

pub fn render(source: &str, nodes: &[Node<'_>], variables: &Value) -> Result<String, Problem> {
    let mut renderer = Renderer { source, variables, items: Vec::new(), out: String::new(), work: WORK };
    renderer.nodes(nodes)?;
    Ok(renderer.out)
}

struct Renderer<'a> {
    source: &'a str,
    variables: &'a Value,
    /// What the `for`s around us have named, the innermost last.
    items: Vec<(&'a str, Cow<'a, Value>)>,
    out: String,
    work: usize,
}

pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl<'a> Renderer<'a> {
    fn problem<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(Problem::at(self.source, at, message))
    }

    /// Takes `bytes` and a step from the budget.
    fn spend(&mut self, at: usize, bytes: usize) -> Result<()> {
        match self.work.checked_sub(bytes.saturating_add(STEP)) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => self.problem(at, "it takes too many steps"),
        }
    }

    fn nodes(&mut self, nodes: &'a [Node<'a>]) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => self.write(0, text)?,
                Node::Print(expr) => self.print(expr)?,
                Node::If { branches, otherwise } => {
                    let mut chosen = otherwise;
                    for (condition, nodes) in branches {
                        let value = self.value(condition)?;
                        if value.is_some_and(|value| is_true(&value)) {
                            chosen = nodes;
                            break;
                        }
                    }
                    self.nodes(chosen)?;
                }
                Node::For { name, list, body, otherwise } => self.repeat(name, list, body, otherwise)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, at: usize, text: &str) -> Result<()> {
        self.spend(at, text.len())?;
        if self.out.len() + text.len() > RENDERED_MAX {
            return self.problem(at, format!("it renders to more than {RENDERED_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn print(&mut self, expr: &'a Expr<'a>) -> Result<()> {
        let value = self.known(expr)?;
        match &*value {
            Value::String(text) => self.write(expr.at, text),
            Value::Null => Ok(()),
            other => {
                if !fits(other, self.work, DEPTH) {
                    return self.problem(expr.at, "this is too large to print");
                }
                let text = other.to_string();
                self.write(expr.at, &text)
            }
        }
    }

    fn repeat(
        &mut self,
        name: &'a str,
        list: &'a Expr<'a>,
        body: &'a [Node<'a>],
        otherwise: &'a [Node<'a>],
    ) -> Result<()> {
        let value = self.known(list)?;
        let items: Vec<Cow<'a, Value>> = match value {
            Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
            Cow::Borrowed(Value::Object(fields)) => {
                fields.keys().map(|key| Cow::Owned(Value::String(key.clone()))).collect()
            }
            // Filters give texts and numbers.
            _ => return self.problem(list.at, "`for` needs a list"),
        };
        if items.is_empty() {
            return self.nodes(otherwise);
        }
        for item in items {
            self.spend(list.at, 0)?;
            self.items.push((name, item));
            self.nodes(body)?;
            self.items.pop();
        }
        Ok(())
    }

    /// A value that must be there.
    fn known(&mut self, expr: &'a Expr<'a>) -> Result<Cow<'a, Value>> {
        match self.value(expr)? {
            Some(value) => Ok(value),
            None => self.problem(expr.at, unknown(expr)),
        }
    }

    /// `None`: there is no such variable.
    fn value(&mut self, expr: &'a Expr<'a>) -> Result<Option<Cow<'a, Value>>> {
        self.spend(expr.at, 0)?;
        let truth = |truth: bool| Ok(Some(Cow::Owned(Value::Bool(truth))));
        match &expr.kind {
            Kind::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Kind::Path(path) => Ok(self.look_up(path)),
            Kind::Filtered(inner, Filter::Default, argument) => {
                let value = self.value(inner)?.filter(|value| !value.is_null() && **value != "");
                match (value, argument) {
                    (None, Some(argument)) => self.value(argument),
                    (value, _) => Ok(value),
                }
            }
            Kind::Filtered(inner, filter, argument) => {
                let value = self.known(inner)?;
                let argument = argument.as_deref().map(|argument| self.known(argument)).transpose()?;
                self.filter(expr.at, *filter, &value, argument.as_deref())
                    .map(|value| Some(Cow::Owned(value)))
            }
            Kind::Compare(sign, left, right) => {
                let (left_value, right_value) = (self.known(left)?, self.known(right)?);
                truth(self.compare(expr.at, sign, &left_value, &right_value)?)
            }
            Kind::Not(inner) => {
                let value = self.value(inner)?;
                truth(!value.is_some_and(|value| is_true(&value)))
            }
            Kind::All(parts) => {
                for part in parts {
                    if !self.value(part)?.is_some_and(|value| is_true(&value)) {
                        return truth(false);
                    }
                }
                truth(true)
            }
            Kind::Any(parts) => {
                for part in parts {
                    if self.value(part)?.is_some_and(|value| is_true(&value)) {
                        return truth(true);
                    }
                }
                truth(false)
            }
        }
    }

    fn look_up(&self, path: &[&str]) -> Option<Cow<'a, Value>> {
        let (first, rest) = path.split_first()?;
        match self.items.iter().rev().find(|(name, _)| name == first) {
            Some((_, Cow::Borrowed(item))) => field(item, rest).map(Cow::Borrowed),
            Some((_, Cow::Owned(item))) => field(item, rest).cloned().map(Cow::Owned),
            None => field(self.variables.get(first)?, rest).map(Cow::Borrowed),
        }
    }

    fn filter(
        &mut self,
        at: usize,
        filter: Filter,
        value: &Value,
        argument: Option<&Value>,
    ) -> Result<Value> {
        if filter == Filter::Length {
            return Ok(match value {
                Value::String(text) => {
                    self.spend(at, text.len())?;
                    text.chars().count().into()
                }
                Value::Array(items) => items.len().into(),
                Value::Object(fields) => fields.len().into(),
                _ => return self.problem(at, "`length` needs a text or a list"),
            });
        }
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Bool(truth) => Cow::Owned(truth.to_string()),
            Value::Null => Cow::Borrowed(""),
            Value::Array(_) | Value::Object(_) => return self.problem(at, "this filter needs a text"),
        };
        self.spend(at, text.len())?;
        Ok(Value::String(match filter {
            Filter::Upper => text.to_uppercase(),
            Filter::Lower => text.to_lowercase(),
            Filter::Title => title(&text),
            Filter::Trim => text.trim().to_owned(),
            Filter::Truncate => match argument.and_then(Value::as_u64) {
                Some(most) => truncate(&text, most as usize),
                None => return self.problem(at, "`truncate` needs a number of characters"),
            },
            Filter::Date => {
                let form = argument.map_or(Some("%Y-%m-%d"), Value::as_str);
                let Some(form) = form else {
                    return self.problem(at, "`date` needs a format such as '%d %B %Y'");
                };
                // One item can become a dozen bytes.
                self.spend(at, form.len() * 20)?;
                match date(&text, form) {
                    Ok(text) => text,
                    Err(message) => return self.problem(at, message),
                }
            }
            Filter::Default | Filter::Length => text.into_owned(),
        }))
    }

    fn compare(&mut self, at: usize, sign: &str, left: &Value, right: &Value) -> Result<bool> {
        use std::cmp::Ordering;
        let order = match (left, right) {
            (Value::String(left), Value::String(right)) => {
                self.spend(at, left.len().min(right.len()))?;
                Some(left.cmp(right))
            }
            (Value::Number(left), Value::Number(right)) => {
                left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right))
            }
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Null, Value::Null) => Some(Ordering::Equal),
            (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
                return self.problem(at, "lists cannot be compared");
            }
            _ => None,
        };
        match (sign, order) {
            ("==", order) => Ok(order == Some(Ordering::Equal)),
            ("!=", order) => Ok(order != Some(Ordering::Equal)),
            (_, None) => self.problem(at, "a text and a number have no order"),
            ("<", Some(order)) => Ok(order.is_lt()),
            ("<=", Some(order)) => Ok(order.is_le()),
            (">", Some(order)) => Ok(order.is_gt()),
            (_, Some(order)) => Ok(order.is_ge()),
        }
    }
}

pub fn field<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Whether a value prints to about so many bytes at most, and is not too deep.
fn fits(value: &Value, budget: usize, depth: usize) -> bool {
    fn count(value: &Value, left: &mut usize, depth: usize) -> Option<()> {
        let inner = depth.checked_sub(1)?;
        let own = match value {
            Value::String(text) => text.len(),
            _ => 8,
        };
        *left = left.checked_sub(own)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| count(item, left, inner)),
            Value::Object(fields) => fields.iter().try_for_each(|(name, item)| {
                *left = left.checked_sub(name.len())?;
                count(item, left, inner)
            }),
            _ => Some(()),
        }
    }
    let mut left = budget.min(RENDERED_MAX);
    count(value, &mut left, depth).is_some()
}

pub fn unknown(expr: &Expr<'_>) -> String {
    match &expr.kind {
        Kind::Path(path) => {
            let name: String = path.join(".").chars().take(100).collect();
            format!("there is no variable `{name}`")
        }
        _ => "this has no value".to_owned(),
    }
}
