//! What a turn is worth for a question: one weighted sum. The weights were found on LoCoMo's development half
//! (docs/decisions/0024-retrieval.md); other weights near them do as well.

use std::collections::{HashMap, HashSet};

use super::{
    Turn, asks_for_a_time,
    dates::Dates,
    passages::{self, ByWords, after, before},
};
use crate::memory::rank::{Explained, Mode, Parts};

/// Turns that each way of finding them brings in, when their cosines are needed, and when words decide.
pub const CANDIDATES: usize = 200;
const BY_WORDS_ALONE: usize = 1_000;
/// Turns either side in which the best likeness is looked for.
const NEARBY: usize = 2;
/// What the likeness of the turn before adds when it asks, and of the turn after.
const ANSWERS: f64 = 0.4;
const PRECEDES: f64 = 0.1;

/// How much each part counts.
struct Weights {
    words: f64,
    passage: f64,
    meaning: f64,
    nearby: f64,
    date: f64,
    time: f64,
    speaker: f64,
    length: f64,
    asks: f64,
    first_person: f64,
    /// The sum is divided by this: it then lies where those of memories lie.
    scale: f64,
}

const BY_WORDS: Weights = Weights {
    words: 1.0,
    passage: 1.0,
    meaning: 0.0,
    nearby: 0.0,
    date: 1.5,
    time: 0.6,
    speaker: 0.30,
    length: 0.10,
    asks: -0.25,
    first_person: 0.15,
    scale: 2.0,
};

/// With vectors that know words only: they bring in other forms and spellings.
const BY_WORDS_AND_SPELLING: Weights = Weights { meaning: 0.1, ..BY_WORDS };

const BY_BOTH: Weights = Weights {
    words: 1.0,
    passage: 1.4,
    meaning: 1.5,
    nearby: 1.5,
    date: 2.0,
    time: 1.0,
    speaker: 0.45,
    length: 0.15,
    asks: -0.40,
    first_person: 0.20,
    scale: 5.4,
};

const BY_MEANING: Weights = Weights { words: 0.0, passage: 0.0, scale: 3.0, ..BY_BOTH };

/// What a question says besides its words.
pub struct Asked {
    pub dates: Dates,
    pub for_a_time: bool,
    /// The mark of the one speaker that it names.
    pub speaker: Option<u32>,
}

impl Asked {
    pub fn of(question: &str, now: chrono::DateTime<chrono::Utc>, speaker: Option<u32>) -> Self {
        Self { dates: Dates::of(question, now), for_a_time: asks_for_a_time(question), speaker }
    }

    /// How well the turn's own date goes with those of the question.
    fn fit(&self, turn: &Turn) -> f64 {
        let time = if self.dates.is_empty() { None } else { turn.time() };
        time.map_or(0.0, |time| self.dates.fit(time))
    }
}

/// Cosines of turns with the question, by place.
pub type Cosines = HashMap<u32, f64>;

/// Turns that were found, before they are weighed, in order: the best by their words, the best by those and their passages and dates,
/// and the nearest. Of many turns only so many are weighed.
pub fn candidates(turns: &[Turn], asked: &Asked, by_words: &ByWords, nearest: &[u32]) -> Vec<u32> {
    let most = if nearest.is_empty() { BY_WORDS_ALONE } else { CANDIDATES };
    let best = |score: &dyn Fn(u32) -> f64| {
        let scored = by_words.candidates.iter().map(|place| (*place, score(*place)));
        let mut places: Vec<(u32, f64)> = scored.filter(|(_, score)| *score > 0.0).collect();
        let best_first = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if places.len() > most {
            places.select_nth_unstable_by(most, best_first);
            places.truncate(most);
        }
        places
    };
    let alone = best(&|place| by_words.of_turn(place));
    let together = best(&|place| {
        let date = turns.get(place as usize).map_or(0.0, |turn| asked.fit(turn));
        by_words.of_turn(place) + by_words.of_passage(place) + BY_WORDS.date * date
    });
    let mut all: Vec<u32> = alone.into_iter().chain(together).map(|(place, _)| place).collect();
    all.extend(nearest);
    all.sort_unstable();
    all.dedup();
    all
}

/// The turns whose cosines the sum of these turns needs.
pub fn with_those_nearby(turns: &[Turn], places: &[u32]) -> Vec<u32> {
    let around = |place: &u32| {
        let (first, last) = passages::bounds(turns, *place as usize, NEARBY);
        first as u32..=last as u32
    };
    let all: HashSet<u32> = places.iter().flat_map(around).collect();
    let mut all: Vec<u32> = all.into_iter().collect();
    all.sort_unstable();
    all
}

/// Everything a turn is weighed by.
pub struct Evidence<'a> {
    pub turns: &'a [Turn],
    pub asked: &'a Asked,
    pub by_words: &'a ByWords,
    /// Empty when there are no vectors: then words decide.
    pub cosines: &'a Cosines,
    pub mode: Mode,
    /// Whether the vectors know words only.
    pub is_lexical: bool,
}

impl Evidence<'_> {
    fn weights(&self) -> &'static Weights {
        match self.mode {
            Mode::Semantic => &BY_MEANING,
            Mode::Hybrid if self.cosines.is_empty() => &BY_WORDS,
            Mode::Hybrid if self.is_lexical => &BY_WORDS_AND_SPELLING,
            Mode::Hybrid => &BY_BOTH,
            Mode::Keyword => &BY_WORDS,
        }
    }

    /// What each of these turns is worth, in their order.
    pub fn weigh(&self, places: &[u32]) -> Vec<Explained> {
        let weights = self.weights();
        let likeness = between_worst_and_best(places.iter().map(|place| self.likeness(*place)).collect());
        let nearby = between_worst_and_best(places.iter().map(|place| self.nearby(*place)).collect());
        let one = |((place, semantic), nearby): ((&u32, f64), f64)| {
            let bm25 = self.by_words.turn.get(*place as usize).copied().unwrap_or_default();
            let keyword = self.by_words.of_turn(*place);
            let mut parts = Parts {
                words: weights.words * keyword,
                passage: weights.passage * self.by_words.of_passage(*place),
                meaning: weights.meaning * semantic,
                nearby: weights.nearby * nearby,
                ..Parts::default()
            };
            if let Some(turn) = self.turns.get(*place as usize) {
                self.add_context(&mut parts, weights, turn);
            }
            let parts = divided(parts, weights.scale);
            let (context, relevance) = (parts.context(), parts.sum().max(0.0));
            let cosine = self.cosine(*place as usize).unwrap_or_default();
            Explained {
                bm25,
                keyword,
                cosine,
                semantic,
                context,
                relevance,
                parts: Some(parts),
                ..Explained::default()
            }
        };
        places.iter().zip(likeness).zip(nearby).map(one).collect()
    }

    fn add_context(&self, parts: &mut Parts, weights: &Weights, turn: &Turn) {
        parts.date = weights.date * self.asked.fit(turn);
        let says_when = self.asked.for_a_time && turn.traits.is_of_time();
        parts.time = if says_when { weights.time } else { 0.0 };
        let is_asked_about = self.asked.speaker.is_some_and(|speaker| speaker == turn.speaker);
        parts.speaker = if is_asked_about { weights.speaker } else { 0.0 };
        parts.length = weights.length * f64::from(turn.terms).ln_1p();
        parts.asks = if turn.traits.ends_asking() { weights.asks } else { 0.0 };
        parts.first_person = weights.first_person * f64::from(turn.traits.first_person).ln_1p();
    }

    fn cosine(&self, place: usize) -> Option<f64> {
        self.cosines.get(&u32::try_from(place).ok()?).copied()
    }

    /// "G": the likeness of a turn, of the question it answers, and of what follows.
    fn likeness(&self, place: u32) -> Option<f64> {
        let at = place as usize;
        let asked =
            before(self.turns, at).filter(|at| self.turns.get(*at).is_some_and(|turn| turn.traits.asks()));
        let asked = asked.and_then(|at| self.cosine(at)).unwrap_or_default();
        let next = after(self.turns, at).and_then(|at| self.cosine(at)).unwrap_or_default();
        Some(self.cosine(at)? + ANSWERS * asked + PRECEDES * next)
    }

    /// "L": the best likeness around a turn.
    fn nearby(&self, place: u32) -> Option<f64> {
        let (first, last) = passages::bounds(self.turns, place as usize, NEARBY);
        (first..=last).filter_map(|at| self.cosine(at)).reduce(f64::max)
    }
}

fn divided(parts: Parts, by: f64) -> Parts {
    Parts {
        words: parts.words / by,
        passage: parts.passage / by,
        meaning: parts.meaning / by,
        nearby: parts.nearby / by,
        date: parts.date / by,
        time: parts.time / by,
        speaker: parts.speaker / by,
        length: parts.length / by,
        asks: parts.asks / by,
        first_person: parts.first_person / by,
        memories: parts.memories / by,
    }
}

/// 0 for the worst and 1 for the best; 0 for what has none.
fn between_worst_and_best(values: Vec<Option<f64>>) -> Vec<f64> {
    let known = || values.iter().flatten().copied();
    let best = known().fold(f64::MIN, f64::max);
    let worst = known().fold(f64::MAX, f64::min).min(best - 1e-9);
    values.iter().map(|value| value.map_or(0.0, |value| (value - worst) / (best - worst))).collect()
}
