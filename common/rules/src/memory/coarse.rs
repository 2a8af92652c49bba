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

/// Rows that stand side by side: of each dimension so many bytes are read one after the other, as the processor reads ahead.
const BLOCK: usize = 512;

#[derive(Default)]
pub struct Coarse {
    dimensions: usize,
    /// Of each block of rows, of each dimension, the numbers of its rows: a short question has nothing in most dimensions of the
    /// built-in vectors, and what stands there is not read.
    numbers: Vec<i8>,
    rows: Vec<Code>,
}

const LARGEST: f32 = 127.0;
/// For what 32-bit sums round off.
const ROUNDING: f32 = 1e-5;

/// The nearest whole number. Without `f32::round`, which is a call for each number where the processor is not known to have it.
pub fn whole(x: f32) -> i16 {
    (x + 0.5f32.copysign(x)) as i16
}

/// Eight sums side by side, so that the compiler may use vector instructions: one sum has an order to keep.
fn length(numbers: &[f32]) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for numbers in chunks {
        for lane in 0..8 {
            sums[lane] += numbers[lane] * numbers[lane];
        }
    }
    (sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()).sqrt()
}

fn code(vector: &[f32]) -> (Code, Vec<i8>) {
    let largest = vector.iter().fold(0f32, |most, x| most.max(x.abs()));
    let scale = if largest > 0.0 { largest / LARGEST } else { 1.0 };
    let numbers: Vec<i8> = vector.iter().map(|x| whole((x / scale).clamp(-LARGEST, LARGEST)) as i8).collect();
    let lost: Vec<f32> =
        vector.iter().zip(&numbers).map(|(x, number)| x - f32::from(*number) * scale).collect();
    (Code { scale, lost: length(&lost), length: length(vector) }, numbers)
}

/// A dimension, and the question's number there.
type Wanted = (usize, i16);

/// A look at all rows. Not a closure: what it is compiled into may stand apart from [`Arch`]'s functions, and then has not the
/// wide instructions that they have.
struct Look<'a, F> {
    rows: &'a Coarse,
    asked: &'a Code,
    numbers: &'a [Wanted],
    /// Whether a row may be found at all.
    may: F,
    best: Best,
}

impl<F: Fn(usize) -> bool> WithSimd for Look<'_, F> {
    type Output = Best;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> Best {
        let blocks = self.rows.numbers.chunks_exact(BLOCK * self.rows.dimensions);
        let mut at = 0;
        let mut products = [0i32; BLOCK];
        for (block, rows) in blocks.zip(self.rows.rows.chunks(BLOCK)) {
            compute(block, self.numbers, &mut products);
            for (row, product) in rows.iter().zip(products) {
                let (least, most) = bounds(row, self.asked, product);
                // Of what is no number nothing is known: it is computed whole.
                let is_worse = most < self.best.worst;
                if !is_worse && (self.may)(at) {
                    self.best.add(at, least, most);
                }
                at += 1;
            }
        }
        self.best
    }
}

/// The product of each row of a block with the question. Whole numbers have no order to keep: the compiler uses vector instructions,
/// the widest there are where it is put into [`Arch`]'s. Two products of numbers up to 127 fit into 16 bits.
#[inline(always)]
fn compute(block: &[i8], numbers: &[Wanted], sums: &mut [i32; BLOCK]) {
    let (columns, _) = block.as_chunks::<BLOCK>();
    sums.fill(0);
    let (pairs, last) = numbers.as_chunks::<2>();
    for [(one, a), (other, b)] in pairs {
        let (Some(one), Some(other)) = (columns.get(*one), columns.get(*other)) else { continue };
        for row in 0..BLOCK {
            let both =
                i16::from(one[row]).wrapping_mul(*a).wrapping_add(i16::from(other[row]).wrapping_mul(*b));
            sums[row] += i32::from(both);
        }
    }
    for (one, a) in last {
        let Some(one) = columns.get(*one) else { continue };
        for row in 0..BLOCK {
            sums[row] += i32::from(i16::from(one[row]).wrapping_mul(*a));
        }
    }
}

/// Between what the product of a row and a question lies.
#[inline(always)]
fn bounds(row: &Code, asked: &Code, product: i32) -> (f32, f32) {
    let coarse = product as f32 * row.scale * asked.scale;
    // |q·v - q'·v'| ≤ |q - q'|·|v| + |q'|·|v - v'|
    let slack = asked.lost * row.length + (asked.length + asked.lost) * row.lost + ROUNDING;
    (coarse - slack, coarse + slack)
}

/// The rows seen so far that may be of the nearest.
struct Best {
    limit: usize,
    /// Each with the most it may have.
    rows: Vec<(usize, f32)>,
    /// What rows have at least: the best of them, and some more.
    least: Vec<f32>,
    /// So much have `limit` rows at least: one that has less at most is none of the nearest.
    worst: f32,
}

impl Best {
    fn of(limit: usize) -> Self {
        Self { limit, rows: Vec::new(), least: Vec::new(), worst: f32::NEG_INFINITY }
    }

    fn add(&mut self, at: usize, least: f32, most: f32) {
        self.rows.push((at, if most.is_nan() { f32::INFINITY } else { most }));
        if least > self.worst && least.is_finite() {
            self.least.push(least);
        }
        if self.least.len() / 2 >= self.limit {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.least.len() >= self.limit {
            let (_, worst, _) = self.least.select_nth_unstable_by(self.limit - 1, |a, b| b.total_cmp(a));
            self.worst = *worst;
            self.least.truncate(self.limit);
        }
    }

    fn rows(mut self) -> Vec<usize> {
        self.settle();
        self.rows.into_iter().filter(|(_, most)| *most >= self.worst).map(|(at, _)| at).collect()
    }
}

/// Room for so many in all, which grows by eighths: twice as much, as vectors grow by themselves, would be most of what is kept.
pub fn reserve<T>(numbers: &mut Vec<T>, whole: usize) {
    if numbers.capacity() < whole {
        numbers.reserve_exact((whole - numbers.len()).max(numbers.len() / 8));
    }
}

impl Coarse {
    /// Room for so many rows in all.
    pub fn reserve(&mut self, rows: usize, dimensions: usize) {
        reserve(&mut self.rows, rows);
        reserve(&mut self.numbers, rows.div_ceil(BLOCK) * BLOCK * dimensions);
    }

    /// Puts a row in the place of another, or at the end. All have the same number of dimensions.
    pub fn put(&mut self, at: usize, vector: &[f32]) {
        let (code, numbers) = code(vector);
        self.dimensions = vector.len();
        match self.rows.get_mut(at) {
            Some(row) => *row = code,
            None => {
                self.rows.push(code);
                let whole = self.rows.len().div_ceil(BLOCK) * BLOCK * self.dimensions;
                reserve(&mut self.numbers, whole);
                self.numbers.resize(whole, 0);
            }
        }
        let block =
            self.numbers.chunks_exact_mut(BLOCK * self.dimensions).nth(at / BLOCK).unwrap_or_default();
        for (column, number) in block.as_chunks_mut::<BLOCK>().0.iter_mut().zip(numbers) {
            column[at % BLOCK] = number;
        }
    }

    /// Takes a row out; the last one comes into its place.
    pub fn swap_remove(&mut self, at: usize) {
        let Some(last) = self.rows.len().checked_sub(1).filter(|last| at <= *last) else { return };
        let block = |row: usize| row / BLOCK * BLOCK * self.dimensions + row % BLOCK;
        let (from, to) = (block(last), block(at));
        for column in (0..self.dimensions).map(|dimension| dimension * BLOCK) {
            self.numbers[to + column] = self.numbers[from + column];
        }
        self.rows.swap_remove(at);
        self.numbers.truncate(last.div_ceil(BLOCK) * BLOCK * self.dimensions);
    }

    /// Gives back the room that no row needs.
    pub fn shrink(&mut self) {
        self.numbers.shrink_to_fit();
        self.rows.shrink_to_fit();
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub fn bytes(&self) -> usize {
        self.numbers.capacity() + self.rows.len() * size_of::<Code>()
    }

    /// The rows that may be of the `limit` nearest of those that may be found: those are among them for certain.
    pub fn may_be_nearest(&self, query: &[f32], may: impl Fn(usize) -> bool, limit: usize) -> Vec<usize> {
        if query.len() != self.dimensions || limit == 0 || query.is_empty() {
            return Vec::new();
        }
        let (asked, numbers) = code(query);
        let numbers: Vec<Wanted> = numbers
            .into_iter()
            .enumerate()
            .map(|(at, number)| (at, i16::from(number)))
            .filter(|(_, number)| *number != 0)
            .collect();
        let look = Look { rows: self, asked: &asked, numbers: &numbers, may, best: Best::of(limit) };
        Arch::new().dispatch(look).rows()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::builtin_embedder::dot;

    fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(-1f32..1.0, 12), 1..700)
    }

    proptest! {
        #[test]
        fn the_nearest_are_among_those_that_may_be(
            rows in vectors(), query in prop::collection::vec(prop_oneof![Just(0f32), -1f32..1.0], 12), limit in 1usize..9,
            twice in any::<prop::sample::Index>(), left_out in any::<prop::sample::Index>(),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        ) {
            let (mut rows, mut coarse) = (rows, Coarse::default());
            // Some are put in a second time, as they are now.
            let again = twice.index(rows.len());
            rows.iter().enumerate().for_each(|(at, row)| coarse.put(at, if at == again { &query } else { row }));
            coarse.put(again, &rows[again]);
            for gone in gone {
                if rows.len() > 1 {
                    let at = gone.index(rows.len());
                    rows.swap_remove(at);
                    coarse.swap_remove(at);
                }
            }
            prop_assert_eq!(coarse.rows(), rows.len());
            let left_out = left_out.index(rows.len());
            let may = |at: usize| at != left_out;
            let mut nearest: Vec<usize> = (0..rows.len()).filter(|at| may(*at)).collect();
            nearest.sort_by(|a, b| dot(&rows[*b], &query).total_cmp(&dot(&rows[*a], &query)));
            let found = coarse.may_be_nearest(&query, may, limit);
            for at in nearest.iter().take(limit) {
                prop_assert!(found.contains(at), "{at} of {found:?}");
            }
            prop_assert!(!found.contains(&left_out));
        }
    }

    #[test]
    fn what_is_no_number_hides_nothing() {
        let mut coarse = Coarse::default();
        (0..9).for_each(|at| coarse.put(at, &[f32::NAN, 1.0]));
        coarse.put(9, &[0.0, 1.0]);
        assert!(coarse.may_be_nearest(&[0.0, 1.0], |_| true, 3).contains(&9));
    }

    #[test]
    fn of_many_most_are_left_out() {
        let row = |n: usize| -> Vec<f32> {
            let vector: Vec<f32> = (0..64).map(|i| (((n * 31 + i * 17) % 97) as f32 - 48.0) / 48.0).collect();
            let size = length(&vector);
            vector.into_iter().map(|x| x / size).collect()
        };
        let mut coarse = Coarse::default();
        (0..2_000).for_each(|n| coarse.put(n, &row(n)));
        let found = coarse.may_be_nearest(&row(3), |_| true, 10);
        assert!(found.contains(&3) && found.len() < 500, "{}", found.len());
        assert!(coarse.may_be_nearest(&row(3)[..9], |_| true, 10).is_empty());
    }
}
