//! How likely each token of an answer was, as a server that speaks OpenAI's way says it: foreign data, taken over by its known
//! fields, within bounds, and left out where it is something else.

use serde_json::{Map, Value, json};

/// Bytes of a token.
const TOKEN: usize = 256;
/// Others a token is compared with.
const OTHERS: usize = 20;

/// What `logprobs` of a choice says, an entry a token.
pub fn read(said: &Value) -> Vec<Value> {
    let all = ["content", "refusal"].iter().find_map(|name| said[*name].as_array());
    all.into_iter().flatten().filter_map(entry).collect()
}

fn entry(said: &Value) -> Option<Value> {
    let mut entry = token(said)?;
    let others = said["top_logprobs"].as_array().into_iter().flatten();
    let others: Vec<Value> = others.take(OTHERS).filter_map(token).map(Value::Object).collect();
    entry.insert("top_logprobs".to_owned(), others.into());
    Some(Value::Object(entry))
}

fn token(said: &Value) -> Option<Map<String, Value>> {
    let (token, logprob) = (said["token"].as_str()?, said["logprob"].as_f64()?);
    let bytes = said["bytes"].as_array().filter(|bytes| bytes.len() <= TOKEN);
    let bytes = bytes.and_then(|all| {
        all.iter().map(|byte| byte.as_u64().filter(|byte| *byte < 256)).collect::<Option<Vec<u64>>>()
    });
    let mut end = token.len().min(TOKEN);
    while !token.is_char_boundary(end) {
        end -= 1;
    }
    // PostgreSQL stores no NUL. `bytes` says what it was.
    let token = token[..end].replace('\0', "");
    let entry = json!({"token": token, "logprob": logprob, "bytes": bytes});
    match entry {
        Value::Object(entry) => Some(entry),
        _ => None,
    }
}

/// Tokens of an answer of which this is kept, and what they may take as JSON: it is stored with the answer and told in one event.
const MOST: usize = 4_096;
const BYTES: usize = 4 << 20;

/// What is kept of an answer's, from its beginning.
#[derive(Default)]
pub struct Kept {
    pub all: Vec<Value>,
    bytes: usize,
}

impl Kept {
    pub fn add(&mut self, more: impl Iterator<Item = Value>) {
        for one in more {
            self.bytes += one.to_string().len();
            if self.all.len() < MOST && self.bytes <= BYTES {
                self.all.push(one);
            }
        }
    }

    /// Forgets what came after the first few: an answer begins anew there.
    pub fn truncate(&mut self, length: usize) {
        self.all.truncate(length);
        self.bytes = self.all.iter().map(|one| one.to_string().len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        kept.add((0..MOST + 5).map(|n| json!(n)));
        assert_eq!(kept.all.len(), MOST);
        kept.truncate(2);
        kept.add((0..10).map(|_| json!("x".repeat(BYTES / 2))));
        assert_eq!(kept.all.len(), 3);
    }

    #[test]
    fn only_what_is_known_is_taken_over() {
        let one = json!({"token": "a\u{0}b", "logprob": -0.5, "bytes": [97, 0, 98], "more": {"deep": [1]},
            "top_logprobs": [{"token": "c", "logprob": -1.0, "bytes": null}, {"token": 1}, "x"]});
        let read_back = read(&json!({"content": [one, 7, {"token": "no number"}]}));
        let expected = json!([{"token": "ab", "logprob": -0.5, "bytes": [97, 0, 98],
            "top_logprobs": [{"token": "c", "logprob": -1.0, "bytes": null}]}]);
        assert_eq!(json!(read_back), expected);
        for odd in [json!(1), json!([]), json!({"content": "x"}), json!({"content": null}), json!(null)] {
            assert!(read(&odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn tokens_and_others_are_bounded() {
        let long = json!({"token": "é".repeat(1_000), "logprob": 0.0, "bytes": vec![1; 1_000],
            "top_logprobs": vec![json!({"token": "x", "logprob": 0.0}); 100]});
        let entry = &read(&json!({"refusal": [long]}))[0];
        assert_eq!(entry["token"].as_str().unwrap().len(), TOKEN);
        assert_eq!(
            (entry["bytes"].is_null(), entry["top_logprobs"].as_array().unwrap().len()),
            (true, OTHERS)
        );
    }
}
