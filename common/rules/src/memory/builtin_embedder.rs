//! The built-in embedder: hashed words and character n-grams. No model, no download, no network.
//!
//! It is lexical: it finds spelling variants and shared stems, in any script, but no synonyms and nothing across
//! languages. A provider's embeddings do that; this is what works with nothing installed.

use super::text;

pub const DIMENSIONS: usize = 384;
/// Changes whenever the same text would get another vector.
pub const MODEL: &str = "local-1";

/// A vector of length 1; all zeros for a text without words.
pub fn embed(content: &str) -> Vec<f32> {
    let mut vector = vec![0f32; DIMENSIONS];
    for (term, tf) in text::plain_terms(content) {
        let weight = 1.0 + (tf as f32).ln();
        add(&mut vector, term.as_bytes(), 2.0 * weight);
        let padded: Vec<char> = format!("^{term}$").chars().collect();
        for gram in padded.windows(3) {
            let gram: String = gram.iter().collect();
            add(&mut vector, gram.as_bytes(), 0.6 * weight);
        }
    }
    to_unit(&mut vector);
    vector
}

/// Makes a vector's length 1; one of zeros stays.
pub fn to_unit(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 && norm.is_finite() {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

/// Feature hashing with signs, so that collisions cancel rather than add up.
fn add(vector: &mut [f32], feature: &[u8], weight: f32) {
    let hash = feature
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let sign = if mixed >> 63 == 0 { 1.0 } else { -1.0 };
    vector[(mixed >> 16) as usize % DIMENSIONS] += sign * weight;
}

/// Cosine of two vectors of length 1; 0 when they cannot be compared.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() == b.len() { dot(a, b) } else { 0.0 }
}

/// Eight sums side by side, so that the compiler may use vector instructions: one sum has an order to keep.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Vectors as they are stored: 32-bit floats, little-endian.
pub fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_seen_in_english_and_bengali() {
        let like = |a: &str, b: &str| cosine(&embed(a), &embed(b));
        assert!(like("User likes hiking in mountains", "loves a mountain hike") > 0.3);
        assert!(like("User likes hiking in mountains", "the stock market fell") < 0.15);
        assert!(like("আমি ঢাকায় থাকি", "ঢাকায় থাকি আমি") > 0.9);
        assert_eq!(from_bytes(&to_bytes(&embed("a cat"))), embed("a cat"));
    }
}
