//! Vectors made smaller, as `lib/segment/src/index/vector_index_search_common.rs` of Qdrant uses them: the first look is at the
//! small ones, at more than were asked for if the request oversamples, and the originals are looked at again only if it says so
//! (or by default, where a bit is all that a number has).

use qdrant_client::qdrant::{self as q, quantization_config::Quantization};
use tonic::Status;

use crate::store::{bad, dot};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Whole,
    Int8,
    Binary,
}

pub struct Small {
    kind: Kind,
    oversampling: f64,
    rescores: bool,
}

impl Small {
    pub fn of(
        config: Option<&q::QuantizationConfig>,
        params: Option<&q::SearchParams>,
    ) -> Result<Self, Status> {
        let kind = match config.and_then(|config| config.quantization.as_ref()) {
            None => Kind::Whole,
            Some(Quantization::Scalar(_)) => Kind::Int8,
            Some(Quantization::Binary(_)) => Kind::Binary,
            Some(_) => return Err(bad("this quantization is not known here")),
        };
        let asked = params.and_then(|params| params.quantization.as_ref());
        let ignored = asked.and_then(|asked| asked.ignore).unwrap_or(false)
            || params.and_then(|params| params.exact).unwrap_or(false);
        let kind = if ignored { Kind::Whole } else { kind };
        let oversampling = asked.and_then(|asked| asked.oversampling).unwrap_or(1.0);
        let rescores = asked.and_then(|asked| asked.rescore).unwrap_or(kind == Kind::Binary);
        Ok(Self { kind, oversampling, rescores: rescores && kind != Kind::Whole })
    }

    /// How many are looked at first.
    pub fn first(&self, limit: usize) -> usize {
        if self.kind != Kind::Whole && self.oversampling > 1.0 {
            (self.oversampling * limit as f64) as usize
        } else {
            limit
        }
    }

    pub fn rescores(&self) -> bool {
        self.rescores
    }

    pub fn likeness(&self, asked: &[f32], stored: &[f32]) -> f32 {
        match self.kind {
            Kind::Whole => dot(asked, stored),
            Kind::Int8 => dot(&bytes(asked), &bytes(stored)),
            Kind::Binary => {
                let alike = asked.iter().zip(stored).filter(|(a, b)| (**a > 0.0) == (**b > 0.0)).count();
                2.0 * alike as f32 / asked.len().max(1) as f32 - 1.0
            }
        }
    }
}

/// Each number as the nearest of 255 steps.
fn bytes(vector: &[f32]) -> Vec<f32> {
    let most = vector.iter().fold(0f32, |most, x| most.max(x.abs())).max(f32::MIN_POSITIVE);
    vector.iter().map(|x| (x / most * 127.0).round() / 127.0 * most).collect()
}
