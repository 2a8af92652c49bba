//! What a layer does between its products, written so that the compiler uses the widest instructions there are.

use pulp::{Arch, Simd, WithSimd};

/// Sums side by side: one sum has an order to keep.
const LANES: usize = 8;

/// What is done to rows one after the other. Types and not closures: what a closure is compiled into may stand apart from [`Arch`]'s
/// functions, and then has not the wide instructions that they have.
struct Shares<'a> {
    rows: &'a mut [f32],
    length: usize,
    scale: f32,
}

impl WithSimd for Shares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.length) {
            share(row, self.scale);
        }
    }
}

/// Turns scores into shares of one, row by row; the scores are scaled first.
pub fn softmax(arch: Arch, rows: &mut [f32], length: usize, scale: f32) {
    arch.dispatch(Shares { rows, length, scale });
}

#[inline(always)]
fn share(row: &mut [f32], scale: f32) {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
        }
    }
    let most = most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    for value in row.iter_mut() {
        *value = exp((*value - most) * scale);
    }
    let share = 1.0 / sum(row);
    for value in row.iter_mut() {
        *value *= share;
    }
}

struct Activation<'a>(&'a mut [f32]);

impl WithSimd for Activation<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.0 {
            let x = *value;
            *value = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The activation `x · Φ(x)`, exact but for the last digits.
pub fn gelu(arch: Arch, values: &mut [f32]) {
    arch.dispatch(Activation(values));
}

struct AddAndNorm<'a> {
    rows: &'a mut [f32],
    other: &'a [f32],
    norm: &'a Norm,
}

impl WithSimd for AddAndNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let length = self.norm.weight.len();
        for (row, other) in self.rows.chunks_exact_mut(length).zip(self.other.chunks_exact(length)) {
            for (value, other) in row.iter_mut().zip(other) {
                *value += other;
            }
            self.norm.apply(row);
        }
    }
}

/// Adds `other` to each row, and brings it to mean 0 and variance 1, times `weight` plus `bias`.
pub fn add_and_norm(arch: Arch, rows: &mut [f32], other: &[f32], norm: &Norm) {
    arch.dispatch(AddAndNorm { rows, other, norm });
}

pub struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub epsilon: f32,
}

impl Norm {
    #[inline(always)]
    pub fn apply(&self, row: &mut [f32]) {
        let mean = sum(row) / row.len() as f32;
        for value in row.iter_mut() {
            *value -= mean;
        }
        let variance = sum_of_squares(row) / row.len() as f32;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *value = *value * scale * weight + bias;
        }
    }
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().chain(rest).sum()
}

#[inline(always)]
fn sum_of_squares(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane] * chunk[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// e to the power of `x`, to seven digits, without a branch: `f32::exp` is a call for each number.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a number, it leaves its whole part in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    let shifted = x * std::f32::consts::LOG2_E + WHOLE;
    let whole = shifted - WHOLE;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = 1.0 / 720.0;
    let series = series * rest + 1.0 / 120.0;
    let series = series * rest + 1.0 / 24.0;
    let series = series * rest + 1.0 / 6.0;
    let series = series * rest + 0.5;
    let series = series * rest + 1.0;
    let series = series * rest + 1.0;
    let power = shifted.to_bits().wrapping_sub(WHOLE.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(power)
}

/// The error function, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let series =
        t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let positive = 1.0 - series * exp(-size * size);
    f32::from_bits(positive.to_bits() | (x.to_bits() & 1 << 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_are_as_good_as_they_say() {
        for step in -8_000..8_000 {
            let x = step as f32 / 100.0;
            let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / exact - 1.0).abs() < 3e-7, "exp({x}) = {found}, not {exact}");
        }
        assert!(exp(-1e30) >= 0.0 && exp(-1e30) < 1e-37);
        for (x, exact) in
            [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265), (5.0, 1.0)]
        {
            assert!((f64::from(erf(x)) - exact).abs() < 4e-7, "erf({x})");
            assert!((f64::from(erf(-x)) + exact).abs() < 4e-7, "erf(-{x})");
        }
    }

    #[test]
    fn shares_are_of_one_and_norms_are_normal() {
        let mut row: Vec<f32> = (0..19).map(|x| (x as f32 * 7.3) % 5.0).collect();
        let largest = row.iter().position(|x| *x == row.iter().copied().fold(0.0, f32::max)).unwrap();
        softmax(Arch::new(), &mut row, 19, 0.7);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(row.iter().all(|x| *x <= row[largest]));
        let norm = Norm { weight: vec![2.0; 19], bias: vec![1.0; 19], epsilon: 1e-12 };
        add_and_norm(Arch::new(), &mut row, &[0.5; 19], &norm);
        assert!((row.iter().sum::<f32>() / 19.0 - 1.0).abs() < 1e-5);
        let spread: f32 = row.iter().map(|x| (x - 1.0).powi(2)).sum::<f32>() / 19.0;
        assert!((spread - 4.0).abs() < 1e-3, "{spread}");
    }
}
