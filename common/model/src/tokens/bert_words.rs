//! Texts to words, as BERT does it: cleaned, lower case, without accents; split at spaces and around punctuation.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

pub struct Normalizer {
    clean: bool,
    split_chinese: bool,
    strip_accents: bool,
    lowercase: bool,
}

impl Normalizer {
    pub fn read(value: Option<&Value>) -> Result<Self, String> {
        let Some(value) = value.filter(|value| value["type"] == "BertNormalizer") else {
            return Err(format!("a normalizer of the type {}", super::kind_of(value)));
        };
        let flag = |name: &str| value[name].as_bool().unwrap_or(true);
        let lowercase = flag("lowercase");
        // Where it is not said, accents go with the capitals.
        let strip_accents = value["strip_accents"].as_bool().unwrap_or(lowercase);
        let (clean, split_chinese) = (flag("clean_text"), flag("handle_chinese_chars"));
        Ok(Self { clean, split_chinese, strip_accents, lowercase })
    }

    /// The words and signs of a text, one after another. Text is read as they are asked for.
    pub fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        // No piece of a word crosses a space: the text is taken apart there first, and each part made normal by itself.
        // Some spaces are noise to BERT, and join what they stand between.
        let space = move |c: char| c.is_whitespace() && !(self.clean && is_noise(c));
        text.split(space).filter(|part| !part.is_empty()).flat_map(|part| split(&self.normal(part)))
    }

    fn normal(&self, text: &str) -> String {
        let mut cleaned = String::with_capacity(text.len());
        for c in text.chars().filter(|c| !self.clean || !is_noise(*c)) {
            if self.split_chinese && is_chinese(c) {
                cleaned.extend([' ', c, ' ']);
            } else {
                cleaned.push(c);
            }
        }
        if self.strip_accents && !cleaned.is_ascii() {
            let is_accent = |c: &char| c.general_category() == GeneralCategory::NonspacingMark;
            cleaned = cleaned.nfd().filter(|c| !is_accent(c)).collect();
        }
        if self.lowercase { cleaned.chars().flat_map(char::to_lowercase).collect() } else { cleaned }
    }
}

/// Words without spaces in them; every sign of punctuation is one by itself.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    for c in text.chars() {
        let punctuation = is_punctuation(c);
        if (punctuation || c.is_whitespace()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if punctuation {
            words.push(c.to_string());
        } else if !c.is_whitespace() {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Signs that are not there to be read.
fn is_noise(c: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse};
    match c {
        '\t' | '\n' | '\r' => false,
        ' '..='~' => false,
        '\u{fffd}' => true,
        _ => matches!(c.general_category(), Control | Format | PrivateUse),
    }
}

fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    c.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Signs that are words: the blocks that BERT's authors chose.
fn is_chinese(c: char) -> bool {
    matches!(
        u32::from(c),
        0x3400..=0x4dbf
            | 0x4e00..=0x9fff
            | 0xf900..=0xfaff
            | 0x2_0000..=0x2_a6df
            | 0x2_a700..=0x2_b73f
            | 0x2_b740..=0x2_b81f
            | 0x2_b920..=0x2_ceaf
            | 0x2_f800..=0x2_fa1f
    )
}
