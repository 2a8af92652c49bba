//! Prompts as templates: what a user wrote, rendered without any power.
//!
//! minijinja with nothing but values: no files, no includes, no functions of ours; a budget of steps (`fuel`) and of bytes;
//! an unknown variable is an error, so that a typo is found when the prompt is saved.

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, FieldError};

/// Characters of a template.
pub const TEMPLATE_MAX: usize = 20_000;
/// Bytes of what it renders to.
const RENDERED_MAX: usize = 100_000;
const FUEL: u64 = 50_000;

/// What went wrong, and where: both counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

impl Problem {
    pub fn into_error(self, field: &str) -> Error {
        let Problem { message, line, column } = self;
        let message = format!("line {line}, column {column}: {message}");
        let field = FieldError { field: field.to_owned(), message: message.clone() };
        let mut error = Error::new(Code::Invalid, format!("The template is wrong: {message}."));
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

pub fn render(template: &str, variables: &Value) -> Result<String, Problem> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_debug(true); // for the place of an error
    let place = |error: &minijinja::Error| {
        let line = error.line().unwrap_or(1).max(1);
        let column = error.range().map_or(1, |range| {
            let upto = template.get(..range.start.min(template.len())).unwrap_or_default();
            upto.rsplit('\n').next().unwrap_or_default().chars().count() + 1
        });
        (line, column)
    };
    let problem = |error: minijinja::Error| {
        let (line, column) = place(&error);
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
            kind => match error.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        };
        Problem { message, line, column }
    };
    let compiled = environment.template_from_str(template).map_err(problem)?;
    let mut rendered = Bounded::default();
    let values = minijinja::Value::from(minijinja::value::Serde(variables));
    match compiled.render_captured_to(values, &mut rendered) {
        Ok(_) => Ok(String::from_utf8_lossy(&rendered.0).into_owned()),
        Err(_) if rendered.0.len() >= RENDERED_MAX => Err(Problem {
            message: format!("it renders to more than {RENDERED_MAX} bytes"),
            line: 1,
            column: 1,
        }),
        Err(error) => Err(problem(error)),
    }
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED_MAX {
            self.0.resize(RENDERED_MAX, b' ');
            return Err(std::io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Value {
        variables(
            "Ann",
            "Desk",
            "- \"likes tea\"",
            "2026-11-21",
            &json!({"product": "Lamp", "items": [1, 2, 3]}),
        )
    }

    #[test]
    fn variables_loops_and_conditions_are_rendered() {
        let text = "{% if user.name %}Hi {{ user.name }}{% endif %} of {{ project.name }}, {{ product|upper }}:{% for i in items %} {{ i }}{% endfor %}";
        assert_eq!(render(text, &all()).unwrap(), "Hi Ann of Desk, LAMP: 1 2 3");
    }

    #[test]
    fn errors_say_where() {
        for (text, line, column) in [
            ("a\nb {{ nobody }}", 2, 6),
            ("{% if %}", 1, 7),
            ("ok\n\n{{ user.name", 3, 9),
            ("{{ user.age }}", 1, 4),
        ] {
            let problem = render(text, &all()).unwrap_err();
            assert_eq!(problem.line, line, "{text}: {problem:?}");
            assert!(problem.column.abs_diff(column) <= 4, "{text}: {problem:?}");
        }
    }

    #[test]
    fn nothing_runs_away_or_gets_out() {
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(render(endless, &all()).is_err());
        let long = "{% set x = 'aaaaaaaaaa' * 1000 %}{% for i in range(1000) %}{{ x }}{% endfor %}";
        assert!(render(long, &all()).is_err());
        for text in [
            "{% include 'x' %}",
            "{% import '/etc/passwd' as x %}",
            "{% extends 'x' %}",
            "{{ self.__class__ }}",
            "{{ user.__class__ }}",
        ] {
            assert!(render(text, &all()).is_err(), "{text}");
        }
        // Data is not a template.
        let own = json!({"evil": "{{ date }}"});
        assert_eq!(render("{{ evil }}", &variables("a", "b", "c", "d", &own)).unwrap(), "{{ date }}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{\\{|\\}\\}|\\{%|%\\}|for|in|if|[a-z .|()'\"0-9]|\\PC){0,30}") {
            let _ = render(&text, &all());
        }
    }
}
