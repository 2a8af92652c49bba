//! Texts to words, as SentencePiece does it: in its normal form, and with a visible mark where a word begins.

use data_encoding::BASE64;
use serde_json::Value;

use super::{charsmap::Charsmap, kind_of};

const MARK: char = '▁';

enum Step {
    Map(Charsmap),
    /// Several spaces become this.
    Collapse(String),
    Strip,
}

pub struct Normalizer {
    steps: Vec<Step>,
    /// Split at every white space, or at spaces alone, each of which is a mark.
    splits_at_spaces: bool,
}

impl Normalizer {
    pub fn read(normalizer: Option<&Value>, pre_tokenizer: Option<&Value>) -> Result<Self, String> {
        let mut steps = Vec::new();
        if let Some(normalizer) = normalizer.filter(|value| !value.is_null()) {
            read_steps(normalizer, &mut steps)?;
        }
        let unknown = || format!("a pre-tokenizer of the type {}", kind_of(pre_tokenizer));
        let pre_tokenizer = pre_tokenizer.ok_or_else(unknown)?;
        let (splits_at_spaces, marks) = match pre_tokenizer["pretokenizers"].as_array().map(Vec::as_slice) {
            None => (false, pre_tokenizer),
            Some([split, marks]) if split["type"] == "WhitespaceSplit" => (true, marks),
            Some(_) => return Err(unknown()),
        };
        let begins_marked = marks["prepend_scheme"].as_str().unwrap_or("always") == "always"
            && marks["add_prefix_space"].as_bool().unwrap_or(true);
        let is_usual =
            marks["type"] == "Metaspace" && marks["replacement"] == MARK.to_string() && begins_marked;
        if !is_usual || marks["split"].as_bool() == Some(false) {
            return Err(unknown());
        }
        Ok(Self { steps, splits_at_spaces })
    }

    pub fn words(&self, text: &str) -> Vec<String> {
        let mut text = text.to_owned();
        for step in &self.steps {
            text = match step {
                Step::Map(charsmap) => charsmap.normal(&text),
                Step::Collapse(to) => collapse(&text, to),
                Step::Strip => text.trim().to_owned(),
            };
        }
        if self.splits_at_spaces {
            return text.split_whitespace().map(|word| format!("{MARK}{word}")).collect();
        }
        let mut words: Vec<String> = Vec::new();
        for sign in text.chars().map(|sign| if sign == ' ' { MARK } else { sign }) {
            match words.last_mut() {
                Some(word) if sign != MARK => word.push(sign),
                None if sign != MARK => words.push(format!("{MARK}{sign}")),
                _ => words.push(MARK.to_string()),
            }
        }
        words
    }
}

fn read_steps(value: &Value, steps: &mut Vec<Step>) -> Result<(), String> {
    match kind_of(Some(value)) {
        "Sequence" => {
            value["normalizers"].as_array().into_iter().flatten().try_for_each(|part| read_steps(part, steps))
        }
        "Precompiled" => {
            let map = value["precompiled_charsmap"].as_str().unwrap_or_default();
            let map = BASE64.decode(map.as_bytes()).ok().and_then(|bytes| Charsmap::read(&bytes));
            steps.push(Step::Map(map.ok_or("a precompiled_charsmap that cannot be read")?));
            Ok(())
        }
        "Replace" if value["pattern"]["Regex"] == " {2,}" => {
            steps.push(Step::Collapse(value["content"].as_str().unwrap_or(" ").to_owned()));
            Ok(())
        }
        "Strip" if value["strip_left"] == true && value["strip_right"] == true => {
            steps.push(Step::Strip);
            Ok(())
        }
        other => Err(format!("a normalizer of the type {other}")),
    }
}

fn collapse(text: &str, to: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("  ") {
        collapsed.push_str(&rest[..at]);
        collapsed.push_str(to);
        rest = rest[at..].trim_start_matches(' ');
    }
    collapsed + rest
}
