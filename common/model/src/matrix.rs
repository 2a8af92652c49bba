//! Matrices that rows are multiplied by. The one place where the processor's time goes.
//!
//! A matrix is packed once, in panels of sixteen columns, in the order in which they are read: general libraries pack it
//! anew at each call, which for a question of ten words costs as much as the product. `pulp` chooses the widest
//! instructions that the processor has, without unsafe code of ours.

use pulp::{Arch, Simd, WithSimd, bytemuck::cast_slice};

/// Columns of a panel: two registers of AVX, four of NEON.
const WIDE: usize = 16;

/// `depth` rows of `columns`, and what is added to each column of a product.
pub struct Matrix {
    depth: usize,
    columns: usize,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

/// Rows that lie `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

impl Matrix {
    pub fn pack(depth: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let panels = columns.div_ceil(WIDE);
        let mut packed = vec![0.0; panels * depth * WIDE];
        for (panel, packed) in packed.chunks_exact_mut(depth * WIDE).enumerate() {
            let first = panel * WIDE;
            let wide = WIDE.min(columns - first);
            for (row, packed) in packed.as_chunks_mut::<WIDE>().0.iter_mut().enumerate() {
                for (column, packed) in packed[..wide].iter_mut().enumerate() {
                    *packed = value(row, first + column);
                }
            }
        }
        Self { depth, columns, panels: packed, bias: vec![0.0; panels * WIDE] }
    }

    /// A layer as it is stored: a row of `depth` weights for each column.
    pub fn layer(weights: &[f32], bias: &[f32], depth: usize) -> Self {
        let mut layer = Self::pack(depth, bias.len(), |row, column| weights[column * depth + row]);
        layer.bias[..bias.len()].copy_from_slice(bias);
        layer
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Writes `rows × self + bias` into rows of `out` that lie `stride` apart.
    pub fn multiply(&self, arch: Arch, rows: Rows<'_>, out: &mut [f32], stride: usize) {
        let blocks = blocks(rows, self.depth);
        arch.dispatch(Multiply { matrix: self, blocks: &blocks, rows: rows.count, out, stride });
    }

    /// The whole product, as rows one after another.
    pub fn times(&self, arch: Arch, rows: Rows<'_>) -> Vec<f32> {
        let mut out = vec![0.0; rows.count * self.columns];
        self.multiply(arch, rows, &mut out, self.columns);
        out
    }
}

/// How many rows are computed together, of so many that are left: as many as fit into registers.
fn height(left: usize) -> usize {
    match left {
        0..=2 => 2,
        3..=4 => 4,
        _ => 6,
    }
}

/// Rows in blocks of [`height`], each column by column: what is needed at once lies together.
fn blocks(rows: Rows<'_>, depth: usize) -> Vec<f32> {
    let mut blocks = Vec::with_capacity((rows.count + 5) * depth);
    let mut first = 0;
    while first < rows.count {
        let height = height(rows.count - first);
        let at = blocks.len();
        blocks.resize(at + height * depth, 0.0);
        for row in 0..height.min(rows.count - first) {
            let source = &rows.data[(first + row) * rows.stride..][..depth];
            for (block, value) in blocks[at..].chunks_exact_mut(height).zip(source) {
                block[row] = *value;
            }
        }
        first += height;
    }
    blocks
}

struct Multiply<'a> {
    matrix: &'a Matrix,
    blocks: &'a [f32],
    rows: usize,
    out: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            4 => self.panels::<S, 4>(simd),
            8 => self.panels::<S, 2>(simd),
            16 => self.panels::<S, 1>(simd),
            _ => self.panels::<S, WIDE>(simd),
        }
    }
}

impl Multiply<'_> {
    /// `REGISTERS` hold a panel's row.
    #[inline(always)]
    fn panels<S: Simd, const REGISTERS: usize>(mut self, simd: S) {
        let Matrix { depth, panels, .. } = self.matrix;
        for (number, panel) in panels.chunks_exact(depth * WIDE).enumerate() {
            let panel = cast_slice::<f32, S::f32s>(panel).as_chunks::<REGISTERS>().0;
            let (mut first, mut rest) = (0, self.blocks);
            while first < self.rows {
                let height = height(self.rows - first);
                let block;
                (block, rest) = rest.split_at(height * depth);
                match height {
                    2 => self.write(number, first, tile::<S, REGISTERS, 2>(simd, panel, block)),
                    4 => self.write(number, first, tile::<S, REGISTERS, 4>(simd, panel, block)),
                    _ => self.write(number, first, tile::<S, REGISTERS, 6>(simd, panel, block)),
                }
                first += height;
            }
        }
    }

    #[inline(always)]
    fn write<const HEIGHT: usize>(&mut self, panel: usize, first: usize, tile: [[f32; WIDE]; HEIGHT]) {
        let column = panel * WIDE;
        let wide = WIDE.min(self.matrix.columns - column);
        let bias = &self.matrix.bias[column..][..wide];
        for (row, sums) in tile.iter().enumerate().take(self.rows - first) {
            let out = &mut self.out[(first + row) * self.stride + column..][..wide];
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                *out = sum + bias;
            }
        }
    }
}

/// A block of rows times a panel.
#[inline(always)]
fn tile<S: Simd, const REGISTERS: usize, const HEIGHT: usize>(
    simd: S,
    panel: &[[S::f32s; REGISTERS]],
    block: &[f32],
) -> [[f32; WIDE]; HEIGHT] {
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; HEIGHT];
    for (weights, values) in panel.iter().zip(block.as_chunks::<HEIGHT>().0) {
        for row in 0..HEIGHT {
            let value = simd.splat_f32s(values[row]);
            for register in 0..REGISTERS {
                sums[row][register] = simd.mul_add_e_f32s(value, weights[register], sums[row][register]);
            }
        }
    }
    // Copied out at the end: whoever looks at the sums by a number of its own keeps them out of the registers.
    sums.map(|registers| {
        let mut row = [0.0; WIDE];
        for (row, register) in row.chunks_exact_mut(WIDE / REGISTERS).zip(registers) {
            row.copy_from_slice(cast_slice(&[register]));
        }
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, the same each time.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn products_are_as_the_definition_says_at_every_size() {
        for arch in [Arch::new(), Arch::Scalar] {
            for (rows, depth, columns) in
                [(1, 1, 1), (2, 3, 16), (5, 7, 17), (6, 8, 32), (7, 32, 5), (13, 33, 40)]
            {
                let stride = depth + 3;
                let data = numbers(rows * stride, 1);
                let (weights, bias) = (numbers(columns * depth, 2), numbers(columns, 3));
                let matrix = Matrix::layer(&weights, &bias, depth);
                let found = matrix.times(arch, Rows { data: &data, stride, count: rows });
                for row in 0..rows {
                    for column in 0..columns {
                        let terms = (0..depth).map(|k| data[row * stride + k] * weights[column * depth + k]);
                        let expected = terms.sum::<f32>() + bias[column];
                        let found = found[row * columns + column];
                        let size = (rows, depth, columns, row, column);
                        assert!((found - expected).abs() < 1e-4, "{size:?}: {found}, not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_goes_where_it_is_told_and_leaves_the_rest_alone() {
        let matrix = Matrix::pack(2, 3, |row, column| if row == column { 1.0 } else { 0.0 });
        let mut out = [9.0; 10];
        let rows = Rows { data: &[1.0, 2.0, 3.0, 4.0], stride: 2, count: 2 };
        matrix.multiply(Arch::new(), rows, &mut out[1..], 5);
        assert_eq!(out, [9.0, 1.0, 2.0, 0.0, 9.0, 9.0, 3.0, 4.0, 0.0, 9.0]);
    }
}
