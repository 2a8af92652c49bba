//! BM25 of turns, of turns with their neighbours, and of the passages around them.

use super::Turn;
use crate::memory::rank::{B, K1, idf};

/// Turns either side of one that make its passage, in its session.
pub const AROUND: usize = 5;
/// What the turn before adds when it asks, and when it does not; and what the turn after adds.
const ANSWERS: f64 = 0.8;
const FOLLOWS: f64 = 0.2;
const PRECEDES: f64 = 0.2;

/// Who holds one term of a question: places of turns, in order, and how often each has it.
pub type Holders = Vec<(u32, u8)>;

/// What words say about each turn, by its place.
#[derive(Debug, Clone, Default)]
pub struct ByWords {
    /// With its neighbours: "X".
    pub turn: Vec<f64>,
    /// Of the passage around it: "P".
    pub passage: Vec<f64>,
    /// The turns that either of them knows, in order.
    pub candidates: Vec<u32>,
    /// The best of either.
    best_turn: f64,
    best_passage: f64,
}

impl ByWords {
    /// A turn's score with its neighbours, as a part of the best.
    pub fn of_turn(&self, place: u32) -> f64 {
        of(&self.turn, place) / self.best_turn.max(1e-9)
    }

    /// The score of its passage, as a part of the best.
    pub fn of_passage(&self, place: u32) -> f64 {
        of(&self.passage, place) / self.best_passage.max(1e-9)
    }
}

fn of(scores: &[f64], place: u32) -> f64 {
    scores.get(place as usize).copied().unwrap_or_default()
}

/// The places of the first and the last turn of a passage around `at`, as wide as `around` turns either side. A session's turns stand
/// together, so the farthest that is in it is mostly the first that is looked at.
pub fn bounds(turns: &[Turn], at: usize, around: usize) -> (usize, usize) {
    let Some(of) = turns.get(at) else { return (at, at) };
    let in_session = |place: &usize| turns.get(*place).is_some_and(|turn| turn.session == of.session);
    let first = (at.saturating_sub(around)..at).find(in_session).unwrap_or(at);
    let last = (at + 1..=at + around).rev().find(in_session).unwrap_or(at);
    (first, last)
}

/// The turn right before another, in its session.
pub fn before(turns: &[Turn], at: usize) -> Option<usize> {
    let (first, _) = bounds(turns, at, 1);
    (first < at).then_some(first)
}

/// The turn right after another, in its session.
pub fn after(turns: &[Turn], at: usize) -> Option<usize> {
    let (_, last) = bounds(turns, at, 1);
    (last > at).then_some(last)
}

/// `held`: of each term of the question.
pub fn by_words(turns: &[Turn], held: &[Holders]) -> ByWords {
    if held.iter().all(Vec::is_empty) {
        let nothing = || vec![0.0; turns.len()];
        return ByWords { turn: nothing(), passage: nothing(), ..ByWords::default() };
    }
    let alone = alone(turns, held);
    let turn = with_neighbours(turns, &alone);
    let passage = passages(turns, held);
    let candidates: Vec<u32> =
        (0..).zip(&passage).filter(|(_, score)| **score > 0.0).map(|(place, _)| place).collect();
    let best = |scores: &[f64]| candidates.iter().map(|place| of(scores, *place)).fold(0.0, f64::max);
    let (best_turn, best_passage) = (best(&turn), best(&passage));
    ByWords { turn, passage, candidates, best_turn, best_passage }
}

fn saturated(weight: f64, count: f64, length: f64, mean: f64) -> f64 {
    weight * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean.max(1.0)))
}

/// BM25 of each turn by itself.
fn alone(turns: &[Turn], held: &[Holders]) -> Vec<f64> {
    let mut scores = vec![0.0; turns.len()];
    let words: u64 = turns.iter().map(|turn| u64::from(turn.length)).sum();
    let mean = words as f64 / turns.len().max(1) as f64;
    for holders in held {
        let weight = idf(turns.len() as i64, holders.len() as i64);
        for (place, count) in holders {
            let place = *place as usize;
            if let (Some(score), Some(turn)) = (scores.get_mut(place), turns.get(place)) {
                *score += saturated(weight, f64::from(*count), f64::from(turn.length), mean);
            }
        }
    }
    scores
}

/// A question finds its answer, and an answer its question.
fn with_neighbours(turns: &[Turn], alone: &[f64]) -> Vec<f64> {
    let mut scores = alone.to_vec();
    for (at, score) in alone.iter().enumerate().filter(|(_, score)| **score > 0.0) {
        if let Some(next) = after(turns, at) {
            let part = if turns.get(at).is_some_and(|turn| turn.traits.asks()) { ANSWERS } else { FOLLOWS };
            scores.iter_mut().skip(next).take(1).for_each(|of| *of += part * score);
        }
        if let Some(previous) = before(turns, at) {
            scores.iter_mut().skip(previous).take(1).for_each(|of| *of += PRECEDES * score);
        }
    }
    scores
}

/// BM25 of the passages as if each were one text.
fn passages(turns: &[Turn], held: &[Holders]) -> Vec<f64> {
    let lengths = passage_lengths(turns);
    let words: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    let mean = words as f64 / lengths.len().max(1) as f64;
    let mut scores = vec![0.0; turns.len()];
    let mut counts = vec![0u32; turns.len()];
    for holders in held {
        let mut within = Vec::new();
        for (place, count) in holders {
            // Passages that reach the turn are those of the turns that its own reaches.
            let (first, last) = bounds(turns, *place as usize, AROUND);
            for (at, sum) in counts.iter_mut().enumerate().take(last + 1).skip(first) {
                if *sum == 0 {
                    within.push(at);
                }
                *sum += u32::from(*count);
            }
        }
        let weight = idf(turns.len() as i64, within.len() as i64);
        for at in within {
            let (Some(count), Some(score)) = (counts.get_mut(at), scores.get_mut(at)) else { continue };
            let length = lengths.get(at).copied().unwrap_or_default();
            *score += saturated(weight, f64::from(std::mem::take(count)), f64::from(length), mean);
        }
    }
    scores
}

/// Words of the passage around each turn: a window that moves along. A passage has eleven turns of at most 65,535.
fn passage_lengths(turns: &[Turn]) -> Vec<u32> {
    let mut lengths = Vec::with_capacity(turns.len());
    for session in turns.chunk_by(|one, next| one.session == next.session) {
        let mut sum: u32 = session.iter().take(AROUND).map(|turn| u32::from(turn.length)).sum();
        for at in 0..session.len() {
            let come = session.get(at + AROUND);
            let gone = at.checked_sub(AROUND + 1).and_then(|at| session.get(at));
            sum += come.map_or(0, |turn| u32::from(turn.length));
            sum -= gone.map_or(0, |turn| u32::from(turn.length));
            lengths.push(sum);
        }
    }
    lengths
}
