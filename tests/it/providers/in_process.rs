//! A model in the process: its vectors are those of the reference, and a question never waits for a batch.

use data_encoding::BASE64;
use rapport_common::{
    embeddings::Embedder,
    memory::builtin_embedder::cosine,
    settings::{self, Env},
};

use crate::harness::{app::SECRET_KEY, minilm};

fn embedder(threads: &str) -> Embedder {
    let folder = minilm::model().display().to_string();
    let pairs =
        [("SECRET_KEY", SECRET_KEY), ("EMBEDDING__MODEL_DIR", &folder), ("EMBEDDING__THREADS", threads)];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Embedder::from_settings(&settings::load(&mut Env::from_pairs(pairs)).unwrap()).unwrap()
}

/// Texts with their vectors as numpy and the `tokenizers` library make them, a signed byte a number
/// (tests/minilm/reference.py).
fn reference() -> Vec<(String, Vec<f32>)> {
    let text = include_str!("../../minilm/reference.json");
    let pairs: Vec<(String, String)> = serde_json::from_str(text).unwrap();
    let read = |(text, vector): (String, String)| {
        let bytes = BASE64.decode(vector.as_bytes()).unwrap();
        let mut vector: Vec<f32> = bytes.into_iter().map(|byte| f32::from(byte as i8)).collect();
        rapport_common::memory::builtin_embedder::to_unit(&mut vector);
        (text, vector)
    };
    pairs.into_iter().map(read).collect()
}

#[tokio::test]
async fn vectors_are_those_of_the_reference() {
    let (embedder, reference) = (embedder("1"), reference());
    let texts: Vec<String> = reference.iter().map(|(text, _)| text.clone()).collect();
    let together = embedder.embed(&texts).await.unwrap();
    for ((text, expected), found) in reference.iter().zip(&together) {
        let likeness = cosine(expected, found);
        assert!(likeness >= 0.999, "{likeness}: {text:?}");
        let alone = embedder.query(text).await.unwrap();
        assert!(cosine(found, &alone) > 0.999_99, "in a batch and alone: {text:?}");
    }
    assert!(reference.len() >= 40);
    let of = |text: &str| &together[reference.iter().position(|(known, _)| known == text).unwrap()];
    let bread = of("How do I bake bread?");
    assert!(cosine(bread, of("What is the way to bake a loaf of bread?")) > 0.8);
    assert!(cosine(bread, of("The stock market fell.")) < 0.2);
}

#[tokio::test]
async fn a_question_passes_a_batch_and_a_batch_that_nobody_waits_for_ends() {
    let embedder = embedder("1");
    embedder.load().unwrap();
    let batch: Vec<String> =
        (0..400).map(|n| format!("{n} {}", "a long text of many words ".repeat(8))).collect();
    let many = embedder.embed(&batch);
    tokio::pin!(many);
    for question in ["one?", "two?", "three?"] {
        tokio::select! {
            biased;
            _ = &mut many => panic!("the batch of minutes was done before a question"),
            answer = embedder.query(question) => assert_eq!(answer.unwrap().len(), 384),
        }
    }
}
