//! Both ways from a text to numbers.

use serde_json::json;

use super::*;

fn file() -> Value {
    json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}],
            "special_tokens": {"[CLS]": {"ids": [1]}, "[SEP]": {"ids": [2]}}},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2,
            "cafe": 3, "##s": 4, "!": 5, "un": 6, "##able": 7, "東": 8, "京": 9, "[": 10, "sep": 11, "]": 12}},
    })
}

fn read(file: &Value) -> Result<Tokenizer, String> {
    Tokenizer::read("t.json".into(), file.to_string().as_bytes(), 13).map_err(|error| error.to_string())
}

#[test]
fn words_are_cut_into_the_longest_pieces_there_are() {
    let tokenizer = read(&file()).unwrap();
    let encoded = |text| tokenizer.encode(text, 256);
    assert_eq!(encoded("Cafés!"), [1, 3, 4, 5, 2]);
    assert_eq!(encoded("  UNABLE\u{0}\tcafe "), [1, 6, 7, 3, 2]);
    assert_eq!(encoded("東京"), [1, 8, 9, 2]);
    assert_eq!(encoded("unkind cafe"), [1, 0, 3, 2], "a word is whole or unknown");
    assert_eq!(encoded("[SEP]"), [1, 10, 11, 12, 2], "a user's word is no mark");
    assert_eq!(encoded(""), [1, 2]);
    assert_eq!(encoded(&"x".repeat(101)), [1, 0, 2]);
    assert_eq!(tokenizer.encode("cafe cafe cafe cafe", 5), [1, 3, 3, 3, 2]);
}

#[test]
fn what_is_not_understood_is_said() {
    let with = |pointer: &str, value: Value| {
        let mut file = file();
        *file.pointer_mut(pointer).unwrap() = value;
        read(&file).err().unwrap()
    };
    for (pointer, value, said) in [
        ("/model/type", json!("BPE"), "the type BPE: WordPiece as BERT has it"),
        ("/model/type", json!("Unigram"), "a normalizer of the type BertNormalizer"),
        ("/normalizer", json!({"type": "Precompiled"}), "Precompiled"),
        ("/pre_tokenizer/type", json!("Metaspace"), "Metaspace"),
        ("/post_processor/single", json!([]), "post_processor"),
        ("/model/vocab/cafe", json!(13), "the number 13, and the model knows 13"),
        ("/model/vocab", json!({"cafe": 3}), "[UNK]"),
        ("/model/vocab", json!([1]), "vocab"),
    ] {
        let error = with(pointer, value);
        assert!(error.contains(said), "{pointer}: {error}");
    }
    assert!(Tokenizer::read("t.json".into(), b"{", 13).err().unwrap().to_string().contains("broken"));
}

/// What the `tokenizers` library makes of texts in many scripts (tests/minilm/sentence.py), for both ways to find words.
#[test]
fn sentence_pieces_are_those_of_the_library() {
    #[derive(Deserialize)]
    struct Set {
        tokenizer: Value,
        cases: Vec<(String, Vec<u32>)>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/minilm/sentence.json");
    let sets: Vec<Set> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for set in &sets {
        let bytes = set.tokenizer.to_string();
        let tokenizer = Tokenizer::read("t.json".into(), bytes.as_bytes(), 1_000).unwrap();
        for (text, expected) in &set.cases {
            assert_eq!(&tokenizer.encode(text, 10_000), expected, "{text:?}");
        }
        assert!(set.cases.len() > 40);
    }
    assert_eq!(sets.len(), 2);
}

#[test]
fn a_text_of_unknown_words_is_not_read() {
    let tokenizer = read(&file()).unwrap();
    for text in ["Cafés", "unable cafe", "東京", "", "?!", "cafe cafe unkind"] {
        assert!(tokenizer.reads(text), "{text}");
    }
    for text in ["unkind", "strange words", "ঢাকায় থাকি"] {
        assert!(!tokenizer.reads(text), "{text}");
    }
}
