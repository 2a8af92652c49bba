//! What is told of all who were asked and failed.

use super::{ErrorClass, ProviderError};

/// How each candidate failed.
#[derive(Default)]
pub struct Failures {
    last: Option<ProviderError>,
    /// The last who is away; one that was asked before one that was not.
    away: Option<ProviderError>,
    /// Somebody was there and failed at this request.
    present: bool,
}

/// How much an error says of why there is no answer: least that somebody could not have given one anyway.
fn weight(error: &ProviderError) -> u8 {
    match error.class {
        ErrorClass::Unsupported => 0,
        ErrorClass::Unavailable => 1,
        _ => 2,
    }
}

impl Failures {
    pub fn note(&mut self, error: ProviderError) {
        let unasked = |error: &ProviderError| error.class == ErrorClass::Unavailable;
        if error.away {
            if self.away.as_ref().is_none_or(|known| unasked(known) || !unasked(&error)) {
                self.away = Some(error.clone());
            }
        } else if !matches!(error.class, ErrorClass::RateLimited | ErrorClass::Auth | ErrorClass::Unsupported)
        {
            self.present = true;
        }
        if self.last.as_ref().is_none_or(|known| weight(&error) >= weight(known)) {
            self.last = Some(error);
        }
    }

    /// What is told of all of them.
    pub fn last(self) -> Option<ProviderError> {
        match self.away {
            Some(away) if !self.present => Some(away),
            _ => self.last.map(|error| ProviderError { away: false, ..error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IMAGES;

    fn told(errors: &[ProviderError]) -> (ErrorClass, bool) {
        let mut failures = Failures::default();
        errors.iter().for_each(|error| failures.note(error.clone()));
        let last = failures.last().unwrap();
        (last.class, last.away)
    }

    #[test]
    fn who_cannot_answer_anyway_hides_nobody_who_could() {
        let error = |class| ProviderError::new("p", class, "");
        let away = |class| ProviderError { away: true, ..error(class) };
        let blind = ProviderError::unsupported("blind", IMAGES);
        for (others, expected) in [
            (error(ErrorClass::Overloaded), (ErrorClass::Overloaded, false)),
            (error(ErrorClass::RateLimited), (ErrorClass::RateLimited, false)),
            (error(ErrorClass::Auth), (ErrorClass::Auth, false)),
            (away(ErrorClass::Network), (ErrorClass::Network, true)),
            (away(ErrorClass::Unavailable), (ErrorClass::Unavailable, true)),
            (blind.clone(), (ErrorClass::Unsupported, false)),
        ] {
            assert_eq!(told(&[others.clone(), blind.clone()]), expected);
            assert_eq!(told(&[blind.clone(), others]), expected);
        }
    }
}
