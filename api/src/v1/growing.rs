//! Text that only grows, of events that may take it back.
//!
//! A job's events can say `reset`: another attempt, or another provider, begins the answer anew. OpenAI's streams have no
//! such word. So what comes after a `reset` is held against what was given: as long as it says the same, nothing is given
//! twice, and what goes further is given. If it says something else, the text that was given cannot be mended, and the
//! reader is told so.

/// What was given to a reader of one answer.
#[derive(Debug, Default)]
pub struct Growing {
    given: String,
    /// What has come since the last `reset`, until it has caught up.
    again: Option<String>,
}

/// The answer goes on otherwise than it began.
#[derive(Debug, PartialEq, Eq)]
pub struct Diverged;

impl Growing {
    pub fn reset(&mut self) {
        self.again = Some(String::new());
    }

    /// What is to be given now; it may be nothing.
    pub fn token(&mut self, delta: &str) -> Result<String, Diverged> {
        let Some(again) = &mut self.again else {
            self.given.push_str(delta);
            return Ok(delta.to_owned());
        };
        again.push_str(delta);
        if let Some(more) = again.strip_prefix(self.given.as_str()) {
            let more = more.to_owned();
            self.given.push_str(&more);
            self.again = None;
            return Ok(more);
        }
        if self.given.starts_with(again.as_str()) { Ok(String::new()) } else { Err(Diverged) }
    }

    /// Takes what has come since the last `reset` (without one, all) for the answer, from its beginning: that is what is to be
    /// given now.
    pub fn anew(&mut self) -> String {
        if let Some(again) = self.again.take() {
            self.given = again;
        }
        self.given.clone()
    }

    /// At the end: whether what was given is all that was said.
    pub fn end(&self) -> Result<(), Diverged> {
        match &self.again {
            Some(again) if *again != self.given => Err(Diverged),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_said_again_is_given_once() {
        let mut growing = Growing::default();
        assert_eq!(growing.token("Hello").as_deref(), Ok("Hello"));
        growing.reset();
        assert_eq!(growing.token("He").as_deref(), Ok(""));
        assert_eq!(growing.end(), Err(Diverged), "it ended before it had caught up");
        assert_eq!(growing.token("llo wor").as_deref(), Ok(" wor"));
        assert_eq!(growing.token("ld").as_deref(), Ok("ld"));
        assert_eq!(growing.end(), Ok(()));
        growing.reset();
        assert_eq!(growing.token("Hej").as_deref(), Err(&Diverged));
    }

    proptest! {
        #[test]
        fn an_answer_that_is_the_same_each_time_is_given_whole(words in prop::collection::vec("[a-zé ]{0,4}", 0..12),
            cuts in prop::collection::vec(0usize..12, 0..4)) {
            let whole = words.concat();
            let mut growing = Growing::default();
            let mut given = String::new();
            for cut in cuts {
                for word in words.iter().take(cut) {
                    given += &growing.token(word).unwrap();
                }
                growing.reset();
            }
            for word in &words {
                given += &growing.token(word).unwrap();
            }
            prop_assert_eq!(growing.end(), Ok(()));
            prop_assert_eq!(given, whole);
        }
    }
}
