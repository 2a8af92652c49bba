//! The same by plain counting over texts, to compare with.

use std::collections::HashSet;

use chrono::DateTime;
use proptest::prelude::*;

use super::{
    Traits, Turn,
    passages::{ByWords, Holders, by_words},
    score::{Asked, Cosines, Evidence, candidates, with_those_nearby},
};
use crate::memory::rank::{Mode, Parts};

/// Sessions of texts, a text as its words.
type Said = Vec<Vec<Vec<u8>>>;

const WORDS: u8 = 6;

fn said() -> impl Strategy<Value = Said> {
    let text = prop::collection::vec(0..WORDS, 0..6);
    prop::collection::vec(prop::collection::vec(text, 1..16), 1..5)
}

/// Every third text asks.
fn asks(text: &[u8]) -> bool {
    text.iter().map(|word| usize::from(*word)).sum::<usize>() % 3 == 0
}

fn turns(said: &Said) -> Vec<Turn> {
    let mut all = Vec::new();
    for (session, texts) in said.iter().enumerate() {
        for (seq, text) in texts.iter().enumerate() {
            all.push(Turn {
                session: session as u32,
                seq: seq as u32,
                at: 1_700_000_000_000 + 86_400_000 * session as i64,
                length: text.len() as u16,
                terms: text.iter().collect::<HashSet<_>>().len() as u16,
                speaker: seq as u32 % 2 + 1,
                traits: Traits::of(if asks(text) { "Is it?" } else { "It is." }),
            });
        }
    }
    all
}

fn holders(said: &Said, word: u8) -> Holders {
    let texts = said.iter().flatten().enumerate();
    let counts =
        texts.map(|(at, text)| (at as u32, text.iter().filter(|other| **other == word).count() as u8));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// BM25 of each text among all, by its definition.
fn bm25(texts: &[Vec<u8>], question: &[u8]) -> Vec<f64> {
    let n = texts.len() as f64;
    let mean = (texts.iter().map(Vec::len).sum::<usize>() as f64 / n).max(1.0);
    let one = |text: &Vec<u8>| {
        let of = |word: &u8| {
            let with = texts.iter().filter(|text| text.contains(word)).count() as f64;
            let count = text.iter().filter(|other| *other == word).count() as f64;
            let idf = (1.0 + (n - with + 0.5) / (with + 0.5)).ln();
            idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * text.len() as f64 / mean))
        };
        question.iter().map(of).sum()
    };
    texts.iter().map(one).collect()
}

fn plain(said: &Said, question: &[u8]) -> (Vec<f64>, Vec<f64>) {
    let texts: Vec<Vec<u8>> = said.iter().flatten().cloned().collect();
    let alone = bm25(&texts, question);
    let (mut with_neighbours, mut joined, mut base) = (Vec::new(), Vec::new(), 0);
    for session in said {
        for at in 0..session.len() {
            let mut score = alone[base + at];
            if at > 0 {
                score += if asks(&session[at - 1]) { 0.8 } else { 0.2 } * alone[base + at - 1];
            }
            if at + 1 < session.len() {
                score += 0.2 * alone[base + at + 1];
            }
            with_neighbours.push(score);
            joined.push(session[at.saturating_sub(5)..(at + 6).min(session.len())].concat());
        }
        base += session.len();
    }
    (with_neighbours, bm25(&joined, question))
}

fn found(said: &Said, question: &[u8]) -> (Vec<Turn>, ByWords) {
    let turns = turns(said);
    let held: Vec<Holders> = question.iter().map(|word| holders(said, *word)).collect();
    let by_words = by_words(&turns, &held);
    (turns, by_words)
}

fn nothing_asked() -> Asked {
    Asked::of("", DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(), None)
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

proptest! {
    #[test]
    fn words_say_what_counting_over_texts_says(said in said()) {
        let question = [0, 2, WORDS]; // the last is in no text
        let (_, by_words) = found(&said, &question);
        let (turn, passage) = plain(&said, &question);
        prop_assert!(near(&by_words.turn, &turn), "{:?} for {turn:?}", by_words.turn);
        prop_assert!(near(&by_words.passage, &passage), "{:?} for {passage:?}", by_words.passage);
        let known: Vec<u32> = (0..).zip(&passage).filter(|(_, score)| **score > 0.0).map(|(at, _)| at).collect();
        prop_assert_eq!(by_words.candidates, known);
    }

    #[test]
    fn the_parts_are_the_recipe(said in said(), seed in 1u32..1000) {
        let (turns, by_words) = found(&said, &[1, 3]);
        // Some turns have no vector.
        let cosine = |at: u32| (at % 7 != 3).then(|| f64::from((at + 1) * seed % 101) / 101.0);
        let cosines: Cosines = (0..turns.len() as u32).filter_map(|at| Some((at, cosine(at)?))).collect();
        let places: Vec<u32> = (0..turns.len() as u32).collect();
        let asked = Asked { speaker: Some(2), ..nothing_asked() };
        let evidence = Evidence { turns: &turns, asked: &asked, by_words: &by_words, cosines: &cosines, mode: Mode::Hybrid, is_lexical: false };
        let parts = evidence.weigh(&places).into_iter().map(|explained| explained.parts.unwrap());
        let beside = |at: u32, other: i64| {
            let other = u32::try_from(i64::from(at) + other).ok().filter(|other| (*other as usize) < turns.len())?;
            (turns[other as usize].session == turns[at as usize].session).then_some(other)
        };
        let likeness = |at: u32| Some(cosine(at)?
            + beside(at, -1).filter(|other| turns[*other as usize].traits.asks()).and_then(cosine).unwrap_or(0.0) * 0.4
            + beside(at, 1).and_then(cosine).unwrap_or(0.0) * 0.1);
        let nearby = |at: u32| (-2..=2).filter_map(|other| cosine(beside(at, other)?)).reduce(f64::max);
        let scaled = |of: &dyn Fn(u32) -> Option<f64>, at: u32| {
            let all: Vec<f64> = places.iter().filter_map(|at| of(*at)).collect();
            let (best, worst) = (all.iter().copied().fold(f64::MIN, f64::max), all.iter().copied().fold(f64::MAX, f64::min));
            of(at).map_or(0.0, |value| if best - worst < 1e-9 { 1.0 } else { (value - worst) / (best - worst) })
        };
        let share = |scores: &[f64], at: u32| scores[at as usize] / scores.iter().copied().fold(0.0, f64::max).max(1e-9);
        for (at, parts) in places.iter().zip(parts) {
            let turn = &turns[*at as usize];
            let wanted = [
                (parts.words, share(&by_words.turn, *at)),
                (parts.passage, 1.4 * share(&by_words.passage, *at)),
                (parts.meaning, 1.5 * scaled(&likeness, *at)),
                (parts.nearby, 1.5 * scaled(&nearby, *at)),
                (parts.speaker, if turn.speaker == 2 { 0.45 } else { 0.0 }),
                (parts.length, 0.15 * f64::from(turn.terms).ln_1p()),
                (parts.asks, if turn.traits.ends_asking() { -0.4 } else { 0.0 }),
            ];
            for (is, wanted) in wanted {
                prop_assert!((is * 5.4 - wanted).abs() < 1e-6, "{at}: {parts:?}");
            }
        }
    }

    #[test]
    fn candidates_and_what_is_nearby_stay_in_bounds(said in said(), nearest in prop::collection::vec(0u32..80, 0..5)) {
        let (turns, by_words) = found(&said, &[1]);
        let all = candidates(&turns, &nothing_asked(), &by_words, &nearest);
        prop_assert!(all.is_sorted() && nearest.iter().all(|place| all.contains(place)));
        let inside: Vec<u32> = all.into_iter().filter(|place| (*place as usize) < turns.len()).collect();
        let wide = with_those_nearby(&turns, &inside);
        prop_assert!(wide.len() >= inside.len() && wide.len() <= inside.len() * 5);
        prop_assert!(wide.iter().all(|place| (*place as usize) < turns.len()));
    }
}

/// Of many turns, those said when the question says are weighed, however many share its words.
#[test]
fn a_date_brings_turns_in() {
    let turns: Vec<Turn> = (0..5_000)
        .map(|n| Turn {
            session: n,
            at: 1_600_000_000_000 + 86_400_000 * i64::from(n),
            length: 4,
            terms: 4,
            ..Turn::alone(0)
        })
        .collect();
    let held: Vec<Holders> = vec![(0..5_000).map(|place| (place, 1)).collect()];
    let by_words = by_words(&turns, &held);
    let found = |question: &str| {
        let asked = Asked::of(question, DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(), None);
        let all = candidates(&turns, &asked, &by_words, &[4_999]);
        assert!(all.len() <= 401 && all.contains(&4_999));
        let in_time =
            |place: &&u32| turns[**place as usize].time().unwrap().to_string().starts_with("2022-03");
        all.iter().filter(in_time).count()
    };
    assert_eq!((found("tea in March 2022?"), found("tea?")), (31, 0));
}

/// What a question does not name leaves the order of the rest: no date, no name, no vector.
#[test]
fn what_is_not_asked_for_adds_nothing() {
    let said: Said = vec![vec![vec![1, 2], vec![1], vec![4, 5]], vec![vec![1, 1, 5], vec![3]]];
    let (turns, by_words) = found(&said, &[1]);
    let places: Vec<u32> = (0..turns.len() as u32).collect();
    let asked = nothing_asked();
    let no_cosines = Cosines::new();
    let parts = |mode| {
        let evidence = Evidence {
            turns: &turns,
            asked: &asked,
            by_words: &by_words,
            cosines: &no_cosines,
            mode,
            is_lexical: false,
        };
        evidence.weigh(&places).into_iter().map(|explained| explained.parts.unwrap()).collect::<Vec<_>>()
    };
    let by_words = parts(Mode::Keyword);
    assert_eq!(by_words, parts(Mode::Hybrid), "without vectors, words decide");
    for part in by_words {
        assert_eq!(
            part,
            Parts {
                words: part.words,
                passage: part.passage,
                length: part.length,
                asks: part.asks,
                ..Parts::default()
            }
        );
        assert!((part.sum() - part.words - part.passage - part.context()).abs() < 1e-12);
    }
}
