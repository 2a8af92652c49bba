//! What is wrong with a request, field by field: its sender is told all of it at once.

use crate::{
    domain::patch::Patch,
    error::{Error, Result},
    wrong::{FieldError, Wrong},
};

/// So many are told, each of a field whose name has so many characters: a request of some MiB may have millions that are wrong.
const MOST: usize = 100;
const LONGEST: usize = 200;

#[derive(Debug, Default)]
pub struct Problems(Vec<FieldError>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, wrong: Wrong) {
        if self.0.len() < MOST {
            let mut field = field.into();
            if let Some((end, _)) = field.char_indices().nth(LONGEST) {
                field.truncate(end);
            }
            self.0.push(FieldError::new(field, wrong));
        }
    }

    /// `wrong`, unless what must be is so.
    pub fn unless(&mut self, so: bool, field: &str, wrong: Wrong) {
        if !so {
            self.add(field, wrong);
        }
    }

    /// What was given, checked. `None`: nothing was, or it is wrong.
    pub fn checked<T, U: TryFrom<T, Error = Wrong>>(&mut self, field: &str, given: Option<T>) -> Option<U> {
        given?.try_into().map_err(|wrong| self.add(field, wrong)).ok()
    }

    /// The same for one field of a change.
    pub fn patched<T, U: TryFrom<T, Error = Wrong>>(&mut self, field: &str, given: Patch<T>) -> Patch<U> {
        match given {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => self.checked(field, Some(value)).map_or(Patch::Keep, Patch::Set),
        }
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What [`checked`](Problems::checked) gave of something that must be there, if nothing at all is wrong.
    pub fn unless_wrong<T>(self, checked: Option<T>) -> Result<T> {
        self.done()?;
        checked.ok_or_else(|| Error::internal("nothing is wrong with a value that is not there"))
    }

    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::fields(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::texts::{Name, Title};

    #[test]
    fn all_that_is_wrong_is_told() {
        let mut problems = Problems::default();
        let text = |text: &str| text.to_owned();
        assert_eq!(problems.checked::<_, Title>("title", None::<String>), None);
        assert_eq!(problems.checked::<_, Title>("title", Some(text(" Tea "))).as_deref(), Some("Tea"));
        assert_eq!(problems.checked::<_, Name>("name", Some(text("a\tb"))), None);
        assert_eq!(problems.patched::<_, Name>("other", Patch::Set(text(""))), Patch::Keep);
        assert_eq!(problems.patched::<String, Name>("third", Patch::Clear), Patch::Clear);
        problems.unless(1 + 1 == 2, "sum", Wrong::NotNumber);
        assert_eq!(problems.count(), 2);
        let fields: Vec<String> = problems.done().unwrap_err().errors.into_iter().map(|e| e.field).collect();
        assert_eq!(fields, ["name", "other"]);
        assert!(Problems::default().done().is_ok());
    }

    #[test]
    fn of_millions_a_hundred_are_told() {
        let mut problems = Problems::default();
        let name = "é".repeat(10_000);
        for _ in 0..1_000_000 {
            problems.add(name.as_str(), Wrong::Required);
        }
        let errors = problems.done().unwrap_err().errors;
        assert_eq!((errors.len(), errors[0].field.chars().count()), (100, 200));
    }
}
