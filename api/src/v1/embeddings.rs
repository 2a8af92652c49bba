//! `POST /v1/embeddings`: the vectors that memory uses, for programs.

use axum::{Json as Answer, extract::State};
use data_encoding::BASE64;
use rapport_common::{
    Context, Result,
    error::Wrong,
    problems::Problems,
    usecase::embed_texts::{Embedded, embed_texts},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::NOT_HERE;
use crate::{
    error,
    extract::{Caller, Wide},
    state::AppState,
};

/// Texts of one request at most, and characters of one.
const TEXTS: usize = 2_048;
const CHARS: usize = 8_000;

/// Texts to make vectors of, as OpenAI's clients send them.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingBody {
    /// A text, or a list of them.
    #[schema(value_type = Object, example = "Hello!")]
    pub input: Value,
    /// `auto`, or the model that is configured.
    #[schema(example = "auto")]
    pub model: String,
    /// `float` (the default) or `base64`.
    pub encoding_format: Option<String>,
    /// Fewer than the model has, if it can be cut.
    pub dimensions: Option<usize>,
    pub user: Option<String>,
}

/// Vectors, as OpenAI's clients expect them.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EmbeddingList {
    #[schema(example = "list")]
    object: &'static str,
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
    model: String,
    usage: EmbeddingUsage,
}

/// Tokens, estimated.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EmbeddingUsage {
    prompt_tokens: i64,
    total_tokens: i64,
}

/// Its name without the number of dimensions.
fn model(ctx: &Context) -> String {
    let tagged = ctx.embedder.model();
    tagged.rsplit_once(':').map_or(tagged.clone(), |(model, _)| model.to_owned())
}

/// Make vectors of texts, for OpenAI's clients
///
/// By the embedder that memory uses: the built-in one, or the configured endpoint. Vectors have length 1.
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = EmbeddingBody,
    responses((status = 200, description = "Vectors", body = EmbeddingList)))]
pub async fn embeddings(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Wide(body, _): Wide<EmbeddingBody>,
) -> error::Result<Answer<EmbeddingList>> {
    let ctx = &state.ctx;
    let (texts, dimensions) = read(ctx, &body)?;
    let Embedded { vectors, tokens } = embed_texts(ctx, &caller, &texts).await?;
    let is_base64 = body.encoding_format.as_deref() == Some("base64");
    let item = |(index, vector): (usize, Vec<f32>)| {
        let vector = cut(vector, dimensions);
        let embedding = if is_base64 { json!(base64(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    Ok(Answer(EmbeddingList {
        object: "list",
        data: vectors.into_iter().enumerate().map(item).collect(),
        model: model(ctx),
        usage: EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens },
    }))
}

fn read(ctx: &Context, body: &EmbeddingBody) -> Result<(Vec<String>, usize)> {
    let mut problems = Problems::default();
    let texts: Vec<String> = match &body.input {
        Value::String(text) => vec![text.clone()],
        many => serde_json::from_value(many.clone()).unwrap_or_else(|_| {
            problems.add("input", Wrong::Form("must be a text or a list of texts"));
            Vec::new()
        }),
    };
    if problems.count() == 0 {
        problems.unless((1..=TEXTS).contains(&texts.len()), "input", Wrong::Count { min: 1, max: TEXTS });
    }
    for (at, text) in texts.iter().enumerate() {
        let field = format!("input[{at}]");
        let length = text.chars().count();
        problems.unless(length <= CHARS, &field, Wrong::TooLong { max: CHARS, length });
        problems.unless(length > 0, &field, Wrong::Empty);
    }
    let own = model(ctx);
    problems.unless(body.model == "auto" || body.model == own, "model", Wrong::AutoOrOneOf(own.clone()));
    let known = body.encoding_format.as_deref().is_none_or(|format| format == "float" || format == "base64");
    problems.unless(known, "encoding_format", Wrong::Either(&["float", "base64"]));
    problems.unless(body.user.is_none(), "user", NOT_HERE);
    let all = ctx.embedder.dimensions();
    let wanted = body.dimensions.unwrap_or(all);
    // Only these are made so that their beginning is a vector too.
    let can_be_cut = own.starts_with("text-embedding-3");
    let fits = wanted == all || (can_be_cut && (1..all).contains(&wanted));
    problems.unless(fits, "dimensions", Wrong::Unfit("is not how many the model has, and it cannot be cut"));
    problems.done()?;
    Ok((texts, wanted))
}

fn cut(mut vector: Vec<f32>, dimensions: usize) -> Vec<f32> {
    if vector.len() > dimensions {
        vector.truncate(dimensions);
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// Little-endian 32-bit floats.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    BASE64.encode(&bytes)
}
