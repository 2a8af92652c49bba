//! Prompts as templates: what a user wrote, rendered without any power.
//!
//! The language has variables, a few filters (`upper`, `lower`, `title`, `trim`, `default`, `length`, `truncate`, `date`),
//! `if`/`elif`/`else`, `for` over a list that was given, and comments; its spelling is Jinja's. There is nothing else: no
//! arithmetic, no functions, no includes, no way to make a text longer than what was given. So everything that a template
//! can cost is bounded: the length of its source, how deep it nests ([`parse`]), and the bytes it reads and writes while it
//! is rendered ([`render`]). docs/decisions/0008-a-template-language.md says why this is our own.

mod forms;
mod lex;
mod names;
mod parse;
mod render;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, FieldError, Result, Wrong};

/// Characters of a template.
pub const TEMPLATE_MAX: usize = 20_000;
/// The budget of bytes ends a template long before this; what takes longer waits for a thread.
const DEADLINE: Duration = Duration::from_secs(5);

/// What went wrong, and where: both counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

impl Problem {
    /// `at` is a place in bytes.
    fn at(source: &str, at: usize, message: impl Into<String>) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { message: message.into(), line, column }
    }

    pub fn into_error(self, field: &str) -> Error {
        let Problem { message: problem, line, column } = self;
        let field = FieldError::new(field, Wrong::Template { line, column, problem });
        let mut error = Error::new(Code::Invalid, format!("The template is wrong: {}.", field.message));
        error.errors = vec![field];
        error
    }
}

/// What every template may use.
pub fn variables(user: &str, project: &str, memories: &str, date: &str, own: &Value) -> Value {
    let mut all = Map::new();
    all.extend(own.as_object().cloned().unwrap_or_default());
    // Ours count before ones of the same name.
    all.insert("user".to_owned(), json!({"name": user}));
    all.insert("project".to_owned(), json!({"name": project}));
    all.insert("memories".to_owned(), json!(memories));
    all.insert("date".to_owned(), json!(date));
    all.into()
}

/// Parses and renders a template. Blocks for some milliseconds: see [`rendered`].
pub fn render(template: &str, variables: &Value) -> std::result::Result<String, Problem> {
    let parsed = parse::parse(template)?;
    render::render(template, &parsed, variables)
}

/// Checks a template as it is saved: it parses, it renders with these values, and every variable that it names anywhere,
/// also where this rendering did not come by, is among them.
pub fn check(template: &str, variables: &Value) -> std::result::Result<(), Problem> {
    let parsed = parse::parse(template)?;
    names::check(template, &parsed, variables)?;
    render::render(template, &parsed, variables).map(drop)
}

/// Renders a template away from the threads that serve requests. `field` names it in errors.
pub async fn rendered(template: String, variables: Value, field: &str) -> Result<String> {
    aside(move || render(&template, &variables)).await?.map_err(|problem| problem.into_error(field))
}

/// [`check`], away from the threads that serve requests.
pub async fn checked(template: String, variables: Value, field: &str) -> Result<()> {
    aside(move || check(&template, &variables)).await?.map_err(|problem| problem.into_error(field))
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Error::internal("a template's thread ended badly")),
        Err(_) => Err(Error::new(Code::Unavailable, "The template could not be rendered in time.")),
    }
}
