//! One user's vectors of one corpus in memory.
//!
//! Each number takes two bytes, as a part of its row's largest: a cosine is then right to four digits, which is more than a model's own
//! numbers say. A third byte a number is for the coarse look at very many.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::VectorFilter;
use crate::{
    domain::memory::{MemoryStatus, MemoryType},
    memory::{
        builtin_embedder::from_bytes,
        coarse::{self, Coarse},
    },
    store::vectors,
};

/// Rows from which on a coarse look comes first.
const MANY: usize = 2_000;
const LARGEST: f32 = 32_767.0;

#[derive(Default)]
pub(super) struct Vectors {
    pub version: i64,
    pub deletions: i64,
    position: HashMap<Uuid, usize>,
    rows: Vec<Row>,
    numbers: Vec<i16>,
    coarse: Coarse,
    pub dimensions: usize,
}

struct Row {
    id: Uuid,
    /// What a number of its vector is multiplied by.
    scale: f32,
    kind: Box<str>,
    memory_type: Option<MemoryType>,
    status: Option<MemoryStatus>,
    importance: f64,
}

impl Vectors {
    /// Puts many in. There is room for `total` rows then, if that is more: others follow.
    pub fn put_all(&mut self, all: Vec<vectors::Changed>, total: usize) {
        let new = all.iter().filter(|one| !self.position.contains_key(&one.doc_id)).count();
        let rows = total.max(self.rows.len() + new);
        let room = rows - self.rows.len();
        let first = all.first().map_or(0, |one| one.vector.len() / size_of::<f32>());
        let dimensions = if self.dimensions == 0 { first } else { self.dimensions };
        self.rows.reserve(room);
        self.position.reserve(room);
        coarse::reserve(&mut self.numbers, rows * dimensions);
        if rows >= MANY {
            self.coarse.reserve(rows, dimensions);
        }
        all.into_iter().for_each(|one| self.put(one));
    }

    pub fn put(&mut self, changed: vectors::Changed) {
        let vector = from_bytes(&changed.vector);
        if self.dimensions == 0 {
            self.dimensions = vector.len();
        }
        if vector.len() != self.dimensions || self.dimensions == 0 {
            return; // of another length than its model says: nothing to compare it with
        }
        let (scale, numbers) = code(&vector);
        let row = Row {
            id: changed.doc_id,
            scale,
            memory_type: changed.kind.parse().ok(),
            kind: changed.kind.into(),
            status: changed.status.parse().ok(),
            importance: changed.importance,
        };
        let known = self.position.get(&changed.doc_id).copied();
        match known {
            Some(at) => {
                let place = at * self.dimensions..(at + 1) * self.dimensions;
                self.numbers[place].iter_mut().zip(numbers).for_each(|(old, new)| *old = new);
                self.rows[at] = row;
            }
            None => {
                self.position.insert(changed.doc_id, self.rows.len());
                self.rows.push(row);
                let whole = self.numbers.len() + self.dimensions;
                coarse::reserve(&mut self.numbers, whole);
                self.numbers.extend(numbers);
            }
        }
        // Who has few needs no coarse look; with the row that makes them many come all before it.
        if self.are_many() {
            let at = known.unwrap_or(self.rows.len() - 1);
            let first = if self.coarse.rows() == 0 { 0 } else { at };
            for at in first..=at {
                self.coarse.put(at, &self.vector(at));
            }
        }
    }

    /// Takes out what is not among these.
    pub fn keep_only(&mut self, documents: &[Uuid]) {
        let documents: HashSet<&Uuid> = documents.iter().collect();
        for at in (0..self.rows.len()).rev() {
            if !documents.contains(&self.rows[at].id) {
                self.swap_remove(at);
            }
        }
        // Who has few by now needs no coarse look.
        if !self.are_many() {
            self.coarse = Coarse::default();
        }
        if self.rows.is_empty() {
            self.dimensions = 0;
        }
        // What was room for many more is given back.
        if self.numbers.capacity() / 2 > self.numbers.len() {
            self.numbers.shrink_to_fit();
            self.rows.shrink_to_fit();
            self.position.shrink_to_fit();
            self.coarse.shrink();
        }
    }

    /// Takes a row out; the last one comes into its place.
    fn swap_remove(&mut self, at: usize) {
        let last = self.rows.len() - 1;
        let place = at * self.dimensions;
        self.numbers.copy_within(last * self.dimensions.., place);
        self.numbers.truncate(last * self.dimensions);
        self.coarse.swap_remove(at);
        let gone = self.rows.swap_remove(at);
        self.position.remove(&gone.id);
        if let Some(moved) = self.rows.get(at) {
            self.position.insert(moved.id, at);
        }
    }

    /// A row again, as near as it is kept.
    fn vector(&self, at: usize) -> Vec<f32> {
        let scale = self.rows[at].scale;
        self.numbers[at * self.dimensions..(at + 1) * self.dimensions]
            .iter()
            .map(|number| f32::from(*number) * scale)
            .collect()
    }

    fn cosine(&self, at: usize, query: &[f32]) -> f32 {
        let numbers = &self.numbers[at * self.dimensions..(at + 1) * self.dimensions];
        dot(numbers, query) * self.rows[at].scale
    }

    /// The cosine of one document; `None`: it has no vector.
    pub fn of(&self, document: Uuid, query: &[f32]) -> Option<f32> {
        Some(self.cosine(*self.position.get(&document)?, query))
    }

    pub fn bytes(&self) -> usize {
        self.numbers.capacity() * 2 + self.coarse.bytes() + self.rows.len() * 160
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn are_many(&self) -> bool {
        self.rows.len() >= MANY
    }

    /// Those that pass a filter, with their cosines, in no order: of very many those that may be among the nearest.
    pub fn nearest(&self, query: &[f32], filter: &VectorFilter, limit: usize) -> Vec<(Uuid, f32)> {
        let is_any = filter.is_any();
        let may = |at: usize| is_any || self.rows.get(at).is_some_and(|row| passes(row, filter));
        let rows = if self.are_many() {
            self.coarse.may_be_nearest(query, may, limit)
        } else {
            (0..self.rows.len()).filter(|at| may(*at)).collect()
        };
        rows.into_iter().map(|at| (self.rows[at].id, self.cosine(at, query))).collect()
    }
}

/// A vector's numbers as whole parts of a scale. One that is no number becomes 0.
fn code(vector: &[f32]) -> (f32, impl Iterator<Item = i16>) {
    let number = |x: &f32| if x.is_finite() { *x } else { 0.0 };
    let largest = vector.iter().map(number).fold(0f32, |most, x| most.max(x.abs()));
    let scale = if largest > 0.0 { largest / LARGEST } else { 1.0 };
    (scale, vector.iter().map(move |x| coarse::whole(number(x) / scale)))
}

/// Eight sums side by side, so that the compiler may use vector instructions: one sum has an order to keep.
fn dot(numbers: &[i16], query: &[f32]) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<8>();
    let (query_chunks, query_rest) = query.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for (numbers, query) in chunks.iter().zip(query_chunks) {
        for lane in 0..8 {
            sums[lane] += f32::from(numbers[lane]) * query[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().zip(query_rest).map(|(a, b)| f32::from(*a) * b).sum::<f32>()
}

fn passes(row: &Row, filter: &VectorFilter) -> bool {
    filter.memory_type.is_none_or(|kind| row.memory_type == Some(kind))
        && (filter.statuses.is_empty() || row.status.is_some_and(|status| filter.statuses.contains(&status)))
        && (filter.readings.is_empty() || filter.readings.iter().any(|reading| **reading == *row.kind))
        && filter.min_importance.is_none_or(|least| row.importance >= least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::builtin_embedder::{cosine, embed, to_bytes};

    fn changed(id: Uuid, vector: &[f32]) -> vectors::Changed {
        vectors::Changed {
            doc_id: id,
            version: 1,
            vector: to_bytes(vector),
            kind: "fact".to_owned(),
            status: "confirmed".to_owned(),
            importance: 0.5,
        }
    }

    #[test]
    fn cosines_are_right_to_four_digits_for_few_and_for_many() {
        let words = ["tea", "rain", "trains", "a dog", "music", "bread", "the sea"];
        let text = |n: usize| format!("{} and {} {n}", words[n % 7], words[n / 7 % 7]);
        let mut kept = Vectors::default();
        let asked = embed("tea and the sea 12");
        let ids: Vec<Uuid> = (0..MANY + 50).map(|n| Uuid::from_u128(n as u128)).collect();
        for (n, id) in ids.iter().enumerate() {
            kept.put(changed(*id, &embed(&text(n))));
        }
        for (n, id) in ids.iter().enumerate() {
            let (kept, true_one) = (kept.of(*id, &asked).unwrap(), cosine(&embed(&text(n)), &asked));
            assert!((kept - true_one).abs() < 5e-5, "{n}: {kept}, not {true_one}");
        }
        let best = |found: &[(Uuid, f32)]| {
            found.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).unwrap()
        };
        let all: Vec<(Uuid, f32)> = ids.iter().map(|id| (*id, kept.of(*id, &asked).unwrap())).collect();
        let nearest = kept.nearest(&asked, &VectorFilter::default(), 10);
        assert!(nearest.len() < ids.len() && best(&nearest) == best(&all), "{}", nearest.len());
        // One that comes again takes its own place.
        kept.put(changed(ids[5], &asked));
        assert!((kept.of(ids[5], &asked).unwrap() - 1.0).abs() < 5e-5);
        assert_eq!(best(&kept.nearest(&asked, &VectorFilter::default(), 1)).0, ids[5]);
    }

    #[test]
    fn what_is_taken_out_is_not_found_and_the_others_keep_theirs() {
        let mut kept = Vectors::default();
        let ids: Vec<Uuid> = (0..MANY + 10).map(|n| Uuid::from_u128(n as u128)).collect();
        let text = |n: usize| format!("{} and {n}", ["tea", "rain", "bread"][n % 3]);
        for (n, id) in ids.iter().enumerate() {
            kept.put(changed(*id, &embed(&text(n))));
        }
        let asked = embed("tea and 12");
        let all_are_true = |kept: &Vectors, left: &HashSet<Uuid>| {
            for (n, id) in ids.iter().enumerate() {
                let cosine = left.contains(id).then(|| cosine(&embed(&text(n)), &asked));
                let known = kept.of(*id, &asked);
                assert_eq!(known.is_some(), cosine.is_some(), "{n}");
                assert!((known.unwrap_or(0.0) - cosine.unwrap_or(0.0)).abs() < 5e-5, "{n}");
            }
            let nearest = kept.nearest(&asked, &VectorFilter::default(), 1);
            assert!(nearest.iter().any(|(id, _)| *id == ids[12]), "{}", nearest.len());
            assert!(nearest.iter().all(|(id, _)| left.contains(id)));
        };
        // The first, the last, some between; then so many that no coarse look is needed, and back.
        let mut left: HashSet<Uuid> = ids.iter().copied().collect();
        [0, 7, 8, MANY + 9].iter().for_each(|n| assert!(left.remove(&ids[*n])));
        kept.keep_only(&Vec::from_iter(left.iter().copied()));
        assert!(kept.are_many());
        all_are_true(&kept, &left);
        ids[100..200].iter().for_each(|id| assert!(left.remove(id)));
        kept.keep_only(&Vec::from_iter(left.iter().copied()));
        assert!(!kept.are_many() && kept.coarse.rows() == 0);
        all_are_true(&kept, &left);
        kept.put_all((100..200).map(|n| changed(ids[n], &embed(&text(n)))).collect(), 0);
        left.extend(&ids[100..200]);
        assert!(kept.are_many() && kept.coarse.rows() == left.len());
        all_are_true(&kept, &left);
        kept.keep_only(&[]);
        assert_eq!((kept.bytes(), kept.dimensions), (0, 0));
        assert!(
            kept.is_empty()
                && kept.numbers.is_empty()
                && kept.nearest(&asked, &VectorFilter::default(), 9).is_empty()
        );
    }

    #[test]
    fn what_is_no_number_stays_alone() {
        let mut kept = Vectors::default();
        let (odd, fine) = (Uuid::from_u128(1), Uuid::from_u128(2));
        kept.put(changed(odd, &[f32::NAN, f32::INFINITY, 1.0]));
        kept.put(changed(fine, &[0.0, 0.6, 0.8]));
        kept.put(changed(Uuid::from_u128(3), &[1.0])); // of another length
        let asked = [0.0, 0.6, 0.8];
        assert_eq!(kept.nearest(&asked, &VectorFilter::default(), 5).len(), 2);
        assert!((kept.of(odd, &asked).unwrap() - 0.8).abs() < 1e-4, "what is a number counts");
        assert!((kept.of(fine, &[0.0, 0.6, 0.8]).unwrap() - 1.0).abs() < 1e-4);
    }
}
