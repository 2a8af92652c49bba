//! Vectors in a byte a number, for a first look at very many: a quarter of the memory to go through, and never a wrong answer.
//!
//! Scalar quantisation, each row by its own largest number. What is lost of a row is known exactly, as a length; so by Cauchy-Schwarz
//! its true product with a question lies within a slack of the coarse one, and only rows that may be among the best are computed whole.

use pulp::{Arch, Simd, WithSimd};

/// Numbers of one question or row, as whole parts of its scale.
struct Code {
    scale: f32,
    /// The length of what the codes leave out.
    lost: f32,
    length: f32,
}

#[derive(Default)]
pub struct Coarse {
    dimensions: usize,
    numbers: Vec<i8>,
    rows: Vec<Code>,
}

const LARGEST: f32 = 127.0;
/// For what 32-bit sums round off.
const ROUNDING: f32 = 1e-5;

fn length(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.map(|x| x * x).sum::<f32>().sqrt()
}

fn code(vector: &[f32]) -> (Code, impl Iterator<Item = i8>) {
    let largest = vector.iter().fold(0f32, |most, x| most.max(x.abs()));
    let scale = if largest > 0.0 { largest / LARGEST } else { 1.0 };
    let part = move |x: f32| (x / scale).round().clamp(-LARGEST, LARGEST);
    let lost = length(vector.iter().map(|x| x - part(*x) * scale));
    let code = Code { scale, lost, length: length(vector.iter().copied()) };
    (code, vector.iter().map(move |x| part(*x) as i8))
}

/// Whole numbers have no order to keep: the compiler uses vector instructions, the widest there are where it is put into [`Arch`]'s.
#[inline(always)]
fn product(a: &[i8], b: &[i8]) -> i32 {
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        sum += i32::from(*a) * i32::from(*b);
    }
    sum
}

/// A look at some rows. Not a closure: what it is compiled into may stand apart from [`Arch`]'s functions, and then has not the
/// wide instructions that they have.
struct Look<'a> {
    rows: &'a Coarse,
    wanted: &'a [usize],
    asked: &'a Code,
    numbers: &'a [i8],
    /// Of each row, as [`Coarse::bounds`] gives them.
    bounds: &'a mut Vec<(usize, f32, f32)>,
}

impl WithSimd for Look<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for &at in self.wanted {
            self.bounds.extend(self.rows.bounds(at, self.asked, self.numbers));
        }
    }
}

impl Coarse {
    /// Puts a row in the place of another, or at the end. All have the same number of dimensions.
    pub fn put(&mut self, at: usize, vector: &[f32]) {
        let (code, numbers) = code(vector);
        self.dimensions = vector.len();
        match self.rows.get_mut(at) {
            Some(row) => {
                *row = code;
                let begin = at * self.dimensions;
                self.numbers.splice(begin..begin + self.dimensions, numbers);
            }
            None => {
                self.rows.push(code);
                self.numbers.extend(numbers);
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.numbers.len() + self.rows.len() * size_of::<Code>()
    }

    /// A row, and between what its product with a question lies.
    #[inline(always)]
    fn bounds(&self, at: usize, asked: &Code, numbers: &[i8]) -> Option<(usize, f32, f32)> {
        let (row, begin) = (self.rows.get(at)?, at * self.dimensions);
        let codes = self.numbers.get(begin..begin + self.dimensions)?;
        let coarse = product(codes, numbers) as f32 * row.scale * asked.scale;
        // |q·v - q'·v'| ≤ |q - q'|·|v| + |q'|·|v - v'|
        let slack = asked.lost * row.length + (asked.length + asked.lost) * row.lost + ROUNDING;
        // Of what is no number nothing is known: it is computed whole.
        let (least, most) = (coarse - slack, coarse + slack);
        let is_known = least.is_finite() && most.is_finite();
        Some(if is_known { (at, least, most) } else { (at, f32::NEG_INFINITY, f32::INFINITY) })
    }

    /// All rows among `wanted` that may be of the `limit` nearest: those are among them for certain.
    pub fn may_be_nearest(
        &self,
        query: &[f32],
        wanted: impl Iterator<Item = usize>,
        limit: usize,
    ) -> Vec<usize> {
        if query.len() != self.dimensions || limit == 0 {
            return Vec::new();
        }
        let (asked, numbers) = code(query);
        let numbers: Vec<i8> = numbers.collect();
        let wanted: Vec<usize> = wanted.collect();
        let mut all = Vec::with_capacity(wanted.len());
        let look = Look { rows: self, wanted: &wanted, asked: &asked, numbers: &numbers, bounds: &mut all };
        Arch::new().dispatch(look);
        if all.len() <= limit {
            return all.into_iter().map(|(at, ..)| at).collect();
        }
        let mut least: Vec<f32> = all.iter().map(|(_, least, _)| *least).collect();
        let (_, worst, _) = least.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
        let worst = *worst;
        all.into_iter().filter(|(_, _, most)| *most >= worst).map(|(at, ..)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::builtin_embedder::dot;

    fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(-1f32..1.0, 12), 1..60)
    }

    proptest! {
        #[test]
        fn the_nearest_are_among_those_that_may_be(
            rows in vectors(), query in prop::collection::vec(-1f32..1.0, 12), limit in 1usize..9, twice in any::<prop::sample::Index>(),
        ) {
            let mut coarse = Coarse::default();
            // Some are put in a second time, as they are now.
            let again = twice.index(rows.len());
            rows.iter().enumerate().for_each(|(at, row)| coarse.put(at, if at == again { &query } else { row }));
            coarse.put(again, &rows[again]);
            let mut nearest: Vec<usize> = (0..rows.len()).collect();
            nearest.sort_by(|a, b| dot(&rows[*b], &query).total_cmp(&dot(&rows[*a], &query)));
            let found = coarse.may_be_nearest(&query, 0..rows.len(), limit);
            for at in nearest.iter().take(limit) {
                prop_assert!(found.contains(at), "{at} of {found:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_hides_nothing() {
        let mut coarse = Coarse::default();
        (0..9).for_each(|at| coarse.put(at, &[f32::NAN, 1.0]));
        coarse.put(9, &[0.0, 1.0]);
        assert!(coarse.may_be_nearest(&[0.0, 1.0], 0..10, 3).contains(&9));
    }

    #[test]
    fn of_many_most_are_left_out() {
        let row = |n: usize| -> Vec<f32> {
            let vector: Vec<f32> = (0..64).map(|i| (((n * 31 + i * 17) % 97) as f32 - 48.0) / 48.0).collect();
            let size = length(vector.iter().copied());
            vector.into_iter().map(|x| x / size).collect()
        };
        let mut coarse = Coarse::default();
        (0..2_000).for_each(|n| coarse.put(n, &row(n)));
        let found = coarse.may_be_nearest(&row(3), 0..2_000, 10);
        assert!(found.contains(&3) && found.len() < 500, "{}", found.len());
        assert!(coarse.may_be_nearest(&row(3)[..9], 0..2_000, 10).is_empty());
    }
}
