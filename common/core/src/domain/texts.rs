//! Texts from outside that were checked: whoever is given one need not check it again, and cannot forget to.

use std::{fmt, marker::PhantomData, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{memory::CONTENT_MAX, message::MESSAGE_MAX, normal, session::TITLE_MAX};
use crate::wrong::Wrong;

/// What a text must be, and the form in which it is kept.
pub trait Rule {
    fn check(text: String) -> Result<String, Wrong>;
}

/// A text that keeps a rule. It is made by `try_from`, or read from JSON: a wrong one is an error of its field.
pub struct Checked<R>(String, PhantomData<fn() -> R>);

/// A session's title: 1-200 characters.
pub type Title = Checked<Line<1, TITLE_MAX>>;
/// What a project, a prompt, a key or a speaker is called: 1-100 characters.
pub type Name = Checked<Line<1, 100>>;
/// What a person is called: 2-100 characters.
pub type PersonName = Checked<Line<2, 100>>;
/// A part of what a memory tells: its subject, slot or object; at most 200 characters.
pub type Part = Checked<Line<0, 200>>;
/// Several lines about something: at most 2,000 characters.
pub type Description = Checked<Text<2_000>>;
/// A remark about an answer: at most 2,000 characters.
pub type Comment = Checked<Text<2_000>>;
/// A remark about a memory: at most 1,000 characters.
pub type Feedback = Checked<Text<1_000>>;
/// What a model is told before a conversation: at most 20,000 characters.
pub type SystemPrompt = Checked<Text<20_000>>;
/// What somebody says to the model: 1-32,000 characters.
pub type MessageText = Checked<Message>;
/// What somebody said in a conversation that is taken in: the same, under another word for what is wrong.
pub type SaidText = Checked<Said>;
/// What a memory says: 1-2,000 characters, with a word among them.
pub type Content = Checked<Memory>;
/// What a model is called. Which ones there are, only their providers know.
pub type ModelName = Checked<Model>;

/// One line of `MIN` to `MAX` characters without control characters; spaces around it are cut off.
pub enum Line<const MIN: usize, const MAX: usize> {}

impl<const MIN: usize, const MAX: usize> Rule for Line<MIN, MAX> {
    fn check(text: String) -> Result<String, Wrong> {
        if text.chars().any(char::is_control) || !(MIN..=MAX).contains(&text.trim().chars().count()) {
            return Err(Wrong::Line { min: MIN, max: MAX });
        }
        Ok(trimmed(text))
    }
}

/// At most `MAX` characters, kept as they are. No NUL, which PostgreSQL cannot hold.
pub enum Text<const MAX: usize> {}

impl<const MAX: usize> Rule for Text<MAX> {
    fn check(text: String) -> Result<String, Wrong> {
        if fits(&text, MAX) { Ok(text) } else { Err(Wrong::Text { min: 0, max: MAX }) }
    }
}

/// At most `max` characters without the spaces around them, and no NUL. What is too long is told how long it is.
fn told(text: String, max: usize) -> Result<String, Wrong> {
    let length = text.trim().chars().count();
    if length > max {
        Err(Wrong::TooLong { max, length })
    } else if text.contains('\0') {
        Err(Wrong::Nul)
    } else {
        Ok(trimmed(text))
    }
}

pub enum Message {}

impl Rule for Message {
    fn check(text: String) -> Result<String, Wrong> {
        if text.trim().is_empty() { Err(Wrong::Empty) } else { told(text, MESSAGE_MAX) }
    }
}

pub enum Said {}

impl Rule for Said {
    fn check(text: String) -> Result<String, Wrong> {
        Message::check(text).map_err(|_| Wrong::Text { min: 1, max: MESSAGE_MAX })
    }
}

pub enum Memory {}

impl Rule for Memory {
    fn check(text: String) -> Result<String, Wrong> {
        if normal::normalise(&text).is_empty() { Err(Wrong::NoWord) } else { told(text, CONTENT_MAX) }
    }
}

pub enum Model {}

impl Rule for Model {
    fn check(text: String) -> Result<String, Wrong> {
        let good = !text.trim().is_empty() && text.len() <= 200 && !text.contains('\0');
        if good { Ok(text) } else { Err(Wrong::Text { min: 1, max: 200 }) }
    }
}

/// At most so many characters, and no NUL: for texts that are left out, and not refused, when they do not fit.
pub fn fits(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains('\0')
}

fn trimmed(text: String) -> String {
    let kept = text.trim();
    if kept.len() == text.len() { text } else { kept.to_owned() }
}

impl<R: Rule> TryFrom<String> for Checked<R> {
    type Error = Wrong;

    fn try_from(text: String) -> Result<Self, Wrong> {
        R::check(text).map(|text| Self(text, PhantomData))
    }
}

impl<'de, R: Rule> Deserialize<'de> for Checked<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(Wrong::through)
    }
}

impl<R> Serialize for Checked<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<R: Rule> Checked<R> {
    /// What is wrong with a text, or `None`.
    pub fn problem(text: &str) -> Option<Wrong> {
        R::check(text.to_owned()).err()
    }
}

impl<R> Checked<R> {
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<R> Deref for Checked<R> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<R> Clone for Checked<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<R> PartialEq for Checked<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> fmt::Debug for Checked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept<R: Rule>(text: &str) -> Result<String, Wrong> {
        Checked::<R>::try_from(text.to_owned()).map(Checked::into_string)
    }

    #[test]
    fn lines_are_trimmed_and_have_no_control_characters() {
        type Short = Line<2, 4>;
        let wrong = Err(Wrong::Line { min: 2, max: 4 });
        assert_eq!(kept::<Short>(" ännä "), Ok("ännä".to_owned()));
        for bad in ["", "  ", " a ", "abcde", "ab\n", "a\tb", "a\0b"] {
            assert_eq!(kept::<Short>(bad), wrong, "{bad:?}");
        }
        assert_eq!(kept::<Line<0, 4>>("  "), Ok(String::new()));
    }

    #[test]
    fn texts_are_kept_as_they_are() {
        assert_eq!(kept::<Text<4>>(" a\n "), Ok(" a\n ".to_owned()));
        for bad in ["abcde", "a\0"] {
            assert_eq!(kept::<Text<4>>(bad), Err(Wrong::Text { min: 0, max: 4 }), "{bad:?}");
        }
    }

    #[test]
    fn messages_and_memories_say_what_is_wrong() {
        let long = "x".repeat(MESSAGE_MAX + 1);
        assert_eq!(kept::<Message>(" hello\n"), Ok("hello".to_owned()));
        assert_eq!(kept::<Message>(" \n"), Err(Wrong::Empty));
        assert_eq!(kept::<Message>("a\0b"), Err(Wrong::Nul));
        assert_eq!(kept::<Message>(&long), Err(Wrong::TooLong { max: MESSAGE_MAX, length: MESSAGE_MAX + 1 }));
        assert_eq!(kept::<Said>(&long), Err(Wrong::Text { min: 1, max: MESSAGE_MAX }));
        assert_eq!(kept::<Memory>(" Likes tea "), Ok("Likes tea".to_owned()));
        assert_eq!(kept::<Memory>(" -- "), Err(Wrong::NoWord));
        assert_eq!(kept::<Model>(" "), Err(Wrong::Text { min: 1, max: 200 }));
    }
}
