//! BERT's encoder: tokens to one vector a text.
//!
//! The tokens of several texts stand below each other, without padding: every product of a layer is one for all of them, and
//! only attention looks at each text by itself.

use pulp::Arch;

use crate::{
    error::ModelError,
    folder::{Config, Pooling},
    math::{Norm, add_and_norm, gelu, softmax},
    matrix::{Matrix, Rows},
    safetensors::Safetensors,
};

pub struct Bert {
    arch: Arch,
    hidden: usize,
    heads: usize,
    pooling: Pooling,
    words: Vec<f32>,
    /// With the type of a first sentence added: there is no other.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value side by side.
    attention: Matrix,
    attended: Matrix,
    attention_norm: Norm,
    wide: Matrix,
    narrow: Matrix,
    norm: Norm,
}

/// Reads tensors by their names within a model.
struct Source<'a> {
    file: &'a Safetensors,
    config: &'a Config,
    prefix: &'static str,
}

/// A checkpoint of BERT with its heads has its encoder under this name.
const PREFIX: &str = "bert.";
const WORDS: &str = "embeddings.word_embeddings.weight";

impl<'a> Source<'a> {
    fn new(file: &'a Safetensors, config: &'a Config) -> Self {
        let prefix = if file.has(&format!("{PREFIX}{WORDS}")) { PREFIX } else { "" };
        Self { file, config, prefix }
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.file.read(&format!("{}{name}", self.prefix), shape)
    }

    fn norm(&self, name: &str) -> Result<Norm, ModelError> {
        let shape = [self.config.hidden_size];
        Ok(Norm {
            weight: self.read(&format!("{name}.weight"), &shape)?,
            bias: self.read(&format!("{name}.bias"), &shape)?,
            epsilon: self.config.layer_norm_eps,
        })
    }

    /// Layers side by side, each of `columns` from `depth`.
    fn matrix(&self, names: &[String], depth: usize, columns: usize) -> Result<Matrix, ModelError> {
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weights.extend(self.read(&format!("{name}.weight"), &[columns, depth])?);
            bias.extend(self.read(&format!("{name}.bias"), &[columns])?);
        }
        Ok(Matrix::layer(&weights, &bias, depth))
    }

    fn layer(&self, number: usize) -> Result<Layer, ModelError> {
        let (hidden, wide) = (self.config.hidden_size, self.config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Layer {
            attention: self.matrix(&attention, hidden, hidden)?,
            attended: self.matrix(&[name("attention.output.dense")], hidden, hidden)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            wide: self.matrix(&[name("intermediate.dense")], hidden, wide)?,
            narrow: self.matrix(&[name("output.dense")], wide, hidden)?,
            norm: self.norm(&name("output.LayerNorm"))?,
        })
    }
}

/// Whether a file has what config.json says, at the sizes that matter most, without reading it.
pub fn check(file: &Safetensors, config: &Config) -> Result<(), ModelError> {
    let prefix = Source::new(file, config).prefix;
    file.check(&format!("{prefix}{WORDS}"), &[config.vocab_size, config.hidden_size])?;
    for number in 0..config.num_hidden_layers {
        let wide = format!("{prefix}encoder.layer.{number}.intermediate.dense.weight");
        file.check(&wide, &[config.intermediate_size, config.hidden_size])?;
    }
    Ok(())
}

impl Bert {
    pub fn load(file: &Safetensors, config: &Config, pooling: Pooling) -> Result<Self, ModelError> {
        let source = Source::new(file, config);
        let hidden = config.hidden_size;
        let positions = "embeddings.position_embeddings.weight";
        let mut positions = source.read(positions, &[config.max_position_embeddings, hidden])?;
        let types = "embeddings.token_type_embeddings.weight";
        let types = source.read(types, &[config.type_vocab_size, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(value, first)| *value += first);
        }
        Ok(Self {
            arch: Arch::new(),
            hidden,
            heads: config.num_attention_heads,
            pooling,
            words: source.read(WORDS, &[config.vocab_size, hidden])?,
            positions,
            norm: source.norm("embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers)
                .map(|number| source.layer(number))
                .collect::<Result<_, _>>()?,
        })
    }

    /// A vector of length 1 for each text. No text is empty or longer than the model's positions.
    pub fn embed(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let mut states = self.begin(texts);
        for layer in &self.layers {
            self.apply(layer, texts, &mut states);
        }
        let mut rest = &states[..];
        let pooled = texts.iter().map(|text| {
            let states;
            (states, rest) = rest.split_at(text.len() * self.hidden);
            self.pool(states)
        });
        pooled.collect()
    }

    fn begin(&self, texts: &[Vec<u32>]) -> Vec<f32> {
        let mut states = Vec::with_capacity(texts.iter().map(Vec::len).sum::<usize>() * self.hidden);
        for text in texts {
            for (number, position) in text.iter().zip(self.positions.chunks_exact(self.hidden)) {
                let word = &self.words[*number as usize * self.hidden..][..self.hidden];
                let begun = states.len();
                states.extend(word.iter().zip(position).map(|(word, position)| word + position));
                self.norm.apply(&mut states[begun..]);
            }
        }
        states
    }

    fn apply(&self, layer: &Layer, texts: &[Vec<u32>], states: &mut [f32]) {
        let rows = |data, stride| Rows { data, stride, count: states.len() / self.hidden };
        let parts = layer.attention.times(self.arch, rows(&*states, self.hidden));
        let seen = self.attend(texts, &parts);
        let attended = layer.attended.times(self.arch, rows(&seen, self.hidden));
        add_and_norm(self.arch, states, &attended, &layer.attention_norm);
        let rows = |data, stride| Rows { data, stride, count: states.len() / self.hidden };
        let mut wide = layer.wide.times(self.arch, rows(&*states, self.hidden));
        gelu(self.arch, &mut wide);
        let narrow = layer.narrow.times(self.arch, rows(&wide, layer.wide.columns()));
        add_and_norm(self.arch, states, &narrow, &layer.norm);
    }

    /// Each text's tokens look at each other, in each head by itself. `parts` are rows of query, key and value.
    fn attend(&self, texts: &[Vec<u32>], parts: &[f32]) -> Vec<f32> {
        let (hidden, size) = (self.hidden, self.hidden / self.heads);
        let stride = 3 * hidden;
        let scale = 1.0 / (size as f32).sqrt();
        let mut seen = vec![0.0; parts.len() / 3];
        let mut first = 0;
        for text in texts {
            let count = text.len();
            let parts = &parts[first * stride..][..count * stride];
            let seen = &mut seen[first * hidden..][..count * hidden];
            for head in 0..self.heads {
                let queries = head * size;
                let (keys, values) = (hidden + queries, 2 * hidden + queries);
                let keys = Matrix::pack(size, count, |number, token| parts[token * stride + keys + number]);
                let queries = Rows { data: &parts[queries..], stride, count };
                let mut shares = keys.times(self.arch, queries);
                softmax(self.arch, &mut shares, count, scale);
                let values =
                    Matrix::pack(count, size, |token, number| parts[token * stride + values + number]);
                let shares = Rows { data: &shares, stride: count, count };
                values.multiply(self.arch, shares, &mut seen[head * size..], hidden);
            }
            first += count;
        }
        seen
    }

    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let mut vector = states[..self.hidden].to_vec();
        if self.pooling == Pooling::Mean {
            for state in states[self.hidden..].chunks_exact(self.hidden) {
                vector.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 && length.is_finite() {
            vector.iter_mut().for_each(|value| *value /= length);
        }
        vector
    }
}
