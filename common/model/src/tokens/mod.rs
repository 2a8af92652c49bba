//! Texts to the numbers of a model's vocabulary, as `tokenizer.json` describes it: BERT's way, or SentencePiece's, which
//! models for many languages have.
//!
//! The `tokenizers` crate reads every such file; what models of BERT's type need of it is here. The numbers are compared with
//! those that it gives (`tests/minilm`). Words like `[SEP]` in a text are a user's words, not marks: there it differs.

mod bert_words;
mod charsmap;
mod sentence_words;
#[cfg(test)]
mod tests;
mod unigram;
mod wordpiece;

use std::{collections::HashMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::ModelError;
use unigram::Unigram;
use wordpiece::WordPiece;

/// What is read of a tokenizer's file.
#[derive(Deserialize)]
struct File {
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    /// Older files leave it out.
    #[serde(rename = "type")]
    kind: Option<String>,
    unk_token: Option<Value>,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<usize>,
    unk_id: Option<u32>,
    vocab: Value,
}

/// How a text becomes words, and a word pieces.
enum Way {
    Bert(bert_words::Normalizer, WordPiece),
    Sentence(sentence_words::Normalizer, Unigram),
}

pub struct Tokenizer {
    way: Way,
    /// Put before and behind every text.
    before: Vec<u32>,
    behind: Vec<u32>,
}

const SUPPORTED: &str = "WordPiece as BERT has it, and Unigram as SentencePiece has it, are supported";

/// Why there is no tokenizer, before it is known which file that is.
enum Problem {
    Broken(String),
    Unsupported(String),
}

impl Tokenizer {
    /// `size`: how many numbers the model knows.
    pub fn read(path: PathBuf, bytes: &[u8], size: usize) -> Result<Self, ModelError> {
        Self::parse(bytes, size).map_err(|problem| match problem {
            Problem::Broken(problem) => ModelError::Broken { path, problem },
            Problem::Unsupported(what) => ModelError::Unsupported { path, what, supported: SUPPORTED },
        })
    }

    fn parse(bytes: &[u8], size: usize) -> Result<Self, Problem> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| Problem::Broken(error.to_string()))?;
        let (before, behind) = frame(file.post_processor.as_ref()).map_err(Problem::Broken)?;
        let (way, most) = match file.model.kind.as_deref().unwrap_or("WordPiece") {
            "WordPiece" => bert(&file)?,
            "Unigram" => sentence(&file)?,
            other => return Err(Problem::Unsupported(format!("a tokenizer of the type {other}"))),
        };
        let numbers = before.iter().chain(&behind).chain(&most);
        if let Some(outside) = numbers.copied().find(|number| *number as usize >= size) {
            let problem = format!("it has the number {outside}, and the model knows {size}");
            return Err(Problem::Broken(problem));
        }
        Ok(Self { way, before, behind })
    }

    /// Whether the vocabulary has the words of a text, or long pieces of them. A text in a script that the model never learned comes
    /// apart into single letters, and its vector says little. Words of one or two signs are not asked: some scripts have no others.
    pub fn reads(&self, text: &str) -> bool {
        let Way::Bert(normalizer, pieces) = &self.way else { return true };
        let (mut letters, mut count, mut numbers) = (0, 0, Vec::new());
        for word in normalizer.words(text) {
            let length = word.chars().count();
            if length < 3 {
                continue;
            }
            numbers.clear();
            pieces.encode(&word, &mut numbers);
            letters += length;
            count += if pieces.is_unknown(&numbers) { length } else { numbers.len() };
        }
        // One and a half letters a piece.
        letters * 2 >= count * 3
    }

    /// The numbers of a text, with the marks around it, cut to `most`. No more of the text is looked at than that takes.
    pub fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let room = most.saturating_sub(self.before.len() + self.behind.len());
        let mut numbers = self.before.clone();
        let full = numbers.len() + room;
        match &self.way {
            Way::Bert(normalizer, pieces) => {
                for word in normalizer.words(text) {
                    if numbers.len() >= full {
                        break;
                    }
                    pieces.encode(&word, &mut numbers);
                }
            }
            Way::Sentence(normalizer, pieces) => {
                for word in normalizer.words(text) {
                    if numbers.len() >= full {
                        break;
                    }
                    pieces.encode(&word, &mut numbers);
                }
            }
        }
        numbers.truncate(full);
        numbers.extend_from_slice(&self.behind);
        // Where there are more marks than room.
        numbers.truncate(most);
        numbers
    }
}

/// And the largest number of the vocabulary.
type Read = Result<(Way, Option<u32>), Problem>;

fn bert(file: &File) -> Read {
    let normalizer = bert_words::Normalizer::read(file.normalizer.as_ref()).map_err(Problem::Unsupported)?;
    let split = kind_of(file.pre_tokenizer.as_ref());
    if split != "BertPreTokenizer" {
        return Err(Problem::Unsupported(format!("a pre-tokenizer of the type {split}")));
    }
    let model = &file.model;
    let vocabulary = HashMap::<String, u32>::deserialize(&model.vocab);
    let vocabulary = vocabulary.map_err(|error| Problem::Broken(format!("vocab: {error}")))?;
    let most = vocabulary.values().copied().max();
    let unknown = model.unk_token.as_ref().and_then(Value::as_str).unwrap_or("[UNK]");
    let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("##");
    let longest = model.max_input_chars_per_word.unwrap_or(100).min(1_000);
    let pieces = WordPiece::new(vocabulary, unknown, prefix, longest).map_err(Problem::Broken)?;
    Ok((Way::Bert(normalizer, pieces), most))
}

fn sentence(file: &File) -> Read {
    let normalizer = sentence_words::Normalizer::read(file.normalizer.as_ref(), file.pre_tokenizer.as_ref());
    let normalizer = normalizer.map_err(Problem::Unsupported)?;
    let vocabulary = Vec::<(String, f64)>::deserialize(&file.model.vocab);
    let vocabulary = vocabulary.map_err(|error| Problem::Broken(format!("vocab: {error}")))?;
    let most = u32::try_from(vocabulary.len()).unwrap_or(u32::MAX).checked_sub(1);
    let pieces = Unigram::new(vocabulary, file.model.unk_id.unwrap_or(0)).map_err(Problem::Broken)?;
    Ok((Way::Sentence(normalizer, pieces), most))
}

fn kind_of(part: Option<&Value>) -> &str {
    part.and_then(|part| part["type"].as_str()).unwrap_or("none")
}

/// The marks before and behind a text.
fn frame(processor: Option<&Value>) -> Result<(Vec<u32>, Vec<u32>), String> {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let unclear = || "its post_processor is not understood".to_owned();
    let Some(processor) = processor.filter(|value| !value.is_null()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    match kind_of(Some(processor)) {
        "BertProcessing" | "RobertaProcessing" => {
            let mark = |name: &str| number(&processor[name][1]).ok_or_else(unclear);
            Ok((vec![mark("cls")?], vec![mark("sep")?]))
        }
        "TemplateProcessing" => {
            let (mut before, mut behind, mut seen) = (Vec::new(), Vec::new(), false);
            for part in processor["single"].as_array().ok_or_else(unclear)? {
                if part.get("Sequence").is_some() {
                    seen = true;
                    continue;
                }
                let name = part["SpecialToken"]["id"].as_str().ok_or_else(unclear)?;
                let ids = processor["special_tokens"][name]["ids"].as_array().ok_or_else(unclear)?;
                let ids: Option<Vec<u32>> = ids.iter().map(number).collect();
                if seen { &mut behind } else { &mut before }.extend(ids.ok_or_else(unclear)?);
            }
            if seen { Ok((before, behind)) } else { Err(unclear()) }
        }
        _ => Err(unclear()),
    }
}
